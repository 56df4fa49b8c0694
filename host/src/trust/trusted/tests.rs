//! The text of a trusted key.

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::fixture;

fn key(scopes: &[&str]) -> Result<TrustedKey, TrustError> {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?;
    TrustedKey::new(fixture::secret(1).public(), "Jane's läptop", &scopes, "2026-01-02T03:04:05Z")
}

#[test]
fn a_trusted_key_has_one_text() {
    let trusted = key(&["b-*", "a", "b-*"]).unwrap();
    let text = trusted.render();
    assert_eq!(TrustedKey::parse(text.as_bytes(), "file").unwrap(), trusted);
    assert_eq!(trusted.scope_text(), "`a`, `b-*`");
    let check = |from: &str, to: &str| {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        assert!(TrustedKey::parse(bad.as_bytes(), "file").is_err(), "{bad}");
    };
    check("key 1", "key 2");
    check("ed25519-public:", "ed25519:");
    check("label Jane's läptop", "label ");
    check("label Jane", "label \u{1b}[2J");
    check("label Jane", "label \u{202e}");
    check("label Jane's läptop", &format!("label {}", "x".repeat(65)));
    check("scope a\nscope b-*\n", "");
    check("scope a\nscope b-*\n", "scope b-*\nscope a\n");
    check("scope a\n", "scope a\nscope a\n");
    check("scope a\n", "scope *a\n");
    check("Z\n", "\n");
    check("level trusted", "level builtin");
    check("from command", "from elsewhere");
    check("valid 2026-01-02T03:04:05Z forever", "valid 2026-01-02T03:04:05Z");
    check("forever", "2026-01-02T03:04:04Z");
    check("level trusted\n", "level trusted\n\n");
    check("level trusted\n", "level trusted");
    check("\n", "\r\n");
    check("added ", "added  ");
}

#[test]
fn a_key_that_no_file_could_hold_is_refused() {
    assert_eq!(key(&[]).unwrap_err().code(), Code::ValueInvalid);
    let public = fixture::secret(1).public();
    for label in ["", "two\nlines", "\u{200b}"] {
        let scope = ["*".parse().unwrap()];
        assert!(TrustedKey::new(public.clone(), label, &scope, "2026-01-02T03:04:05Z").is_err(), "{label:?}");
    }
}

#[test]
fn rotations_to_a_key_have_one_text() {
    let [two, three] = [2, 3].map(|number| fixture::secret(number).fingerprint());
    let date: Time = "2026-03-01T00:00:00Z".parse().unwrap();
    let scope = |text: &str| -> Vec<Scope> { text.split(' ').map(|scope| scope.parse().unwrap()).collect() };
    let trusted = key(&["a"]).unwrap().taking_over((two, date), &scope("c b-*"), date).taking_over(
        (three, date),
        &scope("d"),
        date,
    );
    let trusted = trusted.taking_over((two, date), &scope("b-*"), date).checked().unwrap();
    let text = trusted.render();
    assert_eq!(TrustedKey::parse(text.as_bytes(), "file").unwrap(), trusted);
    assert!(text.contains(&format!("handover {two} {date} {date} b-* c\n")), "{text}");
    assert_eq!(trusted.scope_text(), "`a`, `b-*`, `c`, `d`");
    assert!(["a", "b-x", "c", "d"].iter().all(|name| trusted.covers(&name.parse().unwrap())));
    let is_meant = |name: &str| trusted.is_meant_for(&name.parse().unwrap());
    assert!(is_meant("a") && !is_meant("c"), "its user named the first alone");
    let line = |number: usize| text.lines().filter(|line| line.starts_with("handover")).nth(number).unwrap();
    for (from, to) in [
        (format!("{}\n{}\n", line(0), line(1)), format!("{}\n{}\n", line(1), line(0))),
        (line(0).to_owned(), format!("{}\n{}", line(0), line(0))),
        (" b-* c".to_owned(), String::new()),
        (" b-* c".to_owned(), " c b-*".to_owned()),
        (" b-* c".to_owned(), " b-*  c".to_owned()),
        (" b-* c".to_owned(), " b-* c ".to_owned()),
        (format!("handover {two} {date}"), format!("handover {two}")),
        (format!("handover {two}"), "handover ed25519:12".to_owned()),
    ] {
        let bad = text.replacen(&from, &to, 1);
        assert!(bad != text && TrustedKey::parse(bad.as_bytes(), "file").is_err(), "{bad}");
    }
    // As many as a file holds, with all that it may hold besides.
    let names =
        (0..32).map(|number| format!("{}{number:02}*", "n".repeat(60)).parse().unwrap()).collect::<Vec<Scope>>();
    let from = |number: u8| fixture::secret(number + 10).fingerprint();
    let full = (0..16).fold(key(&["a"]).unwrap(), |key, number| key.taking_over((from(number), date), &names, date));
    let kept = (0..256_u16).map(|number| Digest::of(&number.to_le_bytes())).collect();
    let level = Level::Revoked(Revoked { at: date, since: BadSince::Always, kept });
    let full = TrustedKey { scope: names.clone(), level, ..full }.checked().unwrap();
    assert!(full.render().len() < 64 << 10, "{}", full.render().len());
    assert!(full.taking_over((two, date), &names, date).checked().is_err());
}

#[test]
fn a_revoked_key_has_one_text() {
    let revoked = Revoked {
        at: "2026-03-01T00:00:00Z".parse().unwrap(),
        since: BadSince::From("2026-02-01T00:00:00Z".parse().unwrap()),
        kept: [Digest::of(b"1"), Digest::of(b"2")].into(),
    };
    let old = fixture::secret(2).fingerprint();
    let window = Window { until: Some("2027-01-01T00:00:00Z".parse().unwrap()), ..key(&["a"]).unwrap().window };
    let (origin, level) = (Origin::Rotation(old, window.from), Level::Revoked(revoked));
    let trusted = TrustedKey { origin, window, level, ..key(&["a"]).unwrap() };
    let text = trusted.render();
    assert_eq!(TrustedKey::parse(text.as_bytes(), "file").unwrap(), trusted);
    let last = text.lines().last().unwrap();
    for bad in [
        format!("{text}{last}\n"),
        text.replace("revoked\n", "trusted\n"),
        text.replace("bad-since 2026", "bad-since 1"),
    ] {
        assert!(TrustedKey::parse(bad.as_bytes(), "file").is_err(), "{bad}");
    }
}

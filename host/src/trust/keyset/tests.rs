//! Scopes, and the text of a trusted key.

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::fixture;

fn key(scopes: &[&str]) -> Result<TrustedKey, TrustError> {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>()?;
    TrustedKey::new(fixture::secret(1).public(), "Jane's läptop", &scopes, "2026-01-02T03:04:05Z")
}

// A110: a scope is a name, a beginning, or everything.
#[test]
fn scopes_match_names() {
    let check = |scope: &str, name: &str, expected: bool| {
        assert_eq!(scope.parse::<Scope>().unwrap().matches(&name.parse().unwrap()), expected, "{scope} {name}");
    };
    check("*", "anything", true);
    check("acme-*", "acme-x", true);
    check("acme-*", "acme-", true);
    check("acme-*", "acme", false);
    check("acme-*", "b-acme-x", false);
    check("acme", "acme", true);
    check("acme", "acme-x", false);
    for bad in ["", "**", "*a", "a*b", "A*", "a b", "../*", "a?", "[a]", "-*"] {
        assert_eq!(bad.parse::<Scope>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
    }
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
fn a_set_holds_each_key_once() {
    let (first, second) = (key(&["a"]).unwrap(), key(&["b"]).unwrap());
    let set = KeySet::new(vec![first.clone(), second.clone()]);
    assert_eq!((set.len(), set.is_empty()), (1, false));
    assert_eq!(set.find(&first.key), Some(&second));
    assert_eq!(set.by_fingerprint(&first.fingerprint()), Some(&second));
    assert_eq!(set.find(&fixture::secret(2).public()), None);
}

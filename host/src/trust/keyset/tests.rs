//! Which key is good for what, and who says which one is not.

use super::*;
use crate::code::{Code, Coded as _};
use crate::ids::Digest;
use crate::trust::fixture::secret;
use crate::trust::{Level, Origin, Revoked};

const NOW: &str = "2026-01-02T03:04:05Z";

fn key(number: u8, scope: &str) -> TrustedKey {
    TrustedKey::new(secret(number).public(), "note", &[scope.parse().unwrap()], NOW).unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn list(signer: u8, bad: &[(u8, BadSince)]) -> RevocationList {
    let bad: Vec<_> = bad.iter().map(|(number, since)| (secret(*number).fingerprint(), *since)).collect();
    let signed = RevocationList::first(secret(signer).public(), time(NOW)).sign_next(&secret(signer), &bad, time(NOW));
    RevocationList::parse(signed.unwrap().as_bytes(), "list").unwrap()
}

#[test]
fn a_set_holds_each_key_once() {
    let (first, second) = (key(1, "a"), key(1, "b"));
    let set = KeySet::new(vec![first.clone(), second.clone()]);
    assert_eq!((set.len(), set.is_empty()), (1, false));
    assert_eq!(set.find(&first.key), Some(&second));
    assert_eq!(set.by_fingerprint(&first.fingerprint()), Some(&second));
    assert_eq!(set.find(&secret(2).public()), None);
}

// A119
#[test]
fn a_list_counts_for_the_names_of_its_signer() {
    let always = BadSince::Always;
    let set = KeySet::new(vec![key(1, "acme-*"), key(2, "*")]).with_lists(vec![list(1, &[(2, always)])]);
    let bad = |set: &KeySet, number, name: &str| set.revocation(&secret(number).fingerprint(), &name.parse().unwrap());
    let by = Some(secret(1).fingerprint());
    assert_eq!(bad(&set, 2, "acme-x"), Some(Revocation { by, since: always }));
    assert_eq!(bad(&set, 2, "other"), None);
    assert_eq!(bad(&set, 1, "acme-x"), None);
    // A key that is in no keyring can be on a list, and a signer that is in none has no say.
    let without =
        KeySet::new(vec![key(1, "acme-*")]).with_lists(vec![list(1, &[(2, always)]), list(3, &[(1, always)])]);
    assert_eq!(bad(&without, 2, "acme-x"), Some(Revocation { by, since: always }));
    assert_eq!(bad(&without, 1, "acme-x"), None);
}

#[test]
fn a_record_is_judged_as_a_signature_is() {
    let name = "acme-x".parse().unwrap();
    let digest = Digest::of(b"kept");
    let judged = |set: &KeySet, number| {
        crate::trust::judge_signer(set, &secret(number).fingerprint(), &name, &digest).err().map(|error| error.code())
    };
    let undisputed = |set: &KeySet| set.undisputed().map(TrustedKey::fingerprint).collect::<Vec<_>>();
    let good = KeySet::new(vec![key(1, "acme-*"), key(2, "other")]);
    assert_eq!([1, 2, 3].map(|number| judged(&good, number)), [None, Some(Code::KeyScope), Some(Code::UntrustedKey)]);
    assert_eq!(undisputed(&good).len(), 2);
    let listed = good.clone().with_lists(vec![list(1, &[(1, BadSince::Always)])]);
    assert_eq!((judged(&listed, 1), undisputed(&listed)), (Some(Code::KeyRevoked), Vec::new()));
    // What may stay stays; who came by a bad key does not.
    let heir = KeySet::new(vec![bad_key(1), rotated_key(2, 1)]);
    assert_eq!([1, 2].map(|number| judged(&heir, number)), [None, Some(Code::KeyRevoked)]);
    assert_eq!((undisputed(&heir), undisputed(&good.clone().limited_by(good.clone()))), (Vec::new(), Vec::new()));
    let without = heir.without(&secret(1).fingerprint());
    assert_eq!((judged(&without, 2), undisputed(&without)), (None, vec![secret(2).fingerprint()]));
    assert_eq!(without.with(key(3, "*")).len(), 2);
}

#[test]
fn lists_say_which_names_a_key_lost() {
    let bad = [(2, BadSince::Always)];
    let set = KeySet::new(vec![key(1, "acme-*"), key(2, "*"), rotated_key(4, 2)]).with_lists(vec![list(1, &bad)]);
    let scope = |listed: Vec<Listed>| listed.into_iter().map(|one| one.scope[0].to_string()).collect::<Vec<_>>();
    assert_eq!(scope(set.listed(&key(2, "*"))), ["acme-*"]);
    assert_eq!(scope(set.listed(&key(2, "acme-x"))), ["acme-x"]);
    assert_eq!(scope(set.listed(&rotated_key(4, 2))), ["acme-*"]);
    assert!(set.listed(&key(2, "other")).is_empty() && set.listed(&key(1, "*")).is_empty());
}

#[test]
fn a_key_that_came_by_a_bad_rotation_is_bad() {
    let revoked = |number, since| {
        let level = Level::Revoked(Revoked { at: time(NOW), since, kept: [Digest::of(b"kept")].into() });
        TrustedKey { level, ..key(number, "*") }
    };
    let rotated = |number, from: u8, date: &str| TrustedKey {
        origin: Origin::Rotation(secret(from).fingerprint(), time(date)),
        ..key(number, "*")
    };
    let name = "x".parse().unwrap();
    let since = BadSince::From(time("2026-02-01T00:00:00Z"));
    for (date, expected) in [("2026-01-31T00:00:00Z", false), ("2026-02-01T00:00:00Z", true)] {
        let chain = vec![revoked(1, since), rotated(2, 1, date), rotated(3, 2, "2026-06-01T00:00:00Z")];
        let set = KeySet::new(chain);
        for number in [2, 3] {
            assert_eq!(set.revocation(&secret(number).fingerprint(), &name).is_some(), expected, "{number} {date}");
        }
        assert!(set.keeps(&secret(1).fingerprint(), &name, &Digest::of(b"kept")));
        assert!(!set.keeps(&secret(2).fingerprint(), &name, &Digest::of(b"kept")));
        assert!(!set.keeps(&secret(1).fingerprint(), &name, &Digest::of(b"other")));
    }
    // Neither of two sets lifts what the other says, of a key or of one that it took the place of.
    let chain = |level: fn(u8) -> Option<TrustedKey>| {
        KeySet::new(vec![level(1).unwrap_or_else(|| key(1, "*")), level(2).unwrap_or_else(|| rotated_key(2, 1))])
    };
    let kept_new = |number| (number == 2).then(|| TrustedKey { origin: rotated_key(2, 1).origin, ..bad_key(2) });
    let bad_old = |number| (number == 1).then(|| bad_key(1));
    let none = |_| None;
    let keeps = |set: &KeySet| set.keeps(&secret(2).fingerprint(), &name, &Digest::of(b"kept"));
    assert!(keeps(&chain(kept_new)));
    assert!(keeps(&chain(kept_new).limited_by(chain(none))) && keeps(&chain(none).limited_by(chain(kept_new))));
    assert!(keeps(&chain(kept_new).limited_by(chain(kept_new))));
    assert!(!keeps(&chain(kept_new).limited_by(chain(bad_old))) && !keeps(&chain(bad_old).limited_by(chain(kept_new))));
    assert!(!keeps(&chain(none).limited_by(chain(none))));
    // Two that point at each other.
    let circle = KeySet::new(vec![rotated(1, 2, NOW), rotated(2, 1, NOW)]);
    assert_eq!(circle.revocation(&secret(1).fingerprint(), &name), None);
}

#[test]
fn a_list_grows_old() {
    let set = KeySet::new(vec![key(1, "acme-*")]).with_lists(vec![list(1, &[])]);
    let acme = "acme-x".parse().unwrap();
    let check = |days: i64, warns: bool, refused: bool| {
        let now = time(NOW).plus_days(days);
        assert_eq!(!set.list_warnings(&acme, now).is_empty(), warns, "{days}");
        assert_eq!(set.check_lists(&acme, now).is_err(), refused, "{days}");
        assert!(set.check_lists(&"other".parse().unwrap(), now).is_ok());
    };
    check(0, false, false);
    check(6, false, false);
    check(7, true, false);
    check(29, true, false);
    check(30, true, true);
    assert_eq!(set.seen().len(), 2);
}

/// A key that came by rotation from another.
fn rotated_key(number: u8, from: u8) -> TrustedKey {
    TrustedKey { origin: Origin::Rotation(secret(from).fingerprint(), time(NOW)), ..key(number, "*") }
}

/// A revoked key of which one package may stay.
fn bad_key(number: u8) -> TrustedKey {
    let since = BadSince::From(time("2020-01-01T00:00:00Z"));
    let level = Level::Revoked(Revoked { at: time(NOW), since, kept: [Digest::of(b"kept")].into() });
    TrustedKey { level, ..key(number, "*") }
}

//! Lists of revoked keys: what was signed is what is read, and nothing on one is ever taken back.

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::fixture::secret;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

#[test]
fn a_list_only_grows() {
    let (start, later) = (time("2026-01-02T03:04:05Z"), time("2026-01-09T03:04:05Z"));
    let [two, three] = [2, 3].map(|number| secret(number).fingerprint());
    let first = RevocationList::first(secret(1).public(), start);
    let text = first.sign_next(&secret(1), &[(two, BadSince::From(later))], start).unwrap();
    let list = RevocationList::parse(text.as_bytes(), "file").unwrap();
    assert_eq!((list.version, list.keys.len(), list.expires), (1, 1, start.plus_days(30)));
    let more = [(two, BadSince::From(later.plus_days(5))), (three, BadSince::Always)];
    let text = list.clone().sign_next(&secret(1), &more, later).unwrap();
    let next = RevocationList::parse(text.as_bytes(), "file").unwrap();
    assert_eq!((next.version, next.issued), (2, later));
    assert_eq!(next.keys, BTreeMap::from([(two, BadSince::From(later)), (three, BadSince::Always)]));
    let worse =
        RevocationList::parse(next.sign_next(&secret(1), &[(two, BadSince::Always)], later).unwrap().as_bytes(), "x");
    assert_eq!(worse.unwrap().keys[&two], BadSince::Always);
    assert_eq!(list.clone().sign_next(&secret(2), &[], later).unwrap_err().code(), Code::ValueInvalid);
    let last = RevocationList { version: u64::MAX, ..list };
    assert_eq!(last.sign_next(&secret(1), &[], later).unwrap_err().code(), Code::ValueInvalid);
}

#[test]
fn every_byte_counts() {
    let now = time("2026-01-02T03:04:05Z");
    let bad = [(secret(2).fingerprint(), BadSince::Always)];
    let text = RevocationList::first(secret(1).public(), now).sign_next(&secret(1), &bad, now).unwrap();
    assert!(RevocationList::is_meant(text.as_bytes()));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let error = RevocationList::parse(&bytes, "file").unwrap_err();
        assert!(matches!(error.code(), Code::ValueInvalid | Code::SignatureInvalid | Code::WeakKey), "{at}: {error}");
    }
    let mut list = RevocationList { version: 1, ..RevocationList::first(secret(1).public(), now) };
    for number in 0..501_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        list.keys.insert(Fingerprint::of(&bytes), BadSince::Always);
    }
    assert!(list.clone().sign_next(&secret(1), &[], now).is_err());
    list.keys.pop_first();
    let full = list.sign_next(&secret(1), &[], now).unwrap();
    assert!(full.len() < 64 << 10, "{}", full.len());
}

//! Handovers to keys that were trusted already: what they bring, and what is left of them when an old key turns out to be bad.

use super::*;
use crate::code::{Code, Coded as _};
use crate::trust::fixture::secret;
use crate::trust::{BadSince, Level, Origin, RevocationList, Revoked, judge_signer};

const EARLY: &str = "2026-01-02T03:04:05Z";
const LATE: &str = "2026-06-01T00:00:00Z";

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn print(number: u8) -> Fingerprint {
    secret(number).fingerprint()
}

fn scopes(text: &str) -> Vec<Scope> {
    text.split(' ').map(|scope| scope.parse().unwrap()).collect()
}

/// A key that its user trusts for some names.
fn key(number: u8, scope: &str) -> TrustedKey {
    TrustedKey::new(secret(number).public(), "note", &scopes(scope), EARLY).unwrap()
}

/// The same after another key handed names over to it.
fn taking(key: TrustedKey, from: u8, scope: &str, date: &str) -> TrustedKey {
    key.taking_over((print(from), time(date)), &scopes(scope), time(EARLY)).checked().unwrap()
}

/// A key that is trusted for nothing but what another one handed over to it.
fn heir(number: u8, from: u8, scope: &str, date: &str) -> TrustedKey {
    TrustedKey { origin: Origin::Rotation(print(from), time(date)), ..key(number, scope) }
}

fn revoked(key: TrustedKey, since: BadSince) -> TrustedKey {
    TrustedKey { level: Level::Revoked(Revoked { at: time(LATE), since, kept: BTreeSet::new() }), ..key }
}

fn verdict(set: &KeySet, number: u8, name: &str) -> Option<Code> {
    let verdict = judge_signer(set, &print(number), &name.parse().unwrap(), &Digest::of(b""));
    verdict.err().map(|error| error.code())
}

fn before(set: &KeySet, number: u8, name: &str) -> Vec<Fingerprint> {
    set.predecessors(&print(number), &name.parse().unwrap())
}

#[test]
fn who_takes_over_a_name_is_the_same_maker_for_that_name() {
    let set = KeySet::new(vec![key(1, "acme-*"), taking(key(2, "*"), 1, "acme-x", LATE)]);
    assert_eq!(before(&set, 2, "acme-x"), [print(1)]);
    assert!(before(&set, 2, "acme-y").is_empty() && before(&set, 1, "acme-x").is_empty());
    // Further on, by whichever kind of rotation.
    let set = KeySet::new(vec![
        key(1, "a"),
        heir(2, 1, "a", EARLY),
        taking(key(3, "b"), 2, "a", LATE),
        taking(key(4, "a"), 3, "a", LATE),
    ]);
    assert_eq!(before(&set, 4, "a"), [print(3), print(2), print(1)]);
    assert!(before(&set, 3, "b").is_empty());
}

// A119
#[test]
fn names_that_a_bad_key_handed_over_are_lost_and_no_others() {
    let with = |since| KeySet::new(vec![revoked(key(1, "*"), since), taking(key(2, "mine-*"), 1, "*", LATE)]);
    let bad = with(BadSince::From(time(LATE)));
    assert_eq!((verdict(&bad, 2, "mine-x"), verdict(&bad, 2, "other")), (None, Some(Code::KeyRevoked)));
    assert!(before(&bad, 2, "mine-x").is_empty(), "nor is it anybody's heir by that");
    let later = with(BadSince::From(time("2026-06-01T00:00:01Z")));
    assert_eq!((verdict(&later, 2, "mine-x"), verdict(&later, 2, "other")), (None, None));
    assert_eq!(before(&later, 2, "mine-x"), [print(1)]);
    // One reason that holds is enough; no name of the void one is left without it.
    let two = taking(taking(key(2, "mine-*"), 1, "a b", LATE), 3, "b c", LATE);
    let set = KeySet::new(vec![revoked(key(1, "*"), BadSince::Always), two, key(3, "*")]);
    let verdicts = ["mine-x", "a", "b", "c", "d"].map(|name| verdict(&set, 2, name));
    assert_eq!(verdicts, [None, Some(Code::KeyRevoked), None, None, Some(Code::KeyScope)]);
    assert_eq!((before(&set, 2, "b"), before(&set, 2, "a")), (vec![print(3)], Vec::new()));
    // Both void, of which one is void by a key before it.
    let two = taking(heir(2, 1, "a", EARLY), 3, "a", LATE);
    let set = KeySet::new(vec![
        revoked(key(1, "*"), BadSince::Always),
        two,
        heir(3, 4, "a", EARLY),
        revoked(key(4, "*"), BadSince::Always),
    ]);
    assert_eq!(verdict(&set, 2, "a"), Some(Code::KeyRevoked));
    let good: Vec<_> = set.undisputed().map(TrustedKey::fingerprint).collect();
    assert!(good.is_empty(), "{good:?}");
}

// A119: whoever stole a key dates what it signs as they like.
#[test]
fn a_handover_is_as_late_as_it_was_taken_in() {
    let since = BadSince::From(time("2026-03-01T00:00:00Z"));
    for (taken, expected) in [("2026-02-28T00:00:00Z", None), (LATE, Some(Code::KeyRevoked))] {
        let by_itself = TrustedKey { added: time(taken), ..heir(2, 1, "a", EARLY) };
        let known = key(2, "b").taking_over((print(1), time(EARLY)), &scopes("a"), time(taken));
        for two in [by_itself, known] {
            let set = KeySet::new(vec![revoked(key(1, "*"), since), two]);
            assert_eq!(verdict(&set, 2, "a"), expected, "{taken}");
        }
    }
}

// A119: a second statement that bears the date of a first one brings nothing back to it.
#[test]
fn statements_of_one_date_are_taken_in_by_themselves() {
    let since = BadSince::From(time("2026-03-01T00:00:00Z"));
    let early = time("2026-02-01T00:00:00Z");
    let by_itself = TrustedKey { added: early, ..heir(2, 1, "a", EARLY) };
    let known = key(2, "c").taking_over((print(1), time(EARLY)), &scopes("a"), early);
    for two in [by_itself, known] {
        let again = two.clone().taking_over((print(1), time(EARLY)), &scopes("a"), time(LATE));
        assert_eq!(again, two, "the same again");
        let wider = two.taking_over((print(1), time(EARLY)), &scopes("a b"), time(LATE)).checked().unwrap();
        let set = KeySet::new(vec![revoked(key(1, "*"), since), wider]);
        assert_eq!(verdict(&set, 2, "b"), Some(Code::KeyRevoked));
    }
}

// A119
#[test]
fn lists_and_other_sets_void_a_handover_too() {
    let bad = [(print(1), BadSince::From(time(LATE)))];
    let list = RevocationList::first(secret(9).public(), time(LATE)).sign_next(&secret(9), &bad, time(LATE)).unwrap();
    let list = RevocationList::parse(list.as_bytes(), "list").unwrap();
    let two = taking(key(2, "mine-*"), 1, "acme-* other", LATE);
    let set = KeySet::new(vec![key(1, "*"), two.clone(), key(9, "acme-*")]).with_lists(vec![list]);
    let verdicts = ["mine-x", "acme-x", "other"].map(|name| verdict(&set, 2, name));
    assert_eq!(verdicts, [None, Some(Code::KeyRevoked), None], "for the names of the list's signer");
    let listed = set.listed(&two);
    assert_eq!((listed.len(), listed[0].by, listed[0].scope.clone()), (1, print(9), scopes("acme-*")));
    // What it was trusted for besides is not lost, and not shown as lost.
    let own = taking(key(2, "acme-*"), 1, "acme-*", LATE);
    assert!(set.listed(&own).is_empty());
    let limits = KeySet::new(vec![revoked(key(1, "*"), BadSince::Always)]);
    let set = KeySet::new(vec![key(1, "*"), two]).limited_by(limits);
    assert_eq!((verdict(&set, 2, "mine-x"), verdict(&set, 2, "other")), (None, Some(Code::KeyRevoked)));
}

#[test]
fn a_circle_is_no_reason_for_anything() {
    let circle = |own: &str, level: fn(TrustedKey) -> TrustedKey| {
        KeySet::new(vec![
            level(taking(key(1, own), 3, "a", LATE)),
            taking(heir(2, 1, "a", EARLY), 3, "a", EARLY),
            heir(3, 2, "a", EARLY),
        ])
    };
    let good = circle("a", |key| key);
    assert_eq!([1, 2, 3].map(|number| verdict(&good, number, "a")), [None; 3]);
    assert_eq!(before(&good, 1, "a"), [print(3), print(2)], "each once, and never itself");
    assert_eq!(good.undisputed().count(), 3);
    // Two that vouch for each other do not outlive the one that they all came from.
    let bad = circle("b", |key| revoked(key, BadSince::Always));
    let verdicts = [1, 2, 3].map(|number| verdict(&bad, number, "a"));
    assert_eq!(verdicts[0], Some(Code::KeyRevoked));
    assert_eq!(verdict(&KeySet::new(vec![heir(1, 2, "a", EARLY), heir(2, 1, "a", EARLY)]), 1, "a"), None);
    assert_eq!(verdicts[1..], [Some(Code::KeyRevoked); 2]);
}

#[test]
fn many_ways_lead_to_one_verdict() {
    let number = |at: usize| secret(u8::try_from(at + 1).unwrap());
    let keys = (0..250).map(|at| {
        let one = TrustedKey::new(number(at).public(), "note", &scopes("mine"), EARLY).unwrap();
        let before = (at.saturating_sub(16)..at).map(|old| number(old).fingerprint());
        before.fold(one, |one, old| one.taking_over((old, time(LATE)), &scopes("a"), time(LATE))).checked().unwrap()
    });
    let mut keys: Vec<TrustedKey> = keys.collect();
    let chain = KeySet::new(keys.clone());
    keys[0] = revoked(keys[0].clone(), BadSince::Always);
    let bad = KeySet::new(keys);
    assert_eq!(before(&chain, 250, "a").len(), 249);
    assert_eq!(chain.undisputed().count(), 250);
    assert_eq!(verdict(&bad, 2, "a"), Some(Code::KeyRevoked), "all that it got came from the first");
    assert_eq!(verdict(&bad, 250, "a"), Some(Code::KeyRevoked), "on more ways than anybody could walk");
}

//! One row for each answer that a verdict can give.

use super::*;
use crate::code::Coded as _;
use crate::package::fixture;
use crate::trust::TrustedKey;
use crate::trust::fixture::secret;

fn index(name: &str, version: &str) -> Index {
    let mut index = fixture::assembled().sidecar_index;
    (index.name, index.version) = (name.parse().unwrap(), version.parse().unwrap());
    index
}

fn keys(entries: &[(u8, &str)]) -> KeySet {
    let one = |(number, scope): &(u8, &str)| {
        let scopes = [scope.parse().unwrap()];
        TrustedKey::new(secret(*number).public(), "note", &scopes, "2026-01-02T03:04:05Z").unwrap()
    };
    KeySet::new(entries.iter().map(one).collect())
}

fn outcome(index: &Index, signature: Option<&Signature>, keys: &KeySet, exceptions: &[Digest]) -> &'static str {
    match judge(index.render().as_bytes(), index, signature, keys, exceptions) {
        Ok(Trusted::Signed { key, label }) => {
            assert_eq!((Some(key), label.as_str()), (signature.map(Signature::fingerprint), "note"));
            "signed"
        }
        Ok(Trusted::Unsigned) => "unsigned",
        Err(error) => error.code().as_str(),
    }
}

// A106, A109, A110, A111, A112, A114, A122
#[test]
fn each_case_has_its_verdict() {
    let a = index("a-core", "1.0.0");
    let text = a.render();
    let good = secret(1).sign(text.as_bytes());
    let digest = a.digest();
    let trusted = keys(&[(1, "a-*")]);
    let check = |what: &str, expected: &str, signature: Option<&Signature>, keys: &KeySet, exceptions: &[Digest]| {
        assert_eq!(outcome(&a, signature, keys, exceptions), expected, "{what}");
    };
    check("trusted", "signed", Some(&good), &trusted, &[]);
    check("no signature", "signature_missing", None, &trusted, &[]);
    check("an exception", "unsigned", None, &keys(&[]), &[Digest::of(b""), digest]);
    check("an exception for another digest", "signature_missing", None, &trusted, &[Digest::of(b"")]);
    check("unknown key", "untrusted_key", Some(&good), &keys(&[(2, "*")]), &[]);
    check("unknown key with an exception", "untrusted_key", Some(&good), &keys(&[]), &[digest]);
    check("key for other names", "key_scope", Some(&good), &keys(&[(1, "b-*")]), &[]);
    check("any name", "signed", Some(&good), &keys(&[(1, "*")]), &[]);
    let mut bent = good;
    bent.bytes[40] ^= 1;
    check("bent", "signature_invalid", Some(&bent), &trusted, &[digest]);
    let mut other_key = good;
    other_key.key = secret(2).sign(b"").key;
    check("another key named", "signature_invalid", Some(&other_key), &keys(&[(2, "*")]), &[]);
    let mut weak = good;
    weak.key = [0; 32];
    weak.key[0] = 1;
    weak.bytes = [0; 64];
    weak.bytes[0] = 1;
    check("the signature that fits every message", "weak_key", Some(&weak), &trusted, &[]);
    let of_others = [index("a-core", "2.0.0"), index("a-other", "1.0.0")];
    for other in of_others {
        assert_eq!(outcome(&other, Some(&good), &trusted, &[]), "signature_invalid", "transplanted");
    }
    let mut permissions = a.clone();
    permissions.permissions.clear();
    assert_eq!(outcome(&permissions, Some(&good), &trusted, &[]), "signature_invalid", "fewer permissions");
}

#[test]
fn an_index_that_is_not_the_judged_text_counts_as_not_signed() {
    let (signed, shown) = (index("a-core", "1.0.0"), index("b-core", "1.0.0"));
    let text = signed.render();
    let good = secret(1).sign(text.as_bytes());
    let verdict = |signature| judge(text.as_bytes(), &shown, signature, &keys(&[(1, "*")]), &[signed.digest()]);
    assert_eq!(verdict(Some(&good)).unwrap_err().code().as_str(), "signature_invalid");
    assert_eq!(verdict(None).unwrap_err().code().as_str(), "signature_missing");
}

// A109, A124: the whole fingerprint, and a command that works with nothing else at hand.
#[test]
fn a_refusal_says_what_to_do() {
    let a = index("a-core", "1.0.0");
    let text = a.render();
    let good = secret(1).sign(text.as_bytes());
    let refusal = |signature, keys| judge(text.as_bytes(), &a, signature, &keys, &[]).unwrap_err();
    let public = secret(1).public();
    let command = format!("migraine key trust {public} --scope 'a-core'");
    let unknown = refusal(Some(&good), keys(&[]));
    assert!(unknown.to_string().contains(&public.fingerprint().to_string()), "{unknown}");
    assert!(unknown.help().unwrap().ends_with(&command), "{:?}", unknown.help());
    assert!(refusal(Some(&good), keys(&[(1, "b-*")])).help().unwrap().ends_with(&command));
    let key: PublicKey = command.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(key.verify(text.as_bytes(), &good));
    let missing = refusal(None, keys(&[])).help().unwrap();
    assert!(missing.contains("--allow-unsigned") && missing.contains("cargo xtask package-plugin"), "{missing}");
}

// A118, A119
#[test]
fn time_and_revocation_have_their_verdicts() {
    use crate::trust::{BadSince, Level, Revoked, Window};
    let a = index("a-core", "1.0.0");
    let text = a.render();
    let good = secret(1).sign(text.as_bytes());
    let time = |text: &str| text.parse::<Time>().unwrap();
    let base = keys(&[(1, "a-*")]).iter().next().unwrap().clone();
    let (from, until) = (time("2026-01-02T00:00:00Z"), time("2027-01-02T00:00:00Z"));
    let valid = TrustedKey { window: Window { from, until: Some(until) }, ..base.clone() };
    let new = |key: &TrustedKey, now: &str| {
        let keys = KeySet::new(vec![key.clone()]);
        let verdict = judge_new(text.as_bytes(), &a, Some(&good), &keys, &[], time(now));
        verdict.map_or_else(|error| error.code().as_str(), |_| "signed")
    };
    let old = |key: &TrustedKey| outcome(&a, Some(&good), &KeySet::new(vec![key.clone()]), &[]);
    for (now, expected) in [
        ("2026-01-01T23:59:59Z", "key_expired"),
        ("2026-01-02T00:00:00Z", "signed"),
        ("2027-01-01T23:59:59Z", "signed"),
        ("2027-01-02T00:00:00Z", "key_expired"),
        ("2099-01-01T00:00:00Z", "key_expired"),
    ] {
        assert_eq!(new(&valid, now), expected, "{now}");
    }
    assert_eq!(old(&valid), "signed", "what is installed is not asked for the time");
    let revoked = |kept: &[Digest]| {
        let level = Level::Revoked(Revoked { at: from, since: BadSince::Always, kept: kept.iter().copied().collect() });
        TrustedKey { level, ..valid.clone() }
    };
    let now = "2026-06-01T00:00:00Z";
    assert_eq!((old(&revoked(&[])), new(&revoked(&[]), now)), ("key_revoked", "key_revoked"));
    let kept = revoked(&[a.digest()]);
    assert_eq!((old(&kept), new(&kept, now)), ("signed", "key_revoked"), "it stays, and is not installed anew");
    assert_eq!(old(&revoked(&[Digest::of(b"")])), "key_revoked");
    let mut bent = good;
    bent.bytes[40] ^= 1;
    assert_eq!(outcome(&a, Some(&bent), &KeySet::new(vec![kept]), &[]), "signature_invalid");
}

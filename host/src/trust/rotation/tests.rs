//! Rotations: what was signed is what is read.

use super::*;
use crate::code::{Code, Coded as _};
use crate::package::sidecar;
use crate::trust::fixture::secret;

fn signed(scope: &[&str]) -> Result<String, TrustError> {
    let scope: Vec<Scope> = scope.iter().map(|scope| scope.parse().unwrap()).collect();
    Rotation::sign(&secret(1), &secret(2).public(), &scope, "2026-01-02T03:04:05Z".parse().unwrap())
}

#[test]
fn a_statement_comes_back() {
    let text = signed(&["b", "a-*", "b"]).unwrap();
    assert!(Rotation::is_meant(text.as_bytes()));
    let statement = Rotation::parse(text.as_bytes(), "file").unwrap();
    assert_eq!((&statement.old, &statement.new), (&secret(1).public(), &secret(2).public()));
    assert_eq!(statement.scope.len(), 2);
    assert!(signed(&[]).is_err());
    let same = Rotation::sign(&secret(1), &secret(1).public(), &statement.scope, statement.date);
    assert_eq!(same.unwrap_err().code(), Code::ValueInvalid);
}

#[test]
fn every_byte_counts() {
    let text = signed(&["a-*"]).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let error = Rotation::parse(&bytes, "file").unwrap_err();
        assert!(matches!(error.code(), Code::ValueInvalid | Code::SignatureInvalid | Code::WeakKey), "{at}: {error}");
    }
    // The new key cannot sign for the old one, and a plugin's signature is none of a statement.
    let body = text.split_inclusive("migraine-signature").next().unwrap().trim_end_matches("migraine-signature");
    for signature in [secret(2).sign_as(Signed::Rotation, body.as_bytes()), secret(1).sign(body.as_bytes())] {
        let error = Rotation::parse(sidecar::render(body, &signature).as_bytes(), "file").unwrap_err();
        assert_eq!(error.code(), Code::SignatureInvalid);
    }
}

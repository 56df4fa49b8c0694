//! What signed statements about keys have in common: a text of one accepted form, and the signature block after it.

use super::fields::{Fields, malformed};
use super::{PublicKey, SecretKey, Signed, TrustError};
use crate::package::{Signature, sidecar};

/// A statement that a key signs.
pub(super) trait Statement: Sized {
    /// Says what the text is.
    const FIRST_LINE: &'static str;
    /// The same for people.
    const WHAT: &'static str;
    /// What its signature is a signature of.
    const SIGNED: Signed;

    /// Reads the fields after the first line. The signature names a key as well, and was not verified.
    fn of_fields(fields: &mut Fields<'_>, signature: &Signature) -> Result<Self, TrustError>;

    /// The key under which it must verify.
    fn signer(&self) -> &PublicKey;

    /// Whether it may be said at all; the error is the reason.
    fn check(&self) -> Result<(), &'static str>;

    /// Its text.
    fn render(&self) -> String;

    /// The signed text.
    fn signed(&self, key: &SecretKey) -> Result<String, TrustError> {
        self.check().map_err(|reason| TrustError::Unfit { what: Self::WHAT, reason })?;
        let text = self.render();
        Ok(sidecar::render(&text, &key.sign_as(Self::SIGNED, text.as_bytes())))
    }

    /// Reads what was signed and verifies it under the key that it names; `object` names the file in errors.
    fn verified(bytes: &[u8], object: &str) -> Result<Self, TrustError> {
        let refuse = |reason: &str| malformed(object, Self::WHAT, reason);
        let (text, signature) = sidecar::parse(bytes).map_err(|error| refuse(&error.to_string()))?;
        let mut fields = Fields::after(Self::FIRST_LINE, &text, object, Self::WHAT)?;
        let statement = Self::of_fields(&mut fields, &signature)?;
        statement.check().map_err(refuse)?;
        if statement.render().as_bytes() != text {
            return Err(refuse("it is not written in the one accepted form"));
        }
        if !statement.signer().verify_as(Self::SIGNED, &text, &signature) {
            let key = statement.signer().fingerprint();
            return Err(TrustError::Statement { object: object.to_owned(), what: Self::WHAT, key });
        }
        Ok(statement)
    }
}

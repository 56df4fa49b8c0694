//! A rotation: the owner of a key says which key takes its place. The old key signs it.
//!
//! ```text
//! migraine-key-rotation 1
//! old ed25519-public:HEX64
//! new ed25519-public:HEX64
//! scope acme-*
//! date 2026-01-02T03:04:05Z
//! ```
//!
//! The signature block of [`crate::package::Signature`] follows, as in the signature file of a library.

use super::fields::Fields;
use super::statement::Statement;
use super::time::Time;
use super::trusted::{check_scopes, sorted};
use super::{PublicKey, Scope, SecretKey, Signed, TrustError};
use crate::package::Signature;

const FIRST_LINE: &str = "migraine-key-rotation 1";

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that signs.
    pub old: PublicKey,
    /// The key that takes its place.
    pub new: PublicKey,
    /// The names that the new key is to sign, at most; sorted.
    pub scope: Vec<Scope>,
    /// When it was signed.
    pub date: Time,
}

impl Rotation {
    /// Whether a text claims to be one.
    #[must_use]
    pub fn is_meant(text: &[u8]) -> bool {
        text.starts_with(FIRST_LINE.as_bytes())
    }

    /// The signed statement.
    ///
    /// # Errors
    /// The scopes are none that a key can have, or both keys are the same.
    pub fn sign(old: &SecretKey, new: &PublicKey, scope: &[Scope], date: Time) -> Result<String, TrustError> {
        let statement = Self { old: old.public(), new: new.clone(), scope: sorted(scope), date };
        statement.signed(old)
    }

    /// Reads a statement and verifies it under the old key that it names; `object` names the file in errors.
    ///
    /// # Errors
    /// It is not of the one accepted form, or its signature is none of the old key.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self, TrustError> {
        Self::verified(bytes, object)
    }
}

impl Statement for Rotation {
    const FIRST_LINE: &'static str = FIRST_LINE;
    const WHAT: &'static str = "rotation of a key";
    const SIGNED: Signed = Signed::Rotation;

    fn of_fields(fields: &mut Fields<'_>, _: &Signature) -> Result<Self, TrustError> {
        Ok(Self {
            old: fields.take("old")?,
            new: fields.take("new")?,
            scope: fields.all("scope")?,
            date: fields.take("date")?,
        })
    }

    fn signer(&self) -> &PublicKey {
        &self.old
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.old == self.new {
            return Err("both keys are the same");
        }
        check_scopes(&self.scope)
    }

    fn render(&self) -> String {
        let Self { old, new, scope, date } = self;
        let scopes: String = scope.iter().map(|scope| format!("scope {scope}\n")).collect();
        format!("{FIRST_LINE}\nold {old}\nnew {new}\n{scopes}date {date}\n")
    }
}

#[cfg(test)]
mod tests;

//! The signature block: which key signed an index, and the signature. Exactly one spelling:
//!
//! ```text
//! migraine-signature 1
//! key ed25519-public:HEX64
//! signature HEX128
//! ```
//!
//! The whole public key is there, so that the command that trusts an unknown key needs nothing else. It is a claim
//! until the signature was verified under it.

use super::PackageError;
use crate::ids::{Fingerprint, from_hex, to_hex};

/// The length of a block in bytes.
pub const SIGNATURE_LEN: usize = FIRST_LINE.len() + KEY_PREFIX.len() + 64 + SIGNATURE_PREFIX.len() + 128 + 1;

const FIRST_LINE: &str = "migraine-signature 1\n";
const KEY_PREFIX: &str = "key ed25519-public:";
const SIGNATURE_PREFIX: &str = "\nsignature ";

/// A signature over an index and the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The 32 bytes of the Ed25519 public key.
    pub key: [u8; 32],
    /// The Ed25519 signature.
    pub bytes: [u8; 64],
}

impl Signature {
    /// The fingerprint of the key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.key)
    }

    /// Reads a block.
    ///
    /// # Errors
    /// Anything but the one accepted spelling.
    pub fn parse(text: &[u8]) -> Result<Self, PackageError> {
        let refuse = |reason| PackageError::Signature { reason };
        // The length first: nothing larger is ever looked at.
        if text.len() != SIGNATURE_LEN {
            return Err(refuse("it has not the one possible length"));
        }
        let text = std::str::from_utf8(text).map_err(|_| refuse("it is not ASCII"))?;
        let rest = text.strip_prefix(FIRST_LINE).ok_or(refuse("the first line must be `migraine-signature 1`"))?;
        let rest = rest.strip_prefix(KEY_PREFIX).ok_or_else(|| match rest.strip_prefix("key ") {
            Some(key) => PackageError::Algorithm { name: key.split(':').next().unwrap_or(key).to_owned() },
            None => refuse("the second line must be `key KEY`"),
        })?;
        let (key, rest) = rest.split_at_checked(64).ok_or(refuse("the key is cut"))?;
        let key = from_hex(key).ok_or(refuse("the key is not 64 lower-case hexadecimal digits"))?;
        let rest = rest.strip_prefix(SIGNATURE_PREFIX).ok_or(refuse("the third line must be `signature HEX`"))?;
        let hex = rest.strip_suffix('\n').ok_or(refuse("it does not end in one line feed"))?;
        let bytes = from_hex(hex).ok_or(refuse("the signature is not 128 lower-case hexadecimal digits"))?;
        Ok(Self { key, bytes })
    }

    /// The one spelling.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{FIRST_LINE}{KEY_PREFIX}{}{SIGNATURE_PREFIX}{}\n", to_hex(&self.key), to_hex(&self.bytes))
    }
}

#[cfg(test)]
mod tests;

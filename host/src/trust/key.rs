//! Ed25519 keys: the one message that is signed, strict verification, and one spelling for each kind of key.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::Digest as _;
use zeroize::Zeroizing;

use super::TrustError;
use crate::ids::{Fingerprint, from_hex, to_hex};
use crate::package::Signature;

/// Separates this use of a key from every other one.
const DOMAIN: &[u8] = b"migraine-plugin-v1\0";
const PUBLIC_PREFIX: &str = "ed25519-public:";
const SECRET_FILE: (&str, &str) =
    ("migraine-secret-key 1\n# Not encrypted: whoever reads this file can sign as you.\ned25519-secret:", "\n");

/// The bytes that are signed: a domain, then the SHA-512 digest of the index text.
#[must_use]
pub fn signed_message(index_text: &[u8]) -> Vec<u8> {
    let mut message = DOMAIN.to_vec();
    message.extend_from_slice(&sha2::Sha512::digest(index_text));
    message
}

/// A public key that is neither weak nor written in a second way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes 32 bytes as a key.
    ///
    /// # Errors
    /// They are no point, a point of small order, or not the one encoding of their point.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, TrustError> {
        let weak = |reason| TrustError::WeakKey { key: to_hex(bytes), reason };
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| weak("it is not a point of the curve"))?;
        // Small order first: those points have non-canonical spellings too.
        if key.is_weak() {
            return Err(weak("it has a small order: anything would verify under it"));
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(weak("it is not the canonical encoding of its point"));
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The full fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_bytes())
    }

    /// Whether a signature was made over this index text with this key.
    #[must_use]
    pub fn verify(&self, index_text: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        signature.key == *self.as_bytes() && self.0.verify_strict(&signed_message(index_text), &bytes).is_ok()
    }

    /// Reads a public key file: the key's one line.
    ///
    /// # Errors
    /// Anything else, or a weak key.
    pub fn parse_file(text: &[u8]) -> Result<Self, TrustError> {
        let line = std::str::from_utf8(text).ok().and_then(|text| text.strip_suffix('\n'));
        line.unwrap_or("the file").parse()
    }

    /// The content of a public key file.
    #[must_use]
    pub fn render_file(&self) -> String {
        format!("{self}\n")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", to_hex(self.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix(PUBLIC_PREFIX).and_then(from_hex).ok_or_else(|| TrustError::Malformed {
            object: format!("`{}`", text.chars().take(80).collect::<String>()),
            what: "public key",
            reason: "it is not of the one accepted form".to_owned(),
        })?;
        Self::from_bytes(&bytes)
    }
}

/// A secret key; wiped from memory when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of 32 random bytes, which the caller takes from the operating system and wipes.
    #[must_use]
    pub fn from_seed(random: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(random))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The full fingerprint of the public half.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public().fingerprint()
    }

    /// Signs an index text.
    #[must_use]
    pub fn sign(&self, index_text: &[u8]) -> Signature {
        let bytes = self.0.sign(&signed_message(index_text)).to_bytes();
        Signature { key: *self.public().as_bytes(), bytes }
    }

    /// The content of a secret key file.
    #[must_use]
    pub fn render_file(&self) -> Zeroizing<String> {
        let hex = Zeroizing::new(to_hex(self.0.as_bytes()));
        let (before, after) = SECRET_FILE;
        Zeroizing::new([before, &hex, after].concat())
    }

    /// Reads a secret key file.
    ///
    /// # Errors
    /// Anything but the one accepted form; the message shows nothing of the content.
    pub fn parse_file(text: &[u8]) -> Result<Self, TrustError> {
        let (before, after) = SECRET_FILE;
        let hex = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix(before)?.strip_suffix(after));
        let seed = hex.and_then(from_hex).map(Zeroizing::new).ok_or_else(|| TrustError::Malformed {
            object: "the file".to_owned(),
            what: "secret key",
            reason: "it is not of the one accepted form".to_owned(),
        })?;
        Ok(Self::from_seed(&seed))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests;

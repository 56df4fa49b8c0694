//! Ed25519 keys: what is signed, strict verification, and how a public key is written.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use pkcs8::der::Document;
use pkcs8::der::pem::LineEnding;
use sha2::Digest as _;

use super::TrustError;
use crate::controls::{Check, makes};
use crate::ids::{Fingerprint, from_hex, to_hex};
use crate::package::Signature;

const PUBLIC_PREFIX: &str = "ed25519-public:";
/// What stands before the 32 bytes of a public key in its DER form (RFC 8410); there is no other one.
const PUBLIC_DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// What a text is signed as. A signature of one kind is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// The index of a plugin.
    Index,
    /// A statement that one key takes the place of another.
    Rotation,
    /// A list of keys that are not to be trusted any more.
    Revocations,
}

impl Signed {
    fn domain(self) -> &'static [u8] {
        match self {
            Self::Index => b"migraine-plugin-v1\0",
            Self::Rotation => b"migraine-rotation-v1\0",
            Self::Revocations => b"migraine-revocations-v1\0",
        }
    }

    /// The bytes that are signed: a domain, then the SHA-512 digest of the text.
    #[must_use]
    pub fn message(self, text: &[u8]) -> Vec<u8> {
        let mut message = self.domain().to_vec();
        message.extend_from_slice(&sha2::Sha512::digest(text));
        message
    }
}

/// The bytes that are signed of a plugin.
#[must_use]
pub fn signed_message(index_text: &[u8]) -> Vec<u8> {
    Signed::Index.message(index_text)
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
        if key.is_weak() && makes(Check::KeyStrength) {
            return Err(weak("it has a small order: anything would verify under it"));
        }
        if key.to_edwards().compress().as_bytes() != bytes && makes(Check::KeyStrength) {
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
        self.verify_as(Signed::Index, index_text, signature)
    }

    /// Whether a signature was made over this text, as this kind of text, with this key.
    #[must_use]
    pub fn verify_as(&self, kind: Signed, text: &[u8], signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        let message = kind.message(text);
        let verified = if makes(Check::KeyStrength) {
            self.0.verify_strict(&message, &bytes)
        } else {
            ed25519_dalek::Verifier::verify(&self.0, &message, &bytes)
        };
        signature.key == *self.as_bytes() && verified.is_ok()
    }

    /// Reads a public key file: the key's one line, or the form that stock tools write (SubjectPublicKeyInfo in PEM).
    ///
    /// # Errors
    /// Anything else, or a weak key.
    pub fn parse_file(text: &[u8]) -> Result<Self, TrustError> {
        let text = std::str::from_utf8(text).unwrap_or("the file");
        if !text.starts_with("-----BEGIN ") {
            return text.strip_suffix('\n').unwrap_or("the file").parse();
        }
        let refuse = |reason: &str| TrustError::Malformed {
            object: "the file".to_owned(),
            what: "public key",
            reason: reason.to_owned(),
        };
        let (label, document) = Document::from_pem(text).map_err(|error| refuse(&error.to_string()))?;
        if label != PUBLIC_LABEL {
            return Err(refuse(&format!("it holds a {label}")));
        }
        let bytes = document.as_bytes().strip_prefix(&PUBLIC_DER).and_then(|bytes| bytes.try_into().ok());
        Self::from_bytes(bytes.ok_or_else(|| refuse("the only kind of key is Ed25519"))?)
    }

    /// The form that stock tools read.
    ///
    /// # Errors
    /// None that can happen: the form has a fixed size.
    pub fn render_pem(&self) -> Result<String, TrustError> {
        let der = [&PUBLIC_DER[..], self.as_bytes()].concat();
        let pem = Document::try_from(der).and_then(|document| document.to_pem(PUBLIC_LABEL, LineEnding::LF));
        pem.map_err(|error| TrustError::Malformed {
            object: self.to_string(),
            what: "public key",
            reason: error.to_string(),
        })
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
        self.sign_as(Signed::Index, index_text)
    }

    /// Signs a text as this kind of text.
    #[must_use]
    pub fn sign_as(&self, kind: Signed, text: &[u8]) -> Signature {
        let bytes = self.0.sign(&kind.message(text)).to_bytes();
        Signature { key: *self.public().as_bytes(), bytes }
    }

    /// The 32 bytes that it is made of.
    pub(super) fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests;

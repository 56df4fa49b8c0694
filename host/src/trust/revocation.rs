//! Lists of revoked keys. Whoever signs plugins says by them which keys are not to be trusted any more.
//!
//! ```text
//! migraine-revocations 1
//! version 7
//! issued 2026-01-02T03:04:05Z
//! expires 2026-02-01T03:04:05Z
//! revoke ed25519:HEX64 always
//! revoke ed25519:HEX64 2026-01-01T00:00:00Z
//! ```
//!
//! The signature block of [`crate::package::Signature`] follows, as in the signature file of a library. A list counts for
//! the plugin names that its signer is trusted for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::fields::{Fields, malformed};
use super::statement::Statement;
use super::time::Time;
use super::{PublicKey, SecretKey, Signed, TrustError};
use crate::ids::Fingerprint;
use crate::package::Signature;

const FIRST_LINE: &str = "migraine-revocations 1";
const WHAT: &str = "list of revoked keys";
/// The most keys of a list: its file stays below its cap.
const KEYS_MAX: usize = 500;
/// Age in days from which on a list is a reason to warn.
const WARN_DAYS: i64 = 7;
/// Age in days from which on nothing new is installed under a list.
const REFUSE_DAYS: i64 = 30;

/// From when on a key is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BadSince {
    /// Nothing that it ever signed is to be believed.
    Always,
    /// What it signed from that moment on is not to be believed.
    From(Time),
}

impl BadSince {
    /// Whether that moment is after the key became bad.
    #[must_use]
    pub fn includes(self, moment: Time) -> bool {
        match self {
            Self::Always => true,
            Self::From(since) => moment >= since,
        }
    }
}

impl fmt::Display for BadSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::From(time) => write!(f, "{time}"),
        }
    }
}

impl FromStr for BadSince {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "always" { Ok(Self::Always) } else { text.parse().map(Self::From) }
    }
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// Who signed it.
    pub signer: PublicKey,
    /// Counts the lists of this signer; it never goes back.
    pub version: u64,
    /// When it was signed.
    pub issued: Time,
    /// From then on it says nothing new.
    pub expires: Time,
    /// The keys, and since when they are bad.
    pub keys: BTreeMap<Fingerprint, BadSince>,
}

impl RevocationList {
    /// Whether a text claims to be one.
    #[must_use]
    pub fn is_meant(text: &[u8]) -> bool {
        text.starts_with(FIRST_LINE.as_bytes())
    }

    /// The first list of a signer, without a key.
    #[must_use]
    pub fn first(signer: PublicKey, now: Time) -> Self {
        Self { signer, version: 0, issued: now, expires: now.plus_days(REFUSE_DAYS), keys: BTreeMap::new() }
    }

    /// The next list, with more keys, signed.
    ///
    /// # Errors
    /// It would be over a cap, or the secret key is not the signer's.
    pub fn sign_next(
        mut self,
        signer: &SecretKey,
        more: &[(Fingerprint, BadSince)],
        now: Time,
    ) -> Result<String, TrustError> {
        let refuse = |reason| TrustError::Unfit { what: Self::WHAT, reason };
        if signer.public() != self.signer {
            return Err(refuse("the list was begun with another key"));
        }
        self.version =
            self.version.checked_add(1).ok_or_else(|| refuse("its version cannot be counted any further"))?;
        (self.issued, self.expires) = (now, now.plus_days(REFUSE_DAYS));
        for (key, since) in more {
            // What was said once is not taken back; a key gets worse, never better.
            let held = self.keys.entry(*key).or_insert(*since);
            *held = (*held).min(*since);
        }
        self.signed(signer)
    }

    /// Reads a list and verifies it under the key that it names; `object` names the file in errors.
    ///
    /// # Errors
    /// It is not of the one accepted form, or its signature does not verify.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self, TrustError> {
        Self::verified(bytes, object)
    }

    /// Whether it is too old for anything new to be installed under it.
    #[must_use]
    pub fn is_stale(&self, now: Time) -> bool {
        now >= self.expires || now.days_since(self.issued) >= REFUSE_DAYS
    }

    /// Whether it is so old that its reader should know.
    #[must_use]
    pub fn is_aging(&self, now: Time) -> bool {
        now.days_since(self.issued) >= WARN_DAYS
    }
}

impl Statement for RevocationList {
    const FIRST_LINE: &'static str = FIRST_LINE;
    const WHAT: &'static str = WHAT;
    const SIGNED: Signed = Signed::Revocations;

    fn of_fields(fields: &mut Fields<'_>, signature: &Signature) -> Result<Self, TrustError> {
        let (version, issued, expires) = (fields.take("version")?, fields.take("issued")?, fields.take("expires")?);
        let lines: Vec<Line> = fields.all("revoke")?;
        let keys = lines.into_iter().map(|Line(key, since)| (key, since)).collect();
        Ok(Self { signer: PublicKey::from_bytes(&signature.key)?, version, issued, expires, keys })
    }

    fn signer(&self) -> &PublicKey {
        &self.signer
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.version == 0 {
            return Err("versions are counted from 1");
        }
        if self.expires <= self.issued {
            return Err("it expires before it is issued");
        }
        if self.keys.len() > KEYS_MAX {
            return Err("it has more than 500 keys");
        }
        Ok(())
    }

    fn render(&self) -> String {
        let Self { version, issued, expires, keys, .. } = self;
        let keys: String = keys.iter().map(|(key, since)| format!("revoke {key} {since}\n")).collect();
        format!("{FIRST_LINE}\nversion {version}\nissued {issued}\nexpires {expires}\n{keys}")
    }
}

/// A fingerprint and since when the key is bad.
struct Line(Fingerprint, BadSince);

impl FromStr for Line {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, since) = text.split_once(' ').unwrap_or((text, ""));
        let key =
            key.parse().map_err(|error: crate::ids::ParseIdError| malformed("a line", WHAT, &error.to_string()))?;
        Ok(Self(key, since.parse()?))
    }
}

#[cfg(test)]
mod tests;

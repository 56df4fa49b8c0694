//! The verdict: may this index be acted on? Silence is no: there is no way to "unsigned" but a named exception.

use super::time::Time;
use super::{KeySet, PublicKey, TrustError};
use crate::controls::{Check, makes};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::{Index, Signature};

/// Why an index may be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trusted {
    /// Signed with a key that is trusted for this plugin.
    Signed {
        /// The key.
        key: Fingerprint,
        /// The user's own note on it.
        label: String,
    },
    /// Not signed; the user made an exception for exactly this digest.
    Unsigned,
}

/// Judges the index of something that is installed. A key that has expired since does not matter, one that was revoked does.
///
/// An exception is for an index without a signature: a bad signature is refused all the same, since it was made to look
/// like more than it is.
///
/// # Errors
/// No signature and no exception, a signature that does not verify, an unknown or revoked key, or a key for other names.
pub fn judge(
    index_text: &[u8],
    index: &Index,
    signature: Option<&Signature>,
    keys: &KeySet,
    exceptions: &[Digest],
) -> Result<Trusted, TrustError> {
    judge_at(index_text, index, signature, keys, exceptions, None)
}

/// Judges the index of something that is to be installed.
///
/// # Errors
/// As [`judge`]; besides, the key has expired, or a list of revoked keys that counts for the name is too old.
pub fn judge_new(
    index_text: &[u8],
    index: &Index,
    signature: Option<&Signature>,
    keys: &KeySet,
    exceptions: &[Digest],
    now: Time,
) -> Result<Trusted, TrustError> {
    judge_at(index_text, index, signature, keys, exceptions, Some(now))
}

/// With a time, the index is one of something new.
fn judge_at(
    index_text: &[u8],
    index: &Index,
    signature: Option<&Signature>,
    keys: &KeySet,
    exceptions: &[Digest],
    new: Option<Time>,
) -> Result<Trusted, TrustError> {
    let name = index.name.clone();
    let digest = Digest::of(index_text);
    let Some(signature) = signature else {
        let excepted = index.render().as_bytes() == index_text && exceptions.contains(&digest);
        let passes = excepted || !makes(Check::Signature);
        return if passes { Ok(Trusted::Unsigned) } else { Err(TrustError::SignatureMissing { name }) };
    };
    let key = PublicKey::from_bytes(&signature.key)?;
    let fingerprint = key.fingerprint();
    // Before anything is said of the key: an unverified key must not be offered for trust. The name that is judged must
    // be the signed one, so a text that is not this index counts as not signed.
    let is_signed = index.render().as_bytes() == index_text && key.verify(index_text, signature);
    if !is_signed && makes(Check::Signature) {
        return Err(TrustError::SignatureInvalid { name, key: fingerprint });
    }
    let label = judge_key(keys, &Signer::Verified(key), (&name, &digest), new)?;
    Ok(Trusted::Signed { key: fingerprint, label })
}

/// As [`judge`], by the record of who signed what is installed: its files are not read.
///
/// # Errors
/// The key is unknown or revoked, or for other names.
pub fn judge_signer(keys: &KeySet, signer: &Fingerprint, name: &PluginName, digest: &Digest) -> Result<(), TrustError> {
    judge_key(keys, &Signer::Recorded(*signer), (name, digest), None).map(drop)
}

/// Who signed.
enum Signer {
    /// The signature was verified.
    Verified(PublicKey),
    /// It was when that was recorded.
    Recorded(Fingerprint),
}

/// Judges a key for a plugin, and gives the user's note on it.
fn judge_key(
    keys: &KeySet,
    signer: &Signer,
    (name, digest): (&PluginName, &Digest),
    new: Option<Time>,
) -> Result<String, TrustError> {
    let (key, trusted) = match signer {
        Signer::Verified(key) => (key.fingerprint(), keys.find(key)),
        Signer::Recorded(key) => (*key, keys.by_fingerprint(key)),
    };
    // Before the key counts as unknown: it must not be offered for trust either.
    let revocation = keys.revocation(&key, name).filter(|_| makes(Check::Revocation));
    if let Some(revocation) = revocation.filter(|_| new.is_some() || !keys.keeps(&key, name, digest)) {
        return Err(TrustError::KeyRevoked { name: name.clone(), key, revocation });
    }
    let Some(trusted) = trusted else {
        return match signer {
            _ if !makes(Check::KnownKey) => Ok("unknown".to_owned()),
            Signer::Verified(key) => Err(TrustError::UntrustedKey { name: name.clone(), key: Box::new(key.clone()) }),
            Signer::Recorded(key) => Err(TrustError::SignerUnknown { name: name.clone(), key: *key }),
        };
    };
    if !trusted.covers(name) && makes(Check::KeyScope) {
        let (label, scope) = (trusted.label.clone(), trusted.scope_text());
        return Err(TrustError::KeyScope { name: name.clone(), key: Box::new(trusted.key.clone()), label, scope });
    }
    if let Some(now) = new.filter(|_| makes(Check::KeyTime)) {
        if !trusted.window.holds(now) {
            let (key, window) = (Box::new(trusted.key.clone()), trusted.window);
            return Err(TrustError::KeyExpired { name: name.clone(), key, window, now });
        }
        keys.check_lists(name, now)?;
    }
    Ok(trusted.label.clone())
}

/// The command line that trusts a key for a scope; it needs nothing that the user has not got.
#[must_use]
pub fn trust_command(key: &PublicKey, scope: &str) -> String {
    format!("migraine key trust {key} --scope '{scope}'")
}

#[cfg(test)]
mod tests;

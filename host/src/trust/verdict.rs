//! The verdict: may this index be acted on? Silence is no: there is no way to "unsigned" but a named exception.

use super::{KeySet, PublicKey, TrustError};
use crate::ids::{Digest, Fingerprint};
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

/// Judges an index.
///
/// An exception is for an index without a signature: a bad signature is refused all the same, since it was made to look
/// like more than it is.
///
/// # Errors
/// No signature and no exception, a signature that does not verify, an unknown key, or a key for other names.
pub fn judge(
    index_text: &[u8],
    index: &Index,
    signature: Option<&Signature>,
    keys: &KeySet,
    exceptions: &[Digest],
) -> Result<Trusted, TrustError> {
    let name = index.name.clone();
    let Some(signature) = signature else {
        let excepted = index.render().as_bytes() == index_text && exceptions.contains(&Digest::of(index_text));
        return if excepted { Ok(Trusted::Unsigned) } else { Err(TrustError::SignatureMissing { name }) };
    };
    let key = PublicKey::from_bytes(&signature.key)?;
    // Before anything is said of the key: an unverified key must not be offered for trust. The name that is judged must
    // be the signed one, so a text that is not this index counts as not signed.
    if index.render().as_bytes() != index_text || !key.verify(index_text, signature) {
        return Err(TrustError::SignatureInvalid { name, key: key.fingerprint() });
    }
    let Some(trusted) = keys.find(&key) else {
        return Err(TrustError::UntrustedKey { name, key: Box::new(key) });
    };
    if !trusted.scope.iter().any(|scope| scope.matches(&index.name)) {
        let (label, scope) = (trusted.label.clone(), trusted.scope_text());
        return Err(TrustError::KeyScope { name, key: Box::new(key), label, scope });
    }
    Ok(Trusted::Signed { key: key.fingerprint(), label: trusted.label.clone() })
}

/// The command line that trusts a key for a scope; it needs nothing that the user has not got.
#[must_use]
pub fn trust_command(key: &PublicKey, scope: &str) -> String {
    format!("migraine key trust {key} --scope '{scope}'")
}

#[cfg(test)]
mod tests;

//! Why a signature, a key or the keyring is refused.

use std::io;
use std::path::PathBuf;

use crate::code::{Code, Coded};
use crate::ids::{Fingerprint, PluginName};
use crate::text::safe_line;

use super::key::PublicKey;
use super::verdict::trust_command;

/// A refusal; the message names the plugin or the key and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Nothing was signed.
    #[error("{name} is refused: it has no signature")]
    SignatureMissing {
        /// The plugin.
        name: PluginName,
    },
    /// The signature was not made over this index by the key that it names.
    #[error("{name} is refused: the signature does not belong to this content and key {key}")]
    SignatureInvalid {
        /// The plugin.
        name: PluginName,
        /// The key that the signature names.
        key: Fingerprint,
    },
    /// The signature is good, but nobody here trusts its key.
    #[error("{name} is refused: it is signed with the unknown key {}", key.fingerprint())]
    UntrustedKey {
        /// The plugin.
        name: PluginName,
        /// The key, under which the signature was verified.
        key: Box<PublicKey>,
    },
    /// The key is trusted, but not for this name.
    #[error("{name} is refused: key {} (`{}`) is trusted for {scope} only", key.fingerprint(), safe_line(label))]
    KeyScope {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: Box<PublicKey>,
        /// The user's own note on it.
        label: String,
        /// What it is trusted for.
        scope: String,
    },
    /// A key under which anything verifies, or one with a second spelling.
    #[error("the key ed25519-public:{key} is refused: {reason}")]
    WeakKey {
        /// Hexadecimal digits.
        key: String,
        /// What is weak.
        reason: &'static str,
    },
    /// A text or file that holds no key of the accepted form.
    #[error("{} is no {what}: {reason}", safe_line(object))]
    Malformed {
        /// A path or the text.
        object: String,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// A directory or file that others could change or, if it is secret, read.
    #[error("{} is refused: {reason}", safe_line(&path.to_string_lossy()))]
    Insecure {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} {}: {source}", safe_line(&path.to_string_lossy()))]
    Io {
        /// A verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Coded for TrustError {
    fn code(&self) -> Code {
        match self {
            Self::SignatureMissing { .. } => Code::SignatureMissing,
            Self::SignatureInvalid { .. } => Code::SignatureInvalid,
            Self::UntrustedKey { .. } => Code::UntrustedKey,
            Self::KeyScope { .. } => Code::KeyScope,
            Self::WeakKey { .. } => Code::WeakKey,
            Self::Malformed { .. } => Code::ValueInvalid,
            Self::Insecure { .. } => Code::InsecurePermissions,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::FileNotFound,
            Self::Io { .. } => Code::Io,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::SignatureMissing { .. } => {
                "sign it (`migraine plugin package DIR` for scripts, `cargo xtask package-plugin` for a library), or \
                 install these very bytes from a local path with `--allow-unsigned`"
                    .to_owned()
            }
            Self::SignatureInvalid { .. } => {
                "the content or the signature was changed: get the plugin again from its author".to_owned()
            }
            Self::UntrustedKey { name, key } => format!(
                "if the author confirms this fingerprint, trust the key with: {}",
                trust_command(key, name.as_str())
            ),
            Self::KeyScope { name, key, .. } => format!(
                "if the key's owner may sign this plugin too, say so with: {}",
                trust_command(key, name.as_str())
            ),
            Self::WeakKey { .. } => "anybody can sign under such a key: do not use what is signed with it".to_owned(),
            Self::Malformed { what: "public key", .. } => {
                "a public key is written `ed25519-public:` and 64 lower-case hexadecimal digits".to_owned()
            }
            Self::Malformed { .. } => "correct or remove the file".to_owned(),
            Self::Insecure { path, .. } => {
                format!("make it yours and private, for example with: chmod go= {}", safe_line(&path.to_string_lossy()))
            }
            Self::Io { .. } => return None,
        })
    }
}

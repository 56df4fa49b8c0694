//! Why something about keys is refused.

use crate::code::{Code, Coded};
use crate::ids::{Fingerprint, PluginName};
use crate::trust::{Time, Window};

/// A refusal; the message names the key and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The keyring has no such key.
    #[error("there is no key {key} in the keyring")]
    Unknown {
        /// The key.
        key: Fingerprint,
    },
    /// A revocation stands until it is taken back by name.
    #[error("key {key} was revoked")]
    Revoked {
        /// The key.
        key: Fingerprint,
    },
    /// A list says that a key is bad, for names that it was to be trusted for.
    #[error("key {key} was revoked for {scope}, by the list of key {signer}")]
    Listed {
        /// The key.
        key: Fingerprint,
        /// Who signed the list.
        signer: Fingerprint,
        /// The names.
        scope: String,
    },
    /// A list of revoked keys counts no more without its signer.
    #[error("key {key} signed a list that revokes {count} keys, which would count no more{}", again(plugins))]
    ListHeld {
        /// The signer.
        key: Fingerprint,
        /// How many keys it revokes.
        count: usize,
        /// Installed plugins that would run again.
        plugins: Vec<PluginName>,
    },
    /// A statement of a key that is not trusted here.
    #[error("the {what} is signed by key {key}, which is not trusted here")]
    NotTrusted {
        /// What was signed.
        what: &'static str,
        /// The key.
        key: Fingerprint,
    },
    /// A new key for names that the old one may not sign.
    #[error(
        "key {new} is not taken: the old key {old} is not trusted for any of the names that the statement gives it"
    )]
    NoScope {
        /// The key that signed.
        old: Fingerprint,
        /// The key that was to take its place.
        new: Fingerprint,
    },
    /// A statement that was signed when its key was not valid.
    #[error("the rotation is refused: it is of {date}, and key {old} was valid from {} {}", window.from, until(*window))]
    OutOfTime {
        /// The key that signed.
        old: Fingerprint,
        /// When.
        date: Time,
        /// When it was valid.
        window: Window,
    },
    /// A statement from the future.
    #[error("the {what} of key {key} is of {date}, which is still to come")]
    Ahead {
        /// What was signed.
        what: &'static str,
        /// Who signed it.
        key: Fingerprint,
        /// When it says it was signed.
        date: Time,
    },
    /// An older list than the one that is known.
    #[error("the list of revoked keys of {signer} is refused: its version is {offered}, and version {known} is known")]
    OlderList {
        /// Whose list.
        signer: Fingerprint,
        /// The version that was offered.
        offered: u64,
        /// The version that is known.
        known: u64,
    },
}

fn again(plugins: &[PluginName]) -> String {
    let names: Vec<&str> = plugins.iter().map(PluginName::as_str).collect();
    if names.is_empty() { String::new() } else { format!("; these plugins would run again: {}", names.join(", ")) }
}

fn until(window: Window) -> String {
    window.until.map_or_else(|| "on".to_owned(), |until| format!("until {until}"))
}

impl Coded for KeyError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } => Code::KeyNotFound,
            Self::Revoked { .. } | Self::Listed { .. } | Self::ListHeld { .. } => Code::KeyRevoked,
            Self::NotTrusted { .. } => Code::UntrustedKey,
            Self::NoScope { .. } => Code::KeyScope,
            Self::OutOfTime { .. } => Code::KeyExpired,
            Self::Ahead { .. } => Code::ClockImplausible,
            Self::OlderList { .. } => Code::VersionRollback,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "run `migraine key list` to see which are there".to_owned(),
            Self::Listed { .. } => {
                "name other plugins with --scope, or get them signed by a key that is good".to_owned()
            }
            Self::Revoked { key } | Self::ListHeld { key, .. } => {
                format!("to forget that on purpose, run: migraine key untrust {key} --forget-revocation")
            }
            Self::NotTrusted { .. } => "trust that key first, or trust the new one by itself".to_owned(),
            Self::NoScope { new, .. } => {
                format!("trust {new} by itself, with `migraine key trust`, if its owner confirms the fingerprint")
            }
            Self::OutOfTime { .. } => "trust the new key by itself, if its owner confirms the fingerprint".to_owned(),
            Self::Ahead { .. } => "look whether the clock is right".to_owned(),
            Self::OlderList { .. } => "get the newest one from its owner".to_owned(),
        })
    }
}

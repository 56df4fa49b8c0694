//! Why a signature, a key or the keyring is refused.

use std::io;
use std::path::{Path, PathBuf};

use crate::code::{Code, Coded, is_full};
use crate::ids::{Fingerprint, PluginName};
use crate::text::safe_line;

use super::key::PublicKey;
use super::keyset::Revocation;
use super::time::Time;
use super::trusted::Window;
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
    /// As [`TrustError::UntrustedKey`], of a plugin that is installed, whose signature was not read.
    #[error("{name} is refused: it is signed with key {key}, which is not trusted any more")]
    SignerUnknown {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: Fingerprint,
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
    /// The key is trusted, but nothing new that it signed is installed now.
    #[error("{name} is refused: key {} {}, and it is {now}", key.fingerprint(), spell(window))]
    KeyExpired {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: Box<PublicKey>,
        /// When it is valid.
        window: Window,
        /// The time that it was held to.
        now: Time,
    },
    /// The key was revoked, by the user or by somebody whom the user trusts for this name.
    #[error("{name} is refused: key {key} was revoked {} (bad since: {})", by(revocation), revocation.since)]
    KeyRevoked {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: Fingerprint,
        /// By whom, and since when it is bad.
        revocation: Revocation,
    },
    /// Another key than the one that was pinned when the plugin was first installed.
    #[error("{name} is refused: it was signed by key {pinned} before, and is signed by key {} now", key.fingerprint())]
    KeyChanged {
        /// The plugin.
        name: PluginName,
        /// The key of before.
        pinned: Fingerprint,
        /// The new key, under which the signature was verified.
        key: Box<PublicKey>,
    },
    /// A list of revoked keys that counts for the name is too old: since then keys may have been revoked.
    #[error(
        "{name} is refused: the list of revoked keys of {signer} is of {issued}, and was good until {expires} or for 30 days"
    )]
    RevocationsStale {
        /// The plugin.
        name: PluginName,
        /// Whose list.
        signer: Fingerprint,
        /// When it was signed.
        issued: Time,
        /// When it ends.
        expires: Time,
    },
    /// The clock was set back.
    #[error("the clock says {now}, but {} was recorded on {seen}", safe_line(what))]
    ClockImplausible {
        /// What the clock says.
        now: Time,
        /// What it is behind.
        seen: Time,
        /// What was recorded then.
        what: String,
    },
    /// The signature of a statement about keys does not verify.
    #[error("{} is no {what}: it was not signed by key {key}", safe_line(object))]
    Statement {
        /// A path.
        object: String,
        /// What it should be.
        what: &'static str,
        /// The key that it names.
        key: Fingerprint,
    },
    /// An encrypted secret key, and nobody to ask.
    #[error("{} is encrypted, and there is no passphrase", safe_line(object))]
    PassphraseMissing {
        /// A path.
        object: String,
    },
    /// A passphrase that does not fit.
    #[error("the passphrase does not open {}", safe_line(object))]
    PassphraseWrong {
        /// A path.
        object: String,
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
    /// What was asked for cannot be made.
    #[error("no {what} can be made of this: {reason}")]
    Unfit {
        /// What.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Something else than a regular file is where one would be written.
    #[error("{} is {what}: nothing but a regular file is replaced", safe_line(&path.to_string_lossy()))]
    Occupied {
        /// Where.
        path: PathBuf,
        /// What is there.
        what: &'static str,
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

fn spell(window: &Window) -> String {
    match window.until {
        Some(until) => format!("is trusted for new plugins from {} until {until}", window.from),
        None => format!("is trusted for new plugins from {} on", window.from),
    }
}

fn by(revocation: &Revocation) -> String {
    match revocation.by {
        Some(signer) => format!("by the list of key {signer}"),
        None => "by you".to_owned(),
    }
}

impl TrustError {
    /// Whether the disk is full. Where something could not be made durable, it is a lost
    /// write, after which nothing is tried again.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io { action, source, .. } if *action != "sync" && is_full(source))
    }

    /// The same error of a file, whose content it was.
    #[must_use]
    pub(super) fn of_file(self, path: &Path) -> Self {
        let object = path.to_string_lossy().into_owned();
        match self {
            Self::Malformed { what, reason, .. } => Self::Malformed { object, what, reason },
            Self::PassphraseMissing { .. } => Self::PassphraseMissing { object },
            Self::PassphraseWrong { .. } => Self::PassphraseWrong { object },
            other => other,
        }
    }
}

impl Coded for TrustError {
    fn code(&self) -> Code {
        match self {
            Self::SignatureMissing { .. } => Code::SignatureMissing,
            Self::SignatureInvalid { .. } => Code::SignatureInvalid,
            Self::UntrustedKey { .. } | Self::SignerUnknown { .. } => Code::UntrustedKey,
            Self::KeyScope { .. } => Code::KeyScope,
            Self::KeyExpired { .. } => Code::KeyExpired,
            Self::KeyRevoked { .. } => Code::KeyRevoked,
            Self::KeyChanged { .. } => Code::KeyChanged,
            Self::RevocationsStale { .. } => Code::RevocationsStale,
            Self::ClockImplausible { .. } => Code::ClockImplausible,
            Self::Statement { .. } => Code::SignatureInvalid,
            Self::PassphraseMissing { .. } => Code::PassphraseMissing,
            Self::PassphraseWrong { .. } => Code::PassphraseWrong,
            Self::WeakKey { .. } => Code::WeakKey,
            Self::Malformed { .. } | Self::Unfit { .. } | Self::Occupied { .. } => Code::ValueInvalid,
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
            Self::SignerUnknown { name, .. } => {
                format!("to see the command that trusts it again, run: migraine plugin verify {name}")
            }
            Self::KeyScope { name, key, .. } => format!(
                "if the key's owner may sign this plugin too, say so with: {}",
                trust_command(key, name.as_str())
            ),
            Self::KeyExpired { name, key, .. } => format!(
                "what is installed goes on running; if its owner confirms that the key is still in use, trust it anew with: {}",
                trust_command(key, name.as_str())
            ),
            Self::KeyRevoked { key, .. } => format!(
                "get the plugin anew, signed by a key that is good; to see what is known of this one: migraine key show {key}"
            ),
            Self::KeyChanged { name, key, .. } => format!(
                "somebody else may have made this plugin; if its owner confirms that the key was changed, trust the new one \
                 for this very name with: {}. What was granted, set and stored does not go over to it",
                trust_command(key, name.as_str())
            ),
            Self::RevocationsStale { .. } => {
                "get a newer list from its owner and take it in with `migraine key import FILE`".to_owned()
            }
            Self::ClockImplausible { .. } => {
                "set the clock right; if the record is wrong, because the clock was ahead then, remove what was recorded"
                    .to_owned()
            }
            Self::Statement { .. } => "get it again from its author, unchanged".to_owned(),
            Self::PassphraseMissing { .. } => {
                "run the command on a terminal, or give --passphrase-file FILE or --passphrase-fd NUMBER".to_owned()
            }
            Self::PassphraseWrong { .. } => "try again; without its passphrase the key cannot be used".to_owned(),
            Self::WeakKey { .. } => "anybody can sign under such a key: do not use what is signed with it".to_owned(),
            Self::Malformed { what: "public key", .. } => {
                "a public key is written `ed25519-public:` and 64 lower-case hexadecimal digits, or in PEM as by `openssl pkey \
                 -pubout`"
                    .to_owned()
            }
            Self::Malformed { what: "secret key", .. } => {
                "a secret key is made by `migraine key generate`, or by `openssl genpkey -algorithm ed25519`".to_owned()
            }
            Self::Malformed { what: "time", .. } => "write the day and the time of day, in UTC".to_owned(),
            Self::Malformed { what: "day", .. } => "write a day that there is, like 2027-01-31".to_owned(),
            Self::Occupied { .. } => "name the path of a new file, or of one to be replaced".to_owned(),
            Self::Unfit { .. } => "nothing was written; correct what was typed".to_owned(),
            Self::Malformed { what: "scope", .. } => "for example: --scope 'acme-*'".to_owned(),
            Self::Malformed { .. } => "correct or remove the file".to_owned(),
            Self::Insecure { path, .. } => {
                format!("make it yours and private, for example with: chmod go= {}", safe_line(&path.to_string_lossy()))
            }
            Self::Io { .. } => return None,
        })
    }
}

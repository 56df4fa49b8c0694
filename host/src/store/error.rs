//! What can go wrong in the store; each message names the object, the step and the reason.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::code::{Code, Coded, is_full};
use crate::ids::Digest;
use crate::policy::SYSTEM_STORE;
use crate::text::safe_path;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused a step.
    #[error("{}: cannot {step}: {source}", safe_path(path))]
    Io {
        /// The step, as an infinitive.
        step: &'static str,
        /// The object.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The place of the home directory is not usable.
    #[error("the home directory of migraine is not usable: {why}")]
    BadHome {
        /// Why.
        why: String,
    },
    /// Something private can be changed by others.
    #[error("{}: {why}", safe_path(path))]
    Insecure {
        /// The object.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another process held the lock all the time.
    #[error("{}: another process has been changing the store for {} seconds", safe_path(path), waited.as_secs())]
    Busy {
        /// The store's root.
        path: PathBuf,
        /// How long the lock was awaited.
        waited: Duration,
    },
    /// The system store cannot be used.
    #[error("the system store: {source}")]
    System {
        /// Why.
        source: Box<Self>,
    },
    /// Somebody else than root wanted to change the system store.
    #[error("the system store, {SYSTEM_STORE}, is changed by root alone")]
    NotRoot,
    /// The state file cannot be read.
    #[error("{}: the state file is damaged: {why}", safe_path(path))]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Something cannot be written into the state file, which is as it was.
    #[error("{}: what changed cannot be written: {source}", safe_path(path))]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A policy file is not of the known form. What it limits is not known then, so nothing may run.
    #[error("{}: {why}", safe_path(path))]
    Policy {
        /// The file.
        path: PathBuf,
        /// Which key, and what is wrong.
        why: String,
    },
    /// An installed file is not the one that was installed.
    #[error("store/{digest}: {why}")]
    Integrity {
        /// The tree.
        digest: Digest,
        /// Which file, and what is wrong.
        why: String,
    },
    /// There is no such tree.
    #[error("store/{digest}: no such tree")]
    Gone {
        /// The tree.
        digest: Digest,
    },
    /// A signal asked for the end before anything was changed. It acts once the store is let go.
    #[error("a signal ended the change before it took effect")]
    Interrupted,
    /// Plugin state beyond its limits.
    #[error("{what}")]
    Limit {
        /// Which limit.
        what: String,
    },
    /// The database of plugin state failed.
    #[error("{}: cannot {step}: {source}", safe_path(path))]
    Database {
        /// The step, as an infinitive.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<rusqlite::Error>,
    },
}

impl StoreError {
    /// Says of which store it is.
    pub(super) fn of_system(self) -> Self {
        Self::System { source: Box::new(self) }
    }
}

impl Coded for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Database { .. } => Code::Io,
            Self::BadHome { .. } | Self::Limit { .. } | Self::Encode { .. } => Code::ValueInvalid,
            Self::Insecure { .. } => Code::InsecurePermissions,
            Self::System { source } => source.code(),
            Self::NotRoot => Code::SystemStore,
            Self::Busy { .. } => Code::StateBusy,
            Self::Interrupted => Code::Interrupted,
            Self::Corrupt { .. } => Code::StateCorrupt,
            Self::Policy { .. } => Code::PolicyInvalid,
            Self::Integrity { .. } | Self::Gone { .. } => Code::Integrity,
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Policy { .. } => {
                "correct the file, or let its users read it (README.md, `The policy file`); until then no plugin runs"
                    .to_owned()
            }
            Self::BadHome { .. } => "set MIGRAINE_HOME to an absolute path below an existing directory".to_owned(),
            Self::Insecure { path, .. } => {
                format!("check who changed it, then run `chmod go-w {0}` and `chown \"$USER\" {0}`", safe_path(path))
            }
            Self::System { source } => match &**source {
                Self::Insecure { path, .. } => format!(
                    "as root: check who changed it, then run `chown root {0}` and `chmod go-w {0}`",
                    safe_path(path)
                ),
                Self::Integrity { .. } | Self::Gone { .. } => {
                    "as root: run `migraine plugin fsck --system --repair`, or install the plugin again".to_owned()
                }
                Self::Corrupt { .. } => "as root: run `migraine plugin fsck --system --repair`".to_owned(),
                other => return other.help(),
            },
            Self::NotRoot => {
                "run the command as root, for all users, or without --system, for yourself alone".to_owned()
            }
            Self::Busy { .. } => "wait until the other command has ended, then try again".to_owned(),
            Self::Corrupt { path, .. } => {
                format!("move {} away and install the plugins again; plugin data is kept", safe_path(path))
            }
            Self::Integrity { .. } | Self::Gone { .. } => "uninstall the plugin and install it again".to_owned(),
            Self::Io { source, .. } if is_full(source) => {
                "free some space, then run the command again; what it left behind is removed then".to_owned()
            }
            Self::Encode { .. } => {
                "nothing has changed; a path that is not valid UTF-8 cannot be kept, so rename what has one".to_owned()
            }
            Self::Io { .. } | Self::Database { .. } | Self::Limit { .. } | Self::Interrupted => return None,
        };
        Some(text)
    }
}

//! Why a call of a plugin has no answer.

use migraine_plugin_api::{ErrorKind, PluginError};

use super::needs::Requirement;
use super::script::InterpreterError;
use crate::code::{Code, Coded};
use crate::ids::PluginName;
use crate::policy::Refusal;
use crate::sandbox::{Death, SandboxError};
use crate::store::StoreError;
use crate::text::{display_safe, safe_line};
use crate::trust::TrustError;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No such plugin.
    #[error("plugin '{0}' is not installed")]
    NotFound(PluginName),
    /// It is installed and switched off, or was never enabled.
    #[error("plugin '{plugin}' is not enabled (status: {status})")]
    NotEnabled {
        /// The plugin.
        plugin: PluginName,
        /// How it stands.
        status: &'static str,
    },
    /// It failed too often.
    #[error("plugin '{plugin}' is quarantined: {reason}")]
    Quarantined {
        /// The plugin.
        plugin: PluginName,
        /// What happened.
        reason: String,
    },
    /// The store could not be read or is not what it must be.
    #[error("plugin '{plugin}' cannot be loaded: {source}")]
    Store {
        /// The plugin.
        plugin: PluginName,
        /// Why.
        source: Box<StoreError>,
    },
    /// The verdict at load is no.
    #[error("plugin '{plugin}' is refused: {source}")]
    Trust {
        /// The plugin.
        plugin: PluginName,
        /// Why.
        source: Box<TrustError>,
    },
    /// A policy file forbids it.
    #[error("plugin '{plugin}' is refused: {source}")]
    Policy {
        /// The plugin.
        plugin: PluginName,
        /// Why.
        source: Box<Refusal>,
    },
    /// The sandbox or the plugin's process failed.
    #[error("plugin '{plugin}': {source}")]
    Sandbox {
        /// The plugin.
        plugin: PluginName,
        /// How.
        source: Box<SandboxError>,
    },
    /// Something that it needs is not there.
    #[error("plugin '{plugin}' cannot run: it needs `{}`: {}", safe_line(&requirement.needs), requirement.found)]
    Needs {
        /// The plugin.
        plugin: PluginName,
        /// What is missing.
        requirement: Box<Requirement>,
        /// What its author says in words that it needs.
        advice: Vec<String>,
    },
    /// What runs its scripts is not there.
    #[error("plugin '{plugin}' cannot run: {source}")]
    Interpreter {
        /// The plugin.
        plugin: PluginName,
        /// Why.
        source: InterpreterError,
    },
    /// The plugin itself said no.
    #[error("plugin '{plugin}' failed: {}", multiline(error.message()))]
    Plugin {
        /// The plugin.
        plugin: PluginName,
        /// Its words.
        error: PluginError,
    },
    /// The command line was wrong; the text is the plugin's usage.
    #[error("{}", multiline(error.message()))]
    Usage {
        /// The plugin.
        plugin: PluginName,
        /// Its words.
        error: PluginError,
    },
    /// The plugin's answer to a hook is not one.
    #[error("plugin '{plugin}' broke the protocol: its answer to a hook cannot be read: {}", safe_line(reason))]
    Answer {
        /// The plugin.
        plugin: PluginName,
        /// Why.
        reason: String,
    },
}

/// Keeps the line breaks of a plugin's text, and nothing else that could move the cursor.
fn multiline(text: &str) -> String {
    let mut lines: Vec<String> = text.trim_end().lines().take(60).map(|line| display_safe(line, 400)).collect();
    if lines.is_empty() {
        lines.push("no reason given".to_owned());
    }
    lines.join("\n")
}

impl CallError {
    /// Whether the worker is gone because of the plugin's own behaviour; such failures lead to quarantine.
    #[must_use]
    pub fn is_breakdown(&self) -> bool {
        match self.death() {
            // The user ended it.
            Some(Death::Interrupted) => false,
            Some(_) => true,
            None => matches!(self, Self::Answer { .. }),
        }
    }

    /// How the worker died, if it did.
    #[must_use]
    pub fn death(&self) -> Option<&Death> {
        match self {
            Self::Sandbox { source, .. } => match &**source {
                SandboxError::Died(death) => Some(death),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the only thing that went wrong is that whoever read the output has gone.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        let Self::Sandbox { source, .. } = self else { return false };
        matches!(&**source, SandboxError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The long trace behind a one-line error, for `--verbose`.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Sandbox { source, .. } => source.trace(),
            _ => None,
        }
    }
}

impl Coded for CallError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::PluginNotFound,
            Self::NotEnabled { status: "installed", .. } => Code::ConsentRequired,
            Self::NotEnabled { .. } => Code::PluginDisabled,
            Self::Quarantined { .. } => Code::PluginQuarantined,
            Self::Store { source, .. } => source.code(),
            Self::Trust { source, .. } => source.code(),
            Self::Policy { source, .. } => source.code(),
            Self::Sandbox { source, .. } => source.code(),
            Self::Interpreter { source, .. } => source.code(),
            Self::Needs { .. } => Code::DependencyMissing,
            // A refusal of the host that the plugin passed on, or its own words on a directory that it does not see.
            Self::Plugin { error, .. } if error.kind() == ErrorKind::PermissionDenied => Code::PermissionDenied,
            Self::Plugin { error, .. } if error.kind() == ErrorKind::Panic => Code::PluginPanicked,
            Self::Plugin { .. } => Code::PluginFailed,
            Self::Usage { .. } => Code::Usage,
            Self::Answer { .. } => Code::ProtocolError,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("`migraine plugin list` shows what is installed".to_owned()),
            Self::NotEnabled { plugin, .. } => Some(format!("migraine plugin enable {plugin}")),
            Self::Quarantined { plugin, .. } => {
                Some(format!("when its cause is mended: migraine plugin enable {plugin}"))
            }
            Self::Store { source, .. } => source.help(),
            Self::Trust { source, .. } => source.help(),
            Self::Policy { source, .. } => source.help(),
            Self::Sandbox { source, .. } => source.help(),
            Self::Interpreter { source, .. } => source.help(),
            Self::Needs { plugin, advice, .. } if advice.is_empty() => {
                Some(format!("`migraine plugin info {plugin}` shows all that it needs, and what of it is there"))
            }
            Self::Needs { advice, .. } => {
                let words: Vec<String> = advice.iter().map(|words| format!("\"{}\"", safe_line(words))).collect();
                Some(format!("its author says that it needs: {}", words.join(", ")))
            }
            Self::Plugin { error, .. } => error.help().map(safe_line),
            Self::Usage { .. } | Self::Answer { .. } => None,
        }
    }
}

//! The one error that crosses the border: plain data with a kind, a message and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure a [`PluginError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The plugin could not do what was asked.
    Failed,
    /// The command line was wrong; shown as usage, exit code 1.
    Usage,
    /// The host refused a permission that was not granted.
    PermissionDenied,
    /// This host does not know the operation; the caller can fall back.
    Unsupported,
    /// An argument of a host service was out of bounds.
    Invalid,
    /// The plugin's code panicked.
    Panic,
    /// The call was ended by the host.
    Cancelled,
    /// A kind that a later version added.
    #[serde(other)]
    Unknown,
}

/// A failure of a plugin or of a host service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginError {
    kind: ErrorKind,
    message: String,
    /// What the user can do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl PluginError {
    /// An error of a given kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    /// The plugin could not do what was asked.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The command line was wrong.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed and why.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the user can do next.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PluginError {}

impl From<std::io::Error> for PluginError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<fmt::Error> for PluginError {
    fn from(error: fmt::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<serde_json::Error> for PluginError {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<String> for PluginError {
    fn from(message: String) -> Self {
        Self::failed(message)
    }
}

impl From<&str> for PluginError {
    fn from(message: &str) -> Self {
        Self::failed(message)
    }
}

//! What a list shows of a plugin, and no more of it: of a thousand plugins, most of the text is passed over.

use std::path::PathBuf;

use semver::Version;
use serde::Deserialize;

use super::state::{Problem, Status, Trust, status};
use crate::ids::Digest;

/// Some of the fields of an [`Entry`](super::Entry).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Brief {
    /// Its version.
    pub version: Version,
    /// Its tree.
    pub digest: Digest,
    /// Why it could be installed.
    pub trust: Trust,
    enabled: bool,
    #[serde(default)]
    was_enabled: bool,
    /// One line of the author's, not made safe to show.
    #[serde(default)]
    pub description: String,
    /// The files that it is linked to while it is developed.
    #[serde(default)]
    pub link: Option<PathBuf>,
    /// Why it may not run although it is installed.
    #[serde(default)]
    pub problem: Option<Problem>,
}

impl Brief {
    /// As [`Entry::status`](super::Entry::status).
    #[must_use]
    pub fn status(&self) -> Status {
        status(self.problem.as_ref(), self.enabled, self.was_enabled)
    }
}

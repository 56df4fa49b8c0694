//! Bodies of the frames that the worker itself understands; the others pass through to the plugin.

use migraine_plugin_api::private::CreateBody;
use serde::{Deserialize, Serialize};

/// What a worker is told after it is sealed.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoadBody {
    /// The plugin's name, for messages.
    pub plugin: String,
    /// What the plugin's constructor receives.
    pub create: CreateBody,
}

/// What a worker reports when the plugin object exists.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoadedBody {
    /// The API version the plugin was built with.
    pub api_version: migraine_plugin_api::ApiVersion,
}

/// Why the plugin object does not exist.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LoadFailure {
    /// The dynamic loader refused the library.
    Library {
        /// The loader's text.
        message: String,
    },
    /// There is no root module.
    NotAPlugin {
        /// What was looked for.
        message: String,
    },
    /// The interface is another one.
    Abi {
        /// One line for people.
        message: String,
        /// The layout trace, for `--verbose`.
        trace: String,
    },
    /// The plugin's own constructor said no.
    Create {
        /// Its error.
        error: migraine_plugin_api::PluginError,
    },
}

/// What a worker reports before it loads anything: what is in force and what was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealReport {
    /// The layers in force.
    pub layers: super::Layers,
    /// The Landlock version of this kernel; 0 when the layer is off.
    pub landlock_abi: u32,
    /// Forbidden acts that were tried, and what came of each.
    pub probes: Vec<Probe>,
}

impl SealReport {
    /// The first act that was not refused, if there is one.
    #[must_use]
    pub fn breach(&self) -> Option<&Probe> {
        self.probes.iter().find(|probe| !probe.refused)
    }
}

/// A part of the sandbox that forbids acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Namespaces and the private root.
    Namespaces,
    /// Resource limits.
    Rlimits,
    /// No capability, no new privileges, not dumpable.
    Privileges,
    /// Landlock.
    Landlock,
    /// The system call filter.
    Seccomp,
}

/// A forbidden act that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The layer that must refuse it.
    pub layer: Layer,
    /// The act: a verb and what it is done to.
    pub act: String,
    /// What came of it: the name of an error, or the attribute that was read.
    pub outcome: String,
    /// Whether it was refused, as it must be.
    pub refused: bool,
}

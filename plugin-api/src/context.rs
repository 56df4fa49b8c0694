//! What a hook sees: the typed context of an event.
//!
//! A field that the event does not carry, or that was withheld because a permission is missing, is absent; what was
//! withheld is named in [`Context::withheld`].

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::permission::Permission;

/// The workflow that is running.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkflowInfo {
    /// Its name.
    pub name: String,
    /// Unique for each run.
    pub id: String,
    /// RFC 3339, UTC.
    pub start_time: String,
}

/// The step that is running.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepInfo {
    /// Its name, or its description where it has none.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its place, counted from 0.
    pub index: u32,
}

/// The command of the step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommandInfo {
    /// As written, before substitution.
    pub original: String,
    /// As run, after substitution.
    pub resolved: String,
    /// Absent before the command has ended; 128 + N when signal N ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// The context of one event, as a handler receives it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Context {
    /// The event's name, with dashes.
    pub event: String,
    /// Which handler of the plugin is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub handler: String,
    /// The workflow, in workflow and command events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowInfo>,
    /// The step, in command events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepInfo>,
    /// The command, in command events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandInfo>,
    /// When the event happened: RFC 3339, UTC.
    #[serde(default)]
    pub timestamp: String,
    /// The workflow's variables; needs `task_read`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Fields of this event that have no place of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Value>,
    /// Names of fields that were withheld because a permission is missing; and `secrets` where values in the other fields
    /// are masked as `***`, since the plugin does not hold `user_auth`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// The true size of the output in bytes; larger than [`Context::output`] when that was cut at its cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_size: Option<u64>,
    /// The captured output; not part of the JSON body, it crosses as a raw segment.
    #[serde(skip)]
    pub output: Option<Vec<u8>>,
    /// The plugin's effective configuration.
    #[serde(skip)]
    pub plugin_config: BTreeMap<String, Value>,
    /// The permissions the plugin really has.
    #[serde(skip)]
    pub permissions: Vec<Permission>,
}

impl Context {
    /// A context of an event, without fields.
    #[must_use]
    pub fn new(event: &str) -> Self {
        Self { event: event.to_owned(), ..Self::default() }
    }

    /// The captured output as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn output_text(&self) -> Cow<'_, str> {
        self.output.as_deref().map_or(Cow::Borrowed(""), String::from_utf8_lossy)
    }

    /// Whether the plugin holds a permission of that name or text, such as `task_read` or `network=localhost:80`.
    #[must_use]
    pub fn has_permission(&self, wanted: &str) -> bool {
        wanted.parse().is_ok_and(|wanted| self.permissions.iter().any(|held| held.covers(&wanted)))
    }
}

//! What a plugin says of itself: one schema for the embedded section, `plugin.json` and `plugin.yaml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::permission::{Permission, read_permissions};
use crate::version::{API_VERSION, ApiVersion};

/// The name of the ELF section that holds the manifest of a native plugin as JSON.
pub const MANIFEST_SECTION: &str = ".migraine.manifest";

/// A plugin's manifest. Unknown fields are kept out; missing ones have the defaults written here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Unique name: a lower-case letter, then lower-case letters, digits and dashes.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One line.
    #[serde(default)]
    pub description: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
    /// SPDX expression.
    #[serde(default)]
    pub license: String,
    /// The API version it was built with.
    #[serde(default = "current_api")]
    pub api_version: ApiVersion,
    /// What it asks for.
    #[serde(default, deserialize_with = "permissions")]
    pub permissions: Vec<Permission>,
    /// Its commands.
    #[serde(default, deserialize_with = "commands")]
    pub commands: Vec<CommandSpec>,
    /// The events it subscribes to.
    #[serde(default, deserialize_with = "hooks")]
    pub hooks: Vec<HookSpec>,
    /// Configuration keys with their defaults; a user may override exactly these.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// Programs and resources it needs on this machine.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// The same in words, for people.
    #[serde(default)]
    pub install_requires: Vec<String>,
}

/// A command as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandSpec {
    /// What is typed after the plugin's name.
    pub name: String,
    /// One line of help.
    #[serde(default)]
    pub description: String,
    /// A usage line.
    #[serde(default)]
    pub usage: String,
    /// Whether the caller's standard input is passed to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin: bool,
    /// How long a call may take; absent, the host's default holds. The user's policy may cap it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
}

/// The wall clock that a command asks for. Written as a number of seconds, or as `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeout {
    /// This many seconds, at least one.
    Seconds(u32),
    /// No limit: the command ends by itself, or when the user ends it.
    None,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl Serialize for Timeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => serializer.serialize_u32(*seconds),
            Self::None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok()).filter(|&seconds| seconds > 0);
        match (seconds, value.as_str()) {
            (Some(seconds), _) => Ok(Self::Seconds(seconds)),
            (None, Some("none")) => Ok(Self::None),
            _ => Err(serde::de::Error::custom(format!("a timeout is a number of seconds or `none`, not `{value}`"))),
        }
    }
}

/// What happens when a subscription's handler fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The workflow stops.
    Fail,
    /// A warning is shown and the workflow goes on.
    #[default]
    Warn,
    /// The failure is recorded and the workflow goes on.
    Ignore,
}

/// A subscription to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookSpec {
    /// The event's name; `-` and `_` are equal.
    pub event: String,
    /// A regular expression that the command must match; absent matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Higher runs earlier.
    #[serde(default)]
    pub priority: i32,
    /// Plugins that must run after this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Plugins that must run before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What happens when it fails.
    #[serde(default)]
    pub on_failure: FailurePolicy,
    /// An event that this host does not know is tolerated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Which handler of the plugin is called.
    #[serde(default)]
    pub handler: String,
    /// A command of the plugin that is run instead of a handler, with its arguments: split into words as a shell splits
    /// them, then each `{{NAME}}` is filled in with that variable of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Manifest {
    /// A manifest with only a name and a version.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            description: String::new(),
            author: String::new(),
            license: String::new(),
            api_version: API_VERSION,
            permissions: Vec::new(),
            commands: Vec::new(),
            hooks: Vec::new(),
            config: BTreeMap::new(),
            dependencies: Vec::new(),
            install_requires: Vec::new(),
        }
    }

    /// The declared command of that name.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&CommandSpec> {
        self.commands.iter().find(|command| command.name == name)
    }
}

impl CommandSpec {
    /// A command with a name only.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), description: String::new(), usage: String::new(), stdin: false, timeout: None }
    }
}

impl HookSpec {
    /// A subscription with defaults.
    #[must_use]
    pub fn new(event: &str) -> Self {
        Self {
            event: event.to_owned(),
            pattern: None,
            priority: 0,
            before: Vec::new(),
            after: Vec::new(),
            on_failure: FailurePolicy::default(),
            optional: false,
            handler: String::new(),
            command: None,
        }
    }
}

fn current_api() -> ApiVersion {
    API_VERSION
}

fn permissions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Permission>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    read_permissions(&value).map_err(serde::de::Error::custom)
}

fn commands<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<CommandSpec>, D::Error> {
    names_or_objects(deserializer, CommandSpec::new)
}

fn hooks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HookSpec>, D::Error> {
    names_or_objects(deserializer, HookSpec::new)
}

/// Reads a list of names, of objects, or of both. Not by an untagged enum, whose errors say nothing.
fn names_or_objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
    named: fn(&str) -> T,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Value>::deserialize(deserializer)?;
    let read = |item| match item {
        Value::String(name) => Ok(named(&name)),
        item => T::deserialize(item).map_err(serde::de::Error::custom),
    };
    items.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: S238, S239, S240, S241, S242, S243, S244, S245, S246
    #[test]
    fn a_manifest_with_lists_of_names_is_read() {
        let text = r#"{"name":"my-plugin","version":"1.0.0","description":"My awesome plugin","author":"Your Name",
            "api_version":"1.0.0","permissions":["task_read"],"hooks":["post_command"],"commands":["my-command"]}"#;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.commands[0].name, "my-command");
        assert_eq!(manifest.hooks[0].event, "post_command");
        assert_eq!(manifest.hooks[0].on_failure, FailurePolicy::Warn);
        assert_eq!(manifest.permissions[0].to_string(), "task_read");
        assert_eq!(manifest.api_version, API_VERSION);
    }
}

//! What a plugin says of itself: one schema for the embedded section, `plugin.json` and `plugin.yaml`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::dependency::dependencies;
use crate::handler::{BashSource, Handler, HookHandler, with_script_as_handler};
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
    /// What it is for, where it says so: `EVENT-interceptor` subscribes to that event.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
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
    /// The script or program that answers its commands and hooks which name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
    /// Its commands.
    #[serde(default, deserialize_with = "commands")]
    pub commands: Vec<CommandSpec>,
    /// The events it subscribes to.
    #[serde(default, deserialize_with = "hooks")]
    pub hooks: Vec<HookSpec>,
    /// Configuration keys with their defaults; a user may override exactly these.
    #[serde(default)]
    pub config: BTreeMap<String, Value>,
    /// What it needs: programs by their names, sockets (`unix:PATH`, or `NAME-socket` for that of its own scope), and other
    /// plugins, `plugin:NAME RANGE`, with `key=` and `source=` where they come from somebody else.
    #[serde(default, deserialize_with = "dependencies")]
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
    /// The script or program that answers it; absent in a native plugin, whose library does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<Handler>,
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
    pub handler: HookHandler,
    /// A Bash script that is run when the handler fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A handler that is called when everything before it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<Handler>,
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
            kind: None,
            description: String::new(),
            author: String::new(),
            license: String::new(),
            api_version: API_VERSION,
            permissions: Vec::new(),
            handler: None,
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

    /// Whether scripts or programs answer its calls, and no library does.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.handlers().next().is_some()
    }

    /// Every script and program that it names, in the order of the manifest; one may be there several times.
    pub fn handlers(&self) -> impl Iterator<Item = Handler> {
        let commands = self.commands.iter().filter_map(|command| command.handler.clone());
        let hooks = self.hooks.iter().flat_map(HookSpec::scripts);
        self.handler.clone().into_iter().chain(commands).chain(hooks)
    }

    /// The subscription that a call names by [`HookSpec::handler_name`], if a script answers it.
    #[must_use]
    pub fn script_hook(&self, name: &str) -> Option<&HookSpec> {
        let number = name.strip_prefix("hooks[")?.strip_suffix(']')?;
        self.hooks.get(number.parse::<usize>().ok()?).filter(|hook| hook.handler.script().is_some())
    }
}

impl CommandSpec {
    /// A command with a name only.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            usage: String::new(),
            stdin: false,
            timeout: None,
            handler: None,
        }
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
            handler: HookHandler::default(),
            script: None,
            on_error: None,
            command: None,
        }
    }

    /// What a call carries as the name of the handler ([`crate::Context::handler`]): the library's own name for it, and
    /// `hooks[N]` where a script answers the Nth subscription of the manifest, counted from 0.
    #[must_use]
    pub fn handler_name(&self, place: usize) -> String {
        self.handler.name().map_or_else(|| format!("hooks[{place}]"), str::to_owned)
    }

    /// The scripts that answer it, in the order in which they are tried: each but the first is called when all before it
    /// have failed. Empty in a native plugin.
    #[must_use]
    pub fn scripts(&self) -> Vec<Handler> {
        let script = self.script.clone().map(|script| Handler::Bash(BashSource::Script(script)));
        self.handler.script().cloned().into_iter().chain(script).chain(self.on_error.clone()).collect()
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
    names_or_objects(deserializer, CommandSpec::new, |command| command)
}

fn hooks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HookSpec>, D::Error> {
    names_or_objects(deserializer, HookSpec::new, with_script_as_handler)
}

/// Reads a list of names, of objects, or of both. Not by an untagged enum, whose errors say nothing.
fn names_or_objects<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
    named: fn(&str) -> T,
    prepare: fn(Value) -> Value,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Value>::deserialize(deserializer)?;
    let read = |item| match item {
        Value::String(name) => Ok(named(&name)),
        item => T::deserialize(prepare(item)).map_err(serde::de::Error::custom),
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
        assert!(!manifest.is_script());
    }

    // covers: S7, S8, S9, S10, S11, S12, S13, S14, S15, S16, S17, S18, S19
    #[test]
    fn a_hook_is_answered_by_scripts_in_order() {
        let text = r##"{"name":"log-processor","version":"1.0.0","type":"command-output-interceptor","hooks":[
            {"event":"command-output","pattern":".*","script":"echo b",
             "handler":{"type":"python","module":"log_processor","function":"process_log"},
             "on_error":{"type":"bash","script":"echo c"}},
            {"event":"post-command","script":"echo a"},
            {"event":"post-command","handler":{"type":"bash"},"script":"echo a"},
            {"event":"post-command","handler":{"type":"bash","file":"a.sh"},"script":"echo b"},
            {"event":"post-command","handler":"native"}]}"##;
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        assert_eq!(manifest.kind.as_deref(), Some("command-output-interceptor"));
        let bash = |script: &str| Handler::Bash(BashSource::Script(script.to_owned()));
        let python = Handler::Python { module: "log_processor".to_owned(), function: "process_log".to_owned() };
        assert_eq!(manifest.hooks[0].scripts(), [python, bash("echo b"), bash("echo c")]);
        for at in [1, 2] {
            assert_eq!((manifest.hooks[at].scripts(), &manifest.hooks[at].script), (vec![bash("echo a")], &None));
        }
        let file = Handler::Bash(BashSource::File("a.sh".to_owned()));
        assert_eq!(manifest.hooks[3].scripts(), [file, bash("echo b")]);
        let name = |at: usize| manifest.hooks[at].handler_name(at);
        assert_eq!((name(3), name(4)), ("hooks[3]".to_owned(), "native".to_owned()));
        assert_eq!(manifest.script_hook("hooks[3]"), Some(&manifest.hooks[3]));
        for other in ["hooks[4]", "hooks[5]", "hooks[]", "native", ""] {
            assert_eq!(manifest.script_hook(other), None, "{other}");
        }
        let again: Manifest = serde_json::from_str(&serde_json::to_string(&manifest).unwrap()).unwrap();
        assert_eq!(again, manifest);
        assert!(manifest.is_script());
    }
}

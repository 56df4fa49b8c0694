//! One thing that can be granted or refused, as it is kept and as it is typed.

use std::fmt;

use migraine_plugin_api::{Permission, PermissionKind, Timeout};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that can be granted or refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A permission with its scope.
    Permission(Permission),
    /// Two kinds of permission that together open a way out.
    Pair(PermissionKind, PermissionKind),
    /// A subscription.
    Hook {
        /// The event, with dashes.
        event: String,
        /// The pattern that the command's text must match; without one it sees all.
        pattern: Option<String>,
        /// The plugin's own command that is run, as the manifest writes it; without one a handler is called.
        command: Option<String>,
    },
    /// The time that a command may take.
    Timeout {
        /// The plugin's command.
        command: String,
        /// The time.
        timeout: Timeout,
    },
}

impl Item {
    /// What to write after `--grant`, not quoted.
    #[must_use]
    pub fn grant_text(&self) -> String {
        match self {
            Self::Permission(permission) => permission.to_string(),
            Self::Pair(first, second) => format!("{first}+{second}"),
            Self::Hook { event, .. } => format!("hook={event}"),
            Self::Timeout { command, .. } => format!("timeout={command}"),
        }
    }

    /// The exact words on a command line that grant it, quoted for a shell where that is needed.
    #[must_use]
    pub fn flag(&self) -> String {
        grant_flag(&self.grant_text())
    }

    /// The permission, if it is one.
    #[must_use]
    pub fn permission(&self) -> Option<&Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            _ => None,
        }
    }
}

/// `--grant` with this text, which may be the author's: pasted into a shell it must stay one word.
pub(super) fn grant_flag(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-=:./+,@%".contains(c);
    let quoted = if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) };
    format!("--grant {quoted}")
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.grant_text())
    }
}

/// What an author wrote freely is kept apart, because no separator is safe in it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Hook {
        event: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    },
    Timeout {
        command: String,
        timeout: Timeout,
    },
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self.clone() {
            Self::Hook { event, pattern, command } => Form::Hook { event, pattern, command },
            Self::Timeout { command, timeout } => Form::Timeout { command, timeout },
            other => Form::Text(other.grant_text()),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = match Form::deserialize(deserializer)? {
            Form::Hook { event, pattern, command } => return Ok(Self::Hook { event, pattern, command }),
            Form::Timeout { command, timeout } => return Ok(Self::Timeout { command, timeout }),
            Form::Text(text) => text,
        };
        let pair = text.split_once('+').and_then(|(first, second)| Some((first.parse().ok()?, second.parse().ok()?)));
        match pair {
            Some((first, second)) => Ok(Self::Pair(first, second)),
            None => text.parse().map(Self::Permission).map_err(D::Error::custom),
        }
    }
}

//! What a plugin asks for, item by item: each permission, each dangerous pair of permissions, each subscription.

use std::fmt;

use migraine_plugin_api::{HookSpec, Permission, PermissionKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{danger, words};

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
    },
}

/// An item with the words to show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The item.
    pub item: Item,
    /// What it lets the plugin do, after "it wants to"; safe on a terminal.
    pub words: String,
    /// Why it is dangerous, if it is: `--yes` does not accept it.
    pub danger: Option<String>,
}

/// The name of an event with dashes: `-` and `_` are equal.
#[must_use]
pub fn event_name(event: &str) -> String {
    event.replace('_', "-")
}

/// Everything a plugin asks for. Scopes must be filled in already ([`super::resolve`]).
#[must_use]
pub fn asks(permissions: &[Permission], hooks: &[HookSpec]) -> Vec<Ask> {
    let mut asks: Vec<Ask> = permissions
        .iter()
        .map(|permission| Ask {
            item: Item::Permission(permission.clone()),
            words: words::permission(permission),
            danger: danger::of(permission),
        })
        .collect();
    asks.extend(danger::pairs(permissions).into_iter().map(|(first, second, why)| Ask {
        item: Item::Pair(first, second),
        words: format!("use {first} and {second} together"),
        danger: Some(why.to_owned()),
    }));
    for hook in hooks {
        let event = event_name(&hook.event);
        let words = words::hook(&event, hook.pattern.as_deref());
        let ask = Ask { item: Item::Hook { event, pattern: hook.pattern.clone() }, words, danger: None };
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

impl Item {
    /// What to write after `--grant`, not quoted.
    #[must_use]
    pub fn grant_text(&self) -> String {
        match self {
            Self::Permission(permission) => permission.to_string(),
            Self::Pair(first, second) => format!("{first}+{second}"),
            Self::Hook { event, .. } => format!("hook={event}"),
        }
    }

    /// The exact words on a command line that grant it, quoted for a shell where that is needed.
    #[must_use]
    pub fn flag(&self) -> String {
        format!("--grant {}", shell_quoted(&self.grant_text()))
    }
}

/// The scope is the author's text: pasted into a shell it must stay one word.
fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-=:./+,@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.grant_text())
    }
}

/// A subscription keeps its pattern apart, because no separator is safe in a pattern.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Hook {
        event: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match self {
            Self::Hook { event, pattern } => Form::Hook { event: event.clone(), pattern: pattern.clone() },
            other => Form::Text(other.grant_text()),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = match Form::deserialize(deserializer)? {
            Form::Hook { event, pattern } => return Ok(Self::Hook { event, pattern }),
            Form::Text(text) => text,
        };
        let pair = text.split_once('+').and_then(|(first, second)| Some((first.parse().ok()?, second.parse().ok()?)));
        match pair {
            Some((first, second)) => Ok(Self::Pair(first, second)),
            None => text.parse().map(Self::Permission).map_err(D::Error::custom),
        }
    }
}

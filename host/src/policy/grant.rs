//! What the user writes after `--grant`.

use std::fmt;
use std::str::FromStr;

use migraine_plugin_api::{Permission, PermissionKind};

use super::{PolicyError, event_name};
use crate::text::safe_line;

/// A grant as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// `KIND` or `KIND=SCOPE`.
    Permission(Permission),
    /// `KIND+KIND`: the two together.
    Pair(PermissionKind, PermissionKind),
    /// `hook=EVENT`: the subscriptions to one event.
    Hook(String),
    /// `hook`: every subscription.
    AllHooks,
}

impl FromStr for Grant {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why: String| PolicyError::Syntax { text: safe_line(text), why };
        match text.split_once('=') {
            None if text == "hook" => return Ok(Self::AllHooks),
            Some(("hook", "")) => return Err(refuse("the event is missing".to_owned())),
            Some(("hook", event)) => return Ok(Self::Hook(event_name(event))),
            _ => {}
        }
        // A scope may hold a plus sign, so only two bare kinds are a pair.
        if let Some((first, second)) = text.split_once('+').filter(|_| !text.contains('=')) {
            let kind = |name: &str| name.parse::<PermissionKind>().map_err(|error| refuse(error.to_string()));
            return Ok(Self::Pair(kind(first)?, kind(second)?));
        }
        text.parse()
            .map(Self::Permission)
            .map_err(|error: migraine_plugin_api::PermissionError| refuse(error.to_string()))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(permission) => fmt::Display::fmt(permission, f),
            Self::Pair(first, second) => write!(f, "{first}+{second}"),
            Self::Hook(event) => write!(f, "hook={event}"),
            Self::AllHooks => f.write_str("hook"),
        }
    }
}

//! What the user writes after `--grant`.

use std::fmt;
use std::str::FromStr;

use migraine_plugin_api::{Permission, PermissionKind};

use super::cover::covers;
use super::directory::DirectoryScope;
use super::item::grant_flag;
use super::{Item, PolicyError, event_name};
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
    /// `timeout=COMMAND`: the time that one command asks for.
    Timeout(String),
    /// `timeout`: the time that every command asks for.
    AllTimeouts,
}

impl Grant {
    /// The permission, if it is one.
    #[must_use]
    pub fn permission(&self) -> Option<&Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            _ => None,
        }
    }

    /// The exact words on a command line, quoted for a shell where that is needed.
    #[must_use]
    pub fn flag(&self) -> String {
        grant_flag(&self.to_string())
    }

    /// Whether it says something of what is asked: a bare kind of all of that kind, a scope of what it is within.
    #[must_use]
    pub fn concerns(&self, asked: &Item) -> bool {
        match (self, asked) {
            (Self::Permission(grant), Item::Permission(asked)) => {
                (grant.scope().is_none() && grant.kind() == asked.kind()) || Self::is_within(grant, asked)
            }
            (Self::Pair(a, b), Item::Pair(first, second)) => (a, b) == (first, second) || (b, a) == (first, second),
            (Self::Hook(event), Item::Hook { event: asked, .. }) => event == asked,
            (Self::Timeout(command), Item::Timeout { command: asked, .. }) => command == asked,
            (Self::AllHooks, Item::Hook { .. }) | (Self::AllTimeouts, Item::Timeout { .. }) => true,
            _ => false,
        }
    }

    /// Whether an item goes when this grant is taken back.
    #[must_use]
    pub fn takes_back(&self, item: &Item) -> bool {
        match (self, item) {
            (Self::Permission(grant), Item::Permission(held)) if grant.scope().is_some() => {
                let narrowed = DirectoryScope::of(grant).zip(DirectoryScope::of(held));
                // A directory goes with all below it, but the right to change does not go with that to read.
                grant == held
                    || narrowed.is_some_and(|(grant, held)| grant.access == held.access && grant.covers(&held))
            }
            (grant, item) => grant.concerns(item),
        }
    }

    /// Whether a permission is no more than what was asked. Who asks without a scope asks for everything of the kind,
    /// even for what a bare permission alone does not open.
    pub(super) fn is_within(narrower: &Permission, asked: &Permission) -> bool {
        let everything = asked.scope().is_none() && asked.kind() != PermissionKind::Filesystem;
        (everything && asked.kind() == narrower.kind()) || covers(asked, narrower)
    }
}

impl FromStr for Grant {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why: String| PolicyError::Syntax { text: safe_line(text), why };
        match text.split_once('=') {
            None if text == "hook" => return Ok(Self::AllHooks),
            None if text == "timeout" => return Ok(Self::AllTimeouts),
            Some(("hook", "")) => return Err(refuse("the event is missing".to_owned())),
            Some(("hook", event)) => return Ok(Self::Hook(event_name(event))),
            Some(("timeout", "")) => return Err(refuse("the command is missing".to_owned())),
            Some(("timeout", command)) => return Ok(Self::Timeout(command.to_owned())),
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
            Self::Timeout(command) => write!(f, "timeout={command}"),
            Self::AllTimeouts => f.write_str("timeout"),
        }
    }
}

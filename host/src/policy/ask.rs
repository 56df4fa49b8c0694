//! What a plugin asks for, one by one: each permission, each dangerous pair of permissions, each subscription, each
//! command that asks for time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use migraine_plugin_api::{CommandSpec, HookSpec, Permission, PermissionKind};

use super::directory::{Access, DirectoryScope, is_open};
use super::item::Item;
use super::{danger, words};

/// What a manifest says.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The permissions, filled in ([`super::resolve`]).
    pub permissions: &'a [Permission],
    /// Where each directory that the manifest names leads, by what it writes.
    pub directories: &'a BTreeMap<String, PathBuf>,
    /// The subscriptions.
    pub hooks: &'a [HookSpec],
    /// The commands.
    pub commands: &'a [CommandSpec],
    /// Pairs that are dangerous besides the built-in ones ([`Policy::combos`](super::Policy::combos)).
    pub combos: &'a BTreeSet<(PermissionKind, PermissionKind)>,
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

impl Ask {
    /// For an open question, which has no yes or no: what the plugin may do in the directories that the user names.
    #[must_use]
    pub fn open(&self) -> Option<Access> {
        match &self.item {
            Item::Permission(permission) if is_open(permission) => {
                DirectoryScope::of(permission).map(|scope| scope.access)
            }
            _ => None,
        }
    }
}

/// The name of an event with dashes: `-` and `_` are equal.
#[must_use]
pub fn event_name(event: &str) -> String {
    event.replace('_', "-")
}

/// Everything a plugin asks for; permissions come first, then pairs of them.
#[must_use]
pub fn asks(request: &Request<'_>) -> Vec<Ask> {
    let mut asks: Vec<Ask> = request.permissions.iter().map(|asked| permission(asked, request.directories)).collect();
    asks.extend(danger::pairs(request.permissions, request.combos).into_iter().map(|(first, second, why)| Ask {
        item: Item::Pair(first, second),
        words: format!("use {first} and {second} together"),
        danger: Some(why.to_owned()),
    }));
    let hooks = request.hooks.iter().map(|hook| {
        let event = event_name(&hook.event);
        let words = match hook.command.as_deref() {
            Some(command) => words::bound(&event, hook.pattern.as_deref(), command),
            None => words::hook(&event, hook.pattern.as_deref()),
        };
        let item = Item::Hook { event, pattern: hook.pattern.clone(), command: hook.command.clone() };
        Ask { item, words, danger: None }
    });
    let timeouts = request.commands.iter().filter_map(|command| {
        let timeout = command.timeout?;
        let words = words::timeout(&command.name, timeout);
        Some(Ask { item: Item::Timeout { command: command.name.clone(), timeout }, words, danger: None })
    });
    for ask in hooks.chain(timeouts) {
        if !asks.contains(&ask) {
            asks.push(ask);
        }
    }
    asks
}

/// What is granted is where a directory leads; what is shown is what the author wrote as well.
fn permission(asked: &Permission, directories: &BTreeMap<String, PathBuf>) -> Ask {
    let leads = DirectoryScope::of(asked).and_then(|scope| {
        let written = scope.directory?.to_str()?.to_owned();
        let directory = directories.get(&written)?.clone();
        let leads = DirectoryScope { directory: Some(directory), ..scope }.permission().ok()?;
        (leads != *asked).then_some((leads, written))
    });
    let (permission, written) = match leads {
        Some((permission, written)) => (permission, Some(written)),
        None => (asked.clone(), None),
    };
    let words = words::permission(&permission, written.as_deref());
    Ask { words, danger: danger::of(&permission), item: Item::Permission(permission) }
}

//! What a plugin asks for and takes part in, and what it may do with what it was granted.

use migraine_plugin_api::{HookSpec, Manifest, Permission};
use serde::Serialize;

use crate::ids::PluginName;
use crate::manage::info::CommandInfo;
use crate::manage::rules::Rules;
use crate::policy::Policy;
use crate::store::Entry;

/// What a plugin asks for and takes part in. Texts of the author are not made safe to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// Its subscriptions.
    pub hooks: Vec<HookSpec>,
    /// Its commands, with the time that they ask for and were granted.
    pub commands: Vec<CommandInfo>,
    /// What it can do as it stands, and how much of what; only of what is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

impl Offer {
    pub(super) fn of_entry(name: &PluginName, entry: &Entry, policy: &Policy) -> Self {
        Self {
            permissions: entry.asked.clone(),
            hooks: entry.hooks.clone(),
            commands: CommandInfo::of_entry(name, entry),
            rules: Some(Rules::of(entry, policy)),
        }
    }

    pub(super) fn of_manifest(manifest: &Manifest) -> Self {
        Self {
            permissions: manifest.permissions.clone(),
            hooks: manifest.hooks.clone(),
            commands: manifest.commands.iter().map(|spec| CommandInfo::of(&manifest.name, spec)).collect(),
            rules: None,
        }
    }
}

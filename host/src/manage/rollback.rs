//! `rollback`: back to the version before, whose files were kept. Nothing is fetched, and everything is judged again.

use std::path::Path;

use migraine_plugin_api::Permission;
use semver::Version;
use serde::Serialize;

use super::consent::{Asking, Consenting};
use super::enable::{own_entry, replace_in};
use super::lock::Followed;
use super::maker::other_maker_of;
use super::prepare::kept_overrides;
use super::verify::judge_tree;
use super::{ManageError, versions};
use crate::ids::PluginName;
use crate::policy::{Item, granted_words};
use crate::runtime::{Around, Requirement, keys_of, needed_plugins};
use crate::store::{Entry, Home, Records, State, Status, StoreName};

/// What was gone back to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RollbackReport {
    /// The plugin.
    pub name: PluginName,
    /// The version that is installed now.
    pub version: Version,
    /// The version that was, which is kept in turn.
    pub replaced: Version,
    /// How it stands now.
    pub status: Status,
    /// What it may do now, in plain words.
    pub granted: Vec<String>,
    /// Settings of the user that the older version does not have or does not take.
    pub dropped_config: Vec<String>,
    /// Whose it is, in a sentence, where that is somebody else than the replaced one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_maker: Option<String>,
    /// What became of the lock of the project.
    #[serde(flatten)]
    pub followed: Followed,
}

/// Puts the version before in the place of the installed one. With `force`, also where plugins that need each other do not
/// go together then. The lock of the project follows, if that names the plugin.
///
/// # Errors
/// There is no such plugin, no version before is kept, the plugin is pinned, the older version is damaged or not trusted
/// any more, it asks for what was taken back since, it needs other versions than there are, others need the newer one, the
/// lock of the project cannot follow, or the store failed. Nothing has changed then.
pub fn rollback(
    home: &Home,
    name: &PluginName,
    force: bool,
    project: Option<&Path>,
    consenting: &mut Consenting<'_>,
) -> Result<RollbackReport, ManageError> {
    let before = own_entry(home, name)?;
    let Some(previous) = before.previous.as_deref() else {
        return Err(ManageError::NoPrevious { name: name.clone(), version: before.version });
    };
    versions::check_pin(name, &before, &previous.version)?;
    let (tree, state) = (home.load(&previous.digest)?, home.read()?);
    let trust = judge_tree(home, &state, (StoreName::User, &tree))?;
    let other_maker = other_maker_of(&keys_of(home, StoreName::User)?, name, &before, previous);
    // What was decided about another maker's plugin since then was not decided about this one.
    let mut held = if other_maker.is_some() { previous.clone() } else { before.clone() };
    let (overrides, dropped_config) = kept_overrides(&previous.defaults, Some(&held));
    let mut after = Entry { trust, ..previous.clone() };
    after.decided.overrides = overrides;
    if other_maker.is_none() {
        held.decided.consents = consents(&before, previous);
    }
    let settled = consenting.settle(&Asking::installed(name, &after), Some(&held), &home.policy()?)?;
    let complete = settled.consent.is_complete();
    if before.decided.enabled && !complete {
        let command = format!("migraine plugin rollback {name}{}", consenting.flags());
        return Err(ManageError::Consent {
            name: name.clone(),
            missing: settled.consent.missing,
            other_maker: None,
            command,
        });
    }
    settled.keep_in(&mut after);
    after.decided.enabled = before.decided.enabled && complete;
    if after.decided.enabled && !force {
        check_around(home, &state, name, &after)?;
    }
    after.decided.was_enabled = before.decided.was_enabled;
    after.problem = None;
    after.pinned.clone_from(&before.pinned);
    after.previous = Some(Box::new(Entry { previous: None, ..before.clone() }));
    let mut report = RollbackReport {
        name: name.clone(),
        version: after.version.clone(),
        replaced: before.version.clone(),
        status: after.status(),
        granted: granted_words(&settled.asks, &settled.consent),
        dropped_config,
        other_maker: other_maker.map(|other| other.to_string()),
        followed: Followed::default(),
    };
    report.followed = replace_in(home, project, name, (&before, after))?;
    Ok(report)
}

/// What it needs is there for the older version as well, and what needs it can go on with that.
fn check_around(home: &Home, state: &State, name: &PluginName, after: &Entry) -> Result<(), ManageError> {
    let keys = keys_of(home, StoreName::User)?;
    let now = state.all().into_owned();
    let mut then = now.clone();
    then.insert(name.clone(), after.clone());
    let missing = |entry: &Entry, others: &Records<Entry>| {
        needed_plugins(entry, Around { others, keys: &keys }).into_iter().find(Requirement::is_in_the_way)
    };
    if let Some(requirement) = missing(after, &then) {
        let (name, requirement) = (name.clone(), Box::new(requirement));
        return Err(ManageError::RollbackNeeds { name, version: after.version.clone(), requirement });
    }
    for (by, entry) in now.mentioning("dependencies")?.filter(|(by, entry)| entry.decided.enabled && *by != name) {
        // What does not run now loses nothing.
        if let (None, Some(requirement)) = (missing(entry, &now), missing(entry, &then)) {
            let (name, version, needs) = (name.clone(), after.version.clone(), requirement.needs);
            return Err(ManageError::RollbackBreaks { name, version, by: by.clone(), needs });
        }
    }
    Ok(())
}

/// What counts as consented to: what it holds now, and of what it held then only that which the newer version does not ask
/// for. What the newer one asks for and does not hold was refused or taken back.
fn consents(before: &Entry, previous: &Entry) -> Vec<Item> {
    let kinds: Vec<_> = before.asked.iter().map(Permission::kind).collect();
    let asked = |item: &Item| match item {
        Item::Permission(permission) => kinds.contains(&permission.kind()),
        Item::Pair(one, other) => kinds.contains(one) && kinds.contains(other),
        Item::Hook { event, .. } => before.hooks.iter().any(|hook| hook.event == *event),
        Item::Timeout { command, .. } => before.commands.iter().any(|spec| spec.name == *command),
    };
    let then = previous.decided.consents.iter().filter(|item| !before.decided.consents.contains(item) && !asked(item));
    before.decided.consents.iter().chain(then).cloned().collect()
}

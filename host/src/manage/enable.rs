//! `enable` and `disable`: both can be repeated without harm.

use std::path::Path;

use serde::Serialize;

use super::ManageError;
use super::companions::needed_by;
use super::consent::{Asking, Consenting};
use super::lock::{Followed, Relock};
use super::verify::judge_tree;
use crate::ids::PluginName;
use crate::policy::granted_words;
use crate::runtime::{Around, Requirement, keys_of, needed_plugins};
use crate::store::{Entry, Home, Installed, State, Status, StoreName};

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnableReport {
    /// The plugin.
    pub name: PluginName,
    /// How it stands now.
    pub status: Status,
    /// Whether that is new.
    pub changed: bool,
    /// What it may do now, in plain words.
    pub granted: Vec<String>,
}

/// Lets a plugin run, when everything it asks for is granted and it still is what was installed.
///
/// # Errors
/// There is no such plugin, it is damaged or not trusted any more, or something was not granted. What was granted is
/// kept for the next time, unless the plugin is enabled: then it stays as it is.
pub fn enable(home: &Home, name: &PluginName, consenting: &mut Consenting<'_>) -> Result<EnableReport, ManageError> {
    let state = home.read()?;
    let Some(Installed { entry: before, tree, place, .. }) = home.load_plugin(name)? else {
        return Err(ManageError::NotFound { name: name.clone() });
    };
    if place == StoreName::System && state.system.is_withheld(name) {
        return Err(ManageError::Withheld { name: name.clone() });
    }
    let mut entry = before.clone();
    entry.trust = judge_tree(home, &state, (place, &tree))?;
    check_needs(home, &state, (name, place), &entry)?;
    let settled = consenting.settle(&Asking::installed(name, &entry), Some(&before), &home.policy()?)?;
    let complete = settled.consent.is_complete();
    let mut command = format!("migraine plugin enable {name}");
    if before.decided.enabled && !complete {
        command.push_str(&consenting.flags());
        return Err(ManageError::Consent {
            name: name.clone(),
            missing: settled.consent.missing,
            other_maker: None,
            command,
        });
    }
    entry.decided.enabled = complete;
    entry.decided.was_enabled |= complete;
    entry.problem = None;
    settled.keep_in(&mut entry);
    let changed = replace(home, name, &before, entry)?;
    if !complete {
        return Err(ManageError::Consent {
            name: name.clone(),
            missing: settled.consent.missing,
            other_maker: None,
            command,
        });
    }
    let granted = granted_words(&settled.asks, &settled.consent);
    Ok(EnableReport { name: name.clone(), status: Status::Enabled, changed, granted })
}

/// The plugins that it needs run, or it could not run itself. What the machine lacks is looked at when it runs.
fn check_needs(
    home: &Home,
    state: &State,
    (name, place): (&PluginName, StoreName),
    entry: &Entry,
) -> Result<(), ManageError> {
    let keys = keys_of(home, place)?;
    let plugins = needed_plugins(entry, Around { others: &state.all(), keys: &keys });
    match plugins.into_iter().find(Requirement::is_in_the_way) {
        Some(requirement) => Err(ManageError::Needs { name: name.clone(), requirement: Box::new(requirement) }),
        None => Ok(()),
    }
}

/// Keeps a plugin from running; its grants, settings and data stay. With `force`, also one that others need.
///
/// # Errors
/// There is no such plugin, enabled ones need it, or the store failed.
pub fn disable(home: &Home, name: &PluginName, force: bool) -> Result<EnableReport, ManageError> {
    let by = needed_by(&home.read()?, name, true)?;
    let before = entry(home, name)?;
    if before.decided.enabled && !by.is_empty() && !force {
        return Err(ManageError::InUse { name: name.clone(), by });
    }
    let mut after = before.clone();
    after.decided.enabled = false;
    let status = after.status();
    let changed = replace(home, name, &before, after)?;
    Ok(EnableReport { name: name.clone(), status, changed, granted: Vec::new() })
}

/// The entry of a plugin that can be used.
pub(super) fn entry(home: &Home, name: &PluginName) -> Result<Entry, ManageError> {
    let state = home.read()?;
    let found = state.find(name)?.map(|(entry, _)| entry.clone());
    found.ok_or_else(|| ManageError::NotFound { name: name.clone() })
}

/// The entry of a plugin of the user's own, whose versions and files the user changes.
pub(super) fn own_entry(home: &Home, name: &PluginName) -> Result<Entry, ManageError> {
    let mut state = home.read()?;
    state.plugins.remove(name)?.ok_or_else(|| not_own(&state, name))
}

/// Why a plugin that is not the user's own cannot be changed.
pub(super) fn not_own(state: &State, name: &PluginName) -> ManageError {
    let name = name.clone();
    if state.system.contains(&name) { ManageError::OfSystem { name } } else { ManageError::NotFound { name } }
}

/// Commits a changed entry; `false` when there was nothing to change.
pub(super) fn replace(home: &Home, name: &PluginName, before: &Entry, after: Entry) -> Result<bool, ManageError> {
    if *before == after {
        return Ok(false);
    }
    replace_in(home, None, name, (before, after)).map(|_| true)
}

/// As [`replace`], of a plugin whose version changes; the lock of a project that names it follows.
pub(super) fn replace_in(
    home: &Home,
    project: Option<&Path>,
    name: &PluginName,
    (before, after): (&Entry, Entry),
) -> Result<Followed, ManageError> {
    let mut writer = home.writer()?;
    // What was judged must still be so: a person may have taken minutes to answer.
    let place = writer.state().find(name)?.filter(|(entry, _)| *entry == before).map(|(_, place)| place);
    let place = place.ok_or_else(|| ManageError::Changed { name: name.clone() })?;
    let relock = project.map(|project| Relock::stage_named(home, project, (name, Some(&after)))).transpose()?.flatten();
    writer.state_mut().put(name, place, after);
    writer.commit()?;
    Ok(Followed::of(relock.map(Relock::put)))
}

//! `rollback`: back to the version before, whose files were kept. Nothing is fetched, and everything is judged again.

use migraine_plugin_api::Permission;
use semver::Version;
use serde::Serialize;

use super::consent::{Asking, Consenting};
use super::enable::{own_entry, replace};
use super::prepare::kept_overrides;
use super::verify::judge_tree;
use super::{ManageError, versions};
use crate::ids::PluginName;
use crate::policy::{Item, granted_words};
use crate::store::{Entry, Home, Status, StoreName};

/// What was gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
}

/// Puts the version before in the place of the installed one.
///
/// # Errors
/// There is no such plugin, no version before is kept, the plugin is pinned, the older version is damaged or not trusted
/// any more, it asks for what was taken back since, or the store failed. Nothing has changed then.
pub fn rollback(
    home: &Home,
    name: &PluginName,
    consenting: &mut Consenting<'_>,
) -> Result<RollbackReport, ManageError> {
    let before = own_entry(home, name)?;
    let Some(previous) = before.previous.as_deref() else {
        return Err(ManageError::NoPrevious { name: name.clone(), version: before.version });
    };
    versions::check_pin(name, &before, &previous.version)?;
    let tree = home.load(&previous.digest)?;
    let trust = judge_tree(home, &home.read()?, (StoreName::User, &tree))?;
    let (overrides, dropped_config) = kept_overrides(&previous.defaults, Some(&before));
    let mut after = Entry { trust, overrides, ..previous.clone() };
    let held = Entry { consents: held(&before, previous), ..before.clone() };
    let settled = consenting.settle(&Asking::installed(name, &after), Some(&held), &home.policy()?)?;
    let complete = settled.consent.is_complete();
    if before.enabled && !complete {
        let command = format!("migraine plugin rollback {name}{}", consenting.flags());
        return Err(ManageError::Consent { name: name.clone(), missing: settled.consent.missing, command });
    }
    settled.keep_in(&mut after);
    after.enabled = before.enabled && complete;
    after.was_enabled = before.was_enabled;
    after.problem = None;
    after.pinned.clone_from(&before.pinned);
    after.previous = Some(Box::new(Entry { previous: None, ..before.clone() }));
    let report = RollbackReport {
        name: name.clone(),
        version: after.version.clone(),
        replaced: before.version.clone(),
        status: after.status(),
        granted: granted_words(&settled.asks, &settled.consent),
        dropped_config,
    };
    replace(home, name, &before, after)?;
    Ok(report)
}

/// What counts as consented to: what it holds now, and of what it held then only that which the newer version does not ask
/// for. What the newer one asks for and does not hold was refused or taken back.
fn held(before: &Entry, previous: &Entry) -> Vec<Item> {
    let kinds: Vec<_> = before.asked.iter().map(Permission::kind).collect();
    let asked = |item: &Item| match item {
        Item::Permission(permission) => kinds.contains(&permission.kind()),
        Item::Pair(one, other) => kinds.contains(one) && kinds.contains(other),
        Item::Hook { event, .. } => before.hooks.iter().any(|hook| hook.event == *event),
        Item::Timeout { command, .. } => before.commands.iter().any(|spec| spec.name == *command),
    };
    let then = previous.consents.iter().filter(|item| !before.consents.contains(item) && !asked(item));
    before.consents.iter().chain(then).cloned().collect()
}

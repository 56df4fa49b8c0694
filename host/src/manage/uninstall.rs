//! `uninstall`: the entry goes with one commit, the tree after it; data goes only when that is asked for.

use std::path::Path;

use serde::Serialize;

use super::companions::needed_by;
use super::enable::not_own;
use super::lock::{Followed, Relock, behind};
use super::source::forget_exception;
use super::{ManageError, versions};
use crate::ids::PluginName;
use crate::store::{Home, PluginData, Status};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UninstallReport {
    /// The plugin.
    pub name: PluginName,
    /// The version that was installed; absent when only data was left, or its name in the lock.
    pub version: Option<semver::Version>,
    /// Whether its data was removed too.
    pub purged: bool,
    /// Whether its data is there still, since the disk is full: it goes with a later change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub data_waits: bool,
    /// What became of the lock of the project.
    #[serde(flatten)]
    pub followed: Followed,
}

/// How much of a plugin is removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Removal<'a> {
    /// Its data as well, also when only data was left of it.
    pub purge: bool,
    /// Also where others need it.
    pub force: bool,
    /// The project whose lock names it no more, if it has one; also when only that was left of it, by an interruption.
    pub project: Option<&'a Path>,
}

/// Removes a plugin.
///
/// # Errors
/// There is no such plugin, others need it, the lock of the project cannot follow, or the store failed.
pub fn uninstall(home: &Home, name: &PluginName, removal: Removal<'_>) -> Result<UninstallReport, ManageError> {
    let Removal { purge, force, project } = removal;
    let writer = if purge && home.has_data() { Some(home.writer()?) } else { home.writer_if_used()? };
    let Some(mut writer) = writer else { return Err(not_own(&home.read()?, name)) };
    let by = needed_by(writer.state(), name, false)?;
    if writer.state().plugins.contains_key(name) && !by.is_empty() && !force {
        return Err(ManageError::InUse { name: name.clone(), by });
    }
    let removed = writer.state_mut().plugins.remove(name)?;
    // One of the system store is found under the name from then on.
    let left = writer.state().system.get(name).filter(|left| left.status() == Status::Enabled).cloned();
    let stage =
        || Ok(project.map(|project| Relock::stage_named(home, project, (name, left.as_ref()))).transpose()?.flatten());
    if removed.is_none() && !(purge && home.has_data() && has_data(home, name)?) {
        let error = not_own(writer.state(), name);
        let relock = stage()?.filter(|_| matches!(error, ManageError::NotFound { .. })).ok_or(error)?;
        let followed = Followed::of(Some(relock.put()));
        return Ok(UninstallReport { name: name.clone(), version: None, purged: false, data_waits: false, followed });
    }
    let staged = match stage() {
        // What is removed makes room.
        Err(ManageError::Relock { source }) if source.is_full_disk() => None,
        staged => Some(staged?),
    };
    if let Some(entry) = &removed {
        let state = writer.state_mut();
        versions::record_removed(state, name, entry)?;
        for entry in std::iter::once(entry).chain(entry.previous.as_deref()) {
            forget_exception(state, &entry.digest)?;
        }
    }
    if purge {
        writer.state_mut().purges.insert(name.clone());
    }
    writer.commit()?;
    let relock = staged.map_or_else(|| stage().map_err(|error: ManageError| behind(&error)), Ok);
    let followed = Followed::of(relock.map(|relock| relock.map(Relock::put)).unwrap_or_else(|why| Some(Err(why))));
    let data_waits = purge && writer.data_waits();
    let (version, purged) = (removed.map(|entry| entry.version), purge && !data_waits);
    Ok(UninstallReport { name: name.clone(), version, purged, data_waits, followed })
}

fn has_data(home: &Home, name: &PluginName) -> Result<bool, ManageError> {
    Ok(PluginData::open(home)?.plugins()?.iter().any(|plugin| plugin == name.as_str()))
}

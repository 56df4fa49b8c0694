//! `uninstall`: the entry goes with one commit, the tree after it; data goes only when that is asked for.

use serde::Serialize;

use super::companions::needed_by;
use super::enable::not_own;
use super::source::forget_exception;
use super::{ManageError, versions};
use crate::ids::PluginName;
use crate::store::{Home, PluginData};

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UninstallReport {
    /// The plugin.
    pub name: PluginName,
    /// The version that was installed; absent when only data was left.
    pub version: Option<semver::Version>,
    /// Whether its data was removed too.
    pub purged: bool,
    /// Whether its data is there still, since the disk is full: it goes with a later change.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub data_waits: bool,
}

/// Removes a plugin. With `purge`, its data as well, also when only data was left of it; with `force`, also one that others
/// need.
///
/// # Errors
/// There is no such plugin, others need it, or the store failed.
pub fn uninstall(home: &Home, name: &PluginName, purge: bool, force: bool) -> Result<UninstallReport, ManageError> {
    let writer = if purge && home.has_data() { Some(home.writer()?) } else { home.writer_if_used()? };
    let Some(mut writer) = writer else { return Err(not_own(&home.read()?, name)) };
    let by = needed_by(writer.state(), name, false)?;
    if writer.state().plugins.contains_key(name) && !by.is_empty() && !force {
        return Err(ManageError::InUse { name: name.clone(), by });
    }
    let removed = writer.state_mut().plugins.remove(name)?;
    if removed.is_none() && !(purge && home.has_data() && has_data(home, name)?) {
        return Err(not_own(writer.state(), name));
    }
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
    let data_waits = purge && writer.data_waits();
    let (version, purged) = (removed.map(|entry| entry.version), purge && !data_waits);
    Ok(UninstallReport { name: name.clone(), version, purged, data_waits })
}

fn has_data(home: &Home, name: &PluginName) -> Result<bool, ManageError> {
    Ok(PluginData::open(home)?.plugins()?.iter().any(|plugin| plugin == name.as_str()))
}

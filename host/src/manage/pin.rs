//! `pin`: a plugin stays at one version, or goes to no other than one.

use semver::Version;
use serde::Serialize;

use super::ManageError;
use super::enable::{own_entry, replace};
use crate::ids::PluginName;
use crate::store::Home;

/// What may take the place of a plugin now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinReport {
    /// The plugin.
    pub name: PluginName,
    /// The installed version.
    pub installed: Version,
    /// The one version that may be installed; absent, any newer one may.
    pub pinned: Option<Version>,
    /// Whether that is new.
    pub changed: bool,
}

/// Pins a plugin to a version; without one, to that which is installed.
///
/// # Errors
/// There is no such plugin, the version is older than the installed one, or the store failed.
pub fn pin(home: &Home, name: &PluginName, version: Option<Version>) -> Result<PinReport, ManageError> {
    let before = own_entry(home, name)?;
    let pinned = version.unwrap_or_else(|| before.version.clone());
    if pinned < before.version {
        return Err(ManageError::PinBack { name: name.clone(), installed: before.version, version: pinned });
    }
    change(home, name, Some(pinned))
}

/// Lets any newer version take the place of a plugin again.
///
/// # Errors
/// There is no such plugin, or the store failed.
pub fn unpin(home: &Home, name: &PluginName) -> Result<PinReport, ManageError> {
    change(home, name, None)
}

fn change(home: &Home, name: &PluginName, pinned: Option<Version>) -> Result<PinReport, ManageError> {
    let before = own_entry(home, name)?;
    let mut after = before.clone();
    after.pinned.clone_from(&pinned);
    let changed = replace(home, name, &before, after)?;
    Ok(PinReport { name: name.clone(), installed: before.version, pinned, changed })
}

//! `forget`: the one way by which what was seen of a plugin's versions is given up.

use serde::Serialize;

use super::ManageError;
use crate::ids::PluginName;
use crate::store::Home;

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForgetReport {
    /// The plugin.
    pub name: PluginName,
    /// The newest version that was known.
    pub newest: semver::Version,
    /// How many versions were forgotten.
    pub versions: usize,
    /// The version that is installed, and so stays known.
    pub installed: Option<semver::Version>,
}

/// Forgets which versions of a plugin were installed before, so that an older one, or one of another author, can be.
///
/// # Errors
/// Nothing is known of such a plugin, or the store failed.
pub fn forget(home: &Home, name: &PluginName) -> Result<ForgetReport, ManageError> {
    let unknown = || ManageError::NoHistory { name: name.clone() };
    let mut writer = home.writer_if_used()?.ok_or_else(unknown)?;
    let state = writer.state_mut();
    let installed = state.plugins.get(name)?.map(|entry| entry.version.clone());
    let mut history = state.history.remove(name)?.unwrap_or_default();
    let newest = history.newest().cloned().ok_or_else(unknown)?;
    let known = history.len();
    history.keep_only(installed.as_ref());
    let versions = known - history.len();
    if !history.is_empty() {
        state.history.insert(name.clone(), history);
    }
    writer.commit()?;
    Ok(ForgetReport { name: name.clone(), newest, versions, installed })
}

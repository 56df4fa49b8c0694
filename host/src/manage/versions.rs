//! Which version may take the place of another: none that is older than what was seen, none whose content changed, and no
//! other than the one that a plugin is pinned to.

use semver::Version;

use super::ManageError;
use crate::controls::{Check, makes};
use crate::ids::{Digest, PluginName};
use crate::package::Index;
use crate::store::{Entry, State, StoreError, Trust};

/// What a user allows beyond that, each time by naming the version.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// This version may be installed although a newer one was seen.
    pub downgrade: Option<Version>,
    /// This version may be installed although it was seen with another content.
    pub reuse: Option<Version>,
}

/// Checks what is to be installed against what was seen.
///
/// # Errors
/// It is older, its content changed, or the plugin is pinned.
pub(super) fn check(
    state: &State,
    index: &Index,
    digest: Digest,
    trust: &Trust,
    allowed: &Allowed,
) -> Result<(), ManageError> {
    let (name, offered) = (&index.name, &index.version);
    let before = state.plugins.get(name)?;
    if before.is_some_and(|before| before.digest == digest) {
        return Ok(());
    }
    before.map_or(Ok(()), |before| check_pin(name, before, offered))?;
    let newest = newest_seen(state, name)?.filter(|newest| *newest > offered && makes(Check::Rollback));
    if let Some(newest) = newest.filter(|_| allowed.downgrade.as_ref() != Some(offered)) {
        let installed = before.is_some_and(|before| before.version == *newest);
        let (name, newest, offered) = (name.clone(), newest.clone(), offered.clone());
        return Err(ManageError::Rollback { name, newest, offered, installed });
    }
    // An exception without a signature names its bytes already.
    let changed = state.history.get(name)?.is_some_and(|history| history.contradicts(index, digest));
    let refused = changed && *trust != Trust::Unsigned && allowed.reuse.as_ref() != Some(offered);
    if refused && makes(Check::Reuse) {
        return Err(ManageError::Reused { name: name.clone(), version: offered.clone() });
    }
    Ok(())
}

/// Whether a version may take the place of an installed plugin that may be pinned.
///
/// # Errors
/// It is pinned to another one.
pub(super) fn check_pin(name: &PluginName, before: &Entry, offered: &Version) -> Result<(), ManageError> {
    match before.pinned.as_ref().filter(|pinned| *pinned != offered) {
        Some(pinned) => {
            let (name, pinned, offered) = (name.clone(), pinned.clone(), offered.clone());
            Err(ManageError::Pinned { name, pinned, offered })
        }
        None => Ok(()),
    }
}

/// The newest version of a plugin that was ever installed.
pub(super) fn newest_seen<'a>(state: &'a State, name: &PluginName) -> Result<Option<&'a Version>, StoreError> {
    let seen = state.history.get(name)?.and_then(|history| history.newest());
    Ok(seen.max(state.plugins.get(name)?.map(|entry| &entry.version)))
}

/// Records what is installed now. Without a signature nobody vouches for a version number.
pub(super) fn record(state: &mut State, index: &Index, digest: Digest, trust: &Trust) -> Result<(), StoreError> {
    if *trust != Trust::Unsigned {
        state.history.get_or_default(&index.name)?.record(index, digest);
    }
    Ok(())
}

/// Records what is installed no more: a state of before there was a history has nothing of it.
pub(super) fn record_removed(state: &mut State, name: &PluginName, entry: &Entry) -> Result<(), StoreError> {
    if entry.trust != Trust::Unsigned {
        state.history.get_or_default(name)?.record_version(&entry.version);
    }
    Ok(())
}

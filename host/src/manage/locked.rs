//! Installing exactly what a lock names: from folders of this machine, or from a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::ManageError;
use super::bundle::Bundle;
use super::consent::Consenting;
use super::install::{InstallReport, InstallRequest, install_all};
use super::lock::{Lock, Locked, difference};
use super::resolve::{Cycle, ResolveError, load_order};
use super::source::{Found, scan};
use super::supply::Supply;
use crate::ids::{Fingerprint, PluginName};
use crate::package::Opened;
use crate::store::{Home, State};

/// Where the packages that a lock names are looked for, by their digests.
#[derive(Debug, Clone, Default)]
pub struct LockedFrom<'a> {
    /// Folders of this machine.
    pub folders: &'a [PathBuf],
    /// A bundle.
    pub bundle: Option<&'a Bundle>,
}

/// What is asked for of a lock.
#[derive(Debug, Clone)]
pub struct LockedRequest<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// The plugins; all of them, where none is named.
    pub names: &'a [PluginName],
    /// Trust the keys that the lock names, each for the plugins that it is named with: the caller vouches for the lock.
    pub trust_keys: bool,
    /// Trust the key of this fingerprint, for the plugins that it signed.
    pub trust_key: Option<Fingerprint>,
    /// The time: RFC 3339, UTC.
    pub now: &'a str,
}

/// Installs plugins as a lock names them, and what they need, by one commit. What is installed so already stays as it is.
///
/// # Errors
/// A plugin is not in the lock, or its package is nowhere, or anything that an installation is refused for. Nothing has
/// changed then.
pub fn install_locked(
    home: &Home,
    request: &LockedRequest<'_>,
    from: &LockedFrom<'_>,
    consenting: &mut Consenting<'_>,
) -> Result<Vec<InstallReport>, ManageError> {
    let state = home.read()?;
    let known = supplies(request.lock, from)?;
    let wanted = wanted(request, &known)?;
    let mut missing = BTreeSet::new();
    for locked in wanted.iter().filter_map(|name| request.lock.plugins.get(name)) {
        if !is_as_locked(&state, locked)? {
            missing.insert(locked.name.clone());
        }
    }
    let absent: Vec<String> =
        missing.iter().filter(|name| !known.contains_key(*name)).map(|name| nowhere(request, name)).collect();
    if !absent.is_empty() {
        return Err(ManageError::LockDiffers { differences: absent });
    }
    let needs = missing.iter().filter_map(|name| Some((name.clone(), needs_of(&known.get(name)?.1))));
    let order = load_order(&needs.collect()).map_err(|Cycle(names)| ResolveError::Cycle { names })?;
    let mains =
        order.iter().filter_map(|(name, _)| known.get(name)).map(|(supply, _)| Ok((supply.clone(), supply.open()?)));
    let mains = mains.collect::<Result<Vec<_>, ManageError>>()?;
    let others: Vec<Supply> = known.values().map(|(supply, _)| supply.clone()).collect();
    if mains.is_empty() {
        return Ok(Vec::new());
    }
    let install = InstallRequest::of(PathBuf::new().into(), request.now);
    let locked = |name: &PluginName| request.lock.plugins.get(name).filter(|_| request.trust_keys).map(|one| one.key);
    let key = |name: &PluginName| locked(name).or(request.trust_key);
    install_all(home, &state, (mains, Some(&others)), &install, consenting, &key)
}

fn is_as_locked(state: &State, locked: &Locked) -> Result<bool, ManageError> {
    Ok(state.plugins.get(&locked.name)?.is_some_and(|entry| difference(locked, entry).is_none()))
}

fn nowhere(request: &LockedRequest<'_>, name: &PluginName) -> String {
    let locked = request.lock.plugins.get(name).map(|locked| format!("{name} {} ({})", locked.version, locked.digest));
    format!("the package of {} was not found", locked.unwrap_or_else(|| name.to_string()))
}

fn needs_of(opened: &Opened) -> BTreeSet<PluginName> {
    opened.index.dependencies.iter().map(|need| need.name.clone()).collect()
}

/// The plugins that are asked for and those that they need, as far as the lock has them.
fn wanted(
    request: &LockedRequest<'_>,
    known: &BTreeMap<PluginName, (Supply, Opened)>,
) -> Result<BTreeSet<PluginName>, ManageError> {
    let all = || request.lock.plugins.keys().cloned().collect();
    let mut left: Vec<PluginName> = if request.names.is_empty() { all() } else { request.names.to_vec() };
    if let Some(name) = left.iter().find(|name| !request.lock.plugins.contains_key(*name)) {
        return Err(ManageError::LockDiffers { differences: vec![format!("{name} is not in it")] });
    }
    let mut wanted = BTreeSet::new();
    while let Some(name) = left.pop() {
        if request.lock.plugins.contains_key(&name) && wanted.insert(name.clone()) {
            left.extend(known.get(&name).map(|(_, opened)| needs_of(opened)).unwrap_or_default());
        }
    }
    Ok(wanted)
}

/// The packages that the lock names, of those that there are: nothing but the digest decides.
fn supplies(lock: &Lock, from: &LockedFrom<'_>) -> Result<BTreeMap<PluginName, (Supply, Opened)>, ManageError> {
    let mut found: BTreeMap<PluginName, (Supply, Opened)> = BTreeMap::new();
    let mut take = |supply: Supply, opened: Opened| {
        let locked = lock.plugins.get(&opened.index.name);
        if locked.is_some_and(|locked| locked.digest.0 == opened.digest()) {
            found.entry(opened.index.name.clone()).or_insert((supply, opened));
        }
    };
    for supply in from.bundle.into_iter().flat_map(|bundle| bundle.supplies().values()) {
        take(supply.clone(), supply.open()?);
    }
    for folder in from.folders {
        for Found { path, opened } in scan(folder)? {
            if let Ok(opened) = opened {
                take(Supply::File(path), opened);
            }
        }
    }
    Ok(found)
}

/// The folders that the packages of a project's lock are looked for in: those that the user names, or else those that
/// plugins are looked for in anyway.
#[must_use]
pub fn locked_folders(home: &Home, state: &State, working: &Path, named: &[PathBuf]) -> Vec<PathBuf> {
    if named.is_empty() { super::search::folders(home, state, Some(working)).paths } else { named.to_vec() }
}

//! Installing exactly what a lock names: from folders of this machine, or from a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::ManageError;
use super::bundle::Bundle;
use super::consent::{Consenting, FetchQuestion};
use super::folder::meant;
use super::install::{InstallReport, InstallRequest, install_all};
use super::keys::judged_time;
use super::lock::{Lock, Locked, difference};
use super::lock_source::LockedSource;
use super::remote::{Online, download};
use super::resolve::{Cycle, ResolveError, load_order};
use super::source::{Found, judged, open_file, scan};
use super::supply::Supply;
use crate::ids::{Fingerprint, PluginName};
use crate::package::Opened;
use crate::store::{Home, State};
use crate::trust::{Keyring, PublicKey, TrustError};
use crate::url::Url;

/// Where the packages that a lock names are looked for, by their digests.
#[derive(Debug, Clone, Default)]
pub struct LockedFrom<'a> {
    /// Folders of this machine.
    pub folders: &'a [PathBuf],
    /// A bundle.
    pub bundle: Option<&'a Bundle>,
    /// The project of the lock. With it, the sources in the lock count as well: files of this machine, and what the user
    /// agrees to fetch.
    pub project: Option<&'a Path>,
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
    /// Only look what would happen: everything is judged, and nothing is changed.
    pub is_dry_run: bool,
    /// The time: RFC 3339, UTC.
    pub now: &'a str,
}

/// Installs plugins as a lock names them, and what they need, by one commit. What is installed so already stays as it is.
///
/// # Errors
/// A plugin is not in the lock, or its package is nowhere, or nobody agrees to fetch it, or anything that an installation is refused for. Nothing has
/// changed then.
pub fn install_locked(
    home: &Home,
    request: &LockedRequest<'_>,
    from: &LockedFrom<'_>,
    consenting: &mut Consenting<'_>,
    online: &mut Online<'_>,
) -> Result<Vec<InstallReport>, ManageError> {
    let state = home.read()?;
    let mut known = supplies(request.lock, from)?;
    // What is fetched may need more of what is locked.
    let missing = loop {
        let mut missing: Vec<&Locked> = Vec::new();
        for locked in wanted(request, &known)?.iter().filter_map(|name| request.lock.plugins.get(name)) {
            if !is_as_locked(&state, locked)? {
                missing.push(locked);
            }
        }
        let absent: Vec<&Locked> = missing.iter().copied().filter(|one| !known.contains_key(&one.name)).collect();
        if absent.is_empty() {
            break missing.into_iter().map(|one| one.name.clone()).collect::<BTreeSet<_>>();
        }
        known.extend(fetched(home, (&absent, !request.is_dry_run), from, consenting, online)?);
    };
    let needs = missing.iter().filter_map(|name| Some((name.clone(), needs_of(&known.get(name)?.1))));
    let order = load_order(&needs.collect()).map_err(|Cycle(names)| ResolveError::Cycle { names })?;
    let mains =
        order.iter().filter_map(|(name, _)| known.get(name)).map(|(supply, _)| Ok((supply.clone(), supply.open()?)));
    let mains = mains.collect::<Result<Vec<_>, ManageError>>()?;
    let others: Vec<Supply> = known.values().map(|(supply, _)| supply.clone()).collect();
    if mains.is_empty() {
        return Ok(Vec::new());
    }
    let is_dry_run = request.is_dry_run;
    let install = InstallRequest { is_dry_run, ..InstallRequest::of(PathBuf::new().into(), request.now) };
    let locked = |name: &PluginName| request.lock.plugins.get(name).filter(|_| request.trust_keys).map(|one| one.key);
    let key = |name: &PluginName| locked(name).or(request.trust_key);
    let done = install_all(home, &state, (mains, Some(&others)), &install, consenting, &key);
    done.map_err(|error| match error {
        ManageError::Trust(TrustError::UntrustedKey { .. } | TrustError::KeyScope { .. }) => {
            let opened = order.iter().filter_map(|(name, _)| Some(&known.get(name)?.1));
            all_strangers(home, &state, opened, (request.now, &key)).ok().flatten().unwrap_or(error)
        }
        _ => error,
    })
}

/// The key that the caller trusts for a name.
type Vouched<'a> = &'a dyn Fn(&PluginName) -> Option<Fingerprint>;

/// Every key that some of the plugins are refused for, where there are several: whoever has no network asks once.
fn all_strangers<'a>(
    home: &Home,
    state: &State,
    plugins: impl Iterator<Item = &'a Opened>,
    (now, vouched): (&str, Vouched<'_>),
) -> Result<Option<ManageError>, ManageError> {
    let (keyring, policy) = (Keyring::load_from(&home.keys_path())?, home.policy()?);
    let now = judged_time(&keyring, state, now)?;
    let mut keys: BTreeMap<Fingerprint, (Box<PublicKey>, Vec<PluginName>)> = BTreeMap::new();
    for opened in plugins {
        let name = &opened.index.name;
        if let Err(ManageError::Trust(TrustError::UntrustedKey { key, .. } | TrustError::KeyScope { key, .. })) =
            judged(&keyring, state, opened, &policy, false, Some(now))
            && vouched(name) != Some(key.fingerprint())
        {
            keys.entry(key.fingerprint()).or_insert_with(|| (key, Vec::new())).1.push(name.clone());
        }
    }
    let several = keys.values().map(|(_, names)| names.len()).sum::<usize>() > 1;
    Ok(several.then(|| ManageError::Strangers { keys: keys.into_values().collect() }))
}

fn is_as_locked(state: &State, locked: &Locked) -> Result<bool, ManageError> {
    Ok(state.find(&locked.name)?.is_some_and(|(entry, _)| difference(locked, entry).is_none()))
}

/// What is on no server that the lock names, in words.
fn nowhere(locked: &Locked) -> String {
    let source = locked.source.as_ref().map(|source| format!("; it came from {source}")).unwrap_or_default();
    format!("the package of {} {} ({}) was not found{source}", locked.name, locked.version, locked.digest)
}

/// Fetches packages from where the lock says that they are, once the user agrees: a lock comes with a project, and whoever
/// wrote it must not decide what this machine connects to.
fn fetched(
    home: &Home,
    (absent, keep): (&[&Locked], bool),
    from: &LockedFrom<'_>,
    consenting: &mut Consenting<'_>,
    online: &mut Online<'_>,
) -> Result<BTreeMap<PluginName, (Supply, Opened)>, ManageError> {
    let url =
        |one: &&Locked| one.source.as_ref().and_then(LockedSource::url).filter(|_| from.project.is_some()).cloned();
    let (there, gone): (Vec<&Locked>, Vec<&Locked>) = absent.iter().partition(|one| url(one).is_some());
    if !gone.is_empty() {
        return Err(ManageError::LockDiffers { differences: gone.into_iter().map(nowhere).collect() });
    }
    let there: Vec<(&Locked, Url)> = there.iter().filter_map(|one| Some((*one, url(one)?))).collect();
    let places: Vec<String> =
        there.iter().map(|(one, url)| format!("{} {} from {url}", one.name, one.version)).collect();
    if !consenting.yes && !consenting.prompt.fetch(&FetchQuestion { places: &places }) {
        let command = format!("migraine plugin install --locked{} --yes", consenting.flags());
        return Err(ManageError::FetchConsent { places, command });
    }
    let fetch = |(locked, url): (&Locked, Url)| {
        let differs = |what: &str| {
            let differences = vec![format!("{url} {what} {} {} ({})", locked.name, locked.version, locked.digest)];
            ManageError::LockDiffers { differences }
        };
        let download = download(home, &url, None, keep, online)?.ok_or_else(|| differs("does not hand out"))?;
        let supply = Supply::Remote(url.to_string().into(), download);
        let opened = supply.open()?;
        let is_locked = opened.digest() == locked.digest.0 && opened.index.name == locked.name;
        if is_locked {
            Ok((locked.name.clone(), (supply, opened)))
        } else {
            Err(differs("hands out something else than"))
        }
    };
    there.into_iter().map(fetch).collect()
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
    let sources = lock.plugins.values().filter_map(|locked| locked.source.as_ref()?.path_in(from.project?));
    for path in sources {
        // Whatever cannot be read there is not what was locked.
        if let Ok((path, opened)) = meant(&path).and_then(|path| Ok((path.clone(), open_file(&path)?))) {
            take(Supply::File(path), opened);
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

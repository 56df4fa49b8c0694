//! `bundle` and `install --bundle`: plugins for a site without a network, as one file. What it holds is judged there like
//! any other file: its keys are named, and trusted by nobody before somebody says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::ManageError;
use super::list::Warning;
use super::lock::{LOCK_FILE, Lock, LockRequest, Locked, collected, sentences};
use super::lock_source::LockedSource;
use super::source::{open_file, read};
use super::supply::Supply;
use crate::ids::{Fingerprint, PluginName};
use crate::package::bundle::{BUNDLE_MAX, BundleFile, pack, unpack};
use crate::package::{FileEntry, archive};
use crate::runtime::keys_of as keys_of_store;
use crate::store::{Entry, Home, StoreName};
use crate::trust::keyring::{check_replaceable, save_public};
use crate::trust::{KeySet, PublicKey};

/// Where packages lie in a bundle.
const PACKAGES: &str = "packages/";

/// What was bundled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BundleReport {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: usize,
    /// The plugins in it.
    pub plugins: Vec<Bundled>,
    /// The keys that signed them, which go along.
    pub keys: Vec<Fingerprint>,
    /// What cannot go along.
    pub warnings: Vec<Warning>,
}

/// A plugin in a bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bundled {
    /// As its lock names it.
    #[serde(flatten)]
    pub locked: Locked,
    /// The machines that it can be installed on from there.
    pub targets: Vec<String>,
    /// Those that its package was for as well, and whose libraries are not at hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Writes plugins and what they need into one file.
///
/// # Errors
/// One that is named is not installed or not signed, something that is needed is missing, there is nothing to bundle, a
/// package cannot be put together, something is in the file's place that is no bundle, or it cannot be written.
pub fn bundle(home: &Home, out: &Path, request: LockRequest<'_>) -> Result<BundleReport, ManageError> {
    check_out(out, request.force)?;
    let state = home.read()?;
    let (lock, mut warnings) = collected(home, &state, request, &|_, entry| LockedSource::server(entry))?;
    if lock.plugins.is_empty() {
        return Err(ManageError::NothingToLock { verb: "bundle", kept: None, left_out: sentences(&warnings) });
    }
    let mut plugins = Vec::new();
    let mut files = vec![(LOCK_FILE.to_owned(), lock.render().into_bytes())];
    for locked in lock.plugins.values() {
        let found = state.find(&locked.name)?.ok_or_else(|| ManageError::NotFound { name: locked.name.clone() })?;
        let Carried { bytes, part, targets, left_out } = carried(home, locked, found)?;
        files.push((package_path(locked, part.as_deref()), bytes));
        if !left_out.is_empty() {
            let message = format!(
                "goes along for {} alone: the libraries for {} are in its package, which is not at hand",
                targets.join(", "),
                left_out.join(", ")
            );
            warnings.push(Warning { name: locked.name.to_string(), message });
        }
        plugins.push(Bundled { locked: locked.clone(), targets, left_out });
    }
    let own = keys_of(&lock, &keys_of_store(home, StoreName::User)?);
    let keys: BTreeMap<_, _> =
        keys_of(&lock, &keys_of_store(home, StoreName::System)?).into_iter().chain(own).collect();
    files.extend(keys.iter().map(|(key, text)| (key_path(key), text.clone().into_bytes())));
    let refused = |source| ManageError::Package { path: out.to_owned(), source };
    let bytes = pack(files).map_err(refused)?;
    save_public(out, &bytes, true)?;
    let keys = keys.into_keys().collect();
    Ok(BundleReport { path: out.to_owned(), size: bytes.len(), plugins, keys, warnings })
}

/// What is no bundle is replaced by one only where that is said.
fn check_out(out: &Path, force: bool) -> Result<(), ManageError> {
    check_replaceable(out)?;
    if force || !out.try_exists().unwrap_or(true) {
        return Ok(());
    }
    let bytes = read(out, BUNDLE_MAX)?;
    let why = match unpack(&bytes) {
        Ok(files) if files.iter().any(|(path, _)| path == LOCK_FILE) => return Ok(()),
        Ok(_) => "it holds no lock".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(ManageError::NotReplaced { path: out.to_owned(), why: format!("is no bundle: {why}") })
}

/// What goes along of a plugin.
struct Carried {
    bytes: Vec<u8>,
    /// The kind of machine, where it is only what that takes.
    part: Option<String>,
    targets: Vec<String>,
    left_out: Vec<String>,
}

/// The package of an installed plugin: made again from its tree; where that holds less than the package did, from what it
/// was installed from; and where that is gone, the part of it that is installed.
fn carried(home: &Home, locked: &Locked, (entry, place): (&Entry, StoreName)) -> Result<Carried, ManageError> {
    let tree = home.load_in(place, &entry.digest)?;
    let refused = |source| ManageError::Package { path: tree.index.entry.clone().into(), source };
    let Some(signature) = &tree.signature else { return Err(ManageError::NotLockable { name: locked.name.clone() }) };
    let text = String::from_utf8_lossy(&tree.index_text).into_owned();
    let targets = tree.index.targets();
    let is_whole = tree.contents().count() == tree.index.files.len();
    let whole = if is_whole { Some(tree.files()) } else { from_source(locked, entry) };
    if let Some(files) = whole {
        let bytes = archive::pack(&text, signature, &contents(files)).map_err(refused)?;
        return Ok(Carried { bytes, part: None, targets, left_out: Vec::new() });
    }
    let target = tree.index.target.clone();
    let bytes = archive::pack_for(&target, &text, signature, &contents(tree.files())).map_err(refused)?;
    let left_out = targets.into_iter().filter(|other| *other != target).collect();
    Ok(Carried { bytes, part: Some(target.clone()), targets: vec![target], left_out })
}

/// All files of the package, where what it was installed from is still the same.
fn from_source(locked: &Locked, entry: &Entry) -> Option<Vec<(FileEntry, Vec<u8>)>> {
    let opened = open_file(entry.installed_from.as_deref()?).ok()?;
    if opened.digest() != locked.digest.0 {
        return None;
    }
    opened.into_files().ok().map(|files| files.files)
}

fn contents(files: Vec<(FileEntry, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    files.into_iter().map(|(file, content)| (file.path, content)).collect()
}

fn keys_of(lock: &Lock, keyring: &KeySet) -> BTreeMap<Fingerprint, String> {
    let used = lock.plugins.values().filter_map(|locked| keyring.by_fingerprint(&locked.key));
    used.map(|trusted| (trusted.fingerprint(), format!("{}\n", trusted.key))).collect()
}

/// Where a package lies in a bundle; a part of one, below the name of its kind of machine.
fn package_path(locked: &Locked, part: Option<&str>) -> String {
    let folder = part.map(|target| format!("{target}/")).unwrap_or_default();
    format!("{PACKAGES}{folder}{}.mgp", locked.digest.0)
}

/// The package of a plugin in a bundle, taken out of it, by its path there; and the kind of machine that it is for alone.
fn take(files: &mut BTreeMap<String, Vec<u8>>, locked: &Locked) -> Option<(String, Vec<u8>, Option<String>)> {
    let name = package_path(locked, None);
    if let Some(bytes) = files.remove(&name) {
        return Some((name, bytes, None));
    }
    let end = format!("/{}.mgp", locked.digest.0);
    let part = |path: &String| Some(path.strip_prefix(PACKAGES)?.strip_suffix(&end)?.to_owned());
    let (path, target) = files.keys().find_map(|path| Some((path.clone(), part(path)?)))?;
    let bytes = files.remove(&path)?;
    Some((path, bytes, Some(target)))
}

fn key_path(key: &Fingerprint) -> String {
    format!("keys/{}.pub", key.to_string().trim_start_matches("ed25519:"))
}

/// A bundle that was read; nothing in it was judged.
#[derive(Debug)]
pub struct Bundle {
    /// What it holds.
    pub lock: Lock,
    /// The keys in it.
    pub keys: Vec<PublicKey>,
    packages: BTreeMap<PluginName, Supply>,
}

impl Bundle {
    /// Reads a bundle: the lock, exactly the packages that it names, and the keys that signed them.
    ///
    /// # Errors
    /// The file cannot be read, or holds anything else.
    pub fn open(path: &Path) -> Result<Self, ManageError> {
        let refused = |source| ManageError::Package { path: path.to_owned(), source };
        let damaged = |why: String| ManageError::Bundle { path: path.to_owned(), why };
        let mut files: BTreeMap<String, Vec<u8>> =
            unpack(&read(path, BUNDLE_MAX)?).map_err(refused)?.into_iter().collect::<BTreeMap<_, _>>();
        let text = files.remove(LOCK_FILE).ok_or_else(|| damaged("it holds no lock".to_owned()))?;
        let lock = Lock::parse(&text).map_err(damaged)?;
        let mut packages = BTreeMap::new();
        for locked in lock.plugins.values() {
            let name = &locked.name;
            let taken = take(&mut files, locked);
            let (inside, bytes, part) = taken.ok_or_else(|| damaged(format!("the package of {name} is missing")))?;
            let supply = Supply::Package(path.join(&inside), Arc::new(bytes), part);
            let opened = supply.open()?;
            let signer = opened.signature.as_ref().map(crate::package::Signature::fingerprint);
            let index = &opened.index;
            let is_locked = opened.digest() == locked.digest.0 && signer == Some(locked.key);
            if !is_locked || index.name != *name || index.version != locked.version {
                return Err(damaged(format!("{inside} is not the package of {name} that its lock names")));
            }
            packages.insert(name.clone(), supply);
        }
        let keys = files.into_iter().map(|file| key(&lock, file).map_err(damaged)).collect::<Result<_, _>>()?;
        Ok(Self { lock, keys, packages })
    }

    /// The packages, by the names of their plugins.
    pub(super) fn supplies(&self) -> &BTreeMap<PluginName, Supply> {
        &self.packages
    }
}

/// Every other file is a key that signed one of the packages.
fn key(lock: &Lock, (path, content): BundleFile) -> Result<PublicKey, String> {
    let unknown = || format!("{path} is neither its lock, nor a package or a key of it");
    let text = std::str::from_utf8(&content).map_err(|_| unknown())?;
    let key: PublicKey = text.strip_suffix('\n').unwrap_or(text).parse().map_err(|_| unknown())?;
    let is_used = lock.plugins.values().any(|locked| locked.key == key.fingerprint());
    if is_used && path == key_path(&key.fingerprint()) { Ok(key) } else { Err(unknown()) }
}

//! `bundle` and `install --bundle`: plugins for a site without a network, as one file. What it holds is judged there like
//! any other file: its keys are named, and trusted by nobody before somebody says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::ManageError;
use super::list::Warning;
use super::lock::{LOCK_FILE, Lock, Locked, collected};
use super::source::{open_file, read};
use super::supply::Supply;
use crate::ids::{Fingerprint, PluginName};
use crate::package::bundle::{BUNDLE_MAX, BundleFile, pack, unpack};
use crate::package::{PACKAGE_MAX, archive, open};
use crate::store::{Entry, Home};
use crate::trust::keyring::save_public;
use crate::trust::{KeySet, Keyring, PublicKey};

/// What was bundled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BundleReport {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: usize,
    /// The plugins in it.
    pub plugins: Vec<Locked>,
    /// The keys that signed them, which go along.
    pub keys: Vec<Fingerprint>,
    /// What cannot go along.
    pub warnings: Vec<Warning>,
}

/// Writes the named plugins and what they need into one file, or all that are enabled.
///
/// # Errors
/// One that is named is not installed or not signed, its package cannot be put together, or the file cannot be written.
pub fn bundle(home: &Home, out: &Path, names: &[PluginName]) -> Result<BundleReport, ManageError> {
    let state = home.read()?;
    let (lock, warnings) = collected(&state, names)?;
    let keyring = Keyring::load_from(&home.keys_path())?;
    let mut files = vec![(LOCK_FILE.to_owned(), lock.render().into_bytes())];
    for locked in lock.plugins.values() {
        let entry = state.plugins.get(&locked.name)?;
        let entry = entry.ok_or_else(|| ManageError::NotFound { name: locked.name.clone() })?;
        files.push((package_path(locked), package_of(home, locked, entry)?));
    }
    let keys = keys_of(&lock, &keyring);
    files.extend(keys.iter().map(|(key, text)| (key_path(key), text.clone().into_bytes())));
    let refused = |source| ManageError::Package { path: out.to_owned(), source };
    let bytes = pack(files).map_err(refused)?;
    save_public(out, &bytes, true)?;
    let (plugins, keys) = (lock.plugins.into_values().collect(), keys.into_keys().collect());
    Ok(BundleReport { path: out.to_owned(), size: bytes.len(), plugins, keys, warnings })
}

/// The package of an installed plugin: made again from its tree, or where that holds less than the package did, the file
/// that it was installed from.
fn package_of(home: &Home, locked: &Locked, entry: &Entry) -> Result<Vec<u8>, ManageError> {
    let tree = home.load(&entry.digest)?;
    let refused = |source| ManageError::Package { path: tree.index.entry.clone().into(), source };
    if let (Some(signature), true) = (&tree.signature, tree.files.len() == tree.index.files.len()) {
        let text = String::from_utf8_lossy(&tree.index_text).into_owned();
        let files: Vec<_> = tree.files.iter().map(|(file, content)| (file.path.clone(), content.clone())).collect();
        return archive::pack(&text, signature, &files).map_err(refused);
    }
    let from = entry.installed_from.as_deref();
    let same = from.filter(|path| open_file(path).is_ok_and(|opened| opened.digest() == locked.digest.0));
    match same {
        Some(path) => read(path, PACKAGE_MAX),
        None => Err(ManageError::NoPackage { name: locked.name.clone() }),
    }
}

fn keys_of(lock: &Lock, keyring: &KeySet) -> BTreeMap<Fingerprint, String> {
    let used = lock.plugins.values().filter_map(|locked| keyring.by_fingerprint(&locked.key));
    used.map(|trusted| (trusted.fingerprint(), format!("{}\n", trusted.key))).collect()
}

fn package_path(locked: &Locked) -> String {
    format!("packages/{}.mgp", locked.digest.0)
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
            let (name, inside) = (&locked.name, package_path(locked));
            let bytes = files.remove(&inside).ok_or_else(|| damaged(format!("the package of {name} is missing")))?;
            let opened = open(bytes.clone()).map_err(refused)?;
            let signer = opened.signature.as_ref().map(crate::package::Signature::fingerprint);
            let index = &opened.index;
            let is_locked = opened.digest() == locked.digest.0 && signer == Some(locked.key);
            if !is_locked || index.name != *name || index.version != locked.version {
                return Err(damaged(format!("{inside} is not the package of {name} that its lock names")));
            }
            packages.insert(name.clone(), Supply::Package(path.join(inside), Arc::new(bytes)));
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

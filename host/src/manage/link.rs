//! `link` and `unlink`: a plugin that its user develops, from files of their own. What runs is what the user confirmed of
//! them, byte for byte; it is never signed, whatever lies beside it, and never comes from a package.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::Serialize;

use super::ManageError;
use super::consent::Consenting;
use super::info::MissingItem;
use super::install::shown;
use super::prepare::{Given, Prepared, settle};
use super::source::{forget_exception, judged, read, recordable, unpacked};
use super::uninstall::{Removal, uninstall};
use super::{folder, lookalike, manifest_file, script_files};
use crate::ids::{Digest, PluginName};
use crate::package::scan::Finding;
use crate::package::{Opened, PackageError, UNPACKED_MAX, open_library};
use crate::policy::{Ask, granted_words};
use crate::store::{Home, State, Status};
use crate::trust::Keyring;

/// What was linked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkReport {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// The files: a library, or scripts by their manifest or its directory.
    pub path: PathBuf,
    /// The digest that was confirmed.
    pub digest: Digest,
    /// The digest that was confirmed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// How it stands now.
    pub status: Status,
    /// What it may do now, in plain words.
    pub granted: Vec<String>,
    /// What still needs consent; it is not enabled while there is something.
    pub missing: Vec<MissingItem>,
    /// What a careful reader would stop at in its scripts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The same as `missing`, for the error that ends the command.
    #[serde(skip)]
    pub asks: Vec<Ask>,
}

/// Links a plugin to files, or confirms what has become of them; `meant` is a name that is meant although it looks like
/// another one, `now` the time: RFC 3339, UTC.
///
/// # Errors
/// The files are no plugin, its name looks like one that is known, others could have written them, a policy file forbids what is not signed, a plugin of that name
/// is installed, or the store failed.
pub fn link(
    home: &Home,
    path: &Path,
    meant: Option<&PluginName>,
    now: &str,
    consenting: &mut Consenting<'_>,
) -> Result<LinkReport, ManageError> {
    let path = path.canonicalize().map_err(|source| ManageError::File { path: path.to_owned(), source })?;
    let path = recordable(folder::meant(&path)?)?;
    let opened = open(&path)?;
    check_owners(&path, &opened)?;
    let (state, policy) = (home.read()?, home.policy()?);
    let keys = Keyring::load_from(&home.keys_path())?;
    let trust = judged(&keys, &state, &opened, &policy, true, None)?;
    lookalike::check(&opened.index.name, meant, &state, &keys)?;
    let package = unpacked(opened, &path)?;
    let name = package.index.name.clone();
    let before = state.plugins.get(&name)?;
    if before.is_some_and(|before| before.link.is_none()) {
        return Err(ManageError::LinkTaken { name });
    }
    let given = Given { home, state: &state, policy: &policy, command: &format!("link {}", shown(&path)) };
    let mut linked = settle(given, package, (trust, None), now, consenting, false)?;
    linked.entry.link = Some(path.clone());
    // What was confirmed before is no version to go back to.
    linked.entry.previous = None;
    commit(home, &state, &linked)?;
    let before = before.map(|before| before.digest);
    let Prepared { package, entry, settled, scan, .. } = linked;
    Ok(LinkReport {
        name,
        version: package.index.version,
        path,
        digest: entry.digest,
        before: before.filter(|before| *before != entry.digest),
        status: entry.status(),
        granted: granted_words(&settled.asks, &settled.consent),
        missing: settled.consent.missing.iter().map(MissingItem::of).collect(),
        findings: scan.findings,
        asks: settled.consent.missing,
    })
}

fn commit(home: &Home, judged: &State, linked: &Prepared) -> Result<(), ManageError> {
    let name = &linked.package.index.name;
    let mut writer = home.writer()?;
    if writer.state().plugins.get(name)? != judged.plugins.get(name)? {
        return Err(ManageError::Changed { name: name.clone() });
    }
    writer.add_tree(&linked.package)?;
    let state = writer.state_mut();
    state.exceptions.insert(linked.package.digest);
    let before = state.plugins.get(name)?.map(|before| before.digest);
    state.plugins.insert(name.clone(), linked.entry.clone());
    before.map_or(Ok(()), |before| forget_exception(state, &before))?;
    Ok(writer.commit()?)
}

/// Forgets a linked plugin; its files and its data stay.
///
/// # Errors
/// There is no such plugin, it is not linked, others need it, or the store failed.
pub fn unlink(home: &Home, name: &PluginName, force: bool) -> Result<super::UninstallReport, ManageError> {
    match home.read()?.plugins.get(name)? {
        None => {
            // Whoever unlinked it may have been interrupted before the files were removed: a writer removes them.
            home.writer_if_used()?;
            Err(ManageError::NotFound { name: name.clone() })
        }
        Some(entry) if entry.link.is_none() => Err(ManageError::NotLinked { name: name.clone() }),
        Some(_) => uninstall(home, name, Removal { force, ..Removal::default() }),
    }
}

/// Checks before a plugin is used that the files that it is linked to, if it is, are those that were confirmed.
///
/// # Errors
/// They are other ones, or cannot be read.
pub fn check_link(name: &PluginName, link: Option<&Path>, confirmed: &Digest) -> Result<(), ManageError> {
    let Some(path) = link else { return Ok(()) };
    let why = match open(path) {
        Ok(opened) if opened.digest() == *confirmed => return Ok(()),
        Ok(_) => None,
        Err(error) => Some(Box::new(error)),
    };
    Err(ManageError::LinkChanged { name: name.clone(), path: path.to_owned(), why })
}

/// Opens a library or scripts as what nobody signed: a signature beside them would be of an earlier build.
fn open(path: &Path) -> Result<Opened, ManageError> {
    let refused = |source| ManageError::Package { path: path.to_owned(), source };
    let is_package = || {
        let reason = "a link leads to a library or to scripts; a package is installed";
        refused(PackageError::Format { reason })
    };
    if folder::is_unpacked(path) {
        return Err(is_package());
    }
    if let Some(manifest) = manifest_file::find(path)? {
        if !manifest_file::read(&manifest)?.is_script() {
            return Err(ManageError::NoLibrary { path: manifest });
        }
        if let Some(opened) = script_files::open(path)? {
            return Ok(opened);
        }
    }
    let bytes = read(path, usize::try_from(UNPACKED_MAX).unwrap_or(usize::MAX))?;
    if !bytes.starts_with(b"\x7fELF") {
        return Err(is_package());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    open_library(bytes, None, &name).map_err(refused)
}

/// Nobody else could have written the files that are linked to.
fn check_owners(path: &Path, opened: &Opened) -> Result<(), ManageError> {
    let root = if path.is_dir() { Some(path) } else { path.parent() };
    let scripts = opened.index.files.iter().filter(|_| opened.index.holds_scripts());
    let of_scripts = scripts.filter_map(|file| Some(root?.join(&file.path)));
    for file in std::iter::once(path.to_owned()).chain(of_scripts) {
        let metadata = fs::symlink_metadata(&file);
        let metadata = metadata.map_err(|source| ManageError::File { path: file.clone(), source })?;
        let why = match (metadata.uid() == geteuid().as_raw(), metadata.mode() & 0o022) {
            (true, 0) => continue,
            (true, _) => "others can write to it",
            (false, _) => "it belongs to somebody else",
        };
        return Err(ManageError::NotOwn { path: file, why });
    }
    Ok(())
}

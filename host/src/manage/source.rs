//! Where a plugin comes from: a file on this machine, read once and never looked up again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{is_plugin_file, is_unpacked};
use super::resolve::ResolveError;
use super::{ManageError, folder, manifest_file, script_files};
use crate::ids::{Digest, PluginName};
use crate::package::{
    FileEntry, INDEX_MAX, Opened, Package, PackageError, SIGNATURE_LEN, UNPACKED_MAX, open, open_library,
};
use crate::policy::{Policy, scope_findings};
use crate::store::{State, StoreError, Trust};
use crate::text::safe_line;
use crate::trust::{KeySet, Time, Trusted, judge, judge_new};

/// Opens a package, a library with the signature beside it, scripts by their manifest, or the one of these that lies in
/// a directory. Nothing but index and signature was looked at, but of what lies open in a directory, which was read.
pub(super) fn open_file(path: &Path) -> Result<Opened, ManageError> {
    let path = &folder::meant(path)?;
    if is_unpacked(path) {
        return folder::open(path);
    }
    if let Some(manifest) = manifest_file::find(path)? {
        if !manifest_file::read(&manifest)?.is_script() {
            return Err(ManageError::NoLibrary { path: manifest });
        }
        if let Some(opened) = script_files::open(path)? {
            return Ok(opened);
        }
    }
    let refused = |source| ManageError::Package { path: path.to_owned(), source };
    let is_library = path.extension().is_some_and(|extension| extension == "so");
    let bytes = read(path, usize::try_from(UNPACKED_MAX).unwrap_or(usize::MAX))?;
    if !is_library && !bytes.starts_with(b"\x7fELF") {
        return open(bytes).map_err(refused);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    let sidecar = match read(Path::new(&beside), INDEX_MAX + SIGNATURE_LEN) {
        Ok(text) => Some(text),
        // Not signed is a verdict of its own; a signature that is there and cannot be read is an error.
        Err(ManageError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    open_library(bytes, sidecar.as_deref(), &name).map_err(refused)
}

/// Reads a regular file of at most so many bytes.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ManageError> {
    read_flagged(path, limit, 0)
}

/// As [`read`], with further flags for open(2).
pub(super) fn read_flagged(path: &Path, limit: usize, flags: i32) -> Result<Vec<u8>, ManageError> {
    let failed = |source| ManageError::File { path: path.to_owned(), source };
    let file = regular_file(path, flags)?;
    let metadata = file.metadata().map_err(failed)?;
    let over = || {
        let source = PackageError::Limit { what: "the file".to_owned(), limit: format!("{limit} bytes") };
        Err(ManageError::Package { path: path.to_owned(), source })
    };
    // What is too large already is not read to find that out.
    if usize::try_from(metadata.len()).map_or(true, |size| size > limit) {
        return over();
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::take(file, most).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return over();
    }
    Ok(bytes)
}

/// Opens a regular file, with further flags for open(2).
pub(super) fn regular_file(path: &Path, flags: i32) -> Result<File, ManageError> {
    let failed = |source| ManageError::File { path: path.to_owned(), source };
    // Without O_NONBLOCK a FIFO would hang the command before it can be refused.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | flags).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        return Ok(file);
    }
    Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")))
}

/// The verdict over an index, with an exception for this one digest if the user asked for it. The policy has its say
/// first: about size and names of files, and whether there may be exceptions. Without a time, the key's window does not
/// matter.
pub(super) fn judged(
    keys: &KeySet,
    state: &State,
    opened: &Opened,
    policy: &Policy,
    allow_unsigned: bool,
    now: Option<Time>,
) -> Result<Trust, ManageError> {
    let index = &opened.index;
    // In a package of scripts the programs that it runs itself are those with the mode of one.
    let is_program = |file: &&FileEntry| index.holds_scripts() && file.mode == 0o755;
    let files = index.own_files().filter(|file| file.path != index.entry && !is_program(file));
    let files = files.map(|file| file.path.as_str());
    let unsigned = policy.forbids_unsigned().filter(|_| opened.signature.is_none());
    unsigned
        .map_or(Ok(()), Err)
        .and_then(|()| policy.check_size(opened.size()))
        .and_then(|()| policy.check_files(files))
        .map_err(|refusal| ManageError::Refused { what: index.name.to_string(), source: Box::new(refusal) })?;
    let mut exceptions: Vec<Digest> = state.exceptions.iter().copied().collect();
    // What spares the flag must not put an unsigned version in the place of a signed one.
    let before = state.plugins.get(&index.name)?;
    let replaces_signed = before.is_some_and(|before| matches!(before.trust, Trust::Signed { .. }));
    if allow_unsigned || (policy.allows_unsigned_dev() && !replaces_signed) {
        exceptions.push(opened.digest());
    }
    let (text, signature) = (&opened.index_text, opened.signature.as_ref());
    let trusted = match now {
        Some(now) => judge_new(text, index, signature, keys, &exceptions, now)?,
        None => judge(text, index, signature, keys, &exceptions)?,
    };
    Ok(to_trust(trusted))
}

/// The package with its manifest, whose scopes are looked at as well: what is not understood cannot be consented to.
pub(super) fn unpacked(opened: Opened, path: &Path) -> Result<Package, ManageError> {
    let refused = |source| ManageError::Package { path: path.to_owned(), source };
    let package = opened.into_package().map_err(refused)?;
    let findings = scope_findings(&package.manifest.permissions);
    if findings.is_empty() { Ok(package) } else { Err(refused(PackageError::Manifest { findings })) }
}

/// The plugin that a word means, rather than a file: one that is installed, or whatever no file is called. A file of such a
/// name is written `./NAME`, or a cloned project could hide what is installed behind one of its own.
pub(super) fn named_plugin(state: &State, target: &Path) -> Option<PluginName> {
    let name = target.to_str()?.parse::<PluginName>().ok()?;
    (state.has(&name) || !target.exists()).then_some(name)
}

/// A path that can be written into the state. Found out here, before anybody is asked anything.
pub(super) fn recordable(path: PathBuf) -> Result<PathBuf, ManageError> {
    if path.to_str().is_some() { Ok(path) } else { Err(ManageError::PathText { path }) }
}

pub(super) fn to_trust(trusted: Trusted) -> Trust {
    match trusted {
        Trusted::Signed { key, label } => Trust::Signed { key, label },
        Trusted::Unsigned => Trust::Unsigned,
    }
}

/// The most files of a folder that are looked at.
const FOUND_MAX: usize = 4096;

/// A file in a plugins folder.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) opened: Result<Opened, ManageError>,
}

/// Every package and library in a folder and in the folders directly below it, by path, unpacked packages there, and scripts
/// in both of their forms. No folder is an empty one.
pub(super) fn scan(folder: &Path) -> Result<Vec<Found>, ManageError> {
    let mut paths = Vec::new();
    let entries_of_folder = entries(folder)?;
    if entries_of_folder.len() > FOUND_MAX {
        let what = format!("{} holds {} files", safe_line(&folder.to_string_lossy()), entries_of_folder.len());
        return Err(ResolveError::Limit { what, limit: format!("{FOUND_MAX} are looked at") }.into());
    }
    for path in entries_of_folder {
        if !path.is_dir() {
            if is_plugin_file(&path) || may_be_script(&path) {
                paths.push(path);
            }
            continue;
        }
        if is_unpacked(&path) {
            paths.push(path);
            continue;
        }
        paths.extend(entries(&path)?.into_iter().filter(|path| is_plugin_file(path)));
        if may_be_script(&path) {
            paths.push(path);
        }
    }
    Ok(paths.into_iter().map(|path| Found { opened: open_file(&path), path }).collect())
}

/// Whether a path means a manifest that is not, as far as it can be read, one that only describes a library.
fn may_be_script(path: &Path) -> bool {
    match manifest_file::find(path) {
        Ok(Some(manifest)) => manifest_file::read(&manifest).map_or(true, |manifest| manifest.is_script()),
        Ok(None) | Err(ManageError::NoManifest { .. }) => false,
        Err(_) => true,
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ManageError> {
    let failed = |source| ManageError::File { path: folder.to_owned(), source };
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(failed)?,
    };
    let paths = listing.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// An exception ends with the plugin it was made for.
pub(super) fn forget_exception(state: &mut State, digest: &Digest) -> Result<(), StoreError> {
    if !state.refers_to(digest)? {
        state.exceptions.remove(digest);
    }
    Ok(())
}

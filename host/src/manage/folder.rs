//! What a directory that is named holds: scripts with their manifest, a package that somebody unpacked, or one package or
//! library file. Where there are several, nobody could tell which one is meant.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::source::{read_flagged, regular_file};
use super::{ManageError, manifest_file};
use crate::package::scripts::MANIFEST_NAMES;
use crate::package::{
    FILES_MAX, FIRST_LINE, INDEX_MAX, INDEX_NAME, Index, Opened, PackageError, SIGNATURE_LEN, SIGNATURE_NAME,
    UNPACKED_MAX, open_unpacked,
};

/// The most names of a directory that are looked at.
const NAMES_MAX: usize = 4096;

/// What a path means: a directory of scripts or an unpacked package is itself, any other stands for the one package or
/// library in it; a file is itself. Packages beside scripts were made of these, and do not count.
///
/// # Errors
/// A directory holds nothing that could be installed, or several things that could.
pub(super) fn meant(path: &Path) -> Result<PathBuf, ManageError> {
    if !path.is_dir() || is_unpacked(path) {
        return Ok(path.to_owned());
    }
    let manifest = if has_manifest(path) { manifest_file::find(path)? } else { None };
    if let Some(manifest) = &manifest
        && manifest_file::read(manifest)?.is_script()
    {
        return Ok(path.to_owned());
    }
    let mut found = plugin_files(path)?;
    match (found.pop(), found.is_empty(), manifest) {
        (Some(only), true, _) => Ok(only),
        (Some(last), false, _) => {
            found.push(last);
            Err(ManageError::Ambiguous { folder: path.to_owned(), paths: found })
        }
        (None, _, Some(manifest)) => Err(ManageError::NoLibrary { path: manifest }),
        (None, _, None) => Err(ManageError::EmptyFolder { path: path.to_owned() }),
    }
}

fn has_manifest(folder: &Path) -> bool {
    MANIFEST_NAMES.iter().any(|name| folder.join(name).exists())
}

/// Whether a path is called as packages and libraries are.
pub(super) fn is_plugin_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so" || extension == "mgp")
}

/// The packages and libraries directly in a directory, by path.
fn plugin_files(folder: &Path) -> Result<Vec<PathBuf>, ManageError> {
    let failed = |source| ManageError::File { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for (at, entry) in fs::read_dir(folder).map_err(failed)?.enumerate() {
        if at == NAMES_MAX {
            let why = "it holds more than 4096 files: name the one that is meant";
            return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, why)));
        }
        let path = entry.map_err(failed)?.path();
        if is_plugin_file(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a directory holds the index of a package: what `tar` makes of a `.mgp` file.
pub(super) fn is_unpacked(folder: &Path) -> bool {
    let Ok(file) = regular_file(&folder.join(INDEX_NAME), libc::O_NOFOLLOW) else { return false };
    let mut head = [0; FIRST_LINE.len()];
    file.take(FIRST_LINE.len() as u64).read_exact(&mut head).is_ok() && head == *FIRST_LINE.as_bytes()
}

/// Opens an unpacked package. Like the packed one it holds what its index lists, and nothing else.
///
/// # Errors
/// A file is missing, is one too many, or cannot be read.
pub(super) fn open(folder: &Path) -> Result<Opened, ManageError> {
    let refused = |source| ManageError::Package { path: folder.to_owned(), source };
    let index_text = read_flagged(&folder.join(INDEX_NAME), INDEX_MAX, libc::O_NOFOLLOW)?;
    let index = Index::parse(&index_text).map_err(refused)?;
    let mut found = Vec::new();
    list(folder, "", &mut found)?;
    let listed = |path: &str| index.files.iter().any(|file| file.path == path);
    if let Some(extra) =
        found.iter().find(|path| !listed(path) && ![INDEX_NAME, SIGNATURE_NAME].contains(&path.as_str()))
    {
        let reason = "the index does not list it".to_owned();
        return Err(refused(PackageError::ContentMismatch { what: extra.clone(), reason }));
    }
    let is_signed = found.iter().any(|path| path == SIGNATURE_NAME);
    let signature = is_signed.then(|| read_flagged(&folder.join(SIGNATURE_NAME), SIGNATURE_LEN, libc::O_NOFOLLOW));
    let signature = signature.transpose()?;
    let mut contents = Vec::with_capacity(index.files.len());
    for file in &index.files {
        if !found.contains(&file.path) {
            let reason = "the index lists it, and it is missing".to_owned();
            return Err(refused(PackageError::ContentMismatch { what: file.path.clone(), reason }));
        }
        let most = usize::try_from(file.size.min(UNPACKED_MAX)).unwrap_or(usize::MAX);
        contents.push(match read_flagged(&folder.join(&file.path), most, libc::O_NOFOLLOW) {
            Err(ManageError::Package { source: PackageError::Limit { .. }, .. }) => {
                let reason = format!("it is larger than the {} bytes that are listed", file.size);
                return Err(refused(PackageError::ContentMismatch { what: file.path.clone(), reason }));
            }
            content => content?,
        });
    }
    open_unpacked(index_text, signature.as_deref(), contents).map_err(refused)
}

/// The paths of all files below a directory; nothing leads out of it.
fn list(root: &Path, below: &str, found: &mut Vec<String>) -> Result<(), ManageError> {
    let directory = root.join(below);
    let refused = |what: &str, reason: &str| {
        let source = PackageError::ContentMismatch { what: what.to_owned(), reason: reason.to_owned() };
        Err(ManageError::Package { path: root.to_owned(), source })
    };
    let failed = |source| ManageError::File { path: directory.clone(), source };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = format!("{below}{}{}", if below.is_empty() { "" } else { "/" }, name.to_string_lossy());
        // Deeper, or with other bytes in its name, no file of an index lies: what is called so is one too many.
        if std::str::from_utf8(name.as_bytes()).is_err() || path.split('/').count() > crate::package::path::DEPTH_MAX {
            return refused(&path, "the index does not list it");
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            list(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        } else {
            return refused(&path, "it is no regular file");
        }
        if found.len() > FILES_MAX + 2 {
            return refused(below, "it holds more files than a package can");
        }
    }
    Ok(())
}

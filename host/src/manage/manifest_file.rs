//! A manifest in a file of its own: of scripts, which lie beside it, or for people and for plugins that have no library
//! yet; the latter can be looked at and holds no code that could be installed.

use std::path::{Path, PathBuf};

use migraine_plugin_api::Manifest;

use super::ManageError;
use super::folder::is_unpacked;
use super::source::read as read_file;
use crate::package::scripts::{self, MANIFEST_NAMES, read_manifest};
use crate::package::{MANIFEST_MAX, PackageError};
use crate::policy::scope_findings;

/// The manifest that a path means: itself, by its extension, or the one in that directory. An unpacked package has none
/// that counts by itself.
///
/// # Errors
/// The directory holds none, or several: nobody could tell which one counts.
pub(super) fn find(path: &Path) -> Result<Option<PathBuf>, ManageError> {
    // Inside of an unpacked package the index says what counts.
    if is_unpacked(path) {
        return Ok(None);
    }
    if !path.is_dir() {
        return Ok(is_manifest(path).then(|| path.to_owned()));
    }
    let mut found: Vec<PathBuf> =
        MANIFEST_NAMES.iter().map(|name| path.join(name)).filter(|path| path.exists()).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(Some(only)),
        (Some(last), false) => {
            found.push(last);
            Err(ManageError::TwoManifests { paths: found })
        }
        (None, _) => Err(ManageError::NoManifest { path: path.to_owned() }),
    }
}

/// Reads and checks a manifest.
///
/// # Errors
/// The file cannot be read, or the manifest is not valid.
pub(super) fn read(path: &Path) -> Result<Manifest, ManageError> {
    let refused = |source| ManageError::Package { path: path.to_owned(), source };
    let text = read_file(path, MANIFEST_MAX)?;
    let manifest = read_manifest(&path.to_string_lossy(), &text).map_err(refused)?;
    let findings = scope_findings(&manifest.permissions);
    if findings.is_empty() { Ok(manifest) } else { Err(refused(PackageError::Manifest { findings })) }
}

fn is_manifest(path: &Path) -> bool {
    path.to_str().is_some_and(scripts::is_manifest)
}

//! A manifest in a file of its own, for people and for plugins that have no library yet. It can be looked at; it holds no
//! code that could be installed.

use std::path::{Path, PathBuf};

use migraine_plugin_api::Manifest;

use super::ManageError;
use super::source::read as read_file;
use crate::package::{MANIFEST_MAX, PackageError, manifest};
use crate::policy::scope_findings;

/// What a manifest is called in the directory of its plugin.
const NAMES: [&str; 3] = ["plugin.yaml", "plugin.yml", "plugin.json"];

/// The manifest that a path means: itself, by its extension, or the one in that directory.
///
/// # Errors
/// The directory holds none, or several: nobody could tell which one counts.
pub(super) fn find(path: &Path) -> Result<Option<PathBuf>, ManageError> {
    if !path.is_dir() {
        return Ok(is_manifest(path).then(|| path.to_owned()));
    }
    let mut found: Vec<PathBuf> = NAMES.iter().map(|name| path.join(name)).filter(|path| path.exists()).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(Some(only)),
        (Some(last), false) => {
            found.push(last);
            Err(ManageError::TwoManifests { paths: found })
        }
        (None, _) => Err(ManageError::NoManifest { path: path.to_owned() }),
    }
}

/// Refuses to install what is no more than a manifest.
///
/// # Errors
/// The path is a manifest, or a directory that holds one.
pub(super) fn refuse(path: &Path) -> Result<(), ManageError> {
    match find(path) {
        Ok(Some(path)) => Err(ManageError::NoLibrary { path }),
        Err(error @ ManageError::TwoManifests { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Reads and checks a manifest.
///
/// # Errors
/// The file cannot be read, or the manifest is not valid.
pub(super) fn read(path: &Path) -> Result<Manifest, ManageError> {
    let refused = |source| ManageError::Package { path: path.to_owned(), source };
    let text = read_file(path, MANIFEST_MAX)?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let manifest = if is_json { manifest::parse(&text) } else { manifest::parse_yaml(&text) }.map_err(refused)?;
    let findings = scope_findings(&manifest.permissions);
    if findings.is_empty() { Ok(manifest) } else { Err(refused(PackageError::Manifest { findings })) }
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

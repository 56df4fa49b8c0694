//! `package`: signs scripts into a package, without a Rust toolchain. Native plugins are built first, elsewhere.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::script_files::{ScriptFiles, collect};
use super::source::read;
use super::{ManageError, manifest_file};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::{FileEntry, Opened, PackageError, open, scripts};
use crate::policy::{Policy, scope_findings};
use crate::trust::SecretKey;
use crate::trust::keyring::{check_replaceable, save_public};

/// What is to be packaged.
#[derive(Debug)]
pub struct PackageRequest<'a> {
    /// A manifest, or the directory that holds it.
    pub source: &'a Path,
    /// Signs it.
    pub key: &'a SecretKey,
    /// The directory that the package is written to.
    pub out: &'a Path,
    /// When it says that it was made: RFC 3339, UTC, whole seconds. The same files and time give the same bytes.
    pub created: &'a str,
    /// Also in the place of an earlier package that holds other bytes.
    pub force: bool,
}

/// What was packaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageReport {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// The package.
    pub path: PathBuf,
    /// Whether it was written: an earlier one with the same bytes stays.
    pub changed: bool,
    /// Its bytes.
    pub size: usize,
    /// The digest of its index.
    pub digest: Digest,
    /// The key that signed it.
    pub key: Fingerprint,
    /// What it asks for, as the manifest writes it.
    pub permissions: Vec<String>,
    /// The paths of all files.
    pub files: Vec<String>,
    /// What stayed behind: hidden names and packages.
    pub left_out: Vec<String>,
}

/// Puts a plugin of scripts into a signed package.
///
/// # Errors
/// There is no manifest or it names no script, a file cannot be taken along, an earlier package of the same version holds
/// other bytes, or the package cannot be written. An earlier package is still whole then.
pub fn package(request: &PackageRequest<'_>) -> Result<PackageReport, ManageError> {
    let refused = |source| ManageError::Package { path: request.source.to_owned(), source };
    let no_manifest = || ManageError::NoManifest { path: request.source.to_owned() };
    let found = manifest_file::find(request.source)?.ok_or_else(no_manifest)?;
    let manifest = manifest_file::read(&found)?;
    if !manifest.is_script() {
        return Err(ManageError::NoLibrary { path: found });
    }
    let ScriptFiles { entry, files, left_out } = collect(request.source)?.ok_or_else(no_manifest)?;
    let made = scripts::assemble(&entry, files, request.created).map_err(refused)?;
    let findings = scope_findings(&made.manifest.permissions);
    if !findings.is_empty() {
        return Err(refused(PackageError::Manifest { findings }));
    }
    let bytes = made.package(&request.key.sign(made.index.render().as_bytes())).map_err(refused)?;
    allowed(&made, &bytes, request.source)?;
    // What is about to be handed out must be what an installation accepts.
    let checked = open(bytes.clone()).and_then(Opened::into_package).map_err(refused)?;
    let path = request.out.join(format!("{}-{}.mgp", made.index.name, made.index.version));
    let changed = !is_there(&path, &bytes, request.force)?;
    if changed {
        save_public(&path, &bytes, request.force)?;
    }
    Ok(PackageReport {
        name: made.index.name,
        version: made.index.version,
        path,
        changed,
        size: bytes.len(),
        digest: checked.digest,
        key: request.key.fingerprint(),
        permissions: made.index.permissions.iter().map(ToString::to_string).collect(),
        files: made.files.into_iter().map(|(path, _)| path).collect(),
        left_out,
    })
}

/// Whether a package is written already. Another one under its name was handed out perhaps, and whoever installed that takes
/// no other content under the same version.
fn is_there(path: &Path, bytes: &[u8], force: bool) -> Result<bool, ManageError> {
    check_replaceable(path)?;
    let there = match read(path, bytes.len()) {
        Err(ManageError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        // A longer one is another one.
        Err(ManageError::Package { .. }) => false,
        there => there? == bytes,
    };
    if there || force {
        return Ok(there);
    }
    let why = "holds something else under the same version: what was changed gets a new one".to_owned();
    Err(ManageError::NotReplaced { path: path.to_owned(), why })
}

/// What a policy says by default of the files of scripts and of their size: what nobody could install is not handed out.
fn allowed(made: &scripts::ScriptPackage, package: &[u8], source: &Path) -> Result<(), ManageError> {
    let is_text = |file: &&FileEntry| file.path != made.index.entry && file.mode != 0o755;
    let files = made.index.files.iter().filter(is_text).map(|file| file.path.as_str());
    let policy = Policy::default();
    let size = u64::try_from(package.len()).unwrap_or(u64::MAX);
    policy.check_files(files).and_then(|()| policy.check_size(size)).map_err(|refusal| ManageError::Refused {
        what: source.to_string_lossy().into_owned(),
        source: Box::new(refusal),
    })
}

//! `verify --rebuild`: whether a package is what a source makes. Scripts are packed once more; of a library, the one for this
//! machine is built once more, by the very code that packaged it. What was installed or packaged is not run; a crate's own
//! build scripts and macros are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::build::{Crate, compiler, texts};
use super::script_files::{ScriptFiles, collect};
use super::source::{named_plugin, open_file};
use super::{ManageError, manifest_file};
use crate::ids::{Digest, PluginName};
use crate::package::build::assemble_with;
use crate::package::target::OWN;
use crate::package::{FileEntry, Index, elf, manifest, scripts};
use crate::store::Home;

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// The digest of its index.
    pub digest: Digest,
    /// Whether everything that could be made here is the same.
    pub same: bool,
    /// Every file of either, by path.
    pub files: Vec<ComparedFile>,
    /// What the compilers of its library say of themselves; none for scripts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compilers: Vec<String>,
    /// What compiles here; none for scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler: Option<String>,
}

/// A file of the package, of the source, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedFile {
    /// Its path.
    pub path: String,
    /// How it compares.
    pub outcome: Comparison,
}

/// How a file compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// It is the same.
    Same,
    /// Its content or its mode is another.
    Differs,
    /// The source does not make it.
    OnlyInPackage,
    /// The package does not hold it.
    OnlyInSource,
    /// It is a library for another machine, which is not built here.
    NotBuilt,
}

impl Comparison {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::OnlyInPackage => "only in the package",
            Self::OnlyInSource => "only in the source",
            Self::NotBuilt => "for another machine, not built",
        }
    }
}

/// Compares a file or an installed plugin, which was judged before, with what a folder makes.
///
/// # Errors
/// Either cannot be read, or the source cannot be built.
pub fn rebuild(home: &Home, target: &Path, folder: &Path) -> Result<RebuildReport, ManageError> {
    let Packaged { index, files } = packaged(home, target)?;
    let library = || files.iter().find(|(entry, _)| entry.path == index.entry).map(|(_, content)| content.as_slice());
    let (made, compilers, compiler) = if index.holds_scripts() {
        (pack(folder, &index)?, Vec::new(), None)
    } else {
        let refused = |source| ManageError::Package { path: target.to_owned(), source };
        let found = elf::inspect(library().unwrap_or_default()).map_err(refused)?;
        (build(folder, &index)?, found.compilers, Some(compiler(folder)?))
    };
    let held = index.files.iter().map(|entry| (entry.path.clone(), entry.clone())).collect();
    let files = compare(&held, &made, |path| index.others.iter().any(|other| other.entry == path));
    let same = files.iter().all(|file| matches!(file.outcome, Comparison::Same | Comparison::NotBuilt));
    Ok(RebuildReport {
        digest: index.digest(),
        name: index.name,
        version: index.version,
        same,
        files,
        compilers,
        compiler,
    })
}

struct Packaged {
    index: Index,
    files: Vec<(FileEntry, Vec<u8>)>,
}

fn packaged(home: &Home, target: &Path) -> Result<Packaged, ManageError> {
    if let Some(name) = named_plugin(&home.read()?, target) {
        let found = home.load_plugin(&name)?.ok_or(ManageError::NotFound { name })?;
        return Ok(Packaged { files: found.tree.files(), index: found.tree.index });
    }
    let refused = |source| ManageError::Package { path: target.to_owned(), source };
    let package = open_file(target)?.into_package().map_err(refused)?;
    Ok(Packaged { index: package.index, files: package.files })
}

type Entries = BTreeMap<String, FileEntry>;

fn pack(folder: &Path, index: &Index) -> Result<Entries, ManageError> {
    let refused = |source| ManageError::Package { path: folder.to_owned(), source };
    let no_manifest = || ManageError::NoManifest { path: folder.to_owned() };
    let found = manifest_file::find(folder)?.ok_or_else(no_manifest)?;
    if !manifest_file::read(&found)?.is_script() {
        return Err(ManageError::NoLibrary { path: found });
    }
    let ScriptFiles { entry, files, .. } = collect(folder)?.ok_or_else(no_manifest)?;
    let made = scripts::assemble(&entry, files, &index.created).map_err(refused)?;
    Ok(by_path(made.index.files))
}

/// What the crate makes, its library under the path that the package has it under.
fn build(folder: &Path, index: &Index) -> Result<Entries, ManageError> {
    let refused = |source| ManageError::Package { path: folder.to_owned(), source };
    let found = Crate::find(folder)?;
    let built = found.build(None)?;
    // Beside a bare library lies nothing else.
    let is_bare = !index.files.iter().any(|file| file.path == manifest::FILE_NAME);
    let texts = if is_bare { Vec::new() } else { texts(&found.folder)? };
    let name = built.file_name.clone();
    let made = assemble_with(built.bytes, &name, &index.created, texts, OWN).map_err(refused)?;
    let mut entries = by_path(if is_bare { made.sidecar_index.files } else { made.package_index.files });
    if let Some(library) = entries.remove(&name) {
        let is_renamed = index.entry.rsplit('/').next() != Some(name.as_str());
        let path = if is_renamed { name } else { index.entry.clone() };
        entries.insert(path.clone(), FileEntry { path, ..library });
    }
    Ok(entries)
}

fn by_path(files: Vec<FileEntry>) -> Entries {
    files.into_iter().map(|file| (file.path.clone(), file)).collect()
}

fn compare(held: &Entries, made: &Entries, is_foreign: impl Fn(&str) -> bool) -> Vec<ComparedFile> {
    let mut paths: Vec<&String> = held.keys().chain(made.keys()).collect();
    paths.sort();
    paths.dedup();
    let outcome = |path: &str| match (held.get(path), made.get(path)) {
        (Some(held), Some(made)) if held == made => Comparison::Same,
        (Some(_), Some(_)) => Comparison::Differs,
        (Some(_), None) if is_foreign(path) => Comparison::NotBuilt,
        (Some(_), None) => Comparison::OnlyInPackage,
        (None, _) => Comparison::OnlyInSource,
    };
    paths.into_iter().map(|path| ComparedFile { path: path.clone(), outcome: outcome(path) }).collect()
}

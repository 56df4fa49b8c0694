//! Packages of script plugins: the manifest is the entry, and the scripts lie beside it. There is no library, and nothing
//! that is already compiled but the programs that the manifest names.

use migraine_plugin_api::{Executable, Handler, Manifest};

use super::opened::{Content, UNKNOWN_TIME};
use super::{FileEntry, Index, Opened, PackageError, Signature, TARGET, archive, elf, limit, manifest};

/// The machine that a package of scripts is for: every one.
pub const ANY_TARGET: &str = "any";

/// The names of a manifest in the directory of its plugin.
pub const MANIFEST_NAMES: [&str; 3] = ["plugin.yaml", "plugin.yml", manifest::FILE_NAME];

/// What Python would load in place of a source that was looked at, or what runs when Python only starts.
const COMPILED: [&str; 5] = ["pyc", "pyo", "pyd", "so", "pth"];
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// A package of scripts that is to be signed and written.
#[derive(Debug, Clone)]
pub struct ScriptPackage {
    /// From the entry.
    pub manifest: Manifest,
    /// Lists all files.
    pub index: Index,
    /// Path and content, in the order of the index.
    pub files: Vec<(String, Vec<u8>)>,
}

impl ScriptPackage {
    /// The package file, given a signature over the text of the index.
    ///
    /// # Errors
    /// It is over a cap.
    pub fn package(&self, signature: &Signature) -> Result<Vec<u8>, PackageError> {
        archive::pack(&self.index.render(), signature, &self.files)
    }
}

/// Puts a package together from a manifest, which is the file `entry`, and everything beside it.
///
/// # Errors
/// Whatever the reader would refuse in them.
pub fn assemble(entry: &str, mut files: Vec<(String, Vec<u8>)>, created: &str) -> Result<ScriptPackage, PackageError> {
    files.sort_by(|one, other| one.0.cmp(&other.0));
    let text = files.iter().find(|(path, _)| path == entry).map(|(_, content)| content.as_slice());
    let manifest = read_manifest(entry, text.unwrap_or_default())?;
    let entries = files.iter().map(|(path, content)| FileEntry::of(path, mode(&manifest, path), content)).collect();
    let mut index = manifest::index_of(&manifest, created, entry, entries)?;
    target_of(&manifest).clone_into(&mut index.target);
    let contents: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    check(&manifest, entry, &contents)?;
    Ok(ScriptPackage { manifest, index, files })
}

/// Opens scripts that are not signed. Their index depends on their names and bytes alone, so that an exception can be
/// bound to its digest.
///
/// # Errors
/// As [`assemble`].
pub fn open_scripts(entry: &str, files: Vec<(String, Vec<u8>)>) -> Result<Opened, PackageError> {
    let ScriptPackage { index, files, .. } = assemble(entry, files, UNKNOWN_TIME)?;
    let contents = files.into_iter().map(|(_, content)| content).collect();
    let index_text = index.render().into_bytes();
    Ok(Opened { index_text, index, signature: None, content: Content::Files(contents) })
}

/// Reads a manifest that stands in a file of its own.
///
/// # Errors
/// As [`manifest::parse`].
pub fn read_manifest(file_name: &str, text: &[u8]) -> Result<Manifest, PackageError> {
    if extension(file_name) == Some("json") { manifest::parse(text) } else { manifest::parse_yaml(text) }
}

/// Whether a file name is that of a manifest, and so the entry of a package of scripts.
#[must_use]
pub fn is_manifest(file_name: &str) -> bool {
    matches!(extension(file_name), Some("yaml" | "yml" | "json"))
}

fn extension(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.rsplit_once('.').map(|(_, extension)| extension)
}

/// The mode of a file: only what is executed itself is executable.
pub(super) fn mode(manifest: &Manifest, path: &str) -> u32 {
    if executables(manifest).any(|program| program == path) { 0o755 } else { 0o644 }
}

/// Checks what a manifest and its files say together.
pub(super) fn check(manifest: &Manifest, entry: &str, files: &[(&str, &[u8])]) -> Result<(), PackageError> {
    if !manifest.is_script() {
        let reason = "its manifest names no script and no program that would answer";
        return Err(PackageError::NotAPlugin { reason });
    }
    let refuse = |path: &str, reason| Err(PackageError::ScriptFile { path: path.to_owned(), reason });
    for &(path, content) in files {
        if path.split('/').any(|part| part.eq_ignore_ascii_case("__pycache__")) {
            return refuse(path, "Python keeps compiled code there, which nobody has looked at; remove the directory");
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.split('.').skip(1).any(|part| COMPILED.contains(&part.to_ascii_lowercase().as_str())) {
            return refuse(path, "it is compiled code, or changes how Python starts; package the sources alone");
        }
        if content.starts_with(ELF_MAGIC) && !executables(manifest).any(|program| program == path) {
            return refuse(path, "it is a compiled program that no handler of the manifest names");
        }
        // Two manifests would be a trap for whoever reads the wrong one.
        if path != entry && MANIFEST_NAMES.contains(&path) {
            return Err(second_manifest(path));
        }
    }
    let is_there = |path: &String| files.iter().any(|(found, _)| *found == path);
    let missing = manifest::needed_files(manifest).into_iter().filter(|needed| !needed.paths.iter().any(is_there));
    let finding = |needed: manifest::NeededFile| {
        format!("{} is missing: there is no file {}", needed.of, needed.paths.join(" and no file "))
    };
    let findings: Vec<String> = missing.map(finding).collect();
    if !findings.is_empty() {
        return Err(PackageError::Manifest { findings });
    }
    for &(path, content) in files {
        if executables(manifest).any(|program| program == path) {
            elf::inspect_program(content).map_err(|error| match error {
                PackageError::Elf { reason } => PackageError::Elf { reason: format!("`{path}`: {reason}") },
                error => error,
            })?;
        }
    }
    Ok(())
}

pub(super) fn second_manifest(path: &str) -> PackageError {
    PackageError::Duplicate { path: path.to_owned(), reason: "it is a second manifest" }
}

/// The machine that scripts are for; compiled programs are for one kind.
pub(super) fn target_of(manifest: &Manifest) -> &'static str {
    if executables(manifest).next().is_some() { TARGET } else { ANY_TARGET }
}

/// The paths of the programs that need no interpreter.
fn executables(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.handlers().filter_map(|handler| match handler {
        Handler::Executable(Executable { program, interpreter: None, .. }) => Some(program),
        _ => None,
    })
}

/// Adds a file that was read, as long as all of them fit into a package.
///
/// # Errors
/// There are too many, or too many bytes.
pub fn add_file(files: &mut Vec<(String, Vec<u8>)>, path: String, content: Vec<u8>) -> Result<(), PackageError> {
    files.push((path, content));
    if files.len() > super::FILES_MAX {
        return Err(limit("the number of files", "256"));
    }
    let sum: usize = files.iter().map(|(_, content)| content.len()).sum();
    if u64::try_from(sum).unwrap_or(u64::MAX) > super::UNPACKED_MAX {
        return Err(limit("the sum of all files", "64 MiB"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

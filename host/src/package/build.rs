//! Puts a package together from a built library, and refuses what the reader would refuse.

use migraine_plugin_api::Manifest;

use super::opened::library_manifest;
use super::{FileEntry, Index, PackageError, Signature, archive, elf, manifest, path, sidecar};

/// Everything that is to be signed and written.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// From the library.
    pub manifest: Manifest,
    /// Lists the library alone.
    pub sidecar_index: Index,
    /// Lists all files of the package.
    pub package_index: Index,
    /// Path and content, in the order of `package_index`.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Prepares both outputs of a library: the bare one with its sidecar, and the package, which also holds a readable copy
/// of the manifest, the very bytes of the section.
///
/// # Errors
/// Whatever the reader would refuse in them.
pub fn assemble(library: Vec<u8>, file_name: &str, created: &str) -> Result<Assembled, PackageError> {
    path::check(file_name)?;
    let facts = elf::inspect(&library)?;
    let manifest = library_manifest(&facts)?;
    let entry = FileEntry::of(file_name, 0o644, &library);
    let copy = FileEntry::of(manifest::FILE_NAME, 0o644, &facts.manifest);
    let sidecar_index = manifest::index_of(&manifest, created, file_name, vec![entry.clone()])?;
    let package_index = manifest::index_of(&manifest, created, file_name, vec![entry, copy])?;
    let mut files = vec![(file_name.to_owned(), library), (manifest::FILE_NAME.to_owned(), facts.manifest)];
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Assembled { manifest, sidecar_index, package_index, files })
}

impl Assembled {
    /// The sidecar's text, given a signature over the text of `sidecar_index`.
    #[must_use]
    pub fn sidecar(&self, signature: &Signature) -> String {
        sidecar::render(&self.sidecar_index.render(), signature)
    }

    /// The package, given a signature over the text of `package_index`.
    ///
    /// # Errors
    /// It is over a cap.
    pub fn package(&self, signature: &Signature) -> Result<Vec<u8>, PackageError> {
        archive::pack(&self.package_index.render(), signature, &self.files)
    }

    /// The usual name of the package file.
    #[must_use]
    pub fn package_name(&self) -> String {
        format!("{}-{}.mgp", self.package_index.name, self.package_index.version)
    }
}

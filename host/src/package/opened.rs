//! From bytes to a checked package, in two phases with the verdict between them.

use migraine_plugin_api::Manifest;

use super::dependency::Need;
use super::{
    ElfFacts, FileEntry, Index, PackageError, Signature, TARGET, UNPACKED_MAX, archive, dependency, elf, limit,
    manifest, scripts, sidecar, target,
};
use crate::ids::Digest;

/// When something unsigned says that it was made: it does not say, and the digest must come from its bytes alone.
pub(super) const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";

/// A package of which only the index and the signature were looked at.
#[derive(Debug)]
pub struct Opened {
    /// The raw text that was signed.
    pub index_text: Vec<u8>,
    /// The same, read.
    pub index: Index,
    /// Not yet judged.
    pub signature: Option<Signature>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// A compressed archive.
    Archive(Vec<u8>),
    /// A compressed archive that holds what a machine of one kind takes.
    Part { bytes: Vec<u8>, target: String },
    /// A bare library.
    Library(Vec<u8>),
    /// Files that lie open, in index order.
    Files(Vec<Vec<u8>>),
}

/// A package whose every byte agrees with its index.
#[derive(Debug, Clone)]
pub struct Package {
    /// Of the index text.
    pub digest: Digest,
    /// What it holds.
    pub index: Index,
    /// The raw text that was signed.
    pub index_text: Vec<u8>,
    /// As judged.
    pub signature: Option<Signature>,
    /// From the library, or the entry of scripts.
    pub manifest: Manifest,
    /// What is installed, in index order: all but the libraries for other machines.
    pub files: Vec<(FileEntry, Vec<u8>)>,
    /// The libraries for other machines, in index order.
    pub others: Vec<(FileEntry, Vec<u8>)>,
    /// What the library's ELF structures say; none for scripts.
    pub elf: Option<ElfFacts>,
}

/// A package whose every file is what its index lists, for whatever machine; nothing else was looked at.
#[derive(Debug, Clone)]
pub struct Files {
    /// The raw text that was signed.
    pub index_text: Vec<u8>,
    /// The same, read.
    pub index: Index,
    /// As judged.
    pub signature: Option<Signature>,
    /// In index order.
    pub files: Vec<(FileEntry, Vec<u8>)>,
}

/// Opens a `.mgp` file.
///
/// # Errors
/// It is over a cap, or its first entries are not an index and a signature of the accepted form.
pub fn open(bytes: Vec<u8>) -> Result<Opened, PackageError> {
    let (index_text, signature) = archive::read_head(&bytes)?;
    let index = Index::parse(&index_text)?;
    Ok(Opened { index_text, index, signature, content: Content::Archive(bytes) })
}

/// Opens what a machine of one kind takes of a package: [`archive::pack_for`] made it.
///
/// # Errors
/// As [`open`], or the package was never for such a machine.
pub fn open_for(target: &str, bytes: Vec<u8>) -> Result<Opened, PackageError> {
    let (index_text, signature) = archive::read_head(&bytes)?;
    let index = Index::parse(&index_text)?;
    if index.others.is_empty() || !index.targets().iter().any(|known| known == target) {
        let reason = format!("it is not one of several parts of this package: {}", index.targets().join(", "));
        return Err(PackageError::ContentMismatch { what: target.to_owned(), reason });
    }
    Ok(Opened { index_text, index, signature, content: Content::Part { bytes, target: target.to_owned() } })
}

/// Opens a bare library. With a sidecar, the index is the sidecar's. Without one, an index is derived from the manifest
/// inside the library, so that an exception can be bound to its digest; it depends on the library's bytes alone.
///
/// # Errors
/// It is over a cap, the sidecar is not of the accepted form or lists other files, or (without one) the library is not
/// a plugin.
pub fn open_library(library: Vec<u8>, sidecar: Option<&[u8]>, file_name: &str) -> Result<Opened, PackageError> {
    if u64::try_from(library.len()).is_ok_and(|size| size > UNPACKED_MAX) {
        return Err(limit(&crate::text::safe_line(file_name), "64 MiB"));
    }
    let (index_text, index, signature) = match sidecar {
        Some(text) => {
            let (index_text, signature) = sidecar::parse(text)?;
            let index = Index::parse(&index_text)?;
            if index.files.len() != 1 || !index.others.is_empty() {
                let reason = "a signature file beside a library lists that library alone".to_owned();
                return Err(PackageError::ContentMismatch { what: file_name.to_owned(), reason });
            }
            (index_text, index, Some(signature))
        }
        None => {
            let index = derive_index(&library)?;
            (index.render().into_bytes(), index, None)
        }
    };
    Ok(Opened { index_text, index, signature, content: Content::Library(library) })
}

/// Opens a package that was unpacked: the contents are those of the files of its index, in its order.
///
/// # Errors
/// The index or the signature is not of the accepted form.
pub fn open_unpacked(
    index_text: Vec<u8>,
    signature: Option<&[u8]>,
    contents: Vec<Vec<u8>>,
) -> Result<Opened, PackageError> {
    let index = Index::parse(&index_text)?;
    let signature = signature.map(Signature::parse).transpose()?;
    Ok(Opened { index_text, index, signature, content: Content::Files(contents) })
}

fn derive_index(library: &[u8]) -> Result<Index, PackageError> {
    let facts = elf::inspect(library)?;
    let manifest = library_manifest(&facts)?;
    let entry = format!("lib{}.so", manifest.name.replace('-', "_"));
    manifest::index_of(&manifest, UNKNOWN_TIME, &entry, vec![FileEntry::of(&entry, 0o644, library)])
}

impl Opened {
    /// The digest of the package: what the store and exceptions name it by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.index_text)
    }

    /// The digest of the file, where it is one: a package, or a library without one.
    #[must_use]
    pub fn file_digest(&self) -> Option<Digest> {
        match &self.content {
            Content::Archive(bytes) | Content::Library(bytes) => Some(Digest::of(bytes)),
            Content::Part { .. } | Content::Files(_) => None,
        }
    }

    /// The size of the package, or of what stands unpacked, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = match &self.content {
            Content::Archive(bytes) | Content::Part { bytes, .. } | Content::Library(bytes) => bytes.len(),
            Content::Files(files) => files.iter().map(Vec::len).sum(),
        };
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    /// The kind of machine that it was packed for alone, if it holds less than its index lists.
    #[must_use]
    pub fn part_for(&self) -> Option<&str> {
        match &self.content {
            Content::Part { target, .. } => Some(target),
            _ => None,
        }
    }

    /// Reads every file, for whatever machine it is. To be called only once the signature was judged.
    ///
    /// # Errors
    /// Any file that is not exactly what the index lists.
    pub fn into_files(self) -> Result<Files, PackageError> {
        let Self { index_text, index, signature, content } = self;
        let listed: Vec<FileEntry> = match &content {
            Content::Part { target, .. } => index.files_for(target).cloned().collect(),
            _ => index.files.clone(),
        };
        let contents = match content {
            Content::Archive(bytes) | Content::Part { bytes, .. } => {
                archive::read_files(&bytes, &index_text, signature.as_ref(), &listed)?
            }
            Content::Library(library) => vec![library],
            Content::Files(contents) => contents,
        };
        if contents.len() != listed.len() {
            let reason = "the number of files differs".to_owned();
            return Err(PackageError::ContentMismatch { what: index.entry, reason });
        }
        let files: Vec<_> = listed.into_iter().zip(contents).collect();
        for (entry, content) in &files {
            check_file(entry, content)?;
        }
        Ok(Files { index_text, index, signature, files })
    }

    /// Reads everything else. To be called only once the signature was judged.
    ///
    /// # Errors
    /// Any file that is not exactly what the index lists, a library that is not a plugin for this machine, or a manifest
    /// that is not valid or says something else than the index.
    pub fn into_package(self) -> Result<Package, PackageError> {
        let is_script = self.index.holds_scripts();
        let index = &self.index;
        if !index.is_for_this_machine() {
            return Err(PackageError::Target { targets: index.targets().join(", "), machine: TARGET });
        }
        if let Some(target) = self.part_for().filter(|target| *target != TARGET) {
            return Err(PackageError::Part { target: target.to_owned(), machine: TARGET });
        }
        let Files { index_text, index, signature, files } = self.into_files()?;
        let (files, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(entry, _)| index.is_own(&entry.path));
        let entry = files.iter().find(|(entry, _)| entry.path == index.entry).map(|(_, content)| content.as_slice());
        let (manifest, elf) = if is_script {
            (read_scripts(&index, &files)?, None)
        } else {
            let elf = elf::inspect(entry.unwrap_or_default())?;
            (library_manifest(&elf)?, Some(elf))
        };
        check_manifest(&manifest, &index)?;
        if let Some(elf) = &elf {
            check_copy(&files, elf)?;
            check_others(&index, &others, elf)?;
        }
        Ok(Package { digest: Digest::of(&index_text), index, index_text, signature, manifest, files, others, elf })
    }
}

/// The manifest inside a library, which answers everything itself.
pub(super) fn library_manifest(elf: &ElfFacts) -> Result<Manifest, PackageError> {
    let manifest = manifest::parse(&elf.manifest)?;
    if manifest.is_script() {
        let finding = "a library answers its own hooks and commands; scripts go into a plugin of their own";
        return Err(PackageError::Manifest { findings: vec![finding.to_owned()] });
    }
    Ok(manifest)
}

fn read_scripts(index: &Index, files: &[(FileEntry, Vec<u8>)]) -> Result<Manifest, PackageError> {
    let files: Vec<_> = files.iter().map(|(entry, content)| (entry.path.as_str(), content.as_slice())).collect();
    let text = files.iter().find(|(path, _)| *path == index.entry).map(|(_, content)| *content);
    let manifest = scripts::read_manifest(&index.entry, text.unwrap_or_default())?;
    scripts::check(&manifest, &index.entry, &files)?;
    if let Some(entry) = index.files.iter().find(|entry| entry.mode != scripts::mode(&manifest, &entry.path)) {
        let reason = "its mode is not that of a file of its kind: 0755 for a program, 0644 for all else".to_owned();
        return Err(PackageError::ContentMismatch { what: entry.path.clone(), reason });
    }
    let target = scripts::target_of(&manifest);
    if index.target != target {
        let reason = format!("the scripts are for `{target}`, the index says `{}`", index.target);
        return Err(PackageError::ContentMismatch { what: "target".to_owned(), reason });
    }
    Ok(manifest)
}

impl Package {
    /// The bytes of the library; of scripts, those of the manifest.
    #[must_use]
    pub fn library(&self) -> &[u8] {
        let found = self.files.iter().find(|(entry, _)| entry.path == self.index.entry);
        found.map(|(_, content)| content.as_slice()).unwrap_or_default()
    }
}

fn check_file(entry: &FileEntry, content: &[u8]) -> Result<(), PackageError> {
    let differs = |reason: String| Err(PackageError::ContentMismatch { what: entry.path.clone(), reason });
    if u64::try_from(content.len()) != Ok(entry.size) {
        return differs(format!("it has {} bytes, listed are {}", content.len(), entry.size));
    }
    let digest = Digest::of(content);
    if digest != entry.digest {
        return differs(format!("its digest is {digest}, listed is {}", entry.digest));
    }
    Ok(())
}

fn needs(needs: &[Need]) -> String {
    needs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What the user is shown comes from the signed index; the plugin must not say anything else.
fn check_manifest(manifest: &Manifest, index: &Index) -> Result<(), PackageError> {
    let fields = [
        ("name", manifest.name.clone(), index.name.to_string()),
        ("version", manifest.version.clone(), index.version.to_string()),
        ("api_version", manifest.api_version.to_string(), index.api.to_string()),
        ("permissions", manifest::join(&manifest.permissions), manifest::join(&index.permissions)),
        ("dependencies", needs(&dependency::needs(&manifest.dependencies)), needs(&index.dependencies)),
    ];
    match fields.into_iter().find(|(_, manifest, index)| manifest != index) {
        None => Ok(()),
        Some((what, manifest, index)) => {
            let reason = format!("the manifest says `{manifest}`, the index `{index}`");
            Err(PackageError::ContentMismatch { what: what.to_owned(), reason })
        }
    }
}

/// The libraries for other machines say the same: what a user consented to here must hold there. Of a kind of machine that
/// is not known here, the digest is all that can be compared.
fn check_others(index: &Index, others: &[(FileEntry, Vec<u8>)], own: &ElfFacts) -> Result<(), PackageError> {
    for build in &index.others {
        let Some(target) = target::known(&build.target) else { continue };
        // Of a part, nothing is there to be compared.
        let found = others.iter().find(|(entry, _)| entry.path == build.entry);
        let Some((_, content)) = found else { continue };
        let facts = elf::inspect_for(content, target).map_err(|error| match error {
            PackageError::Elf { reason } => PackageError::Elf { reason: format!("`{}`: {reason}", build.entry) },
            error => error,
        })?;
        if facts.manifest != own.manifest {
            let reason = "its manifest is not that of the library for this machine".to_owned();
            return Err(PackageError::ContentMismatch { what: build.entry.clone(), reason });
        }
    }
    Ok(())
}

/// `plugin.json` is a copy of the manifest inside the library for people and tools; two manifests would be a trap.
fn check_copy(files: &[(FileEntry, Vec<u8>)], elf: &ElfFacts) -> Result<(), PackageError> {
    let is_second = |path: &str| scripts::MANIFEST_NAMES.contains(&path) && path != manifest::FILE_NAME;
    if let Some((entry, _)) = files.iter().find(|(entry, _)| is_second(&entry.path)) {
        return Err(scripts::second_manifest(&entry.path));
    }
    match files.iter().find(|(entry, _)| entry.path == manifest::FILE_NAME) {
        Some((entry, content)) if *content != elf.manifest => {
            let reason = "it is not the manifest inside the library".to_owned();
            Err(PackageError::ContentMismatch { what: entry.path.clone(), reason })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

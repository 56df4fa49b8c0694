//! Puts a package together from built libraries, and refuses what the reader would refuse.

use migraine_plugin_api::Manifest;

use super::opened::library_manifest;
use super::target::{OWN, Target};
use super::{Build, FileEntry, Index, PackageError, Signature, archive, elf, manifest, path, scripts, sidecar};

/// Everything that is to be signed and written of one library.
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

/// A package for several machines that is to be signed and written.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Lists all files.
    pub index: Index,
    /// Path and content, in the order of the index.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Prepares both outputs of a library for this machine: the bare one with its sidecar, and the package, which also holds a
/// readable copy of the manifest, the very bytes of the section.
///
/// # Errors
/// Whatever the reader would refuse in them.
pub fn assemble(library: Vec<u8>, file_name: &str, created: &str) -> Result<Assembled, PackageError> {
    assemble_with(library, file_name, created, Vec::new(), OWN)
}

/// As [`assemble`], for some machine, with texts (path and content) that go into the package beside the library.
///
/// # Errors
/// As [`assemble`].
pub fn assemble_with(
    library: Vec<u8>,
    file_name: &str,
    created: &str,
    texts: Vec<(String, Vec<u8>)>,
    target: &Target,
) -> Result<Assembled, PackageError> {
    path::check(file_name)?;
    let facts = elf::inspect_for(&library, target)?;
    let manifest = library_manifest(&facts)?;
    let mut files = vec![(file_name.to_owned(), library), (manifest::FILE_NAME.to_owned(), facts.manifest)];
    let entry = FileEntry::of(file_name, 0o644, &files[0].1);
    let mut sidecar_index = manifest::index_of(&manifest, created, file_name, vec![entry])?;
    files.extend(texts);
    files.sort_by(|one, other| one.0.cmp(&other.0));
    let mut package_index = manifest::index_of(&manifest, created, file_name, entries(&files))?;
    let is_second = |path: &str| scripts::MANIFEST_NAMES.contains(&path) && path != manifest::FILE_NAME;
    if let Some((path, _)) = files.iter().find(|(path, _)| is_second(path)) {
        return Err(scripts::second_manifest(path));
    }
    for index in [&mut sidecar_index, &mut package_index] {
        target.triple.clone_into(&mut index.target);
    }
    Ok(Assembled { manifest, sidecar_index, package_index, files })
}

fn entries(files: &[(String, Vec<u8>)]) -> Vec<FileEntry> {
    files.iter().map(|(path, content)| FileEntry::of(path, 0o644, content)).collect()
}

/// Adds a library for another machine to what a package holds (its index and every file). All else stays; each library lies
/// in a folder of its machine's name, in whatever order they were added.
///
/// # Errors
/// The package holds scripts, or another library for this machine already; the library says something else in its manifest;
/// or whatever the reader would refuse.
pub fn add_target(
    index: &Index,
    files: &[(FileEntry, Vec<u8>)],
    library: &[u8],
    target: &Target,
) -> Result<Joined, PackageError> {
    if index.holds_scripts() {
        let reason = "it holds scripts, which have no library for each kind of machine";
        return Err(PackageError::NotAPlugin { reason });
    }
    let differs =
        |reason: &str| Err(PackageError::ContentMismatch { what: target.triple.to_owned(), reason: reason.to_owned() });
    let content_of = |path: &str| files.iter().find(|(entry, _)| entry.path == path).map(|(_, content)| content);
    let facts = elf::inspect_for(library, target)?;
    library_manifest(&facts)?;
    if content_of(manifest::FILE_NAME) != Some(&facts.manifest) {
        return differs("the new library has another manifest than the package");
    }
    let mut builds = index.builds();
    match builds.iter().find(|build| build.target == target.triple) {
        Some(build) if content_of(&build.entry).map(Vec::as_slice) != Some(library) => {
            return differs("the package holds another library for it, and one version has one content");
        }
        Some(_) => {}
        None => builds.push(Build { target: target.triple.to_owned(), entry: String::new() }),
    }
    let name = index.entry.rsplit('/').next().unwrap_or_default();
    let mut joined: Vec<(String, Vec<u8>)> = files
        .iter()
        .filter(|(entry, _)| !builds.iter().any(|build| build.entry == entry.path))
        .cloned()
        .map(named)
        .collect();
    let is_one = builds.len() == 1;
    for build in &mut builds {
        let content = content_of(&build.entry).cloned().unwrap_or_else(|| library.to_vec());
        build.entry = if is_one { name.to_owned() } else { format!("{}/{name}", build.target) };
        joined.push((build.entry.clone(), content));
    }
    joined.sort_by(|one, other| one.0.cmp(&other.0));
    let mut index = Index { files: entries(&joined), ..index.clone() };
    index.set_builds(builds);
    index.check()?;
    Ok(Joined { index, files: joined })
}

fn named((entry, content): (FileEntry, Vec<u8>)) -> (String, Vec<u8>) {
    (entry.path, content)
}

impl Joined {
    /// The package, given a signature over the text of the index.
    ///
    /// # Errors
    /// It is over a cap.
    pub fn package(&self, signature: &Signature) -> Result<Vec<u8>, PackageError> {
        archive::pack(&self.index.render(), signature, &self.files)
    }
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

#[cfg(test)]
mod tests;

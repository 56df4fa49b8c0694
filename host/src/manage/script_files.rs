//! A script plugin in files of the user's: a directory with a manifest, or one manifest with its module beside it. Each
//! file is read once, and no link is followed.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::source::read_flagged;
use super::{ManageError, manifest_file};
use crate::package::scripts::{MANIFEST_NAMES, add_file, read_manifest};
use crate::package::{FILES_MAX, MANIFEST_MAX, Opened, PackageError, UNPACKED_MAX, manifest, open_scripts};

/// The most directories below each other.
const DEPTH_MAX: usize = 8;

/// The files of a script plugin, as they go into a package.
pub(super) struct ScriptFiles {
    /// The manifest's path among them.
    pub(super) entry: String,
    /// Path and content.
    pub(super) files: Vec<(String, Vec<u8>)>,
    /// What stays behind: hidden names and packages.
    pub(super) left_out: Vec<String>,
}

/// Reads the plugin that a path means, if it means one in files: a manifest, or a directory that holds one.
///
/// # Errors
/// A directory holds no manifest or two, the manifest names no script, or a file cannot be taken along.
pub(super) fn collect(path: &Path) -> Result<Option<ScriptFiles>, ManageError> {
    let Some(found) = manifest_file::find(path)? else { return Ok(None) };
    let name = found.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let root = found.parent().unwrap_or(Path::new("")).to_owned();
    let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
    let mut walk = Walk { files: Vec::new(), left_out: Vec::new() };
    if MANIFEST_NAMES.contains(&name.as_str()) {
        walk.directory(&root, "", 0)?;
    } else {
        walk.named(&root, &name)?;
    }
    let Walk { files, left_out } = walk;
    Ok(Some(ScriptFiles { entry: name, files, left_out }))
}

/// Opens the plugin that [`collect`] finds, unsigned.
pub(super) fn open(path: &Path) -> Result<Option<Opened>, ManageError> {
    let Some(ScriptFiles { entry, files, .. }) = collect(path)? else { return Ok(None) };
    let opened = open_scripts(&entry, files);
    opened.map(Some).map_err(|source| ManageError::Package { path: path.to_owned(), source })
}

struct Walk {
    files: Vec<(String, Vec<u8>)>,
    left_out: Vec<String>,
}

impl Walk {
    /// Everything below a directory, in the order of names.
    fn directory(&mut self, root: &Path, below: &str, depth: usize) -> Result<(), ManageError> {
        let directory = root.join(below);
        let failed = |source| ManageError::File { path: directory.clone(), source };
        if depth == DEPTH_MAX {
            return Err(refused(root, below, "there are more than 8 directories below each other"));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name());
            if names.len() > 4 * FILES_MAX {
                return Err(refused(root, below, "it holds more than a package can"));
            }
        }
        names.sort();
        for name in names {
            let path = format!("{below}{}{}", if below.is_empty() { "" } else { "/" }, name.to_string_lossy());
            if name.as_bytes().starts_with(b".") || name.as_bytes().ends_with(b".mgp") {
                self.left_out.push(path);
                continue;
            }
            let file = directory.join(&name);
            let metadata = file.symlink_metadata().map_err(|source| ManageError::File { path: file, source })?;
            if metadata.is_dir() {
                self.directory(root, &path, depth + 1)?;
            } else {
                self.file(root, path)?;
            }
        }
        Ok(())
    }

    /// The manifest, and of what lies beside it the files that its handlers are in.
    fn named(&mut self, root: &Path, entry: &str) -> Result<(), ManageError> {
        let text = read_flagged(&root.join(entry), MANIFEST_MAX, libc::O_NOFOLLOW)?;
        let read = read_manifest(entry, &text);
        let manifest = read.map_err(|source| ManageError::Package { path: root.join(entry), source })?;
        self.add(root, entry.to_owned(), text)?;
        for needed in manifest::needed_files(&manifest) {
            // A missing one is named by whoever puts the package together.
            let there = needed.paths.into_iter().find(|path| root.join(path).symlink_metadata().is_ok());
            if let Some(path) = there.filter(|path| !self.files.iter().any(|(found, _)| found == path)) {
                self.file(root, path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, path: String) -> Result<(), ManageError> {
        let file = root.join(&path);
        let is_link = |metadata: fs::Metadata| metadata.file_type().is_symlink();
        if file.symlink_metadata().is_ok_and(is_link) {
            return Err(refused(root, &path, "it is a symbolic link; put the file itself there"));
        }
        let content = read_flagged(&file, usize::try_from(UNPACKED_MAX).unwrap_or(usize::MAX), libc::O_NOFOLLOW)?;
        self.add(root, path, content)
    }

    fn add(&mut self, root: &Path, path: String, content: Vec<u8>) -> Result<(), ManageError> {
        add_file(&mut self.files, path, content)
            .map_err(|source| ManageError::Package { path: root.to_owned(), source })
    }
}

fn refused(root: &Path, path: &str, reason: &'static str) -> ManageError {
    let source = PackageError::ScriptFile { path: path.to_owned(), reason };
    ManageError::Package { path: root.to_owned(), source }
}

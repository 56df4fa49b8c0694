//! What goes into a package beside the library: what its users read, the example of its configuration, and its tests.

use std::fs;
use std::io;
use std::path::Path;

use crate::manage::ManageError;
use crate::manage::source::read_flagged;
use crate::package::scripts::add_file;
use crate::package::{FILES_MAX, UNPACKED_MAX};

/// The names of such files, without an ending.
const NAMES: [&str; 4] = ["README", "LICENSE", "CHANGELOG", "config.example"];
/// The endings that they may have.
const ENDINGS: [&str; 3] = ["", ".md", ".txt"];
/// The folder of tests.
const TESTS: &str = "tests";
/// What is a test in it: sources, and the data that they read.
const TEST_ENDINGS: [&str; 7] = ["rs", "json", "yaml", "yml", "toml", "txt", "md"];
/// The most folders below each other.
const DEPTH_MAX: usize = 7;

/// Reads these files from the folder of a crate; path and content, by path. No link is followed.
///
/// # Errors
/// One cannot be read, or there are more than a package holds.
pub fn texts(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, ManageError> {
    let mut files = Vec::new();
    for name in NAMES.iter().flat_map(|name| ENDINGS.iter().map(move |ending| format!("{name}{ending}"))) {
        if folder.join(&name).symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            add(folder, name, &mut files)?;
        }
    }
    tests(folder, TESTS, 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn tests(root: &Path, below: &str, depth: usize, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), ManageError> {
    let folder = root.join(below);
    let failed = |source| ManageError::File { path: folder.clone(), source };
    let listing = match fs::read_dir(&folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        listing => listing.map_err(failed)?,
    };
    let mut entries = listing.take(4 * FILES_MAX).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, kind) = (format!("{below}/{name}"), entry.file_type().map_err(failed)?);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if kind.is_dir() && depth < DEPTH_MAX && !name.starts_with('.') && name != "target" {
            tests(root, &path, depth + 1, files)?;
        } else if kind.is_file() && !name.starts_with('.') && TEST_ENDINGS.contains(&ending) {
            add(root, path, files)?;
        }
    }
    Ok(())
}

fn add(root: &Path, path: String, files: &mut Vec<(String, Vec<u8>)>) -> Result<(), ManageError> {
    let most = usize::try_from(UNPACKED_MAX).unwrap_or(usize::MAX);
    let content = read_flagged(&root.join(&path), most, libc::O_NOFOLLOW)?;
    add_file(files, path, content).map_err(|source| ManageError::Package { path: root.to_owned(), source })
}

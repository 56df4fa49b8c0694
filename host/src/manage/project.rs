//! Plugins that come with a project: its folder `plugins` is looked into only after its user said so, and only as long as
//! its content is the one that was there then. What a cloned repository brings is nobody's choice.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ManageError;
use super::list::Warning;
use super::source::{read_flagged, recordable, scan};
use crate::ids::{Digest, to_hex};
use crate::store::{Home, State};
use crate::text::safe_line;

/// The folder of a project that may hold plugins.
const FOLDER: &str = "plugins";
/// The most files in it.
const FILES_MAX: usize = 4096;
/// The most bytes in it.
const BYTES_MAX: u64 = 256 << 20;
/// The most directories below each other.
const DEPTH_MAX: usize = 16;

/// A project whose plugins are looked for, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectReport {
    /// Its directory.
    pub project: PathBuf,
    /// The digest of the content of its folder of plugins.
    pub digest: Digest,
    /// Whether it was trusted before, with this content.
    pub known: bool,
    /// The names of the plugins in it that can be read.
    pub plugins: Vec<String>,
}

/// Trusts the plugins of a project, as they are now: they are listed and can be installed by name there. None of them runs,
/// or is trusted more than any other file.
///
/// # Errors
/// The project has no folder of plugins, or one that cannot be pinned, or the store failed.
pub fn trust_project(home: &Home, project: &Path) -> Result<ProjectReport, ManageError> {
    let project = recordable(canonical(project)?)?;
    let folder = project.join(FOLDER);
    let digest = digest(&folder)?;
    let found = scan(&folder)?.into_iter().filter_map(|found| Some(found.opened.ok()?.index.name.to_string()));
    let mut plugins: Vec<String> = found.collect();
    plugins.dedup();
    let mut writer = home.writer()?;
    let known = writer.state_mut().projects.insert(project.clone(), digest) == Some(digest);
    if !known {
        writer.commit()?;
    }
    Ok(ProjectReport { project, digest, known, plugins })
}

/// Looks into a project's plugins no more; what was installed stays.
///
/// # Errors
/// It was not trusted, or the store failed.
pub fn untrust_project(home: &Home, project: &Path) -> Result<ProjectReport, ManageError> {
    // A project that is gone can be forgotten too, by the path that it had.
    let project = project.canonicalize().unwrap_or_else(|_| project.to_owned());
    let unknown = || ManageError::ProjectUnknown { path: project.clone() };
    let mut writer = home.writer_if_used()?.ok_or_else(unknown)?;
    let digest = writer.state_mut().projects.remove(&project).ok_or_else(unknown)?;
    writer.commit()?;
    Ok(ProjectReport { project, digest, known: true, plugins: Vec::new() })
}

/// The folder of plugins of the project in this directory, if it is trusted; a warning, if it is another one by now.
pub(super) fn trusted(state: &State, working: &Path) -> Option<Result<PathBuf, Warning>> {
    let project = working.canonicalize().ok()?;
    let pinned = state.projects.get(&project)?;
    let folder = project.join(FOLDER);
    let message = match digest(&folder) {
        Ok(digest) if digest == *pinned => return Some(Ok(folder)),
        Ok(_) => "its content has changed since it was trusted; if that is fine, run `migraine plugin \
                  trust-project` there"
            .to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Err(Warning { name: folder.display().to_string(), message }))
}

/// The folder of plugins of the project in this directory, whether it is trusted or not.
pub(super) fn folder_of(working: &Path) -> Option<PathBuf> {
    Some(working.join(FOLDER)).filter(|folder| folder.is_dir())
}

fn canonical(project: &Path) -> Result<PathBuf, ManageError> {
    project.canonicalize().map_err(|source| ManageError::File { path: project.to_owned(), source })
}

/// The digest of everything in a folder: of each file its mode's executable bit, its path and the digest of its content,
/// in the order of paths.
fn digest(folder: &Path) -> Result<Digest, ManageError> {
    let mut walk = Walk { lines: Vec::new(), bytes: 0 };
    walk.directory(folder, Path::new(""), 0)?;
    walk.lines.sort();
    Ok(Digest::of(walk.lines.concat().as_bytes()))
}

struct Walk {
    lines: Vec<String>,
    bytes: u64,
}

impl Walk {
    fn directory(&mut self, folder: &Path, below: &Path, depth: usize) -> Result<(), ManageError> {
        let directory = folder.join(below);
        let failed = |source| ManageError::File { path: directory.clone(), source };
        if depth > DEPTH_MAX {
            return Err(failed(unusable("it has too many directories below each other")));
        }
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let below = below.join(entry.map_err(failed)?.file_name());
            let path = folder.join(&below);
            let metadata = path.symlink_metadata().map_err(failed)?;
            if metadata.is_dir() {
                self.directory(folder, &below, depth + 1)?;
            } else if metadata.is_file() {
                self.file(&path, &below, metadata.permissions().mode())?;
            } else {
                // Where it leads can change without anything changing here.
                let why = format!(
                    "{} is no regular file, so that its content cannot be pinned",
                    safe_line(&below.to_string_lossy())
                );
                return Err(failed(unusable(&why)));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, below: &Path, mode: u32) -> Result<(), ManageError> {
        let failed = |why: &str| ManageError::File { path: path.to_owned(), source: unusable(why) };
        let room = usize::try_from(BYTES_MAX - self.bytes).unwrap_or(usize::MAX);
        let content = read_flagged(path, room, libc::O_NOFOLLOW)?;
        self.bytes += u64::try_from(content.len()).unwrap_or(u64::MAX);
        let mode = if mode & 0o111 == 0 { "file" } else { "program" };
        // In hexadecimal: a name may hold what ends a line.
        self.lines.push(format!("{} {mode} {}\n", to_hex(below.as_os_str().as_bytes()), Digest::of(&content)));
        if self.lines.len() > FILES_MAX {
            return Err(failed("the folder holds more than 4096 files"));
        }
        Ok(())
    }
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_owned())
}

//! Granted directories: copies of the machine's mounts, each at its own path in the private root. Nothing of the machine
//! can be mounted after the pivot, so a launcher takes exactly these before it.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::AT_FDCWD;

use super::{StepError, at, mounts, spaces};
use crate::sys::mount::{Use, mount_setattr, move_mount, open_directory, open_file, open_tree};
use crate::wire::Directory;

/// Interfaces to the kernel that look like files: no grant of a directory means these.
const KERNEL_FILES: [&str; 22] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "bpf",
    "configfs",
    "efivarfs",
    "pstore",
    "mqueue",
    "binfmt_misc",
    "binder",
    "fusectl",
    "nfsd",
    "rpc_pipefs",
    "nsfs",
];
/// Where the private root has its own things.
const OWN: [&str; 3] = ["dev", "proc", "sys"];

/// A directory that cannot be shown to workers.
#[derive(Debug)]
pub(in crate::worker) struct DirectoryError {
    pub(in crate::worker) directory: PathBuf,
    pub(in crate::worker) reason: String,
}

impl DirectoryError {
    fn new(directory: &Path, reason: &dyn fmt::Display) -> Self {
        Self { directory: directory.to_owned(), reason: reason.to_string() }
    }
}

/// Why directories were not taken.
#[derive(Debug)]
pub(in crate::worker) enum TakeError {
    /// One of them cannot be shown.
    Directory(DirectoryError),
    /// A step for all of them failed.
    Step(StepError),
}

impl From<StepError> for TakeError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

impl From<DirectoryError> for TakeError {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

/// A detached copy of a directory or file and what is mounted below, with its final attributes.
pub(in crate::worker) struct Tree {
    pub(super) path: PathBuf,
    pub(super) tree: OwnedFd,
    pub(super) is_file: bool,
}

/// As [`take`], for root, before it gives its id up: afterwards its files could not be read. `None` when there is nothing
/// to do, or when this is not root itself.
///
/// # Errors
/// As [`take`]; also when a file system in a directory cannot show its files with other owners.
pub(in crate::worker) fn take_as_root(directories: &[Directory]) -> Result<Option<Vec<Tree>>, TakeError> {
    if directories.is_empty() || !spaces::may_map_ids() {
        return Ok(None);
    }
    let ids = spaces::id_map()?;
    let trees = directories.iter().map(|directory| copy(directory, Some(&ids))).collect::<Result<_, _>>()?;
    Ok(Some(trees))
}

/// Copies directories out of the machine's tree, in a mount namespace of the own.
///
/// # Errors
/// One is not there, is reached through a symbolic link, or may not be shown.
pub(in crate::worker) fn take(directories: &[Directory]) -> Result<Vec<Tree>, TakeError> {
    directories.iter().map(|directory| Ok(copy(directory, None)?)).collect()
}

fn copy(directory: &Directory, ids: Option<&OwnedFd>) -> Result<Tree, DirectoryError> {
    let path = &directory.path;
    let failed = |error: io::Error| DirectoryError::new(path, &explain(&error));
    if !is_allowed(path) {
        return Err(DirectoryError::new(path, &"the sandbox has no place for it"));
    }
    let seen = mounts::seen_at(path).map_err(failed)?;
    if let Some(mount) = seen.iter().find(|mount| KERNEL_FILES.contains(&mount.kind.as_str())) {
        let reason =
            format!("it shows an interface of the kernel ({}, mounted at `{}`)", mount.kind, mount.point.display());
        return Err(DirectoryError::new(path, &reason));
    }
    let tree = open_directory(AT_FDCWD, path).and_then(|opened| open_tree(opened.as_fd(), true)).map_err(failed)?;
    let purpose = if directory.writable { Use::Changing } else { Use::Reading };
    match mount_setattr(&tree, purpose, ids) {
        Ok(()) => Ok(Tree { path: path.clone(), tree, is_file: false }),
        Err(error) if ids.is_some() && matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => {
            let kinds = without_id_maps(path, &seen, ids);
            let reason = format!("its file system shows root's files to nobody else ({kinds})");
            Err(DirectoryError::new(path, &reason))
        }
        Err(error) => Err(failed(error)),
    }
}

/// An absolute path of plain names that is not the whole tree and not the private root's own.
fn is_allowed(path: &Path) -> bool {
    let mut parts = path.components();
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some_and(|first| !OWN.iter().any(|own| first.as_os_str() == *own))
        && parts.all(plain)
}

/// The types of those file systems that refuse an id map, each tried alone.
fn without_id_maps(path: &Path, seen: &[mounts::Mount], ids: Option<&OwnedFd>) -> String {
    let refuses = |mount: &&mounts::Mount| {
        let place = if mount.point.starts_with(path) { &mount.point } else { path };
        let alone = open_directory(AT_FDCWD, place).and_then(|opened| open_tree(opened.as_fd(), false));
        alone.is_ok_and(|tree| mount_setattr(&tree, Use::Reading, ids).is_err())
    };
    let names = seen.iter().filter(refuses).map(|mount| format!("{} at `{}`", mount.kind, mount.point.display()));
    names.collect::<Vec<_>>().join(", ")
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "it does not exist".to_owned(),
        Some(libc::ENOTDIR) => "it is not a directory".to_owned(),
        Some(libc::ELOOP) => "it is reached through a symbolic link".to_owned(),
        _ => error.to_string(),
    }
}

/// How many names the paths of directories have together.
pub(super) fn count_names(trees: &[Tree]) -> usize {
    trees.iter().map(|tree| tree.path.components().count()).sum()
}

/// Attaches trees at their own paths below `root`, before the pivot. Of two with one path the later one is seen.
///
/// # Errors
/// A mount point cannot be made, or an outer directory does not hold an inner one any more.
pub(super) fn attach(trees: &[Tree], root: &Path) -> Result<(), TakeError> {
    let below = at("open the root", open_directory(AT_FDCWD, root))?;
    let mut ordered: Vec<&Tree> = trees.iter().collect();
    // One inside of another is attached after it, so that it lies on it.
    ordered.sort_by(|one, other| one.path.cmp(&other.path));
    for Tree { path, tree, is_file } in ordered {
        let inner = path.strip_prefix("/").unwrap_or(path);
        let is_inside = |other: &Tree| other.path != *path && path.starts_with(&other.path);
        if !trees.iter().any(is_inside) {
            at("make a mount point", make_place(&root.join(inner), *is_file))?;
        }
        // What an outer directory holds may have changed since it was copied: a link must not lead elsewhere.
        let target = open_file(below.as_fd(), inner);
        target
            .and_then(|target| move_mount(tree, &target))
            .map_err(|error| DirectoryError::new(path, &explain(&error)))?;
    }
    Ok(())
}

fn make_place(path: &Path, is_file: bool) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        // Of two with one path the first one's is there.
        return Ok(());
    }
    match path.parent() {
        Some(parent) if is_file => {
            fs::create_dir_all(parent)?;
            File::options().create(true).append(true).open(path).map(drop)
        }
        _ => fs::create_dir_all(path),
    }
}

/// Opens a directory where workers see it.
///
/// # Errors
/// It is not there any more, or is reached through a symbolic link.
pub(super) fn open(directory: &Directory) -> io::Result<OwnedFd> {
    open_directory(AT_FDCWD, &directory.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_have_a_place() {
        for (path, allowed) in [
            ("/srv/data", true),
            ("/tmp", true),
            ("/devices", true),
            ("/code", true),
            ("/", false),
            ("srv", false),
            ("/srv/../etc", false),
            ("/dev/shm", false),
            ("/proc", false),
            ("/sys/fs", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(Path::new(path)), allowed, "{path}");
        }
    }
}

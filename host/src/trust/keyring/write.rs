//! Writes a file as a whole: under another name first, made durable there, and then put in place in one step. A kill leaves
//! the other name at most, which the next write of the same file replaces.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, open, openat, renameat2};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::failed;
use crate::trust::TrustError;

/// What a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// For its owner alone, in the place of what has that name.
    Private,
    /// For its owner alone; nothing may have that name.
    NewSecret,
    /// For everybody, in the place of what has that name.
    Public,
    /// For everybody; nothing may have that name.
    NewPublic,
}

impl Kind {
    fn mode(self) -> Mode {
        let own = Mode::S_IRUSR | Mode::S_IWUSR;
        match self {
            Self::Private | Self::NewSecret => own,
            Self::Public | Self::NewPublic => own | Mode::S_IRGRP | Mode::S_IROTH,
        }
    }

    fn flags(self) -> RenameFlags {
        match self {
            Self::Private | Self::Public => RenameFlags::empty(),
            Self::NewSecret | Self::NewPublic => RenameFlags::RENAME_NOREPLACE,
        }
    }
}

/// Writes a file at a path. Durable when it returns.
pub(super) fn write_at(path: &Path, content: &[u8], kind: Kind) -> Result<(), TrustError> {
    let name = path.file_name().ok_or(Errno::EISDIR).map_err(failed("make", path))?;
    let directory = open_parent(path)?;
    write_in(&directory, name, content, kind, path)
}

/// Writes a file into an open directory; `path` is for messages. Durable when it returns.
pub(super) fn write_in(
    directory: &OwnedFd,
    name: &OsStr,
    content: &[u8],
    kind: Kind,
    path: &Path,
) -> Result<(), TrustError> {
    let temporary = temporary_name(name);
    remove(directory, &temporary, path)?;
    let written = write_new(directory, &temporary, content, kind, path).and_then(|()| {
        let put = renameat2(directory, temporary.as_os_str(), directory, name, kind.flags());
        put.map_err(failed("put into place", path))
    });
    if let Err(error) = written {
        // The error that is reported is the first one.
        let _ = remove(directory, &temporary, path);
        return Err(error);
    }
    sync(directory, path)
}

/// Makes the names in the directory of a path durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), TrustError> {
    sync(&open_parent(path)?, path)
}

/// Whether a name is one that a write which did not end leaves.
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Removes a name; one that is not there is fine.
pub(super) fn remove(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), TrustError> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(failed("remove", &path.with_file_name(name))(error)),
    }
}

/// Not by std, which asks again when it is interrupted: after a failed fsync the kernel may have dropped the data, and would
/// then report success.
pub(super) fn sync(file: impl AsFd, path: &Path) -> Result<(), TrustError> {
    fsync(file.as_fd()).map_err(failed("sync", path))
}

fn temporary_name(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".tmp");
    temporary
}

fn write_new(directory: &OwnedFd, name: &OsStr, content: &[u8], kind: Kind, path: &Path) -> Result<(), TrustError> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let own = Mode::S_IRUSR | Mode::S_IWUSR;
    let mut file = File::from(openat(directory, name, flags, own).map_err(failed("make", path))?);
    // Whatever the umask is.
    fchmod(&file, kind.mode()).map_err(failed("set the mode of", path))?;
    let written = file.write_all(content);
    written.map_err(|source| TrustError::Io { action: "write", path: path.to_owned(), source })?;
    sync(&file, path)
}

fn open_parent(path: &Path) -> Result<OwnedFd, TrustError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(parent, flags, Mode::empty()).map_err(failed("open", parent))
}

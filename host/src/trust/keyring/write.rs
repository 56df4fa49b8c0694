//! Writes a file as a whole: under another name first, made durable there, and then put in place in one step. A kill leaves
//! the other name at most, which the next write of the same file replaces.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat};
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
    Staged::at(path, content, kind)?.put()
}

/// A file that was written under another name, and durably. Dropped before it is put into place, it is gone again.
#[derive(Debug)]
pub struct Staged {
    directory: OwnedFd,
    temporary: OsString,
    name: OsString,
    path: PathBuf,
    kind: Kind,
    is_there: bool,
}

impl Staged {
    pub(super) fn at(path: &Path, content: &[u8], kind: Kind) -> Result<Self, TrustError> {
        let name = path.file_name().ok_or(Errno::EISDIR).map_err(failed("make", path))?.to_owned();
        let directory = open_parent(path)?;
        if kind == Kind::Public {
            check_place(&directory, &name, path)?;
        }
        let temporary = temporary_name(&name);
        remove(&directory, &temporary, path)?;
        let staged = Self { directory, temporary, name, path: path.to_owned(), kind, is_there: true };
        write_new(&staged.directory, &staged.temporary, content, kind, path)?;
        Ok(staged)
    }

    /// Puts it into its place. Durable when it returns.
    ///
    /// # Errors
    /// The system refuses; but for the last step, what was there is there still.
    pub fn put(mut self) -> Result<(), TrustError> {
        let (from, to) = (self.temporary.as_os_str(), self.name.as_os_str());
        let put = renameat2(&self.directory, from, &self.directory, to, self.kind.flags());
        put.map_err(failed("put into place", &self.path))?;
        self.is_there = false;
        sync(&self.directory, &self.path)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_there {
            // The error that is reported is the first one.
            let _ = remove(&self.directory, &self.temporary, &self.path);
        }
    }
}

pub(super) fn forget_staged(path: &Path) {
    if let (Some(name), Ok(directory)) = (path.file_name(), open_parent(path)) {
        let _ = remove(&directory, &temporary_name(name), path);
    }
}

/// Whether a file may take the place of what has its path: of a regular file, or of nothing. Whoever names a device means to
/// write to it, and would lose it.
pub(super) fn check_place_at(path: &Path) -> Result<(), TrustError> {
    let name = path.file_name().ok_or(Errno::EISDIR).map_err(failed("make", path))?;
    check_place(&open_parent(path)?, name, path)
}

fn check_place(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), TrustError> {
    let status = match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status.map_err(failed("look at", path))?,
    };
    let what = match SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => return Ok(()),
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "a device",
        SFlag::S_IFSOCK => "a socket",
        _ => "no regular file",
    };
    Err(TrustError::Occupied { path: path.to_owned(), what })
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

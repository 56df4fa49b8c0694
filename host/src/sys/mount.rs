//! Detached mounts: a tree is copied, given its attributes and only then attached somewhere.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use super::{checked, done};

/// Opens a directory as a place, without a right to read it, if no part of its path is a symbolic link (openat2(2)).
///
/// # Errors
/// As openat2(2): ELOOP for a link, ENOTDIR for another kind of file.
pub(crate) fn open_directory(from: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_place(from, path, OFlag::O_DIRECTORY)
}

/// As [`open_directory`], for any kind of file.
///
/// # Errors
/// As openat2(2).
pub(crate) fn open_file(from: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    open_place(from, path, OFlag::empty())
}

fn open_place(from: BorrowedFd<'_>, path: &Path, kind: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | kind)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(from, path, how)?)
}

/// A detached copy of what is mounted at a place and, where asked for, below (open_tree(2)).
///
/// # Errors
/// As open_tree(2).
pub(crate) fn open_tree(place: BorrowedFd<'_>, recursive: bool) -> io::Result<OwnedFd> {
    let below = if recursive { libc::AT_RECURSIVE.cast_unsigned() } else { 0 };
    let close_on_exec = libc::O_CLOEXEC.cast_unsigned();
    let flags = libc::OPEN_TREE_CLONE | close_on_exec | libc::AT_EMPTY_PATH.cast_unsigned() | below;
    // SAFETY: open_tree(2) reads the empty path and returns a new descriptor or an error.
    let value = unsafe { libc::syscall(libc::SYS_open_tree, place.as_raw_fd(), c"".as_ptr(), flags) };
    let number = i32::try_from(checked(value)?).map_err(io::Error::other)?;
    // SAFETY: just created, owned here alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What a detached tree can be used for, beside reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Reading,
    /// Its files may be changed, but none can be a program.
    Changing,
    /// Its files may be programs and libraries, but none can be changed.
    Executing,
    /// It is a device, which can be read and written, but keeps its mode and times.
    Device,
}

/// Takes all other uses than this one away from every mount of a detached tree, cuts it off from what is
/// mounted elsewhere, and shows its owners by the map of a user namespace (mount_setattr(2)).
///
/// # Errors
/// As mount_setattr(2): EINVAL for a file system that knows no id maps.
pub(crate) fn mount_setattr(tree: &OwnedFd, purpose: Use, ids: Option<&OwnedFd>) -> io::Result<()> {
    let taken = match purpose {
        Use::Reading => libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY,
        Use::Changing => libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC,
        Use::Executing => libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_RDONLY,
        Use::Device => libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY,
    };
    let mapped = if ids.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_NOSUID | taken | mapped,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: ids.map_or(0, |ids| u64::from(ids.as_raw_fd().cast_unsigned())),
    };
    let flags = (libc::AT_EMPTY_PATH | libc::AT_RECURSIVE).cast_unsigned();
    // SAFETY: mount_setattr(2) reads the empty path and one record of the size given, through valid pointers.
    done(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Attaches a detached tree over a place of its kind (move_mount(2)).
///
/// # Errors
/// As move_mount(2).
pub(crate) fn move_mount(tree: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    let (tree, target) = (tree.as_fd().as_raw_fd(), target.as_fd().as_raw_fd());
    let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
    // SAFETY: move_mount(2) reads two empty paths.
    done(unsafe { libc::syscall(libc::SYS_move_mount, tree, c"".as_ptr(), target, c"".as_ptr(), flags) })
}

//! A directory held by its descriptor: every name is looked up below it, never through a path that could be swapped.
//!
//! Nothing here retries: a failed step is reported, and a failed fsync above all is never tried again on the same data,
//! because the kernel may have dropped the pages and would then report success.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, close, fsync, geteuid, unlinkat};

use super::error::StoreError;
use crate::ids::{Digest, Digesting};
use crate::sys::memory::{Room, Sealed};
use crate::text::safe_path;

/// Mode of a directory that is written to.
pub(super) const PRIVATE_DIR: u32 = 0o700;
/// Mode of a file that is replaced, never changed.
pub(super) const PRIVATE_FILE: u32 = 0o600;
/// Mode of a directory that everybody reads.
pub(super) const PUBLIC_DIR: u32 = 0o755;
/// Mode of a directory of an installed tree.
pub(super) const FROZEN_DIR: u32 = 0o555;
/// Mode of a file of an installed tree.
pub(super) const FROZEN_FILE: u32 = 0o444;

/// To go through a directory, which need not be readable.
const PASS_DIR: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const OPEN_DIR: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    /// For messages only.
    path: PathBuf,
    owner: Owner,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    /// Permission bits, with those for set-user-id, set-group-id and sticky.
    pub(super) mode: u32,
    /// How many names it has.
    pub(super) links: u64,
}

/// What a name can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Other,
}

/// Who may have made what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    User,
    UserOrRoot,
    /// Root alone, who makes what everybody reads.
    Root,
}

impl Dir {
    /// Opens the root of everything, making it when its parent exists.
    pub(super) fn open_root(path: &Path) -> Result<Self, StoreError> {
        if let Some(found) = Self::find_root(path)? {
            return Ok(found);
        }
        let (parent, name) = Self::parent_of(path)?;
        let made = parent.open_or_make(name)?;
        parent.sync()?;
        Ok(made)
    }

    /// The same where it exists; nothing is made.
    pub(super) fn find_root(path: &Path) -> Result<Option<Self>, StoreError> {
        match openat(AT_FDCWD, path, OPEN_DIR, Mode::empty()) {
            Ok(fd) => Self { fd, path: path.to_owned(), owner: Owner::User }.checked().map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed("open the directory", path.to_owned(), errno)),
        }
    }

    /// Whether it could be made: it has a name, in a directory that is there.
    pub(super) fn check_parent(path: &Path) -> Result<(), StoreError> {
        Self::parent_of(path).map(drop)
    }

    fn parent_of(path: &Path) -> Result<(Self, &str), StoreError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(StoreError::BadHome { why: format!("`{}` has no name that can be made", safe_path(path)) });
        };
        // A parent may be owned by somebody else (`/home`, `/tmp`), and it may be reached through a symbolic link.
        let flags = OPEN_DIR.difference(OFlag::O_NOFOLLOW);
        let fd = openat(AT_FDCWD, parent, flags, Mode::empty())
            .map_err(|errno| StoreError::BadHome { why: format!("{}: {}", safe_path(parent), errno.desc()) })?;
        Ok((Self { fd, path: parent.to_owned(), owner: Owner::User }, name))
    }

    /// Opens a directory that the administrator keeps; `None` when there is none.
    pub(super) fn open_system(path: &Path) -> Result<Option<Self>, StoreError> {
        match openat(AT_FDCWD, path, OPEN_DIR, Mode::empty()) {
            Ok(fd) => Self { fd, path: path.to_owned(), owner: Owner::UserOrRoot }.checked().map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed("open the directory", path.to_owned(), errno)),
        }
    }

    /// Opens a directory of which every part of the path belongs to root alone, so that nobody else can have put another in
    /// its place; `None` when there is none.
    pub(super) fn open_of_root(path: &Path) -> Result<Option<Self>, StoreError> {
        // Where there is none, which is usual, the parts are nobody's business.
        if matches!(openat(AT_FDCWD, path, OPEN_DIR, Mode::empty()), Err(Errno::ENOENT)) {
            return Ok(None);
        }
        let Some((parent, name)) = path.parent().zip(path.file_name()) else {
            return Err(StoreError::BadHome { why: format!("`{}` has no name", safe_path(path)) });
        };
        match Self::pass(parent)? {
            Some(parent) => parent.open(name),
            None => Ok(None),
        }
    }

    /// As [`Dir::open_of_root`], making the last part when there is none.
    pub(super) fn make_of_root(path: &Path) -> Result<Self, StoreError> {
        let absent = || failed("open the directory", path.to_owned(), Errno::ENOENT);
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(absent)?;
        let parent = path.parent().map(Self::pass).transpose()?.flatten().ok_or_else(absent)?;
        let made = parent.open_or_make(name)?;
        // The parent is open only to be gone through; by its own path it is what it was, since nobody but root changes it.
        let durable = Self::open_system(parent.path())?;
        durable.map_or(Ok(()), |parent| parent.sync())?;
        Ok(made)
    }

    /// Goes from the root directory down to this one; every part must belong to root alone, and none may be a link.
    fn pass(path: &Path) -> Result<Option<Self>, StoreError> {
        let slash = PathBuf::from("/");
        let fd = openat(AT_FDCWD, &slash, PASS_DIR, Mode::empty())
            .map_err(|errno| failed("open the directory", slash.clone(), errno))?;
        let mut at = Self { fd, path: slash, owner: Owner::Root }.checked()?;
        for part in path.components().filter(|part| matches!(part, Component::Normal(_))) {
            match at.open_by(part.as_os_str(), PASS_DIR)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The mode of the directories that are made in it.
    fn mode(&self) -> u32 {
        if self.owner == Owner::Root { PUBLIC_DIR } else { PRIVATE_DIR }
    }

    /// The mode of the files in it that readers need.
    pub(super) fn file_mode(&self) -> u32 {
        if self.owner == Owner::Root { FROZEN_FILE } else { PRIVATE_FILE }
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// Opens a directory below; `None` when there is none.
    pub(super) fn open(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>, StoreError> {
        self.open_by(name.as_ref(), OPEN_DIR)
    }

    fn open_by(&self, name: &OsStr, flags: OFlag) -> Result<Option<Self>, StoreError> {
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Self { fd, path: self.at(name), owner: self.owner }.checked().map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ENOTDIR | Errno::ELOOP) if self.owner == Owner::Root => {
                let why = "a symbolic link, or no directory".to_owned();
                Err(StoreError::Insecure { path: self.at(name), why })
            }
            Err(errno) => Err(failed("open the directory", self.at(name), errno)),
        }
    }

    /// Opens a directory below, making it when there is none.
    pub(super) fn open_or_make(&self, name: &str) -> Result<Self, StoreError> {
        if let Some(found) = self.open(name)? {
            return Ok(found);
        }
        match self.make(name) {
            // Another process was faster.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                self.open(name)?.ok_or_else(|| failed("open the directory", self.at(name), Errno::ENOENT))
            }
            other => other,
        }
    }

    /// Makes a directory, which must not exist: of mode 0700, or 0755 where everybody reads.
    pub(super) fn make(&self, name: &str) -> Result<Self, StoreError> {
        step("mkdir", &self.at(name))?;
        let mode = Mode::from_bits_truncate(self.mode());
        mkdirat(&self.fd, name, mode).map_err(|errno| failed("make the directory", self.at(name), errno))?;
        // The umask may have taken bits that the owner needs, so that it cannot even be opened.
        fchmodat(&self.fd, name, mode, FchmodatFlags::NoFollowSymlink)
            .map_err(|errno| failed("set the mode of the directory", self.at(name), errno))?;
        self.open(name)?.ok_or_else(|| failed("open the directory", self.at(name), Errno::ENOENT))
    }

    /// Refuses a directory that somebody else can write to.
    fn checked(self) -> Result<Self, StoreError> {
        let stat = fstat(&self.fd).map_err(|errno| failed("inspect", self.path.clone(), errno))?;
        check_owner(&stat, &self.path, self.owner)?;
        Ok(self)
    }

    /// Makes a file of exactly these bytes and mode, durable when this returns; the name must not exist.
    pub(super) fn write_new(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
        let path = self.at(name);
        step("create", &path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::from_bits_truncate(PRIVATE_FILE))
            .map_err(|errno| failed("create the file", path.clone(), errno))?;
        let mut file = File::from(fd);
        step("write", &path)?;
        file.write_all(bytes).map_err(|source| StoreError::Io { step: "write", path: path.clone(), source })?;
        step("chmod", &path)?;
        fchmod(&file, Mode::from_bits_truncate(mode))
            .map_err(|errno| failed("set the mode of", path.clone(), errno))?;
        step("fsync", &path)?;
        fsync(&file).map_err(|errno| failed("make durable", path.clone(), errno))?;
        close(OwnedFd::from(file)).map_err(|errno| failed("close", path, errno))
    }

    /// Opens or makes a private file whose content is somebody else's business: a lock, a database.
    pub(super) fn open_file(&self, name: &str) -> Result<File, StoreError> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(PRIVATE_FILE);
        let fd = openat(&self.fd, name, flags, mode).map_err(|errno| failed("open", self.at(name), errno))?;
        fchmod(&fd, mode).map_err(|errno| failed("set the mode of", self.at(name), errno))?;
        Ok(File::from(fd))
    }

    /// The whole of a regular file; `None` when there is none.
    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((file, size)) = self.open_regular(name, limit)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(size + 1);
        let read = file.take(one_more(limit)).read_to_end(&mut bytes);
        read.map_err(|source| StoreError::Io { step: "read", path: self.at(name), source })?;
        Ok(Some(bytes))
    }

    /// The same, copied to where nobody can change it any more, and the digest of what was copied: to the room that there is
    /// for it, if there is one already.
    pub(super) fn read_sealed(
        &self,
        name: &str,
        limit: usize,
        room: Option<Room>,
    ) -> Result<Option<(Sealed, Digest)>, StoreError> {
        let Some((file, _)) = self.open_regular(name, limit)? else { return Ok(None) };
        let mut digesting = Digesting::new(file.take(one_more(limit)));
        let room = room.map_or_else(Room::new, Ok);
        let sealed = room.and_then(|room| Sealed::read(&mut digesting, room));
        // Not "read": the file may be what it was, and memory be short.
        let sealed = sealed.map_err(|source| StoreError::Io { step: "copy", path: self.at(name), source })?;
        Ok(Some((sealed, digesting.digest())))
    }

    /// A regular file and its size, of at most `limit` bytes; `None` when there is none.
    fn open_regular(&self, name: &str, limit: usize) -> Result<Option<(File, usize)>, StoreError> {
        let path = self.at(name);
        // Without O_NONBLOCK a FIFO in place of the file would hang the reader before it can be refused.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP) => return Err(StoreError::Insecure { path, why: "a symbolic link".to_owned() }),
            Err(errno) => return Err(failed("open", path, errno)),
        };
        let stat = fstat(&fd).map_err(|errno| failed("inspect", path.clone(), errno))?;
        if kind(&stat) != SFlag::S_IFREG {
            return Err(StoreError::Insecure { path, why: "not a regular file".to_owned() });
        }
        check_owner(&stat, &path, self.owner)?;
        let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if size > limit {
            let source = io::Error::other(format!("{size} bytes, at most {limit} are read"));
            return Err(StoreError::Io { step: "read", path, source });
        }
        Ok(Some((File::from(fd), size)))
    }

    /// How many directories it holds, where its file system counts them.
    pub(super) fn count_directories(&self) -> Option<usize> {
        let links = fstat(&self.fd).ok()?.st_nlink;
        // Its name in its parent and its own `.`; then each `..` below. Some file systems give 1 for every directory.
        usize::try_from(links).ok()?.checked_sub(2)
    }

    /// Every name but `.` and `..`, sorted.
    pub(super) fn names(&self) -> Result<Vec<OsString>, StoreError> {
        let wrap = |errno| failed("list", self.path.clone(), errno);
        // A descriptor of its own: the position of a directory stream is shared between duplicates.
        let mut stream = nix::dir::Dir::openat(self.fd.as_fd(), ".", OPEN_DIR, Mode::empty()).map_err(wrap)?;
        let mut names = Vec::new();
        for entry in stream.iter() {
            let entry = entry.map_err(wrap)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes the names in this directory durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        step("fsync", &self.path)?;
        fsync(&self.fd).map_err(|errno| failed("make durable", self.path.clone(), errno))
    }

    /// Sets the directory's mode and makes it durable together with its names.
    pub(super) fn freeze(&self) -> Result<(), StoreError> {
        self.set_mode(FROZEN_DIR)?;
        self.sync()
    }

    fn set_mode(&self, mode: u32) -> Result<(), StoreError> {
        step("chmod", &self.path)?;
        fchmod(&self.fd, Mode::from_bits_truncate(mode))
            .map_err(|errno| failed("set the mode of", self.path.clone(), errno))
    }

    /// Moves a name into another directory; `false` when the target exists already.
    pub(super) fn move_new(&self, name: impl AsRef<OsStr>, to: &Self, to_name: &str) -> Result<bool, StoreError> {
        let name = name.as_ref();
        step("rename", &to.at(to_name))?;
        match renameat2(&self.fd, name, &to.fd, to_name, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(failed("move into place", to.at(to_name), errno)),
        }
    }

    /// Lets a name and one in another directory change places, in one step; `false` where the file system cannot.
    pub(super) fn exchange(&self, name: &str, to: &Self, to_name: &str) -> Result<bool, StoreError> {
        if !can_exchange() {
            return Ok(false);
        }
        step("exchange", &to.at(to_name))?;
        match renameat2(&self.fd, name, &to.fd, to_name, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => Ok(true),
            // Both are there, and neither is in the other: then the flag is what it does not know (renameat2(2)).
            Err(Errno::EINVAL) => Ok(false),
            Err(errno) => Err(failed("exchange", to.at(to_name), errno)),
        }
    }

    /// Puts one name in the place of another in this directory, in one step.
    pub(super) fn replace(&self, name: &str, target: &str) -> Result<(), StoreError> {
        step("rename", &self.at(target))?;
        renameat(&self.fd, name, &self.fd, target).map_err(|errno| failed("replace", self.at(target), errno))
    }

    /// Removes a file; one that is not there is fine.
    pub(super) fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = name.as_ref();
        step("unlink", &self.at(name))?;
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(failed("remove", self.at(name), errno)),
        }
    }

    /// Removes whatever has that name, directories with all they hold; symbolic links are removed, never followed.
    pub(super) fn remove_all(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = name.as_ref();
        let stat = match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(failed("inspect", self.at(name), errno)),
        };
        if kind(&stat) != SFlag::S_IFDIR {
            return self.remove_file(name);
        }
        self.make_writable(name)?;
        if let Some(directory) = self.open(name)? {
            for inner in directory.names()? {
                directory.remove_all(&inner)?;
            }
        }
        step("rmdir", &self.at(name))?;
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(failed("remove the directory", self.at(name), errno)),
        }
    }

    /// Prepares a name for being moved to another parent, whatever it is.
    pub(super) fn make_movable(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = name.as_ref();
        let stat = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|errno| failed("inspect", self.at(name), errno))?;
        if kind(&stat) == SFlag::S_IFDIR { self.make_writable(name) } else { Ok(()) }
    }

    /// What is known of a name; `None` when there is none.
    pub(super) fn facts(&self, name: impl AsRef<OsStr>) -> Result<Option<Facts>, StoreError> {
        let name = name.as_ref();
        let stat = match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(failed("inspect", self.at(name), errno)),
        };
        let kind = match kind(&stat) {
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFREG => Kind::File,
            _ => Kind::Other,
        };
        Ok(Some(Facts { kind, mode: stat.st_mode & 0o7777, links: stat.st_nlink }))
    }

    /// The size of a name in bytes; `None` when there is none.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        let stat = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        stat.ok().and_then(|stat| u64::try_from(stat.st_size).ok())
    }

    /// When a name was changed, in seconds since 1970; `None` when there is none.
    pub(super) fn changed(&self, name: impl AsRef<OsStr>) -> Option<i64> {
        fstatat(&self.fd, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_mtime)
    }

    /// Gives a directory below the mode that it was made with. A frozen one can neither be emptied nor moved to another parent by its owner.
    pub(super) fn make_writable(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        self.set_mode_of(name, self.mode())
    }

    /// Gives a name below another mode; a symbolic link is not followed.
    pub(super) fn set_mode_of(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<(), StoreError> {
        let name = name.as_ref();
        step("chmod", &self.at(name))?;
        fchmodat(&self.fd, name, Mode::from_bits_truncate(mode), FchmodatFlags::NoFollowSymlink)
            .map_err(|errno| failed("set the mode of", self.at(name), errno))
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn check_owner(stat: &FileStat, path: &Path, owner: Owner) -> Result<(), StoreError> {
    let refuse = |why: String| Err(StoreError::Insecure { path: path.to_owned(), why });
    let is_root = stat.st_uid == 0;
    if owner == Owner::Root && !is_root {
        return refuse(format!("it belongs to user {}, not to root", stat.st_uid));
    }
    if stat.st_uid != geteuid().as_raw() && !(is_root && owner != Owner::User) {
        return refuse(format!("it belongs to user {}, not to user {}", stat.st_uid, geteuid()));
    }
    if stat.st_mode & 0o022 != 0 {
        return refuse(format!("others can write to it (mode {:03o})", stat.st_mode & 0o777));
    }
    Ok(())
}

fn failed(step: &'static str, path: PathBuf, errno: Errno) -> StoreError {
    StoreError::Io { step, path, source: io::Error::from(errno) }
}

/// A file that grows while it is read is longer than it may be, and is not cut.
fn one_more(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "under test a step can be made to fail")]
fn step(_name: &'static str, _path: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(not(test))]
fn can_exchange() -> bool {
    true
}

#[cfg(test)]
fn can_exchange() -> bool {
    trace::can_exchange()
}

/// Under test every step that changes the disk is recorded, and one of them can be made to fail before it happens.
#[cfg(test)]
fn step(name: &'static str, path: &Path) -> Result<(), StoreError> {
    trace::step(name, path)
}

#[cfg(test)]
pub(super) mod trace {
    use std::cell::{Cell, RefCell};
    use std::io;
    use std::path::Path;

    use super::StoreError;

    #[derive(Default)]
    struct Trace {
        steps: Vec<String>,
        fail_at: Option<usize>,
    }

    thread_local! {
        static TRACE: RefCell<Trace> = RefCell::default();
        static CAN_EXCHANGE: Cell<bool> = const { Cell::new(true) };
    }

    /// As on a file system that knows no exchange.
    pub(crate) fn forbid_exchange() {
        CAN_EXCHANGE.set(false);
    }

    pub(super) fn can_exchange() -> bool {
        CAN_EXCHANGE.get()
    }

    pub(super) fn step(name: &'static str, path: &Path) -> Result<(), StoreError> {
        TRACE.with_borrow_mut(|trace| {
            // After the chosen point nothing happens any more, as if the process had been killed there.
            if trace.fail_at.is_some_and(|at| trace.steps.len() >= at) {
                let source = io::Error::other("injected");
                return Err(StoreError::Io { step: name, path: path.to_owned(), source });
            }
            trace.steps.push(format!("{name} {}", path.display()));
            Ok(())
        })
    }

    /// Starts a new record; the step with that number, counted from 0, and all later ones fail.
    pub(crate) fn start(fail_at: Option<usize>) {
        TRACE.set(Trace { steps: Vec::new(), fail_at });
    }

    /// What happened since [`start`].
    pub(crate) fn stop() -> Vec<String> {
        TRACE.take().steps
    }
}

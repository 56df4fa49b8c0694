//! What a system call of a traced program changes on disk, read from its registers at the moment that it is made.

use std::fs;
use std::io::IoSliceMut;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// The longest path (`PATH_MAX` of limits.h).
const PATH_MAX: usize = 4096;

/// A file as the kernel knows it.
pub type Inode = u64;

/// One change that a system call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Opens a file for writing; it is made, or emptied, if `creates` or `truncates`.
    Open {
        path: PathBuf,
        creates: bool,
        truncates: bool,
        mode: u32,
    },
    Mkdir {
        path: PathBuf,
        mode: u32,
    },
    Write {
        inode: Inode,
        path: PathBuf,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        inode: Inode,
        path: PathBuf,
        size: u64,
    },
    Chmod {
        inode: Inode,
        path: PathBuf,
        mode: u32,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        replaces: bool,
    },
    /// Two names change places.
    Exchange {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        inode: Inode,
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    Sync {
        inode: Inode,
        path: PathBuf,
    },
    Close {
        inode: Inode,
        path: PathBuf,
    },
    /// Gives a file to somebody, which is whose it is already: SQLite does so as root.
    Owner {
        path: PathBuf,
    },
    /// Something reached the standard output.
    Said,
    /// A call that the model of a power loss does not know.
    Other {
        path: PathBuf,
    },
}

impl Change {
    /// The path that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Open { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Write { path, .. }
            | Self::Truncate { path, .. }
            | Self::Chmod { path, .. }
            | Self::Remove { path }
            | Self::Sync { path, .. }
            | Self::Close { path, .. }
            | Self::Owner { path }
            | Self::Other { path } => Some(path),
            Self::Rename { to, .. } | Self::Exchange { to, .. } | Self::Link { to, .. } => Some(to),
            Self::Said => None,
        }
    }

    /// Whether it makes something durable (fsync(2), fdatasync(2)).
    #[must_use]
    pub fn is_sync(&self) -> bool {
        matches!(self, Self::Sync { .. })
    }
}

/// A stopped program and the arguments of the call that it is about to make.
pub(super) struct Entry {
    pid: Pid,
    arguments: [u64; 6],
}

impl Entry {
    /// The change behind a call, with its name; `None` for one that changes nothing that could be on a disk.
    pub(super) fn read(pid: Pid, registers: &libc::user_regs_struct) -> Option<(&'static str, Change)> {
        let r = registers;
        let entry = Self { pid, arguments: [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] };
        entry.decode(i64::try_from(r.orig_rax).ok()?)
    }

    // long: one line for each system call.
    fn decode(&self, number: i64) -> Option<(&'static str, Change)> {
        let named = |name: &'static str, change: Option<Change>| change.map(|change| (name, change));
        let other = |name: &'static str, path: Option<PathBuf>| path.map(|path| (name, Change::Other { path }));
        match number {
            libc::SYS_open => named("open", self.open(self.path(0), 1)),
            libc::SYS_creat => other("creat", self.path(0)),
            libc::SYS_openat => named("openat", self.open(self.path_at(0), 2)),
            libc::SYS_mkdir => named("mkdir", self.mkdir(self.path(0), 1)),
            libc::SYS_mkdirat => named("mkdirat", self.mkdir(self.path_at(0), 2)),
            libc::SYS_write => named("write", self.write(None)),
            libc::SYS_pwrite64 => named("pwrite64", self.write(Some(self.arguments[3]))),
            libc::SYS_writev | libc::SYS_pwritev | libc::SYS_pwritev2 => other("writev", self.file(0)),
            libc::SYS_fallocate => other("fallocate", self.file(0)),
            libc::SYS_copy_file_range => other("copy_file_range", self.file(2)),
            libc::SYS_sendfile => other("sendfile", self.file(0)),
            libc::SYS_fsync => named("fsync", self.sync()),
            libc::SYS_fdatasync => named("fdatasync", self.sync()),
            libc::SYS_ftruncate => {
                let (inode, path) = self.object(0)?;
                Some(("ftruncate", Change::Truncate { inode, path, size: self.arguments[1] }))
            }
            libc::SYS_truncate => other("truncate", self.path(0)),
            libc::SYS_fchmod => {
                let (inode, path) = self.object(0)?;
                Some(("fchmod", Change::Chmod { inode, path, mode: self.mode(1) }))
            }
            libc::SYS_chmod => named("chmod", self.chmod(self.path(0), 1)),
            libc::SYS_fchmodat => named("fchmodat", self.chmod(self.path_at(0), 2)),
            // Not in every libc crate: fchmodat2 of Linux 6.6.
            452 => named("fchmodat2", self.chmod(self.path_at(0), 2)),
            libc::SYS_chown | libc::SYS_lchown => other("chown", self.path(0)),
            libc::SYS_fchown => named("fchown", self.file(0).map(|path| Change::Owner { path })),
            libc::SYS_fchownat => other("fchownat", self.path_at(0)),
            libc::SYS_utimensat => other("utimensat", self.path_at(0)),
            libc::SYS_setxattr | libc::SYS_lsetxattr => other("setxattr", self.path(0)),
            libc::SYS_fsetxattr => other("fsetxattr", self.file(0)),
            libc::SYS_mknodat => other("mknodat", self.path_at(0)),
            libc::SYS_rename => named("rename", self.rename(self.path(0), self.path(1), 0)),
            libc::SYS_renameat => named("renameat", self.rename(self.path_at(0), self.path_at(2), 0)),
            libc::SYS_renameat2 => named("renameat2", self.rename(self.path_at(0), self.path_at(2), self.arguments[4])),
            libc::SYS_unlink => named("unlink", self.path(0).map(|path| Change::Remove { path })),
            libc::SYS_rmdir => named("rmdir", self.path(0).map(|path| Change::Remove { path })),
            libc::SYS_unlinkat => named("unlinkat", self.path_at(0).map(|path| Change::Remove { path })),
            libc::SYS_link => named("link", self.link(self.path(0), self.path(1))),
            libc::SYS_linkat => named("linkat", self.link(self.path_at(0), self.path_at(2))),
            libc::SYS_symlink => other("symlink", self.path(1)),
            libc::SYS_symlinkat => other("symlinkat", self.path_at(1)),
            libc::SYS_close => named("close", self.close()),
            _ => None,
        }
    }

    fn open(&self, path: Option<PathBuf>, at: usize) -> Option<Change> {
        let flags = i32::try_from(self.arguments[at] & 0xffff_ffff).ok()?;
        let mode = self.mode(at + 1);
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            return path.map(|path| Change::Other { path });
        }
        let (creates, truncates) = (flags & libc::O_CREAT != 0, flags & libc::O_TRUNC != 0);
        let path = path.filter(|_| creates || truncates)?;
        let creates = creates && fs::symlink_metadata(&path).is_err();
        Some(Change::Open { path, creates, truncates, mode })
    }

    fn mkdir(&self, path: Option<PathBuf>, at: usize) -> Option<Change> {
        path.map(|path| Change::Mkdir { path, mode: self.mode(at) })
    }

    fn write(&self, offset: Option<u64>) -> Option<Change> {
        if offset.is_none() && self.arguments[0] == 1 {
            return Some(Change::Said);
        }
        let (inode, path) = self.object(0)?;
        let data = self.memory(self.arguments[1], usize::try_from(self.arguments[2]).ok()?);
        let offset = offset.or_else(|| self.position())?;
        Some(Change::Write { inode, path, offset, data })
    }

    fn sync(&self) -> Option<Change> {
        self.object(0).map(|(inode, path)| Change::Sync { inode, path })
    }

    /// Closing can fail for what was written; what was only read cannot lose anything.
    fn close(&self) -> Option<Change> {
        let info = self.description(0)?;
        let flags = i32::from_str_radix(info.lines().find_map(|line| line.strip_prefix("flags:"))?.trim(), 8).ok()?;
        let is_written = flags & libc::O_ACCMODE != libc::O_RDONLY && flags & libc::O_PATH == 0;
        let (inode, path) = self.object(0).filter(|_| is_written)?;
        Some(Change::Close { inode, path })
    }

    fn chmod(&self, path: Option<PathBuf>, at: usize) -> Option<Change> {
        let path = path?;
        let inode = fs::metadata(&path).map_or(0, |metadata| metadata.ino());
        Some(Change::Chmod { inode, path, mode: self.mode(at) })
    }

    fn rename(&self, from: Option<PathBuf>, to: Option<PathBuf>, flags: u64) -> Option<Change> {
        if flags & u64::from(libc::RENAME_EXCHANGE) != 0 {
            return Some(Change::Exchange { from: from?, to: to? });
        }
        let replaces = flags & u64::from(libc::RENAME_NOREPLACE) == 0;
        Some(Change::Rename { from: from?, to: to?, replaces })
    }

    fn link(&self, from: Option<PathBuf>, to: Option<PathBuf>) -> Option<Change> {
        let from = from?;
        // By its descriptor, what has no name yet is found as well.
        let inode = fs::metadata(self.own_descriptor(&from).unwrap_or(from.clone())).ok()?.ino();
        Some(Change::Link { inode, from, to: to? })
    }

    fn mode(&self, at: usize) -> u32 {
        u32::try_from(self.arguments[at] & 0o7777).unwrap_or_default()
    }

    /// The regular file or directory behind a descriptor; memory that has a descriptor is on no disk.
    fn object(&self, at: usize) -> Option<(Inode, PathBuf)> {
        let link = self.descriptor(self.arguments[at]);
        let metadata = fs::metadata(&link).ok().filter(|metadata| metadata.is_file() || metadata.is_dir())?;
        let path =
            fs::read_link(link).ok().filter(|path| !path.as_os_str().as_encoded_bytes().starts_with(b"/memfd:"))?;
        Some((metadata.ino(), path))
    }

    fn file(&self, at: usize) -> Option<PathBuf> {
        self.object(at).map(|(_, path)| path)
    }

    fn descriptor(&self, number: u64) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", self.pid, number & 0xffff_ffff))
    }

    fn description(&self, at: usize) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/fdinfo/{}", self.pid, self.arguments[at] & 0xffff_ffff)).ok()
    }

    fn position(&self) -> Option<u64> {
        self.description(0)?.lines().find_map(|line| line.strip_prefix("pos:"))?.trim().parse().ok()
    }

    /// An absolute path out of an argument and the one after it: a directory's descriptor and a name below it.
    fn path_at(&self, at: usize) -> Option<PathBuf> {
        let name = self.text(self.arguments[at + 1])?;
        if name.is_absolute() {
            return Some(self.resolved(name));
        }
        let is_cwd = i32::from_ne_bytes(self.arguments[at].to_ne_bytes()[..4].try_into().ok()?) == libc::AT_FDCWD;
        let base = if is_cwd { format!("/proc/{}/cwd", self.pid).into() } else { self.descriptor(self.arguments[at]) };
        let base = fs::read_link(base).ok()?;
        Some(if name.as_os_str().is_empty() { base } else { base.join(name) })
    }

    fn path(&self, at: usize) -> Option<PathBuf> {
        let name = self.text(self.arguments[at])?;
        if name.is_absolute() {
            return Some(self.resolved(name));
        }
        Some(fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()?.join(name))
    }

    /// The C library changes modes by the names of its descriptors.
    fn resolved(&self, path: PathBuf) -> PathBuf {
        self.own_descriptor(&path).and_then(|link| fs::read_link(link).ok()).unwrap_or(path)
    }

    fn own_descriptor(&self, path: &Path) -> Option<PathBuf> {
        let number = path.strip_prefix("/proc/self/fd").ok()?;
        Some(Path::new("/proc").join(self.pid.to_string()).join("fd").join(number))
    }

    fn text(&self, address: u64) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        let mut bytes = Vec::new();
        // Page by page: what follows the last page of a path need not be mapped.
        while bytes.len() < PATH_MAX {
            let at = address + u64::try_from(bytes.len()).ok()?;
            let to_page_end = PATH_MAX - usize::try_from(at).ok()? % PATH_MAX;
            let piece = self.memory(at, to_page_end);
            if let Some(end) = piece.iter().position(|byte| *byte == 0) {
                bytes.extend_from_slice(&piece[..end]);
                return Some(std::ffi::OsString::from_vec(bytes).into());
            }
            if piece.is_empty() {
                return None;
            }
            bytes.extend_from_slice(&piece);
        }
        None
    }

    fn memory(&self, address: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let remote = [RemoteIoVec { base: usize::try_from(address).unwrap_or_default(), len: size }];
        let read = process_vm_readv(self.pid, &mut [IoSliceMut::new(&mut bytes)], &remote).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

/// Makes the call that a stopped program is about to make one that does not exist: it has no effect.
pub(super) fn skip(pid: Pid, registers: &libc::user_regs_struct) -> nix::Result<()> {
    ptrace::setregs(pid, libc::user_regs_struct { orig_rax: u64::MAX, ..*registers })
}

/// Puts an error in the place of the result of the call that a stopped program has just made.
pub(super) fn answer(pid: Pid, errno: nix::errno::Errno) -> nix::Result<()> {
    let registers = ptrace::getregs(pid)?;
    let value = u64::from_ne_bytes((-i64::from(errno as i32)).to_ne_bytes());
    ptrace::setregs(pid, libc::user_regs_struct { rax: value, ..registers })
}

/// The result of the call that a stopped program has just made; an error is negative.
pub(super) fn result(pid: Pid) -> nix::Result<i64> {
    ptrace::getregs(pid).map(|registers| i64::from_ne_bytes(registers.rax.to_ne_bytes()))
}

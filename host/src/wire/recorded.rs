//! The system calls by which files are reached: what is recorded of a plugin whose needs are learned. The filter holds each
//! of them until the host has noted it; the call is then made, or refused, as ever.

/// What a call does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileUse {
    /// Asks about it.
    Look,
    /// As [`FileUse::Look`], of a link itself.
    LookAtLink,
    /// Opens it; the argument with the flags says for what (open(2)).
    Open {
        /// Its place.
        flags: usize,
    },
    /// Makes a directory.
    MakeDirectory,
    /// Makes it, or puts something in its place.
    Make,
    /// Changes or removes what is there.
    Change,
    /// Runs it.
    Run,
}

/// A path among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathArgument {
    /// The place of the directory that a relative path starts in; the working directory where there is none.
    pub directory: Option<usize>,
    /// The place of the path.
    pub path: usize,
    /// What happens to it.
    pub file_use: FileUse,
}

/// The paths that a call is given; `None` for one that is not recorded.
#[must_use]
pub fn recorded_paths(number: i64) -> Option<&'static [PathArgument]> {
    RECORDED.iter().find(|(recorded, _)| *recorded == number).map(|(_, paths)| *paths)
}

const fn by_path(path: usize, file_use: FileUse) -> PathArgument {
    PathArgument { directory: None, path, file_use }
}

const fn from(directory: usize, file_use: FileUse) -> PathArgument {
    PathArgument { directory: Some(directory), path: directory + 1, file_use }
}

use FileUse::{Change, Look, LookAtLink, Make, MakeDirectory, Open, Run};

const RECORDED: &[(i64, &[PathArgument])] = &[
    (libc::SYS_open, &[by_path(0, Open { flags: 1 })]),
    (libc::SYS_openat, &[from(0, Open { flags: 2 })]),
    (libc::SYS_creat, &[by_path(0, Make)]),
    (libc::SYS_stat, &[by_path(0, Look)]),
    (libc::SYS_lstat, &[by_path(0, LookAtLink)]),
    (libc::SYS_newfstatat, &[from(0, Look)]),
    (libc::SYS_statx, &[from(0, Look)]),
    (libc::SYS_access, &[by_path(0, Look)]),
    (libc::SYS_faccessat, &[from(0, Look)]),
    (libc::SYS_faccessat2, &[from(0, Look)]),
    (libc::SYS_readlink, &[by_path(0, LookAtLink)]),
    (libc::SYS_readlinkat, &[from(0, LookAtLink)]),
    (libc::SYS_statfs, &[by_path(0, Look)]),
    (libc::SYS_chdir, &[by_path(0, Look)]),
    (libc::SYS_mkdir, &[by_path(0, MakeDirectory)]),
    (libc::SYS_mkdirat, &[from(0, MakeDirectory)]),
    (libc::SYS_rmdir, &[by_path(0, Change)]),
    (libc::SYS_unlink, &[by_path(0, Change)]),
    (libc::SYS_unlinkat, &[from(0, Change)]),
    (libc::SYS_rename, &[by_path(0, Change), by_path(1, Make)]),
    (libc::SYS_renameat, &[from(0, Change), from(2, Make)]),
    (libc::SYS_renameat2, &[from(0, Change), from(2, Make)]),
    (libc::SYS_truncate, &[by_path(0, Change)]),
    (libc::SYS_link, &[by_path(0, Look), by_path(1, Make)]),
    (libc::SYS_linkat, &[from(0, Look), from(2, Make)]),
    (libc::SYS_chmod, &[by_path(0, Change)]),
    (libc::SYS_fchmodat, &[from(0, Change)]),
    (libc::SYS_execve, &[by_path(0, Run)]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_listed_once_and_its_paths_are_arguments() {
        for (at, (number, paths)) in RECORDED.iter().enumerate() {
            assert!(RECORDED[at + 1..].iter().all(|(other, _)| other != number), "{number}");
            assert!(paths.iter().all(|argument| argument.path < 6 && argument.directory.is_none_or(|d| d < 6)));
            assert_eq!(recorded_paths(*number), Some(*paths));
        }
        assert_eq!(recorded_paths(libc::SYS_ptrace), None);
    }
}

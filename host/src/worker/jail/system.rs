//! What programs see of the system: its directories of programs and libraries, to read. Only the granted programs, what
//! loads them, and libraries can be mapped as code: the dynamic loader runs any other program that it can map.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use landlock::{AccessFs, BitFlags};
use nix::fcntl::AT_FDCWD;

use super::directories::Tree;
use super::{StepError, at, root, spaces};
use crate::sys::mount::{Use, mount_setattr, open_file, open_tree};
use crate::wire::{Interpreter, Programs};

/// What is shown, and whether libraries are in it. A machine does not have all of them; `/bin` and its like are often
/// links. Of `/etc`, only what the loader, the links of `/usr/bin` and encrypted connections need: not private keys.
const SHOWN: [(&str, Holds); 21] = [
    ("/usr", Holds::Programs),
    ("/usr/lib", Holds::Libraries),
    ("/usr/lib32", Holds::Libraries),
    ("/usr/lib64", Holds::Libraries),
    ("/usr/libx32", Holds::Libraries),
    ("/usr/local/lib", Holds::Libraries),
    ("/usr/local/lib64", Holds::Libraries),
    ("/bin", Holds::Programs),
    ("/sbin", Holds::Programs),
    ("/lib", Holds::Libraries),
    ("/lib32", Holds::Libraries),
    ("/lib64", Holds::Libraries),
    ("/libx32", Holds::Libraries),
    ("/etc/ld.so.cache", Holds::Settings),
    ("/etc/ld.so.conf", Holds::Settings),
    ("/etc/ld.so.conf.d", Holds::Settings),
    ("/etc/alternatives", Holds::Settings),
    ("/etc/ssl/certs", Holds::Settings),
    ("/etc/ssl/openssl.cnf", Holds::Settings),
    ("/etc/pki/tls/certs", Holds::Settings),
    ("/etc/pki/ca-trust/extracted", Holds::Settings),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Programs,
    Libraries,
    Settings,
}

/// What is there of [`SHOWN`] and is no link.
fn places() -> impl Iterator<Item = (&'static Path, Holds)> {
    let all = SHOWN.iter().map(|(path, holds)| (Path::new(*path), *holds));
    all.filter(|(path, _)| fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink()))
}

/// Copies what programs see out of the machine's tree, in a mount namespace of the own; nothing where none are run.
///
/// # Errors
/// The kernel refuses one.
pub(in crate::worker) fn take(programs: &Programs) -> Result<Vec<Tree>, StepError> {
    let files = match programs {
        Programs::None => return Ok(Vec::new()),
        Programs::Only(files) => files.as_slice(),
        Programs::All => &[],
    };
    let purpose = |holds| match holds {
        Holds::Libraries => Use::Executing,
        Holds::Programs if *programs == Programs::All => Use::Executing,
        _ => Use::Reading,
    };
    let system = places().map(|(path, holds)| copy(path, purpose(holds)));
    // One that lies where this process has no right to look is not there, and does not keep the others from running.
    let granted = files.iter().filter_map(|file| copy(file, Use::Executing).ok().map(Ok));
    at("show the system's programs", system.chain(granted).collect())
}

/// As [`take_interpreter`], for root, before it gives its id up: its own interpreters may lie where nobody else may look.
/// `None` when there is nothing to do, or when this is not root itself.
///
/// # Errors
/// As [`take_interpreter`].
pub(in crate::worker) fn take_as_root(interpreter: Option<&Interpreter>) -> Result<Option<Vec<Tree>>, StepError> {
    if interpreter.is_none() || !spaces::may_map_ids() {
        return Ok(None);
    }
    take_interpreter(interpreter).map(Some)
}

/// Copies what an interpreter needs out of the machine's tree.
///
/// # Errors
/// Something of it is not there, or is reached through a symbolic link.
pub(in crate::worker) fn take_interpreter(interpreter: Option<&Interpreter>) -> Result<Vec<Tree>, StepError> {
    let Some(Interpreter { libraries, files, executed, .. }) = interpreter else { return Ok(Vec::new()) };
    let read = files.iter().map(|path| (path, Use::Reading));
    let mapped = libraries.iter().chain(executed).map(|path| (path, Use::Executing));
    at("show the interpreter", read.chain(mapped).map(|(path, purpose)| copy(path, purpose)).collect())
}

/// What an interpreter may do with what it sees, the plugin's own files included, once the root stands.
pub(super) fn of_interpreter(interpreter: &Interpreter) -> Vec<(&Path, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let own = if interpreter.is_plugins_own() { AccessFs::Execute.into() } else { BitFlags::EMPTY };
    let places = interpreter.places().map(|path| (path.as_path(), read));
    let executed = interpreter.executed.iter().map(|path| (path.as_path(), read | AccessFs::Execute));
    places.chain(executed).chain([(Path::new(root::CODE), read | own)]).collect()
}

fn copy(path: &Path, purpose: Use) -> io::Result<Tree> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let opened = open_file(AT_FDCWD, path).map_err(named)?;
    let is_file = !fs::symlink_metadata(path)?.is_dir();
    let tree = open_tree(opened.as_fd(), !is_file).map_err(named)?;
    mount_setattr(&tree, purpose, None).map_err(named)?;
    Ok(Tree { path: path.to_owned(), tree, is_file })
}

/// The directories of the root that are links on this machine, with where they lead.
///
/// # Errors
/// One cannot be read.
pub(super) fn links() -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let paths = SHOWN.iter().map(|(path, _)| Path::new(*path)).filter(|path| path.parent() == Some(Path::new("/")));
    let links = paths.filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()));
    links.map(|path| Ok((path.to_owned(), fs::read_link(path)?))).collect()
}

/// Makes such links below `root`.
///
/// # Errors
/// One cannot be made.
pub(super) fn make_links(links: &[(PathBuf, PathBuf)], root: &Path) -> io::Result<()> {
    links.iter().try_for_each(|(path, leads)| symlink(leads, root.join(path.strip_prefix("/").unwrap_or(path))))
}

/// What may be read, once the root stands.
pub(super) fn readable() -> impl Iterator<Item = &'static Path> {
    places().map(|(path, _)| path)
}

/// What may be executed, once the root stands.
pub(super) fn executable(programs: &Programs) -> Vec<PathBuf> {
    match programs {
        Programs::None => Vec::new(),
        Programs::Only(files) => files.iter().filter(|file| file.exists()).cloned().collect(),
        Programs::All => places().filter(|(_, holds)| *holds != Holds::Settings).map(|(path, _)| path.into()).collect(),
    }
}

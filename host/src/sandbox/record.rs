//! Records by which paths a worker reaches files. A recorder is no guard: what it is told may have changed when the call is
//! made, and the other layers decide about that call as ever.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys;
use crate::sys::seccomp::Notification;
use crate::wire::{FileUse, PathArgument, recorded_paths};

/// The longest path of a call, with its NUL byte (PATH_MAX).
const PATH_MAX: usize = 4096;
/// Memory is read up to such a bound: what lies beyond may not be there.
const PAGE: u64 = 4096;

/// A call of a worker, before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded<'a> {
    /// It reaches for a file.
    File {
        /// An absolute path, as the worker gave it.
        path: &'a Path,
        /// What happens to it.
        file_use: FileUse,
        /// The flags of an open (open(2)); 0 otherwise.
        flags: i32,
    },
    /// No plugin may make it, and it ends the worker.
    Refused {
        /// Its number.
        number: i32,
    },
}

/// Is told of calls, one after the other, while each waits.
pub trait Recorder: std::fmt::Debug + Send + Sync {
    /// A call.
    fn note(&self, call: Recorded<'_>);
}

/// Notes the calls of one worker until it ends. `begun` is set once it is sealed: before that, it makes calls of its own.
///
/// # Errors
/// No thread can be started.
pub(super) fn record(
    listener: OwnedFd,
    pidfd: &OwnedFd,
    recorder: Arc<dyn Recorder>,
    begun: Arc<AtomicBool>,
) -> io::Result<()> {
    let pidfd = pidfd.try_clone()?;
    let serve = move || {
        while await_call(&listener) {
            // One whose thread ended meanwhile needs no answer.
            let Ok(call) = sys::seccomp::receive(listener.as_fd()) else { continue };
            match recorded_paths(call.number.into()) {
                Some(paths) => {
                    if begun.load(Ordering::Acquire) {
                        note(&call, paths, recorder.as_ref());
                    }
                    let _ = sys::seccomp::let_go(listener.as_fd(), &call);
                }
                None => {
                    recorder.note(Recorded::Refused { number: call.number });
                    // It is never answered: the call must not be made.
                    sys::process::kill(pidfd.as_fd());
                }
            }
        }
    };
    thread::Builder::new().name("recorder".to_owned()).spawn(serve).map(drop)
}

/// Whether there is a call; `false` when all who could make one are gone.
fn await_call(listener: &OwnedFd) -> bool {
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
            Ok(_) => return fds[0].revents().is_some_and(|flags| flags.contains(PollFlags::POLLIN)),
        }
    }
}

fn note(call: &Notification, paths: &[PathArgument], recorder: &dyn Recorder) {
    for argument in paths {
        // A path that cannot be read is one that the kernel refuses as well.
        let Some(path) = path_of(call, argument) else { continue };
        let flags = match argument.file_use {
            FileUse::Open { flags } => low(call.args[flags]),
            _ => 0,
        };
        recorder.note(Recorded::File { path: &path, file_use: argument.file_use, flags });
    }
}

/// The low word of an argument, as the kernel takes an `int`.
fn low(argument: u64) -> i32 {
    let [a, b, c, d, ..] = argument.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// The absolute path of an argument. An empty one names what is open already.
fn path_of(call: &Notification, argument: &PathArgument) -> Option<PathBuf> {
    let bytes = text_at(call.pid, call.args[argument.path]).ok()?;
    let path = Path::new(OsStr::from_bytes(&bytes));
    if path.as_os_str().is_empty() || path.is_absolute() {
        return path.is_absolute().then(|| path.to_owned());
    }
    let start = match argument.directory.map(|place| low(call.args[place])) {
        None | Some(libc::AT_FDCWD) => format!("/proc/{}/cwd", call.pid),
        Some(fd) => format!("/proc/{}/fd/{fd}", call.pid),
    };
    Some(fs::read_link(start).ok()?.join(path))
}

/// The text at an address of a thread's memory, without its NUL byte.
fn text_at(pid: u32, mut address: u64) -> io::Result<Vec<u8>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let mut piece = vec![0; usize::try_from(PAGE - address % PAGE).unwrap_or(1)];
        memory.read_exact_at(&mut piece, address)?;
        if let Some(end) = piece.iter().position(|&byte| byte == 0) {
            text.extend_from_slice(&piece[..end]);
            return Ok(text);
        }
        text.extend_from_slice(&piece);
        address = address.saturating_add(PAGE - address % PAGE);
    }
    Err(io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_up_to_their_end() {
        let own = std::process::id();
        let read = |text: &[u8]| text_at(own, text.as_ptr() as u64).ok();
        assert_eq!(read(b"/srv/data\0more").as_deref(), Some(&b"/srv/data"[..]));
        let long = [vec![b'x'; 3 * PATH_MAX], vec![0]].concat();
        assert_eq!(read(&long), None);
        assert!(text_at(own, 8).is_err());
    }
}

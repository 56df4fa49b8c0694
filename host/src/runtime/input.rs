//! The caller's standard input for a program of the plugin's own: copied into a pipe, never handed over. What the caller's
//! descriptor is, a file of the user or a terminal, could be written to or turned as well.

use std::fs::File;
use std::io::{self, PipeReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod};

use super::masked::Input;
use crate::secrets::Secrets;

/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// A pipe for a program to read: the program's end and ours, which never blocks.
///
/// # Errors
/// This process has no descriptor left.
pub(super) fn pipe() -> io::Result<(OwnedFd, File)> {
    let (theirs, ours) = io::pipe()?;
    // The program has its end; opening it anew through /proc/self/fd would turn its direction.
    fchmod(&theirs, Mode::empty())?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((theirs.into(), File::from(OwnedFd::from(ours))))
}

/// Copies this process's standard input until its end, until nobody reads any more, or until the other end of `over` is
/// closed. Values that the plugin may not see are masked. The value is how many bytes the program was given.
pub(super) fn copy(mut to: File, over: &PipeReader, secrets: Option<&Secrets>) -> io::Result<u64> {
    let from = io::stdin();
    let (mut input, mut given) = (Input::default(), 0);
    loop {
        let piece = input.read(secrets, PIECE, || {
            let is_there = ready(PollFd::new(from.as_fd(), PollFlags::POLLIN), over)?;
            let mut piece = vec![0; if is_there { PIECE } else { 0 }];
            // Not through std's buffer: what it reads ahead, poll(2) would not see.
            let count = nix::unistd::read(&from, &mut piece)?;
            piece.truncate(count);
            Ok::<_, io::Error>(piece)
        })?;
        if piece.is_empty() {
            return Ok(given);
        }
        let mut left = piece.as_slice();
        while !left.is_empty() {
            match to.write(left) {
                Ok(count) => {
                    left = &left[count..];
                    given += u64::try_from(count).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !ready(PollFd::new(to.as_fd(), PollFlags::POLLOUT), over)? {
                        return Ok(given);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for one descriptor; `false` when all is over.
fn ready(wanted: PollFd<'_>, over: &PipeReader) -> io::Result<bool> {
    let mut fds = [wanted, PollFd::new(over.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) if fds[1].any().unwrap_or(true) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_program_that_reads_nothing_holds_nobody_up() {
        let (theirs, mut ours) = pipe().unwrap();
        let (over, tell_over) = io::pipe().unwrap();
        while ours.write(&[0; 4096]).is_ok() {}
        drop(tell_over);
        assert!(!ready(PollFd::new(ours.as_fd(), PollFlags::POLLOUT), &over).unwrap());
        let (mut read, _) = (File::from(theirs), drop(ours));
        assert!(read.read_to_end(&mut Vec::new()).unwrap() > 4096);
    }
}

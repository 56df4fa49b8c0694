//! Signals that ask for the end wait while something is changed on disk: the change ends first, or is taken back.

use std::marker::PhantomData;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sys::signal::asking_to_end;

/// While this lives, SIGINT, SIGTERM and SIGHUP do not reach this thread, unless they are ignored. When it is dropped they do, and act as they would have:
/// by default they end the process, so that whoever waits for it sees the signal.
///
/// Other threads take such a signal at once. What it then leaves behind, the next change removes.
#[derive(Debug)]
pub(crate) struct Hold {
    before: SigSet,
    /// Readable while a signal waits; never read, since that would take the signal away.
    waiting: SignalFd,
    /// The mask is this thread's own.
    _thread: PhantomData<*const ()>,
}

impl Hold {
    /// Lets the signals wait from here on.
    ///
    /// # Errors
    /// As signalfd(2) and pthread_sigmask(3).
    pub(crate) fn new() -> nix::Result<Self> {
        // One that is ignored would wait here as well, and then do nothing.
        let held: SigSet = asking_to_end().collect();
        let waiting = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let before = held.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Self { before, waiting, _thread: PhantomData })
    }

    /// Whether one waits.
    pub(crate) fn is_asked_to_end(&self) -> bool {
        let mut fds = [PollFd::new(self.waiting.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // It was this thread's mask, so it can be one again.
        let _ = self.before.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn a_signal_waits_and_is_seen() {
        let hold = Hold::new().unwrap();
        assert!(!hold.is_asked_to_end());
        raise(Signal::SIGTERM).unwrap();
        assert!(hold.is_asked_to_end() && hold.is_asked_to_end());
        // Taken away here, it does not end the tests when the hold does.
        assert!(hold.waiting.read_signal().unwrap().is_some());
        assert!(!hold.is_asked_to_end());
    }
}

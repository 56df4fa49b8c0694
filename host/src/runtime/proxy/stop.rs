//! The end of a proxy, which every wait in it notices at once.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Asked for once, never taken back.
#[derive(Debug)]
pub(in crate::runtime) struct Stop {
    asked: AtomicBool,
    /// Readable from then on.
    bell: EventFd,
}

impl Stop {
    pub(in crate::runtime) fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { asked: AtomicBool::new(false), bell })
    }

    pub(in crate::runtime) fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        // It can only fail where the bell rings already.
        let _ = self.bell.write(1);
    }

    pub(in crate::runtime) fn flag(&self) -> &AtomicBool {
        &self.asked
    }

    /// Waits until one of the descriptors is ready, without an end where no time is given.
    ///
    /// # Errors
    /// `TimedOut`; `Interrupted` once the end was asked for.
    pub(in crate::runtime) fn wait(
        &self,
        wanted: &[(BorrowedFd<'_>, PollFlags)],
        time: Option<Duration>,
    ) -> io::Result<()> {
        let until = time.map(|time| Instant::now() + time);
        let mut fds = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        fds.extend(wanted.iter().map(|(fd, events)| PollFd::new(*fd, *events)));
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout =
                left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
            match poll(&mut fds, timeout) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if self.asked.load(Ordering::SeqCst) => return Err(io::ErrorKind::Interrupted.into()),
                Ok(0) if left.is_some_and(|left| left >= Duration::from_millis(1)) => {}
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
            }
        }
    }
}

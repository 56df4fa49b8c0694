//! Streams to addresses that were judged before. Nothing here waits past a deadline, past the word of whoever asked, or
//! past a signal that asks the program to end.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect, getsockopt, socket, sockopt,
};

use crate::sys::signal::INTERRUPTED;

/// How long a wait lasts before the signals are looked at again.
const SLICE: Duration = Duration::from_millis(100);
/// How many lookups may be under way: one that nobody waits for any more goes on until the resolver gives up.
const LOOKUPS_MAX: usize = 16;
/// How long to wait before a socket is tried again whose queue of new connections is full.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait, and what ends the wait before.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) until: Instant,
    /// Set by somebody else when nobody needs the answer any more.
    pub(super) stop: Option<&'a AtomicBool>,
}

impl Patience<'_> {
    /// The time that is left.
    fn rest(&self) -> io::Result<Duration> {
        if INTERRUPTED.load(Ordering::SeqCst) || self.stop.is_some_and(|stop| stop.load(Ordering::SeqCst)) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the run was asked to end"));
        }
        // Less than a millisecond would make poll(2) a busy loop.
        let rest = self.until.saturating_duration_since(Instant::now());
        if rest < Duration::from_millis(1) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        Ok(rest)
    }

    /// Waits until a descriptor can be read or written, or is broken.
    pub(super) fn await_ready(&self, fd: impl AsFd, events: PollFlags) -> io::Result<()> {
        loop {
            let timeout = PollTimeout::try_from(self.rest()?.min(SLICE)).unwrap_or(PollTimeout::ZERO);
            match poll(&mut [PollFd::new(fd.as_fd(), events)], timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The addresses that a host name stands for, asked for once.
///
/// # Errors
/// The name has none, or the resolver did not answer in time.
pub(super) fn look_up(name: &str, patience: Patience<'_>) -> io::Result<Vec<IpAddr>> {
    look_up_by(&LOOKUPS, name, patience, |name| (name, 0).to_socket_addrs().map(Iterator::collect))
}

/// How many lookups are under way.
static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

/// One of them.
struct Place(&'static AtomicUsize);

impl Place {
    fn take(lookups: &'static AtomicUsize) -> io::Result<Self> {
        let taken = lookups.fetch_add(1, Ordering::SeqCst);
        let place = Self(lookups);
        if taken < LOOKUPS_MAX {
            return Ok(place);
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("{LOOKUPS_MAX} names are being looked up already")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn look_up_by(
    lookups: &'static AtomicUsize,
    name: &str,
    patience: Patience<'_>,
    resolve: impl FnOnce(&str) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> io::Result<Vec<IpAddr>> {
    let (sender, answer) = mpsc::channel();
    let name = name.to_owned();
    let place = Place::take(lookups)?;
    // getaddrinfo(3) takes no deadline. Its thread holds nothing of the plugin's; where nobody waits for its answer any
    // more, it ends when the resolver gives up.
    std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        let _place = place;
        let found = resolve(&name);
        let _ = sender.send(found.map(|addresses| addresses.iter().map(SocketAddr::ip).collect()));
    })?;
    loop {
        match answer.recv_timeout(patience.rest()?.min(SLICE)) {
            Ok(found) => return found,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the resolver ended without an answer"));
            }
        }
    }
}

/// A stream to the first of some addresses that answers. Each may take its share of the time, so that one that drops
/// everything does not keep the others from being tried.
///
/// # Errors
/// What the last one said.
pub(super) fn tcp(addresses: &[SocketAddr], patience: Patience<'_>) -> io::Result<OwnedFd> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (left, address) in (1..=addresses.len()).rev().zip(addresses) {
        let share = patience.rest()? / u32::try_from(left).unwrap_or(u32::MAX);
        match dial(&SockaddrStorage::from(*address), Patience { until: Instant::now() + share, ..patience }) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A stream to the socket file behind a handle on it.
///
/// # Errors
/// As connect(2).
pub(super) fn unix(file: &OwnedFd, patience: Patience<'_>) -> io::Result<OwnedFd> {
    // By its handle: what was judged is what is connected to, whatever its path names by now.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    dial(&UnixAddr::new(path.as_str())?, patience)
}

fn dial<A: SockaddrLike>(address: &A, patience: Patience<'_>) -> io::Result<OwnedFd> {
    let family = address.family().ok_or(Errno::EAFNOSUPPORT)?;
    let stream = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    loop {
        match connect(stream.as_raw_fd(), address) {
            Ok(()) => break,
            Err(Errno::EINPROGRESS) => {
                await_answer(&stream, patience)?;
                break;
            }
            // A Unix socket whose queue is full: it would block, and there is nothing to wait on.
            Err(Errno::EAGAIN) => std::thread::sleep(patience.rest()?.min(PAUSE)),
            Err(error) => return Err(error.into()),
        }
    }
    // As authors expect it; who wants the other way sets it.
    fcntl(&stream, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(stream)
}

fn await_answer(stream: &OwnedFd, patience: Patience<'_>) -> io::Result<()> {
    patience.await_ready(stream, PollFlags::POLLOUT)?;
    match getsockopt(stream, sockopt::SocketError)? {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn soon() -> Patience<'static> {
        Patience { until: Instant::now() + Duration::from_millis(300), stop: None }
    }

    fn handle(path: &std::path::Path) -> OwnedFd {
        nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()).unwrap()
    }

    #[test]
    fn the_next_address_is_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut stream = TcpStream::from(tcp(&[closed, here], soon()).unwrap());
        listener.accept().unwrap().0.write_all(b"here").unwrap();
        let mut said = [0; 4];
        // It blocks until something comes.
        stream.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"here");
        assert_eq!(tcp(&[closed], soon()).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        assert!(tcp(&[], soon()).is_err());
    }

    #[test]
    fn a_full_queue_is_given_up_at_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let file = handle(&path);
        let mut held = Vec::new();
        let error = loop {
            match unix(&file, soon()) {
                Ok(stream) => held.push(UnixStream::from(stream)),
                Err(error) => break error,
            }
            assert!(held.len() < 100_000, "the queue has no end");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(!held.is_empty());
    }

    #[test]
    fn what_was_judged_is_connected_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("socket"), folder.path().join("other"));
        let (listener, elsewhere) = (UnixListener::bind(&path).unwrap(), UnixListener::bind(&other).unwrap());
        elsewhere.set_nonblocking(true).unwrap();
        let file = handle(&path);
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        unix(&file, soon()).unwrap();
        listener.accept().unwrap();
        assert!(elsewhere.accept().is_err());
    }

    #[test]
    fn lookups_that_hang_are_bounded() {
        static OWN: AtomicUsize = AtomicUsize::new(0);
        let (hold, held) = mpsc::channel::<()>();
        let held = std::sync::Arc::new(std::sync::Mutex::new(held));
        let over = Patience { until: Instant::now() + Duration::from_millis(5), stop: None };
        let hang = || {
            let held = std::sync::Arc::clone(&held);
            look_up_by(&OWN, "slow.test", over, move |_| {
                let _ = held.lock().unwrap().recv();
                Ok(Vec::new())
            })
        };
        let refused =
            (0..=LOOKUPS_MAX).map(|_| hang().unwrap_err()).find(|error| error.kind() == io::ErrorKind::ResourceBusy);
        assert_eq!(refused.unwrap().to_string(), "16 names are being looked up already");
        drop(hold);
        while OWN.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn names_are_looked_up() {
        assert!(look_up("localhost", soon()).unwrap().iter().all(IpAddr::is_loopback));
        let over = Patience { until: Instant::now(), stop: None };
        assert_eq!(look_up("localhost", over).unwrap_err().kind(), io::ErrorKind::TimedOut);
        let stopped = Patience { stop: Some(&AtomicBool::new(true)), ..soon() };
        assert_eq!(look_up("localhost", stopped).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}

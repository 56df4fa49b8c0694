//! Copies between a client and a server, until both are done or a limit ends it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::body::Body;
use super::http::Malformed;
use super::stop::Stop;

/// Bytes that are read at once, for each direction.
const PIECE: usize = 16 * 1024;
/// How long a server may take for the last words of a client that is gone.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why it is over.
#[derive(Debug)]
pub(in crate::runtime) enum End {
    /// Both sides have said everything, or one of them is gone.
    Done,
    /// Nobody said anything for too long.
    Idle,
    /// All connections together have moved too much.
    TooMuch,
    /// The client sent what is no part of its request.
    Broken(Malformed),
    /// The proxy ends.
    Stopped,
}

/// What bounds a relay.
pub(in crate::runtime) struct Bounds<'a> {
    /// How long nobody may say anything, if there is such a time.
    pub(in crate::runtime) idle: Option<Duration>,
    /// What all relays of the proxy may move, in bytes, and have moved.
    pub(in crate::runtime) bytes: u64,
    pub(in crate::runtime) moved: &'a AtomicU64,
    pub(in crate::runtime) stop: &'a Stop,
}

/// One way of a relay.
struct Flow<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    /// Read and not written yet.
    waiting: Vec<u8>,
    /// Whether nothing more is read.
    ended: bool,
    /// Whether the other side was told so, or is gone.
    closed: bool,
}

impl<'a> Flow<'a> {
    fn new(from: &'a TcpStream, to: &'a TcpStream, first: Vec<u8>) -> Self {
        Self { from, to, waiting: first, ended: false, closed: false }
    }

    fn reads(&self) -> bool {
        !self.ended && self.waiting.is_empty()
    }

    /// What comes next, where something is there; nothing at its end.
    fn read(&mut self) -> io::Result<usize> {
        self.waiting.resize(PIECE, 0);
        let outcome = self.from.read(&mut self.waiting);
        self.waiting.truncate(*outcome.as_ref().unwrap_or(&0));
        match outcome {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if is_early(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(self.waiting.len())
    }

    /// Writes what waits as far as the other side takes it.
    fn write(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.to.write(&self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves what is there now and can be written now.
    fn finish(&mut self) {
        while self.write().is_ok() && self.reads() && self.read().is_ok_and(|count| count > 0) {}
    }

    fn give_up(&mut self) {
        self.waiting.clear();
        (self.ended, self.closed) = (true, true);
    }
}

/// Whether nobody reads from the other end of a stream any more, nor writes to it.
pub(in crate::runtime) fn has_hung_up(stream: &TcpStream) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
    ready && fds[0].revents().is_some_and(|events| events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))
}

fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn events(reads: bool, writes: bool) -> PollFlags {
    let mut events = PollFlags::empty();
    events.set(PollFlags::POLLIN, reads);
    events.set(PollFlags::POLLOUT, writes);
    events
}

/// Copies both ways between streams that do not block. With a body, the client sends that and nothing else, and the
/// server's end is the end; without one, whatever either sends.
pub(in crate::runtime) fn relay(
    (client, to_client): (&TcpStream, Vec<u8>),
    (server, to_server): (&TcpStream, Vec<u8>),
    mut body: Option<Body>,
    bounds: &Bounds<'_>,
) -> End {
    let mut up = Flow::new(client, server, to_server);
    let mut down = Flow::new(server, client, to_client);
    let mut is_gone = false;
    loop {
        // A server that is gone may have said why before.
        if up.write().is_err() {
            up.give_up();
        }
        if down.write().is_err() {
            if body.is_none() {
                up.finish();
            }
            return End::Done;
        }
        // Only then: what it said last is still read.
        if up.ended && !down.closed && has_hung_up(client) {
            is_gone = true;
            down.give_up();
        }
        if down.ended && down.waiting.is_empty() && !down.closed {
            down.closed = true;
            let _ = client.shutdown(Shutdown::Write);
        }
        if up.ended && up.waiting.is_empty() && !up.closed && body.is_none() {
            up.closed = true;
            let _ = server.shutdown(Shutdown::Write);
        }
        if down.closed && (up.closed || body.is_some()) {
            return End::Done;
        }
        let wanted = [
            (client.as_fd(), events(up.reads(), !down.waiting.is_empty())),
            (server.as_fd(), events(down.reads(), !up.waiting.is_empty())),
        ];
        // One that nothing is wanted of would end the wait again and again once it is gone; a client's end is news.
        let is_news = [up.ended && !down.closed, false];
        let wanted = wanted.into_iter().zip(is_news).filter(|((_, events), is_news)| !events.is_empty() || *is_news);
        let wanted: Vec<_> = wanted.map(|(wanted, _)| wanted).collect();
        let patience =
            if is_gone { Some(bounds.idle.map_or(LAST_WORDS, |idle| idle.min(LAST_WORDS))) } else { bounds.idle };
        match bounds.stop.wait(&wanted, patience) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut && is_gone => return End::Done,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return End::Idle,
            Err(_) => {
                // What a client sent before its own end would have arrived without the host in between.
                if body.is_none() {
                    up.finish();
                }
                return End::Stopped;
            }
        }
        let mut moved = 0;
        if up.reads() {
            let Ok(count) = up.read() else { return End::Done };
            if let Err(error) = body.as_mut().map_or(Ok(()), |body| stay_within(body, &up.waiting)) {
                return End::Broken(error);
            }
            moved += count;
        }
        if down.reads() {
            match down.read() {
                Ok(count) => moved += count,
                Err(_) => down.ended = true,
            }
        }
        let moved = u64::try_from(moved).unwrap_or(u64::MAX);
        if bounds.moved.fetch_add(moved, Ordering::Relaxed).saturating_add(moved) > bounds.bytes {
            return End::TooMuch;
        }
    }
}

fn stay_within(body: &mut Body, bytes: &[u8]) -> Result<(), Malformed> {
    match body.take(bytes)? {
        taken if taken == bytes.len() => Ok(()),
        _ => Err(Malformed("there is more than one request on a connection".to_owned())),
    }
}

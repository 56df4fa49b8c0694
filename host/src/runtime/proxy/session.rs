//! One connection of a client: what it asks for, the judgement, and the answer.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::body::Body;
use super::http::{self, Malformed, Request};
use super::relay::{Bounds, End, relay};
use super::socks::{self, Reply};
use super::{Shared, answer};
use crate::code::Code;
use crate::policy::Endpoint;
use crate::runtime::broker::{self, ConnectError, Route};
use crate::runtime::learn;
use crate::runtime::services::{how_to_grant, taken};

/// How long, and for how many bytes, a client that was refused may go on talking. Closed while it does, it would lose the
/// answer (RFC 9112, 9.6).
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: usize = 1 << 20;

/// What a client of SOCKS is told about a connection that there is not.
fn reply_to(error: &ConnectError) -> Reply {
    match error {
        error if error.missing().is_some() => Reply::NotAllowed,
        ConnectError::NoAnswer { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => Reply::Refused,
        ConnectError::NoAddress { .. } | ConnectError::NoAnswer { .. } => Reply::Unreachable,
        _ => Reply::Failed,
    }
}

/// A client, and what was read of it and not used yet.
pub(super) struct Session<'a> {
    client: &'a TcpStream,
    shared: &'a Shared,
    seen: Vec<u8>,
    /// When it must have said what it wants.
    until: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(client: &'a TcpStream, shared: &'a Shared) -> Self {
        Self { client, shared, seen: Vec::new(), until: Instant::now() + shared.gate.limits.request }
    }

    /// Serves the client to its end.
    ///
    /// # Errors
    /// It left, said nothing in time, or the proxy ends: there is nobody to answer.
    pub(super) fn serve(mut self) -> io::Result<()> {
        self.client.set_nonblocking(true)?;
        // Whoever waits for an answer to a small message waits in vain for more of it.
        let _ = self.client.set_nodelay(true);
        self.fill()?;
        match self.seen.first() {
            Some(&socks::VERSION) => self.socks(),
            Some(first) if first.is_ascii_alphabetic() => self.http(),
            _ => self.malformed(&Malformed("this is neither HTTP nor SOCKS5".to_owned())),
        }
    }

    fn http(&mut self) -> io::Result<()> {
        let end = loop {
            match http::end_of_head(&self.seen) {
                Ok(Some(end)) => break end,
                Ok(None) => self.fill()?,
                Err(error) => return self.malformed(&error),
            }
        };
        let rest = self.seen.split_off(end);
        match http::parse(&self.seen).and_then(|request| checked(request, &rest)) {
            Err(error) => self.malformed(&error),
            Ok(Request::Tunnel(endpoint)) => match self.connect(&endpoint) {
                Ok(server) => self.relay(&endpoint, answer::ESTABLISHED.to_vec(), (&server, Vec::new()), None),
                Err(error) => self.refuse(&error),
            },
            Ok(Request::Forward { endpoint, mut head, body }) => match self.connect(&endpoint) {
                Ok(server) => {
                    head.extend(rest);
                    self.relay(&endpoint, Vec::new(), (&server, head), Some(body))
                }
                Err(error) => self.refuse(&error),
            },
        }
    }

    fn socks(&mut self) -> io::Result<()> {
        let offers = loop {
            match socks::greeting(&self.seen) {
                Ok(Some(offers)) => break offers,
                Ok(None) => self.fill()?,
                Err(error) => return self.unreadable(&error, &socks::NO_METHOD),
            }
        };
        if !offers {
            let error = Malformed("the proxy knows no authentication".to_owned());
            return self.unreadable(&error, &socks::NO_METHOD);
        }
        self.client.write_all(&socks::WELCOME)?;
        self.seen.clear();
        let endpoint = loop {
            match socks::request(&self.seen) {
                Ok(Some(endpoint)) => break endpoint,
                Ok(None) => self.fill()?,
                Err((reply, error)) => return self.unreadable(&error, &reply.bytes()),
            }
        };
        match self.connect(&endpoint) {
            Ok(server) => self.relay(&endpoint, Reply::Connected.bytes().to_vec(), (&server, Vec::new()), None),
            Err(error) => self.part(&reply_to(&error).bytes()),
        }
    }

    /// Reads on.
    fn fill(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.shared.stop.wait(&[(self.client.as_fd(), PollFlags::POLLIN)], Some(left))?;
        let mut piece = [0; 4096];
        match self.client.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.seen.extend(&piece[..count]);
                Ok(())
            }
        }
    }

    /// Connects to what the client asked for, by the judgement of the broker. Every outcome is recorded.
    fn connect(&self, endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
        let gate = &self.shared.gate;
        let route = Route { until: gate.until, stop: Some(self.shared.stop.flag()), upstream: gate.upstream.as_ref() };
        let connected = learn::judged(gate.learner.as_ref(), &gate.permissions, ConnectError::missing, |granted| {
            broker::connect(granted, endpoint, route)
        });
        match connected {
            Ok(server) => {
                gate.voice.granted(&gate.plugin, &format!("connected to `{endpoint}` through the proxy"));
                Ok(server.into())
            }
            Err(error) => {
                if let Some(missing) = error.missing() {
                    self.shared.audit(Code::PermissionDenied, &self.denial(&error, &missing).0);
                } else {
                    gate.voice.granted(&gate.plugin, &format!("tried to connect: {error}"));
                }
                Err(error)
            }
        }
    }

    fn relay(
        &self,
        endpoint: &Endpoint,
        to_client: Vec<u8>,
        (server, to_server): (&TcpStream, Vec<u8>),
        body: Option<Body>,
    ) -> io::Result<()> {
        server.set_nonblocking(true)?;
        let _ = server.set_nodelay(true);
        let limits = &self.shared.gate.limits;
        let bounds =
            Bounds { idle: Some(limits.idle), bytes: limits.bytes, moved: &self.shared.moved, stop: &self.shared.stop };
        match relay((self.client, to_client), (server, to_server), body, &bounds) {
            End::Stopped => Err(io::ErrorKind::Interrupted.into()),
            End::Done => self.part(b""),
            End::Idle => {
                let seconds = limits.idle.as_secs();
                let line = format!("the connection to `{endpoint}` was closed: nothing was sent for {seconds} s");
                self.shared.audit(Code::LimitNetwork, &line);
                Ok(())
            }
            End::TooMuch => {
                self.shared.audit(
                    Code::LimitNetwork,
                    &format!("the connection to `{endpoint}` was closed: {}", self.shared.spent()),
                );
                Ok(())
            }
            End::Broken(error) => {
                self.shared.audit(Code::ProtocolError, &format!("the connection to `{endpoint}` was closed: {error}"));
                Ok(())
            }
        }
    }

    fn refuse(&self, error: &ConnectError) -> io::Result<()> {
        let bytes = match error.missing() {
            Some(missing) => {
                let (line, help) = self.denial(error, &missing);
                answer::denied(&missing, &line, &help)
            }
            None => answer::unreachable(&error.to_string(), error.help()),
        };
        self.part(&bytes)
    }

    /// What to say of a permission that is missing, and what can be done.
    fn denial(&self, error: &ConnectError, missing: &str) -> (String, String) {
        let gate = &self.shared.gate;
        match taken(&gate.capped, missing) {
            Some((capped, wanted)) => (capped.line(&wanted), capped.help()),
            None => (error.to_string(), how_to_grant(&gate.plugin, missing)),
        }
    }

    fn malformed(&self, error: &Malformed) -> io::Result<()> {
        self.unreadable(error, &answer::malformed(&error.to_string()))
    }

    fn unreadable(&self, error: &Malformed, last_words: &[u8]) -> io::Result<()> {
        self.shared.audit(Code::ProtocolError, &format!("a request to the proxy was refused: {error}"));
        self.part(last_words)
    }

    /// Says the last words, and lets the client finish.
    fn part(&self, last_words: &[u8]) -> io::Result<()> {
        let mut client = self.client;
        client.write_all(last_words)?;
        client.shutdown(Shutdown::Write)?;
        let until = Instant::now() + FAREWELL;
        let mut ignored = 0;
        while ignored < FAREWELL_BYTES {
            let left = until.saturating_duration_since(Instant::now());
            self.shared.stop.wait(&[(client.as_fd(), PollFlags::POLLIN)], Some(left))?;
            match client.read(&mut [0; 4096])? {
                0 => break,
                count => ignored += count,
            }
        }
        Ok(())
    }
}

/// Takes what came with the head for what it must be.
fn checked(request: Request, rest: &[u8]) -> Result<Request, Malformed> {
    match request {
        Request::Tunnel(_) if !rest.is_empty() => http::refuse("the client did not wait for an answer"),
        Request::Tunnel(_) => Ok(request),
        Request::Forward { endpoint, head, mut body } => {
            if body.take(rest)? < rest.len() {
                return http::refuse("there is more than one request on a connection");
            }
            Ok(Request::Forward { endpoint, head, body })
        }
    }
}

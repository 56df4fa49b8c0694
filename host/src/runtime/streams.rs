//! The streams that plugins are connected by. A plugin holds one end of a pair; the host copies between the other end and
//! the server. So the bytes of a stream, its silence and its end are seen, and no socket of the machine's own network is
//! ever in a plugin's hands.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::proxy::relay::{Bounds, End, has_hung_up, relay};
use super::proxy::stop::Stop;
use super::services::Voice;
use crate::code::Code;
use crate::ids::PluginName;
use crate::policy::Endpoint;
use crate::sandbox::Death;
use crate::wire::ConnectionLimits;

/// Streams that a plugin has let go of, and whose last words are on their way to a slow server.
const LEAVING: usize = 64;

/// Whose stream it is, and where it leads.
pub(super) struct Ends<'a> {
    pub(super) plugin: &'a PluginName,
    pub(super) endpoint: &'a Endpoint,
    pub(super) voice: &'a Arc<dyn Voice>,
    pub(super) limits: ConnectionLimits,
    /// Ends the worker that holds it.
    pub(super) end: Box<dyn Fn(Death) + Send>,
}

/// The open streams of all plugins of a host.
#[derive(Debug, Default)]
pub(super) struct Streams {
    plugins: Mutex<BTreeMap<PluginName, Open>>,
}

/// The streams of one plugin; they end when this is dropped.
#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    relays: Vec<Relay>,
}

/// The thread of one stream.
#[derive(Debug)]
struct Relay {
    thread: JoinHandle<()>,
    /// The host's end of the pair, for as long as the thread has it.
    client: Weak<TcpStream>,
}

impl Relay {
    /// Whether the plugin holds its end. One that has let go of it may have said something that is still on its way.
    fn is_held(&self) -> bool {
        self.client.upgrade().is_some_and(|client| !has_hung_up(&client))
    }
}

#[derive(Debug)]
struct Shared {
    stop: Stop,
    /// Bytes since the call began, or since the last one did.
    moved: AtomicU64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.stop.ask();
        for relay in self.relays.drain(..) {
            let _ = relay.thread.join();
        }
    }
}

impl Streams {
    fn with<T>(&self, plugin: &PluginName, work: impl FnOnce(&mut Open) -> T) -> Option<T> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).get_mut(plugin).map(work)
    }

    /// A call begins: its bytes are counted anew.
    pub(super) fn begin(&self, plugin: &PluginName) {
        self.with(plugin, |open| open.shared.moved.store(0, Ordering::Relaxed));
    }

    /// Bytes since a call began.
    pub(super) fn moved(&self, plugin: &PluginName) -> u64 {
        self.with(plugin, |open| open.shared.moved.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Whether a call that has made so many connections may make one more.
    ///
    /// # Errors
    /// The limit that it would break.
    pub(super) fn admit(&self, plugin: &PluginName, made: u32, limits: &ConnectionLimits) -> Result<(), String> {
        let ConnectionLimits { open: most, all, .. } = *limits;
        if made >= all {
            return Err(format!("a call may make {all} connections, and these were made"));
        }
        let count = |open: &mut Open| {
            open.relays.retain(|relay| !relay.thread.is_finished());
            (open.relays.iter().filter(|relay| relay.is_held()).count(), open.relays.len())
        };
        match self.with(plugin, count) {
            Some((held, threads)) if held >= most || threads >= most + LEAVING => {
                Err(format!("a plugin may have {most} connections at a time"))
            }
            _ => Ok(()),
        }
    }

    /// The plugin's end of a stream that leads to a server.
    ///
    /// # Errors
    /// The system has no descriptor or thread for it.
    pub(super) fn serve(&self, server: OwnedFd, ends: Ends<'_>) -> io::Result<OwnedFd> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // The calls are the same for every kind of stream.
        let (client, server) = (Arc::new(TcpStream::from(ours)), TcpStream::from(server));
        server.set_nonblocking(true)?;
        // Who waits for an answer to a small message waits in vain for more of it; there is none on a local socket.
        let _ = server.set_nodelay(true);
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if !plugins.contains_key(ends.plugin) {
            let shared = Arc::new(Shared { stop: Stop::new()?, moved: AtomicU64::new(0) });
            plugins.insert(ends.plugin.clone(), Open { shared, relays: Vec::new() });
        }
        let Some(open) = plugins.get_mut(ends.plugin) else { return Err(io::ErrorKind::NotFound.into()) };
        let keeper = Keeper {
            shared: Arc::clone(&open.shared),
            limits: ends.limits,
            plugin: ends.plugin.clone(),
            endpoint: ends.endpoint.clone(),
            voice: Arc::clone(ends.voice),
            end: ends.end,
        };
        let known = Arc::downgrade(&client);
        let run = move || keeper.keep(&client, &server);
        let thread = std::thread::Builder::new().name("stream".to_owned()).spawn(run)?;
        open.relays.push(Relay { thread, client: known });
        Ok(theirs)
    }

    /// Ends all streams; what was written into them before is passed on.
    pub(super) fn clear(&self) {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What the thread of one stream knows.
struct Keeper {
    shared: Arc<Shared>,
    limits: ConnectionLimits,
    plugin: PluginName,
    endpoint: Endpoint,
    voice: Arc<dyn Voice>,
    end: Box<dyn Fn(Death) + Send>,
}

impl Keeper {
    /// How long the stream may be silent.
    fn idle(&self) -> Option<Duration> {
        match self.endpoint {
            Endpoint::Tcp { .. } => Some(self.limits.idle),
            Endpoint::Unix(_) => None,
        }
    }

    fn keep(&self, client: &TcpStream, server: &TcpStream) {
        let Shared { stop, moved } = &*self.shared;
        let bounds = Bounds { idle: self.idle(), bytes: self.limits.bytes, moved, stop };
        match relay((client, Vec::new()), (server, Vec::new()), None, &bounds) {
            End::Done | End::Stopped | End::Broken(_) => {}
            End::Idle => {
                let seconds = self.limits.idle.as_secs();
                let line =
                    format!("the connection to `{}` was closed: nothing was sent for {seconds} s", self.endpoint);
                self.voice.audit(&self.plugin, &format!("{}: {line}", Code::LimitNetwork));
            }
            End::TooMuch => (self.end)(Death::Traffic(self.limits.bytes)),
        }
    }
}

#[cfg(test)]
mod tests;

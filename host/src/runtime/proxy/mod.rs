//! The proxy for programs and libraries that need plain sockets: HTTP (requests in absolute form, and CONNECT) and SOCKS5
//! on one listening socket, which stands in a network namespace without any other way out. Every request is judged as a
//! plugin's own `connect` is, and recorded.

mod acceptor;
mod answer;
mod body;
mod http;
pub(super) mod relay;
mod session;
mod socks;
pub(super) mod stop;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;

use migraine_plugin_api::Permission;

use self::stop::Stop;
use super::learn::Learner;
use super::services::Voice;
use crate::code::Code;
use crate::ids::PluginName;
use crate::policy::{Capped, Endpoint};
use crate::sandbox::Traffic;
use crate::sandbox::awake::Deadline;
use crate::wire::{ConnectionLimits, PROXY_PORT};

/// What a proxy judges by, and whom it tells.
#[derive(Clone)]
pub struct Gate {
    /// Whose requests they are.
    pub plugin: PluginName,
    /// What the plugin was granted.
    pub permissions: Vec<Permission>,
    /// Learns what is missing, and allows it.
    pub learner: Option<Arc<Learner>>,
    /// What the policy takes away of what it was granted.
    pub capped: Vec<Capped>,
    /// Where decisions are recorded.
    pub voice: Arc<dyn Voice>,
    /// The user's own proxy, through which public addresses are reached.
    pub upstream: Option<Endpoint>,
    /// When nobody is connected any more, if there is such a time.
    pub until: Option<Deadline>,
    /// What its clients may use.
    pub limits: ConnectionLimits,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// What all connections of a proxy have in common.
#[derive(Debug)]
struct Shared {
    gate: Gate,
    stop: Stop,
    /// Clients that have connected.
    asked: AtomicU32,
    /// Bytes that were read from both sides.
    moved: AtomicU64,
}

impl Shared {
    /// Counts a client, while others have these connections open.
    ///
    /// # Errors
    /// The limit that it would break.
    fn admit(&self, open: usize) -> Result<(), String> {
        let limits = &self.gate.limits;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let line = if asked >= limits.all {
            format!("a program may make {} connections through the proxy, and these were made", limits.all)
        } else if self.moved.load(Ordering::Relaxed) > limits.bytes {
            self.spent()
        } else if open >= limits.open {
            format!("a program may have {} connections through the proxy at a time", limits.open)
        } else {
            return Ok(());
        };
        // What comes after the last is not recorded one by one: there could be any number of them.
        if asked <= limits.all {
            self.audit(Code::LimitNetwork, &line);
        }
        Err(line)
    }

    fn spent(&self) -> String {
        format!("a program may move {} MiB through the proxy, and these were moved", self.gate.limits.bytes >> 20)
    }

    fn audit(&self, code: Code, line: &str) {
        self.gate.voice.audit(&self.gate.plugin, &format!("{code}: {line}"));
    }
}

/// A running proxy; ends, with all of its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Serves whoever connects to the socket.
    ///
    /// # Errors
    /// The system has no thread or descriptor for it.
    pub fn serve(listener: TcpListener, gate: Gate) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared { gate, stop: Stop::new()?, asked: AtomicU32::new(0), moved: AtomicU64::new(0) });
        let its = Arc::clone(&shared);
        let run = move || acceptor::run(&listener, &its);
        let acceptor = std::thread::Builder::new().name("proxy".to_owned()).spawn(run)?;
        Ok(Self { shared, acceptor: Some(acceptor) })
    }

    /// What its clients have used so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let connections = self.shared.asked.load(Ordering::Relaxed);
        Traffic { connections: u64::from(connections), bytes: self.shared.moved.load(Ordering::Relaxed) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.ask();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// The variables by which programs inside find the proxy. Both cases of each: curl reads `http_proxy` in lower case only,
/// others the other way round. Nothing is exempt: there is nobody to reach directly.
#[must_use]
pub fn proxy_variables() -> Vec<(String, String)> {
    let at = format!("127.0.0.1:{PROXY_PORT}");
    let (http, socks) = (format!("http://{at}"), format!("socks5h://{at}"));
    [("http_proxy", &http), ("https_proxy", &http), ("all_proxy", &socks), ("no_proxy", &String::new())]
        .into_iter()
        .flat_map(|(name, value)| [(name.to_owned(), value.clone()), (name.to_uppercase(), value.clone())])
        .collect()
}

//! What the host offers to a plugin: the typed surface over the one generic call.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ErrorKind, PluginError};
use crate::permission::Permission;

/// The plugin's effective configuration: manifest defaults with the user's overrides.
pub type Config = BTreeMap<String, Value>;

/// The largest value under one state key, in bytes.
pub const STATE_VALUE_MAX: usize = 64 * 1024;
/// All state of one plugin, keys and values, in bytes.
pub const STATE_TOTAL_MAX: usize = 1024 * 1024;
/// The longest state key, in bytes.
pub const STATE_KEY_MAX: usize = 256;

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogLevel {
    /// Shown with `--verbose`.
    Debug,
    /// Shown with `--verbose`.
    Info,
    /// Always shown.
    Warn,
    /// Always shown.
    Error,
}

/// The raw way to the host, implemented by the worker and by the test kit.
pub trait Services: Send + Sync {
    /// One request, one answer.
    ///
    /// # Errors
    /// The host refused, does not know the service, or has ended the call.
    fn call(&self, service: &str, body: &[u8]) -> Result<Vec<u8>, PluginError>;

    /// A request whose answer is an open descriptor.
    ///
    /// # Errors
    /// As [`Services::call`].
    fn descriptor(&self, service: &str, body: &[u8]) -> Result<OwnedFd, PluginError>;
}

/// A handle on the host, cheap to clone and usable from every thread while a call is running.
#[derive(Clone)]
pub struct Host {
    services: Arc<dyn Services>,
    config: Arc<Config>,
    permissions: Arc<[Permission]>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("config", &self.config)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

/// What a program run by [`Host::exec`] left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecOutput {
    /// Its exit code; 128 + N when signal N ended it.
    pub exit_code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Host {
    #[doc(hidden)]
    #[must_use]
    pub fn from_parts(services: Arc<dyn Services>, config: Config, permissions: Vec<Permission>) -> Self {
        Self { services, config: Arc::new(config), permissions: permissions.into() }
    }

    /// Writes a log line. A line that cannot be delivered is lost: logging never fails a call.
    pub fn log(&self, level: LogLevel, message: impl fmt::Display) {
        let body = serde_json::json!({"level": level, "message": message.to_string()});
        let _ = self.services.call("log", body.to_string().as_bytes());
    }

    /// Whether the plugin holds a permission, written as in a manifest: `task_read`, `network=localhost:80`.
    #[must_use]
    pub fn has_permission(&self, wanted: &str) -> bool {
        wanted.parse().is_ok_and(|wanted| self.permissions.iter().any(|held| held.covers(&wanted)))
    }

    /// The permissions the plugin really has.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// The plugin's effective configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A configuration value as text; numbers and booleans are formatted.
    #[must_use]
    pub fn config_text(&self, key: &str) -> Option<String> {
        match self.config.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    /// The value stored under a key, if any. State is durable and survives an upgrade of the plugin.
    ///
    /// # Errors
    /// The key is empty or longer than [`STATE_KEY_MAX`], or the store cannot be read.
    pub fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, PluginError> {
        let answer = self.services.call("state.get", key.as_bytes())?;
        match answer.split_first() {
            Some((1, value)) => Ok(Some(value.to_vec())),
            _ => Ok(None),
        }
    }

    /// Stores a value under a key; durable when this returns.
    ///
    /// # Errors
    /// The value is larger than [`STATE_VALUE_MAX`], all state would exceed [`STATE_TOTAL_MAX`], or the store cannot be
    /// written.
    pub fn state_put(&self, key: &str, value: &[u8]) -> Result<(), PluginError> {
        let mut body = key.as_bytes().to_vec();
        body.push(0);
        body.extend_from_slice(value);
        self.services.call("state.put", &body).map(drop)
    }

    /// Removes a key; removing one that is not there is fine.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn state_delete(&self, key: &str) -> Result<(), PluginError> {
        self.services.call("state.delete", key.as_bytes()).map(drop)
    }

    /// All keys that hold a value, sorted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn state_keys(&self) -> Result<Vec<String>, PluginError> {
        Ok(serde_json::from_slice(&self.services.call("state.keys", &[])?)?)
    }

    /// The variables of the running workflow; needs `task_read`. Secret values are masked without `user_auth`.
    ///
    /// # Errors
    /// The permission is missing, or no workflow is running.
    pub fn variables(&self) -> Result<BTreeMap<String, String>, PluginError> {
        Ok(serde_json::from_slice(&self.services.call("variables", &[])?)?)
    }

    /// A connected stream to a granted endpoint, `host:port`, `[ipv6]:port` or `unix:/path`; needs `network`.
    ///
    /// Call it once for each stream: a plugin cannot make sockets itself. What comes back is an ordinary stream that blocks,
    /// of the kind `AF_UNIX` wherever it leads: the host copies between it and the server. Read, write, shut it down and
    /// set its timeouts as usual, and drop it when it is done. A plugin has ten at a time.
    ///
    /// ```
    /// use std::io::{Read as _, Write as _};
    /// use std::os::unix::net::UnixStream;
    /// # use migraine_plugin_api::{Host, PluginError};
    ///
    /// fn ask_daemon(host: &Host) -> Result<String, PluginError> {
    ///     let mut stream = UnixStream::from(host.connect("unix:/run/daemon.sock")?);
    ///     stream.write_all(b"status\n")?;
    ///     let mut answer = String::new();
    ///     stream.read_to_string(&mut answer)?;
    ///     Ok(answer)
    /// }
    ///
    /// fn ask_server(host: &Host) -> Result<UnixStream, PluginError> {
    ///     Ok(UnixStream::from(host.connect("api.example.com:80")?))
    /// }
    /// ```
    ///
    /// An async run-time wants it non-blocking: `set_nonblocking(true)`, then `tokio::net::UnixStream::from_std`. A unit
    /// test provides streams with [`Bench::streams`](crate::testing::Bench::streams).
    ///
    /// # Errors
    /// The text is no endpoint ([`ErrorKind::Invalid`]), the endpoint is not granted ([`ErrorKind::PermissionDenied`]), or
    /// nobody answers there or a limit of connections is reached ([`ErrorKind::Failed`]).
    pub fn connect(&self, endpoint: &str) -> Result<OwnedFd, PluginError> {
        self.services.descriptor("connect", endpoint.as_bytes())
    }

    /// Runs a granted program to its end, in a sandbox of its own; needs `exec`.
    ///
    /// `program` is a name, looked up in `/usr/local/bin`, `/usr/bin` and `/bin`, or an absolute path; no shell comes
    /// between. It sees the system's programs and libraries and the plugin's granted directories, each at its own path,
    /// the plugin's environment variables, and no network. It starts other programs only where they are granted as well; a
    /// script needs its interpreter. All of its processes end with it, and with the call that runs it.
    ///
    /// A request of its own, by [`call`](Self::call), can also say where it starts and what it reads: service `exec`, body
    /// `{"program": …, "args": […], "cwd": "/a/granted/directory", "stdin": "text"}`.
    ///
    /// # Errors
    /// The program is not granted ([`ErrorKind::PermissionDenied`]), cannot be started, prints more than 1 MiB or breaks
    /// another limit ([`ErrorKind::Failed`]). An exit code other than 0 is no error.
    pub fn exec(&self, program: &str, args: &[&str]) -> Result<ExecOutput, PluginError> {
        let body = serde_json::json!({"program": program, "args": args});
        Ok(serde_json::from_slice(&self.services.call("exec", body.to_string().as_bytes())?)?)
    }

    /// A service that a later host may offer.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when this host does not know it.
    pub fn call(&self, service: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        self.services.call(service, body)
    }

    pub(crate) fn write_out(&self, bytes: &[u8]) -> Result<(), PluginError> {
        self.services.call("out", bytes).map(drop)
    }

    pub(crate) fn write_err(&self, bytes: &[u8]) -> Result<(), PluginError> {
        self.services.call("err", bytes).map(drop)
    }

    pub(crate) fn read_in(&self, most: usize) -> Result<Vec<u8>, PluginError> {
        self.services.call("stdin", most.to_string().as_bytes())
    }
}

/// Whether an error says that the host does not know an operation, so that the caller can fall back.
#[must_use]
pub fn is_unsupported(error: &PluginError) -> bool {
    error.kind() == ErrorKind::Unsupported
}

//! Test kit: run a plugin in a unit test, without a sandbox and without a host.
//!
//! ```
//! # use migraine_plugin_api::testing::Bench;
//! use migraine_plugin_api::prelude::*;
//!
//! struct Hello;
//!
//! #[plugin]
//! impl Hello {
//!     #[command]
//!     fn hello(&self, ctx: &CommandContext) -> Result<(), PluginError> {
//!         Ok(writeln!(ctx.out(), "Hello")?)
//!     }
//! }
//!
//! let mut bench = Bench::<Hello>::new();
//! assert_eq!(bench.command("hello", &[]).unwrap(), "Hello\n");
//! ```

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::command::{CommandContext, Invocation};
use crate::context::Context;
use crate::error::{ErrorKind, PluginError};
use crate::manifest::Manifest;
use crate::permission::Permission;
use crate::plugin::Plugin;
use crate::result::HookResult;
use crate::services::{Config, Host, STATE_VALUE_MAX, Services};

/// What the stand-in for the host remembers.
#[derive(Debug, Default)]
struct Recorded {
    out: Vec<u8>,
    err: Vec<u8>,
    log: Vec<String>,
    state: BTreeMap<String, Vec<u8>>,
    variables: BTreeMap<String, String>,
    stdin: Vec<u8>,
}

/// Makes the plugin's end of a stream to an endpoint.
type Connect = Box<dyn FnMut(&str) -> Result<OwnedFd, PluginError> + Send>;

#[derive(Default)]
struct Recorder {
    recorded: Mutex<Recorded>,
    connect: Mutex<Option<Connect>>,
}

impl Recorder {
    fn with<T>(&self, work: impl FnOnce(&mut Recorded) -> T) -> T {
        work(&mut self.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Services for Recorder {
    fn call(&self, service: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let text = || String::from_utf8_lossy(body).into_owned();
        self.with(|recorded| match service {
            "out" => {
                recorded.out.extend_from_slice(body);
                Ok(Vec::new())
            }
            "err" => {
                recorded.err.extend_from_slice(body);
                Ok(Vec::new())
            }
            "log" => {
                recorded.log.push(text());
                Ok(Vec::new())
            }
            "state.get" => Ok(recorded
                .state
                .get(&text())
                .map_or_else(|| vec![0], |value| std::iter::once(1).chain(value.iter().copied()).collect())),
            "state.put" => {
                let cut = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
                let (key, value) = body.split_at(cut);
                let value = value.get(1..).unwrap_or_default();
                if value.len() > STATE_VALUE_MAX {
                    return Err(PluginError::new(ErrorKind::Invalid, "the value is larger than 64 KiB"));
                }
                recorded.state.insert(String::from_utf8_lossy(key).into_owned(), value.to_vec());
                Ok(Vec::new())
            }
            "state.delete" => {
                recorded.state.remove(&text());
                Ok(Vec::new())
            }
            "state.keys" => Ok(serde_json::to_vec(&recorded.state.keys().collect::<Vec<_>>())?),
            "variables" => Ok(serde_json::to_vec(&recorded.variables)?),
            "stdin" => {
                let most = text().parse().unwrap_or(0).min(recorded.stdin.len());
                Ok(recorded.stdin.drain(..most).collect())
            }
            other => Err(PluginError::new(ErrorKind::Unsupported, format!("the test kit does not offer `{other}`"))),
        })
    }

    fn descriptor(&self, service: &str, body: &[u8]) -> Result<OwnedFd, PluginError> {
        let mut connect = self.connect.lock().unwrap_or_else(PoisonError::into_inner);
        if let ("connect", Some(connect)) = (service, &mut *connect) {
            return connect(&String::from_utf8_lossy(body));
        }
        Err(PluginError::new(ErrorKind::Unsupported, format!("the test kit does not offer `{service}`")))
    }
}

/// A plugin on the bench: made on first use with the configuration given so far.
pub struct Bench<P> {
    recorder: Arc<Recorder>,
    manifest: Option<Manifest>,
    config: Config,
    permissions: Vec<Permission>,
    terminal_width: Option<u16>,
    plugin: Option<(P, Host)>,
}

impl<P> std::fmt::Debug for Bench<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<P: Plugin> Default for Bench<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Plugin> Bench<P> {
    /// A bench with the manifest's configuration defaults and no permission.
    #[must_use]
    pub fn new() -> Self {
        let manifest: Option<Manifest> = serde_json::from_str(P::MANIFEST).ok();
        Self {
            recorder: Arc::default(),
            config: manifest.as_ref().map(|manifest| manifest.config.clone()).unwrap_or_default(),
            manifest,
            permissions: Vec::new(),
            terminal_width: None,
            plugin: None,
        }
    }

    /// Overrides a configuration key.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config.insert(key.to_owned(), value.into());
        self
    }

    /// Grants a permission.
    #[must_use]
    pub fn grant(mut self, permission: Permission) -> Self {
        self.permissions.push(permission);
        self
    }

    /// Sets a workflow variable.
    #[must_use]
    pub fn variable(self, name: &str, value: &str) -> Self {
        self.recorder.with(|recorded| recorded.variables.insert(name.to_owned(), value.to_owned()));
        self
    }

    /// Runs commands as on a terminal of this many columns; without it as from a pipe.
    #[must_use]
    pub fn terminal(mut self, width: u16) -> Self {
        self.terminal_width = Some(width);
        self
    }

    /// Sets what commands read from standard input; those that do not declare `stdin` read nothing, as with the host.
    #[must_use]
    pub fn stdin(self, bytes: &[u8]) -> Self {
        self.recorder.with(|recorded| recorded.stdin = bytes.to_vec());
        self
    }

    /// Answers [`Host::connect`]: the closure gets the endpoint and makes the plugin's end of a stream. Grants are not
    /// looked at. Without it no endpoint can be reached.
    ///
    /// ```
    /// use std::io::{Read as _, Write as _};
    /// use std::os::unix::net::UnixStream;
    /// # use migraine_plugin_api::testing::Bench;
    /// # use migraine_plugin_api::prelude::*;
    /// # struct Asks;
    /// # #[plugin(permissions("network=unix:/run/daemon.sock"))]
    /// # impl Asks {
    /// #     #[command]
    /// #     fn status(&self, ctx: &CommandContext) -> Result<(), PluginError> {
    /// #         let mut stream = UnixStream::from(ctx.host().connect("unix:/run/daemon.sock")?);
    /// #         stream.write_all(b"status")?;
    /// #         stream.shutdown(std::net::Shutdown::Write)?;
    /// #         std::io::copy(&mut stream, &mut ctx.out())?;
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// let mut bench = Bench::<Asks>::new().streams(|endpoint| {
    ///     assert_eq!(endpoint, "unix:/run/daemon.sock");
    ///     let (plugins, mut servers) = UnixStream::pair()?;
    ///     std::thread::spawn(move || -> std::io::Result<()> {
    ///         let mut asked = String::new();
    ///         servers.read_to_string(&mut asked)?;
    ///         servers.write_all(format!("{asked}: fine").as_bytes())
    ///     });
    ///     Ok(plugins.into())
    /// });
    /// assert_eq!(bench.command("status", &[]).unwrap(), "status: fine");
    /// ```
    #[must_use]
    pub fn streams(self, connect: impl FnMut(&str) -> Result<OwnedFd, PluginError> + Send + 'static) -> Self {
        *self.recorder.connect.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(connect));
        self
    }

    fn parts(&mut self) -> Result<&mut (P, Host), PluginError> {
        let made = match self.plugin.take() {
            Some(made) => made,
            None => {
                let host = Host::from_parts(self.recorder.clone(), self.config.clone(), self.permissions.clone());
                (P::create(&host)?, host)
            }
        };
        Ok(self.plugin.insert(made))
    }

    /// Calls a command and returns what it wrote.
    ///
    /// # Errors
    /// What the command or the plugin's start answered.
    pub fn command(&mut self, name: &str, args: &[&str]) -> Result<String, PluginError> {
        let declared = self.manifest.as_ref().and_then(|manifest| manifest.command(name));
        let mut invocation = Invocation::new(name, args);
        invocation.stdin = declared.is_some_and(|command| command.stdin);
        if let Some(width) = self.terminal_width {
            invocation.terminal_width = width;
            invocation.stdout_is_terminal = true;
        }
        let (plugin, host) = self.parts()?;
        let mut context = CommandContext::new(host.clone(), invocation);
        let outcome = plugin.command(&mut context);
        let written = self.recorder.with(|recorded| std::mem::take(&mut recorded.out));
        outcome.map(|()| String::from_utf8_lossy(&written).into_owned())
    }

    /// Delivers an event; configuration and permissions of the bench are filled in. A context without a handler goes to
    /// the first subscription to its event, by priority; patterns are not looked at.
    ///
    /// # Errors
    /// What the hook or the plugin's start answered.
    pub fn hook(&mut self, mut context: Context) -> Result<HookResult, PluginError> {
        if context.handler.is_empty() {
            context.handler = self.handler_of(&context.event);
        }
        let (plugin, host) = self.parts()?;
        context.plugin_config.clone_from(host.config());
        context.permissions = host.permissions().to_vec();
        plugin.hook(&context, host)
    }

    /// Ends the plugin as the host does. The next call makes a new one, with the same state.
    pub fn shutdown(&mut self) {
        if let Some((mut plugin, _)) = self.plugin.take() {
            plugin.shutdown();
        }
    }

    fn handler_of(&self, event: &str) -> String {
        let event = event.replace('_', "-");
        let hooks = self.manifest.iter().flat_map(|manifest| &manifest.hooks);
        let subscribed = hooks.filter(|hook| hook.event.replace('_', "-") == event);
        // min_by_key takes the first of equals, max_by_key the last.
        let first = subscribed.min_by_key(|hook| std::cmp::Reverse(hook.priority));
        first.and_then(|hook| hook.handler.name()).unwrap_or_default().to_owned()
    }

    /// The log lines so far, each a JSON object with `level` and `message`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.recorder.with(|recorded| recorded.log.clone())
    }

    /// What was written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.recorder.with(|recorded| String::from_utf8_lossy(&recorded.err).into_owned())
    }
}

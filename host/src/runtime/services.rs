//! The host's own services: what a running call may ask for, and how each request is judged.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use migraine_plugin_api::{ErrorKind, LogLevel, Permission, PermissionKind, PluginError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::broker::{self, ConnectError, Route};
use super::exec::Spent;
use super::launchers::Launchers;
use super::learn::{self, Learner};
use super::masked::Input;
use super::spec::stream_limits;
use super::streams::{Ends, Streams};
use crate::code::Code;
use crate::controls::{Check, makes};
use crate::ids::PluginName;
use crate::policy::{Capped, Endpoint, EndpointError, LimitCaps};
use crate::sandbox::awake::Deadline;
use crate::sandbox::{CallLimits, CallUsage, Caller, HostSide, Stream, Traffic};
use crate::secrets::Secrets;
use crate::store::{DataOwner, Home, PluginData, StoreError};
use crate::text::{TerminalFilter, safe_line};

/// Where what plugins say besides their answers goes. Texts are raw: whoever shows them makes them safe.
pub trait Voice: Send + Sync {
    /// A piece that the plugin printed on its own standard output or error.
    fn stray(&self, plugin: &PluginName, is_stderr: bool, bytes: &[u8]);

    /// A log line.
    fn log(&self, plugin: &PluginName, level: LogLevel, message: &str);

    /// Something that the host refused or ignored.
    fn audit(&self, plugin: &PluginName, message: &str);

    /// Something that the host did for the plugin since a permission allows it.
    fn granted(&self, plugin: &PluginName, message: &str);

    /// What a call used, however it ended.
    fn used(&self, plugin: &PluginName, usage: &CallUsage);
}

/// How long a wait for standard input lasts before the deadline is looked at.
const STDIN_SLICE: Duration = Duration::from_millis(100);

/// The database of plugin state, opened at the first request.
pub(super) type Data = OnceCell<PluginData>;

/// For each of this process's standard streams, once a command wrote to it: its filter, if it is a terminal. Most calls
/// write nothing, and the streams are not asked for.
#[derive(Default)]
pub(super) struct Filters {
    out: Option<Option<TerminalFilter>>,
    err: Option<Option<TerminalFilter>>,
}

impl Filters {
    fn out(&mut self) -> Option<&mut TerminalFilter> {
        self.out.get_or_insert_with(|| io::stdout().is_terminal().then(TerminalFilter::default)).as_mut()
    }

    /// Writes output of a command to this process's own streams.
    pub(super) fn write(&mut self, stream: Stream, stdout_is_taken: bool, bytes: &[u8]) -> io::Result<()> {
        let to_out = matches!(stream, Stream::Out) && !stdout_is_taken;
        let filter = if to_out { self.out() } else { self.err() };
        let bytes = filter.map_or(Cow::Borrowed(bytes), |filter| Cow::Owned(filter.pass(bytes)));
        if to_out {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()
        } else {
            io::stderr().lock().write_all(&bytes)
        }
    }

    fn err(&mut self) -> Option<&mut TerminalFilter> {
        self.err.get_or_insert_with(|| io::stderr().is_terminal().then(TerminalFilter::default)).as_mut()
    }
}

/// The host's side of one call.
pub(super) struct Side<'a> {
    pub(super) plugin: &'a PluginName,
    /// Whose data it is given; nobody's once the plugin was stopped.
    pub(super) owner: Option<&'a DataOwner>,
    pub(super) permissions: &'a [Permission],
    /// What the policy takes away of what was granted.
    pub(super) capped: &'a [Capped],
    /// The limits of the policy.
    pub(super) caps: LimitCaps,
    pub(super) voice: &'a Arc<dyn Voice>,
    pub(super) home: &'a Home,
    pub(super) data: &'a Data,
    /// The variables of the running workflow, inside a hook call.
    pub(super) variables: Option<&'a BTreeMap<String, String>>,
    /// Whether the command may read the caller's standard input.
    pub(super) stdin: bool,
    /// Whether standard output is not for commands.
    pub(super) stdout_is_taken: bool,
    /// When the call ends at the latest, if there is such a time.
    pub(super) until: Option<Deadline>,
    pub(super) filters: Filters,
    /// The user's own proxy for plugins' connections.
    pub(super) upstream: Option<&'a Endpoint>,
    /// Learns what is missing, and allows it.
    pub(super) learner: Option<&'a Arc<Learner>>,
    /// Connections that were asked for in this call and allowed.
    pub(super) connections: u32,
    /// The streams of all plugins.
    pub(super) streams: &'a Streams,
    /// What went through the proxy in this call.
    pub(super) proxied: Traffic,
    /// The limits of the call.
    pub(super) limits: CallLimits,
    pub(super) launchers: &'a Launchers,
    /// The worker that is called, once it is there.
    pub(super) caller: Option<Caller>,
    /// What is masked in what the plugin is handed, if anything is.
    pub(super) secrets: Option<&'a Secrets>,
    pub(super) input: Input,
    /// What programs have used in this call.
    pub(super) spent: Spent,
}

impl HostSide for Side<'_> {
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.filters.write(stream, self.stdout_is_taken, bytes)
    }

    fn stray(&mut self, stream: Stream, bytes: &[u8]) {
        self.voice.stray(self.plugin, matches!(stream, Stream::Err), bytes);
    }

    fn log(&mut self, body: &[u8]) {
        #[derive(serde::Deserialize)]
        struct Line {
            level: LogLevel,
            message: String,
        }
        // A line that cannot be read is shown as it came: it is the author's only trace of a mistake.
        let line = serde_json::from_slice(body)
            .unwrap_or_else(|_| Line { level: LogLevel::Warn, message: String::from_utf8_lossy(body).into_owned() });
        self.voice.log(self.plugin, line.level, &line.message);
    }

    fn service(&mut self, name: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        match name {
            "state.get" => self.state_get(body),
            "state.put" => self.state_put(body),
            "state.delete" => {
                self.data()?.delete(self.owner()?, text(body)?).map(|()| Vec::new()).map_err(|e| lift(&e))
            }
            "state.keys" => {
                let keys = self.data()?.keys(self.owner()?).map_err(|error| lift(&error))?;
                Ok(serde_json::to_vec(&keys)?)
            }
            "variables" => self.variables(),
            "stdin" => self.stdin(body),
            "connect" => {
                Err(PluginError::new(ErrorKind::Unsupported, "`connect` answers with a descriptor: ask for one"))
            }
            "exec" => self.exec(body),
            other => Err(unknown(other)),
        }
    }

    fn descriptor(&mut self, name: &str, body: &[u8]) -> Result<OwnedFd, PluginError> {
        match name {
            "connect" => self.connect(text(body)?),
            other => Err(unknown(other)),
        }
    }
}

impl Side<'_> {
    fn data(&self) -> Result<&PluginData, PluginError> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let data = PluginData::open(self.home).map_err(|error| lift(&error))?;
        Ok(self.data.get_or_init(|| data))
    }

    fn owner(&self) -> Result<&DataOwner, PluginError> {
        self.owner
            .ok_or_else(|| PluginError::failed("the plugin was stopped, and its state is not given to it any more"))
    }

    fn state_get(&self, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let value = self.data()?.get(self.owner()?, text(body)?).map_err(|error| lift(&error))?;
        Ok(value.map_or_else(|| vec![0], |value| [&[1], value.as_slice()].concat()))
    }

    fn state_put(&self, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let cut = body.iter().position(|&byte| byte == 0);
        let cut = cut.ok_or_else(|| PluginError::new(ErrorKind::Invalid, "the request has no value"))?;
        self.data()?.put(self.owner()?, text(&body[..cut])?, &body[cut + 1..]).map_err(|error| lift(&error))?;
        Ok(Vec::new())
    }

    fn variables(&mut self) -> Result<Vec<u8>, PluginError> {
        let wanted = Permission::bare(PermissionKind::TaskRead);
        if let Some(learner) = self.learner {
            learner.learn(&wanted.to_string());
        }
        if !self.permissions.iter().any(|held| held.covers(&wanted)) && makes(Check::Permission) {
            return Err(self.deny(&wanted, "variables"));
        }
        match self.variables {
            Some(variables) => Ok(serde_json::to_vec(variables)?),
            None => Err(PluginError::failed("no workflow is running")),
        }
    }

    /// A piece of the caller's standard input.
    fn stdin(&mut self, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        if !self.stdin {
            return Ok(Vec::new());
        }
        let most: usize = text(body)?.parse().map_err(|_| PluginError::new(ErrorKind::Invalid, "not a size"))?;
        let (most, until) = (most.clamp(1, 64 * 1024), self.until);
        self.input.read(self.secrets, most, || read_stdin(most, until))
    }

    fn connect(&mut self, asked: &str) -> Result<OwnedFd, PluginError> {
        let invalid = |error: EndpointError| {
            PluginError::new(ErrorKind::Invalid, format!("`{}` is not an endpoint: {error}", safe_line(asked)))
        };
        let endpoint: Endpoint = asked.parse().map_err(invalid)?;
        let limits = stream_limits(&self.caps);
        if let Err(line) = self.streams.admit(self.plugin, self.connections, &limits) {
            self.voice.audit(self.plugin, &format!("{}: {line}", Code::LimitNetwork));
            return Err(PluginError::failed(line).with_help("use a connection for more than one request, and close it"));
        }
        let route = Route { until: self.until, upstream: self.upstream, stop: None };
        let connected = learn::judged(self.learner, self.permissions, ConnectError::missing, |granted| {
            broker::connect(granted, &endpoint, route)
        });
        match connected {
            Ok(server) => {
                self.connections += 1;
                self.voice.granted(self.plugin, &format!("connected to `{endpoint}`"));
                let caller = self.caller.clone().ok_or_else(|| PluginError::failed("no worker is called"))?;
                let ends = Ends {
                    plugin: self.plugin,
                    endpoint: &endpoint,
                    limits,
                    voice: self.voice,
                    end: Box::new(move |death| caller.end(death)),
                };
                self.streams.serve(server, ends).map_err(|error| PluginError::failed(error.to_string()))
            }
            Err(error) => match error.missing() {
                Some(missing) => Err(self.denied(&missing, error.to_string())),
                None => {
                    self.connections += 1;
                    self.voice.granted(self.plugin, &format!("tried to connect: {error}"));
                    let failed = PluginError::failed(error.to_string());
                    Err(error.help().map_or(failed.clone(), |help| failed.with_help(help)))
                }
            },
        }
    }

    fn deny(&self, wanted: &Permission, service: &str) -> PluginError {
        let line = format!("`{service}` needs the permission {wanted}, which was not granted");
        self.denied(&wanted.to_string(), line)
    }

    /// Records a refusal; the plugin and the user learn what would change it.
    pub(super) fn denied(&self, wanted: &str, line: String) -> PluginError {
        let (line, help) = match taken(self.capped, wanted) {
            Some((capped, wanted)) => (capped.line(&wanted), capped.help()),
            None => (line, how_to_grant(self.plugin, wanted)),
        };
        self.voice.audit(self.plugin, &format!("permission_denied: {line}"));
        PluginError::new(ErrorKind::PermissionDenied, line).with_help(help)
    }
}

/// A piece of this process's standard input. A terminal that says nothing must not keep the host past the deadline.
fn read_stdin(most: usize, until: Option<Deadline>) -> Result<Vec<u8>, PluginError> {
    use std::os::fd::AsFd as _;
    // Not through std's buffer: what it reads ahead poll(2) would not see.
    let input = io::stdin();
    let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
    // In slices: the kernel's time goes on while this process is stopped.
    let slice = PollTimeout::try_from(STDIN_SLICE).unwrap_or(PollTimeout::ZERO);
    let mut ready = poll(&mut fds, slice);
    while ready == Ok(0) && until.is_none_or(|until| until.left() > Duration::ZERO) {
        ready = poll(&mut fds, slice);
    }
    if ready.unwrap_or_default() == 0 {
        return Err(PluginError::new(ErrorKind::Cancelled, "standard input said nothing in time"));
    }
    let mut piece = vec![0; most];
    let count = nix::unistd::read(&input, &mut piece).map_err(io::Error::from)?;
    piece.truncate(count);
    Ok(piece)
}

/// What the policy takes away, where that is what is missing, and the permission.
pub(super) fn taken<'a>(capped: &'a [Capped], wanted: &str) -> Option<(&'a Capped, Permission)> {
    let wanted: Permission = wanted.parse().ok()?;
    capped.iter().find(|capped| capped.takes(&wanted)).map(|capped| (capped, wanted))
}

/// What the user can do about a permission that is missing.
pub(super) fn how_to_grant(plugin: &PluginName, wanted: &str) -> String {
    format!("if the plugin's manifest asks for it: migraine plugin enable {plugin} --grant {wanted}")
}

fn text(body: &[u8]) -> Result<&str, PluginError> {
    std::str::from_utf8(body).map_err(|_| PluginError::new(ErrorKind::Invalid, "the request is not UTF-8 text"))
}

fn unknown(service: &str) -> PluginError {
    PluginError::new(ErrorKind::Unsupported, format!("this host does not know the service `{service}`"))
}

fn lift(error: &StoreError) -> PluginError {
    PluginError::failed(error.to_string())
}

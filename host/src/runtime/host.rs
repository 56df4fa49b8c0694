//! The `Host`: one object through which an application calls its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use migraine_plugin_api::private::CreateBody;
use migraine_plugin_api::{Context, ErrorKind, HookResult, Invocation, Permission, PermissionKind, PluginError};

use super::admission::{Admitted, admit};
use super::error::CallError;
use super::services::{Data, Side, Voice};
use crate::ids::PluginName;
use crate::sandbox::{CallLimits, Death, Launcher, SandboxError, Stray, StraySink, Worker};
use crate::store::{Home, Problem, ProblemKind};
use crate::text::TerminalFilter;
use crate::wire::{Kind, LauncherSpec, Layers, LoadBody, Rlimits, WorkerSpec};

/// Breakdowns in one run after which a plugin is quarantined.
const BREAKDOWNS: u32 = 3;
/// How long a plugin may take to shut down.
const GRACE: Duration = Duration::from_millis(500);

/// How plugins are run.
#[derive(Clone)]
pub struct Settings {
    /// Wall clock of one command, the plugin's start included; the default is 30 s.
    pub command_wall: Duration,
    /// Wall clock of one hook, the plugin's start included; the default is 30 s.
    pub hook_wall: Duration,
    /// CPU time of one call; the default is 10 s.
    pub cpu: Duration,
    /// Where stray output, log lines and refusals go.
    pub voice: Arc<dyn Voice>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("command_wall", &self.command_wall).finish_non_exhaustive()
    }
}

impl Settings {
    /// The defaults.
    pub fn new(voice: Arc<dyn Voice>) -> Self {
        let limits = CallLimits::default();
        Self { command_wall: limits.wall, hook_wall: limits.wall, cpu: limits.cpu, voice }
    }
}

/// Runs the plugins of one store.
#[derive(Debug)]
pub struct Host {
    home: Home,
    settings: Settings,
    data: Data,
    launcher: Option<Arc<Launcher>>,
    admitted: BTreeMap<PluginName, Arc<Admitted>>,
    workers: BTreeMap<PluginName, Worker>,
    breakdowns: BTreeMap<PluginName, u32>,
    told_unsigned: BTreeSet<PluginName>,
}

impl Host {
    /// A host over a store. Nothing is started.
    #[must_use]
    pub fn new(home: Home, settings: Settings) -> Self {
        Self {
            home,
            settings,
            data: Data::new(),
            launcher: None,
            admitted: BTreeMap::new(),
            workers: BTreeMap::new(),
            breakdowns: BTreeMap::new(),
            told_unsigned: BTreeSet::new(),
        }
    }

    /// The store.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns without waiting for it, so that its start overlaps with what follows.
    fn launcher(&mut self) -> Result<Arc<Launcher>, SandboxError> {
        if let Some(launcher) = &self.launcher {
            return Ok(Arc::clone(launcher));
        }
        let launcher = Arc::new(Launcher::start(&LauncherSpec { namespaces: true, load_by: None })?);
        self.launcher = Some(Arc::clone(&launcher));
        Ok(launcher)
    }

    /// Calls a command of a plugin; its output goes to this process's standard streams.
    ///
    /// # Errors
    /// The plugin may not run, failed, crashed or broke a limit.
    pub fn command(&mut self, plugin: &PluginName, invocation: &Invocation) -> Result<(), CallError> {
        let body = serde_json::to_vec(invocation).map_err(|error| control(plugin, error.into()))?;
        let limits = self.limits(self.settings.command_wall);
        self.call(plugin, Kind::Command, &body, b"", &limits, None, invocation.stdin).map(drop)
    }

    /// Delivers an event to the handler that the context names.
    ///
    /// # Errors
    /// As [`Host::command`]; also when the answer cannot be read.
    pub fn hook(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallError> {
        let body = serde_json::to_vec(context).map_err(|error| control(plugin, error.into()))?;
        let limits = self.limits(self.settings.hook_wall);
        let raw = context.output.as_deref().unwrap_or_default();
        let reply = self.call(plugin, Kind::Hook, &body, raw, &limits, Some(&context.variables), false)?;
        serde_json::from_slice(&reply).map_err(|error| {
            let error = CallError::Answer { plugin: plugin.clone(), reason: error.to_string() };
            self.workers.remove(plugin);
            self.count_breakdown(plugin, &error);
            error
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the two public calls differ in exactly these")]
    fn call(
        &mut self,
        plugin: &PluginName,
        kind: Kind,
        body: &[u8],
        raw: &[u8],
        limits: &CallLimits,
        variables: Option<&BTreeMap<String, String>>,
        stdin: bool,
    ) -> Result<Vec<u8>, CallError> {
        // One deadline: a start that takes long leaves less for the call.
        let until = Instant::now() + limits.wall;
        let mut worker = self.take_worker(plugin, limits)?;
        let rest = CallLimits { wall: until.saturating_duration_since(Instant::now()), ..*limits };
        let admitted = self.admit(plugin)?;
        let is_terminal = kind == Kind::Command && std::io::stdout().is_terminal();
        let mut side = Side {
            variables,
            stdin,
            filter: is_terminal.then(TerminalFilter::default),
            ..self.side(plugin, &admitted.permissions, &rest)
        };
        let outcome = worker.call(kind, body, raw, &rest, &mut side);
        let denied = side.denied.is_some();
        match outcome {
            Ok(answer) => {
                self.workers.insert(plugin.clone(), worker);
                answer.map_err(|error| plugin_error(plugin, error, denied))
            }
            Err(source) => {
                // Replaced, never repaired: the next call gets a new worker.
                drop(worker);
                self.forget_launcher(&source);
                let source = Box::new(of_whole_call(source, limits));
                let error = CallError::Sandbox { plugin: plugin.clone(), source };
                self.count_breakdown(plugin, &error);
                Err(error)
            }
        }
    }

    /// A launcher that failed took every worker along; the next call starts another.
    fn forget_launcher(&mut self, error: &SandboxError) {
        if error.is_launcher_failure() {
            self.workers.clear();
            self.launcher = None;
        }
    }

    /// The plugin's worker, made within the call's limits if there is none.
    fn take_worker(&mut self, plugin: &PluginName, limits: &CallLimits) -> Result<Worker, CallError> {
        if let Some(worker) = self.workers.remove(plugin) {
            return Ok(worker);
        }
        let sandbox = |source| CallError::Sandbox { plugin: plugin.clone(), source: Box::new(source) };
        // Started before the bytes are read and judged: the two overlap.
        let launcher = self.launcher().map_err(sandbox)?;
        let admitted = self.admit(plugin)?;
        if admitted.unsigned && self.told_unsigned.insert(plugin.clone()) {
            self.settings.voice.audit(plugin, "runs unsigned, by your exception for exactly these bytes");
        }
        let receives_descriptors = admitted.permissions.iter().any(|held| held.kind() == PermissionKind::Network);
        let spec = WorkerSpec { layers: Layers::ALL, rlimits: Rlimits::NATIVE, receives_descriptors };
        let spawned = launcher.spawn(&spec, &admitted.code, self.sink(plugin));
        let mut worker = spawned.inspect_err(|error| self.forget_launcher(error)).map_err(sandbox)?;
        let create = CreateBody { config: admitted.config.clone(), permissions: admitted.permissions.clone() };
        let mut side = self.side(plugin, &admitted.permissions, limits);
        let loaded = worker.load(&LoadBody { plugin: plugin.to_string(), create }, limits, &mut side);
        if let Err(error) = loaded {
            drop(worker);
            self.forget_launcher(&error);
            let error = sandbox(error);
            self.count_breakdown(plugin, &error);
            return Err(error);
        }
        Ok(worker)
    }

    fn sink(&self, plugin: &PluginName) -> StraySink {
        let (voice, plugin) = (Arc::clone(&self.settings.voice), plugin.clone());
        Arc::new(move |stray: Stray<'_>| voice.stray(&plugin, stray.is_stderr, stray.bytes))
    }

    /// Counts what ended a worker; too many in one run, and the plugin is stopped until the user lifts it.
    fn count_breakdown(&mut self, plugin: &PluginName, error: &CallError) {
        if !error.is_breakdown() {
            return;
        }
        let count = self.breakdowns.entry(plugin.clone()).or_default();
        *count += 1;
        if *count < BREAKDOWNS {
            return;
        }
        self.admitted.remove(plugin);
        let reason = format!("it broke down {count} times in one run; the last time: {error}");
        match self.quarantine(plugin, &reason) {
            Ok(()) => self.settings.voice.audit(plugin, &format!("quarantined: {reason}")),
            Err(error) => self.settings.voice.audit(plugin, &format!("cannot be quarantined: {error}")),
        }
    }

    fn quarantine(&self, plugin: &PluginName, reason: &str) -> Result<(), crate::store::StoreError> {
        let mut writer = self.home.writer()?;
        if let Some(entry) = writer.state_mut().plugins.get_mut(plugin) {
            entry.problem = Some(Problem { kind: ProblemKind::Quarantined, reason: reason.to_owned() });
        }
        writer.commit()
    }

    /// As [`Host::shut_down`], for a program that ends right after: see [`Launcher::leave`].
    pub fn leave(mut self) {
        if let Some(launcher) = &self.launcher {
            launcher.leave();
        }
        self.shut_down();
    }

    /// Ends every worker, each after its plugin's own shutdown, and the launcher with them.
    pub fn shut_down(&mut self) {
        for (plugin, worker) in std::mem::take(&mut self.workers) {
            let admitted = self.admitted.get(&plugin).cloned();
            let permissions = admitted.as_ref().map(|admitted| admitted.permissions.as_slice()).unwrap_or_default();
            let limits = CallLimits { wall: GRACE, ..CallLimits::default() };
            let mut side = self.side(&plugin, permissions, &limits);
            worker.dismiss(GRACE, &mut side);
        }
        self.launcher = None;
    }

    /// The plugin's verified bytes and grants, read at its first use and kept for restarts.
    fn admit(&mut self, plugin: &PluginName) -> Result<Arc<Admitted>, CallError> {
        if let Some(admitted) = self.admitted.get(plugin) {
            return Ok(Arc::clone(admitted));
        }
        let admitted = Arc::new(admit(&self.home, plugin)?);
        self.admitted.insert(plugin.clone(), Arc::clone(&admitted));
        Ok(admitted)
    }

    fn limits(&self, wall: Duration) -> CallLimits {
        CallLimits { wall, cpu: self.settings.cpu, ..CallLimits::default() }
    }

    fn side<'a>(&'a self, plugin: &'a PluginName, permissions: &'a [Permission], limits: &CallLimits) -> Side<'a> {
        Side {
            plugin,
            permissions,
            voice: &*self.settings.voice,
            home: &self.home,
            data: &self.data,
            variables: None,
            stdin: false,
            until: Instant::now() + limits.wall,
            filter: None,
            connections: 0,
            denied: None,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The user gave a limit for the call, not for what the start left of it.
fn of_whole_call(error: SandboxError, limits: &CallLimits) -> SandboxError {
    match error {
        SandboxError::Died(Death::Time(_)) => SandboxError::Died(Death::Time(limits.wall)),
        other => other,
    }
}

fn control(plugin: &PluginName, error: std::io::Error) -> CallError {
    CallError::Sandbox { plugin: plugin.clone(), source: Box::new(SandboxError::Control(error)) }
}

fn plugin_error(plugin: &PluginName, error: PluginError, denied: bool) -> CallError {
    let plugin = plugin.clone();
    match error.kind() {
        ErrorKind::Usage => CallError::Usage { plugin, error },
        kind => CallError::Plugin { plugin, error, denied: denied && kind == ErrorKind::PermissionDenied },
    }
}

//! The `Host`: one object through which an application calls its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use migraine_plugin_api::private::CreateBody;
use migraine_plugin_api::{Context, ErrorKind, HookResult, Invocation, Permission, PluginError};

use super::admission::{Admitted, Code, admit};
use super::directories::places;
use super::environment;
use super::error::CallError;
use super::exec::Spent;
use super::launchers::Launchers;
use super::script::{Engine, Told};
use super::services::{Data, Filters, Side};
use super::settings::Settings;
use super::spec::{script_spec, worker_spec};
use super::wall;
use crate::ids::PluginName;
use crate::sandbox::awake::{self, Deadline};
use crate::sandbox::{CallLimits, Death, SandboxError, Stray, StraySink, Worker};
use crate::store::{Entry, Home, Problem, ProblemKind};
use crate::wire::{Kind, Limits, LoadBody};

/// Breakdowns in one run after which a plugin is quarantined.
const BREAKDOWNS: u32 = 3;
/// How long a plugin may take to shut down.
const GRACE: Duration = Duration::from_millis(500);

/// One call of a plugin.
pub(super) struct Request<'a> {
    /// What answers it, and the number of its handler.
    pub(super) engine: (&'a Engine, u16),
    pub(super) kind: Kind,
    pub(super) body: &'a [u8],
    pub(super) raw: &'a [u8],
    /// The command that is called; none for a handler.
    pub(super) command: Option<&'a str>,
    /// Whether an event leads to it.
    pub(super) is_hook: bool,
    /// The variables of the running workflow, for a handler.
    pub(super) variables: Option<&'a BTreeMap<String, String>>,
    pub(super) stdin: bool,
}

impl<'a> Request<'a> {
    /// A call of the handler that the context names.
    pub(super) fn of_hook(engine: (&'a Engine, u16), body: &'a [u8], context: &'a Context) -> Self {
        let raw = context.output.as_deref().unwrap_or_default();
        let variables = Some(&context.variables);
        Self { engine, kind: Kind::Hook, body, raw, command: None, is_hook: true, variables, stdin: false }
    }
}

/// Runs the plugins of one store.
#[derive(Debug)]
pub struct Host {
    home: Home,
    pub(super) settings: Settings,
    data: Data,
    pub(super) launchers: Launchers,
    admitted: BTreeMap<PluginName, Arc<Admitted>>,
    workers: BTreeMap<(PluginName, Engine), Worker>,
    breakdowns: BTreeMap<PluginName, u32>,
    told_unsigned: BTreeSet<PluginName>,
}

impl Host {
    /// A host over a store. Nothing is started.
    #[must_use]
    pub fn new(home: Home, settings: Settings) -> Self {
        let places = places(settings.user_home.as_deref(), home.path());
        Self {
            home,
            settings,
            data: Data::new(),
            launchers: Launchers::new(places),
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

    /// Calls a command of a plugin; its output goes to this process's standard streams.
    ///
    /// # Errors
    /// The plugin may not run, failed, crashed or broke a limit.
    pub fn command(&mut self, plugin: &PluginName, invocation: &Invocation) -> Result<(), CallError> {
        self.command_call(plugin, invocation, false)
    }

    /// Calls a command that a subscription of the plugin is bound to, in the time of a hook.
    ///
    /// # Errors
    /// As [`Host::command`].
    pub fn bound_command(&mut self, plugin: &PluginName, invocation: &Invocation) -> Result<(), CallError> {
        self.command_call(plugin, invocation, true)
    }

    fn command_call(&mut self, plugin: &PluginName, invocation: &Invocation, is_hook: bool) -> Result<(), CallError> {
        let body = serde_json::to_vec(invocation).map_err(|error| control(plugin, error.into()))?;
        let admitted = self.admit(plugin)?;
        if let Code::Scripts(scripts) = &admitted.code {
            return self.script_command(plugin, &admitted, scripts, (invocation, &body), is_hook);
        }
        let (command, stdin) = (Some(invocation.command.as_str()), invocation.stdin);
        let engine = (&Engine::Library, 0);
        let kind = Kind::Command;
        let request = Request { engine, kind, body: &body, raw: b"", command, is_hook, variables: None, stdin };
        self.call(plugin, &request).map(drop)
    }

    /// A call of a command as it would be typed here and now, without standard input.
    #[must_use]
    pub fn invocation(&self, command: &str, args: Vec<String>) -> Invocation {
        let mut invocation = Invocation::new(command, &[]);
        invocation.args = args;
        // For showing and for resolving names only: without it, the plugin still works.
        invocation.working_directory = self.settings.working_directory.clone().unwrap_or_else(|| "/".into());
        invocation.terminal_width = self.settings.columns.unwrap_or(invocation.terminal_width);
        invocation.stdout_is_terminal = self.writes_to_terminal();
        invocation
    }

    fn writes_to_terminal(&self) -> bool {
        if self.settings.stdout_is_taken { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() }
    }

    /// Delivers an event to the handler that the context names.
    ///
    /// # Errors
    /// As [`Host::command`]; also when the answer cannot be read.
    pub fn hook(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallError> {
        let body = serde_json::to_vec(context).map_err(|error| control(plugin, error.into()))?;
        let admitted = self.admit(plugin)?;
        if let Code::Scripts(scripts) = &admitted.code {
            return self.script_hook(plugin, &admitted, scripts, context, &body);
        }
        let request = Request::of_hook((&Engine::Library, 0), &body, context);
        let reply = self.call(plugin, &request)?;
        serde_json::from_slice(&reply).map_err(|error| self.unreadable(plugin, &Engine::Library, error.to_string()))
    }

    /// An answer that is none: the worker is not used again.
    pub(super) fn unreadable(&mut self, plugin: &PluginName, engine: &Engine, reason: String) -> CallError {
        let error = CallError::Answer { plugin: plugin.clone(), reason };
        self.workers.remove(&(plugin.clone(), engine.clone()));
        self.count_breakdown(plugin, &error);
        error
    }

    fn call(&mut self, plugin: &PluginName, request: &Request<'_>) -> Result<Vec<u8>, CallError> {
        let admitted = self.admit(plugin)?;
        let limits = self.limits(request, &admitted);
        self.call_within(plugin, &admitted, request, &limits)
    }

    /// One call, the start of its worker included.
    pub(super) fn call_within(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        request: &Request<'_>,
        limits: &CallLimits,
    ) -> Result<Vec<u8>, CallError> {
        let started = awake::now();
        let (engine, handler) = request.engine;
        let mut worker = self.take_worker(plugin, engine, limits)?;
        // One deadline: a start that takes long leaves less for the call.
        let rest = CallLimits {
            wall: limits.wall.map(|wall| wall.saturating_sub(awake::now().saturating_sub(started))),
            ..*limits
        };
        let mut side = Side {
            variables: request.variables,
            stdin: request.stdin,
            caller: Some(worker.caller()),
            ..self.side(plugin, &admitted.permissions, &rest)
        };
        let outcome = worker.call_handler((request.kind, handler), request.body, request.raw, &rest, &mut side);
        self.settings.voice.used(plugin, &worker.usage());
        match outcome {
            Ok(answer) => {
                self.workers.insert((plugin.clone(), engine.clone()), worker);
                answer.map_err(|error| plugin_error(plugin, error))
            }
            Err(source) => {
                // Replaced, never repaired: the next call gets a new worker.
                drop(worker);
                self.forget_launcher(plugin, &source);
                let error = sandbox(plugin, of_whole_call(source, limits));
                self.count_breakdown(plugin, &error);
                Err(error)
            }
        }
    }

    /// A plugin's launcher that failed took all of its workers along; the next call starts another.
    fn forget_launcher(&mut self, plugin: &PluginName, error: &SandboxError) {
        if error.is_launcher_failure() {
            if !self.launchers.has_own(plugin) {
                self.workers.retain(|(other, _), _| self.launchers.has_own(other));
            }
            self.launchers.forget(plugin);
        }
    }

    /// The plugin's worker, made within the call's limits if there is none.
    fn take_worker(&mut self, plugin: &PluginName, engine: &Engine, limits: &CallLimits) -> Result<Worker, CallError> {
        if let Some(worker) = self.workers.remove(&(plugin.clone(), engine.clone())) {
            return Ok(worker);
        }
        let sandbox = |source| sandbox(plugin, source);
        let admitted = self.admit(plugin)?;
        if admitted.unsigned && self.told_unsigned.insert(plugin.clone()) {
            self.settings.voice.audit(plugin, "runs unsigned, by your exception for exactly these bytes");
        }
        let (launcher, spec, code) = match &admitted.code {
            Code::Library(code) => {
                let launcher = self.launchers.get(plugin, &admitted.permissions).map_err(sandbox)?;
                (launcher, worker_spec(&admitted.permissions), code)
            }
            Code::Scripts(scripts) => {
                let launcher = self.script_launcher(plugin, &admitted, scripts, engine)?;
                (launcher, script_spec(&admitted.permissions), &scripts.files)
            }
        };
        let spawned = launcher.spawn(&spec, code, self.sink(plugin));
        let mut worker = spawned.inspect_err(|error| self.forget_launcher(plugin, error)).map_err(sandbox)?;
        let mut side = Side { caller: Some(worker.caller()), ..self.side(plugin, &admitted.permissions, limits) };
        let environment = environment::granted(&admitted.permissions, std::env::vars_os());
        let loaded = match &admitted.code {
            Code::Library(_) => {
                let create = CreateBody { config: admitted.config.clone(), permissions: admitted.permissions.clone() };
                worker.load(&LoadBody { plugin: plugin.to_string(), create, environment }, limits, &mut side)
            }
            // Each of its calls says all.
            Code::Scripts(scripts) if scripts.speaks_lines(engine) => return Ok(worker),
            Code::Scripts(scripts) => {
                let body = scripts.load(engine, &Told { environment, ..self.told(plugin, &admitted) });
                worker.load_with(&body, limits, &mut side)
            }
        };
        if let Err(error) = loaded {
            drop(worker);
            self.forget_launcher(plugin, &error);
            let error = sandbox(error);
            self.count_breakdown(plugin, &error);
            return Err(error);
        }
        Ok(worker)
    }

    pub(super) fn sink(&self, plugin: &PluginName) -> StraySink {
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

    /// As [`Host::shut_down`], for a program that ends right after: see
    /// [`Launcher::leave`](crate::sandbox::Launcher::leave).
    pub fn leave(mut self) {
        self.launchers.leave();
        self.shut_down();
    }

    /// Ends every worker, each after its plugin's own shutdown, and the launchers with them.
    pub fn shut_down(&mut self) {
        for ((plugin, _), worker) in std::mem::take(&mut self.workers) {
            let admitted = self.admitted.get(&plugin).cloned();
            let permissions = admitted.as_ref().map(|admitted| admitted.permissions.as_slice()).unwrap_or_default();
            let limits = CallLimits { wall: Some(GRACE), ..CallLimits::default() };
            let mut side = Side { caller: Some(worker.caller()), ..self.side(&plugin, permissions, &limits) };
            worker.dismiss(GRACE, &mut side);
        }
        self.launchers.clear();
    }

    /// The plugin's verified bytes and grants, read at its first use and kept for restarts.
    fn admit(&mut self, plugin: &PluginName) -> Result<Arc<Admitted>, CallError> {
        if let Some(admitted) = self.admitted.get(plugin) {
            return Ok(Arc::clone(admitted));
        }
        let launchers = &mut self.launchers;
        // Started before the bytes are read and judged: the two overlap. A failure shows when it is used.
        let start = |entry: &Entry| {
            // What a script needs is known once its manifest is.
            if !is_script(entry) {
                drop(launchers.get(plugin, &entry.grants));
            }
        };
        let admitted = Arc::new(admit(&self.home, plugin, start)?);
        self.admitted.insert(plugin.clone(), Arc::clone(&admitted));
        Ok(admitted)
    }

    /// The limits of a call of a command.
    pub(super) fn command_limits(&self, command: &str, is_hook: bool, admitted: &Admitted) -> CallLimits {
        let (engine, kind) = ((&Engine::Library, 0), Kind::Command);
        let command = Some(command);
        let request = Request { engine, kind, body: b"", raw: b"", command, is_hook, variables: None, stdin: false };
        self.limits(&request, admitted)
    }

    pub(super) fn limits(&self, request: &Request<'_>, admitted: &Admitted) -> CallLimits {
        let granted = request.command.and_then(|command| admitted.timeouts.get(command)).copied();
        let wall = match request.command {
            None => wall::of_handler(self.settings.hook_timeout),
            Some(_) if request.is_hook => wall::of_bound(self.settings.hook_timeout, granted, admitted.wall_cap),
            Some(_) => wall::of_command(self.settings.command_timeout, granted, admitted.wall_cap),
        };
        let cpu = match &admitted.code {
            // Interpreters are slower; whoever chose another limit chose it for all.
            Code::Scripts(_) if self.settings.cpu == Limits::NATIVE.cpu => Limits::SCRIPT.cpu,
            _ => self.settings.cpu,
        };
        CallLimits { wall, cpu, interrupted: self.settings.interrupted, ..CallLimits::default() }
    }

    pub(super) fn side<'a>(
        &'a self,
        plugin: &'a PluginName,
        permissions: &'a [Permission],
        limits: &CallLimits,
    ) -> Side<'a> {
        Side {
            plugin,
            permissions,
            voice: &self.settings.voice,
            home: &self.home,
            data: &self.data,
            variables: None,
            stdin: false,
            stdout_is_taken: self.settings.stdout_is_taken,
            until: limits.wall.map(Deadline::after),
            filters: Filters::default(),
            upstream: self.settings.upstream_proxy.as_ref(),
            connections: 0,
            limits: *limits,
            launchers: &self.launchers,
            caller: None,
            spent: Spent::new(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// Whether scripts answer a plugin's calls, as far as its entry tells.
fn is_script(entry: &Entry) -> bool {
    entry.hooks.iter().any(|hook| hook.handler.script().is_some())
        || entry.commands.iter().any(|command| command.handler.is_some())
}

/// The user gave a limit for the call, not for what the start left of it.
pub(super) fn of_whole_call(error: SandboxError, limits: &CallLimits) -> SandboxError {
    match error {
        SandboxError::Died(Death::Time(left)) => SandboxError::Died(Death::Time(limits.wall.unwrap_or(left))),
        other => other,
    }
}

fn control(plugin: &PluginName, error: std::io::Error) -> CallError {
    sandbox(plugin, SandboxError::Control(error))
}

pub(super) fn sandbox(plugin: &PluginName, error: SandboxError) -> CallError {
    CallError::Sandbox { plugin: plugin.clone(), source: Box::new(error) }
}

pub(super) fn plugin_error(plugin: &PluginName, error: PluginError) -> CallError {
    let plugin = plugin.clone();
    match error.kind() {
        ErrorKind::Usage => CallError::Usage { plugin, error },
        _ => CallError::Plugin { plugin, error },
    }
}

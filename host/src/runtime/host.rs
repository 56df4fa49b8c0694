//! The `Host`: one object through which an application calls its plugins.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use migraine_plugin_api::private::CreateBody;
use migraine_plugin_api::{Context, ErrorKind, HookResult, Invocation, Permission, PermissionKind, PluginError};

use super::admission::{Admitted, Code, admit};
use super::directories::Protected;
use super::environment;
use super::error::CallError;
use super::exec::{Spent, proxy_environment};
use super::launchers::Launchers;
use super::masked;
use super::script::{Engine, Told, changes, interpreters};
use super::services::{Data, Filters, Side};
use super::settings::Settings;
use super::spec::{at_most, call_limits, script_spec, worker_spec};
use super::streams::Streams;
use super::wall;
use crate::ids::PluginName;
use crate::policy::LimitCaps;
use crate::sandbox::awake::{self, Deadline};
use crate::sandbox::{
    CallLimits, CallUsage, Death, Launcher, Ordered, SandboxError, Stray, StraySink, Traffic, Worker,
};
use crate::secrets::Secrets;
use crate::store::{Entry, Home, Problem, ProblemKind};
use crate::wire::{Kind, Limits, LoadBody, WorkerSpec};

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
    streams: Streams,
    admitted: BTreeMap<PluginName, Arc<Admitted>>,
    workers: BTreeMap<(PluginName, Engine), Worker>,
    /// Those that were ordered before their code was read, and whose plugins were not called yet.
    ahead: BTreeMap<PluginName, Ordered>,
    breakdowns: BTreeMap<PluginName, u32>,
    /// Plugins of which was told what the user should know when they start.
    told: BTreeSet<PluginName>,
}

impl Host {
    /// A host over a store. Nothing is started.
    #[must_use]
    pub fn new(home: Home, mut settings: Settings) -> Self {
        settings.voice = masked::voice(settings.voice, &settings.secrets);
        let protected = Protected::new(settings.user_homes.clone(), home.path());
        let learner = settings.learner.clone();
        Self {
            home,
            settings,
            data: Data::new(),
            launchers: Launchers::new(protected, learner),
            streams: Streams::default(),
            admitted: BTreeMap::new(),
            workers: BTreeMap::new(),
            ahead: BTreeMap::new(),
            breakdowns: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }

    /// The store.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Other secrets from here on. Plugins that run end first: what they were handed at their start may hold one.
    pub fn set_secrets(&mut self, secrets: Secrets) {
        if self.settings.secrets != secrets {
            self.shut_down();
            self.settings.voice = masked::voice(Arc::clone(&self.settings.voice), &secrets);
            self.settings.secrets = secrets;
        }
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
        let masked = self.kept_from(plugin)?.map(|secrets| masked::invocation(secrets, invocation));
        let invocation = masked.as_ref().unwrap_or(invocation);
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
        let masked = self.kept_from(plugin)?.map(|secrets| masked::context(secrets, context));
        let context = masked.as_ref().unwrap_or(context);
        let body = serde_json::to_vec(context).map_err(|error| control(plugin, error.into()))?;
        let admitted = self.admit(plugin)?;
        if let Code::Scripts(scripts) = &admitted.code {
            return self.script_hook(plugin, &admitted, scripts, context, &body);
        }
        let request = Request::of_hook((&Engine::Library, 0), &body, context);
        let reply = self.call(plugin, &request)?;
        let answer = serde_json::from_slice(&reply)
            .map_err(|error| self.unreadable(plugin, &Engine::Library, &error.to_string()))?;
        Ok(masked::answer(&self.settings.secrets, answer))
    }

    /// An answer that is none: the worker is not used again.
    pub(super) fn unreadable(&mut self, plugin: &PluginName, engine: &Engine, reason: &str) -> CallError {
        let reason = masked::text(&self.settings.secrets, reason).into_owned();
        let error = CallError::Answer { plugin: plugin.clone(), reason };
        self.workers.remove(&(plugin.clone(), engine.clone()));
        self.count_breakdown(plugin, &error);
        error
    }

    /// The secrets that a plugin may not see, if there are any.
    fn kept_from(&mut self, plugin: &PluginName) -> Result<Option<&Secrets>, CallError> {
        if self.settings.secrets.is_empty() {
            return Ok(None);
        }
        let admitted = self.admit(plugin)?;
        Ok(masked::kept_from(&self.settings.secrets, &admitted.permissions))
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
            ..self.side(plugin, Some(admitted), &rest)
        };
        self.streams.begin(plugin);
        let launcher = self.launchers.of_scripts(plugin, engine).filter(|launcher| launcher.listens());
        let proxy = launcher.map(|launcher| side.proxy(&launcher)).transpose();
        let proxy = proxy.map_err(|source| sandbox(plugin, source))?.flatten();
        let outcome = worker.call_handler((request.kind, handler), request.body, request.raw, &rest, &mut side);
        let mut traffic = Traffic { connections: side.connections.into(), bytes: self.streams.moved(plugin) };
        traffic += side.proxied;
        traffic += proxy.map(|proxy| proxy.traffic()).unwrap_or_default();
        let used = side.spent.with(worker.usage());
        self.settings.voice.used(plugin, &CallUsage { traffic, ..used });
        match outcome {
            Ok(answer) => {
                self.workers.insert((plugin.clone(), engine.clone()), worker);
                answer.map_err(|error| plugin_error(plugin, masked::error(&self.settings.secrets, error)))
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
        let admitted = self.admit(plugin)?;
        let mut worker = self.spawn(plugin, &admitted, engine, (None, self.sink(plugin)))?;
        let kept = masked::kept_from(&self.settings.secrets, &admitted.permissions);
        let mut side = Side { caller: Some(worker.caller()), ..self.side(plugin, Some(&admitted), limits) };
        let mut environment =
            masked::environment(kept, environment::granted(&admitted.permissions, std::env::vars_os()));
        let launcher = self.launchers.of_scripts(plugin, engine);
        environment.extend(proxy_environment(launcher.is_some_and(|launcher| launcher.listens())));
        let loaded = match &admitted.code {
            Code::Library(_) => {
                let config = masked::config(kept, admitted.config.clone());
                let create = CreateBody { config, permissions: admitted.permissions.clone() };
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
            let error = sandbox(plugin, error);
            self.count_breakdown(plugin, &error);
            return Err(error);
        }
        Ok(worker)
    }

    /// A sealed worker, not told anything yet; its standard input, if it has one, and where it prints to.
    pub(super) fn spawn(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        engine: &Engine,
        (input, sink): (Option<&OwnedFd>, StraySink),
    ) -> Result<Worker, CallError> {
        if self.told.insert(plugin.clone()) {
            self.tell(plugin, admitted);
        }
        let (spec, code) = match &admitted.code {
            Code::Library(code) => (worker_spec(&admitted.permissions, &admitted.caps), code),
            Code::Scripts(scripts) => (script_spec(&admitted.permissions, &admitted.caps), &scripts.files),
        };
        let launcher = self.launcher(plugin, admitted, engine)?;
        let spec = within(&launcher, spec);
        let is_like = |ordered: &Ordered| input.is_none() && ordered.is_like(&launcher, &spec, code);
        let ahead = self.ahead.remove(plugin).filter(is_like);
        let mut spawned = match ahead {
            Some(ordered) => ordered.wait(Arc::clone(&sink)),
            None => launcher.spawn_reading(&spec, code, input, Arc::clone(&sink)),
        };
        let reduces = |error| admitted.allows_reduced && self.launchers.reduce(error);
        if spawned.as_ref().is_err_and(reduces) {
            spawned = self.launcher(plugin, admitted, engine)?.spawn_reading(&spec, code, input, sink);
        }
        let worker = spawned.inspect_err(|error| self.forget_launcher(plugin, error));
        let worker = worker.map_err(|source| sandbox(plugin, source))?;
        if let Some(failed) = self.launchers.reduced() {
            self.settings.voice.audit(plugin, &format!("runs in the reduced sandbox, as the policy allows: {failed}"));
        }
        Ok(worker)
    }

    pub(super) fn launcher(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        engine: &Engine,
    ) -> Result<Arc<Launcher>, CallError> {
        match &admitted.code {
            Code::Library(_) => {
                self.launchers.get(plugin, &admitted.permissions).map_err(|source| sandbox(plugin, source))
            }
            Code::Scripts(scripts) => self.script_launcher(plugin, admitted, scripts, engine),
        }
    }

    fn tell(&self, plugin: &PluginName, admitted: &Admitted) {
        let voice = &self.settings.voice;
        if let Some(path) = &admitted.link {
            let path = crate::text::safe_line(&path.to_string_lossy());
            voice.audit(plugin, &format!("is linked to {path} and not signed; what runs is what you confirmed of it"));
        } else if admitted.unsigned {
            voice.audit(plugin, "runs unsigned, by an exception for exactly these bytes");
        }
        if let Code::Scripts(scripts) = &admitted.code {
            let (now, _) = interpreters(scripts.handlers());
            changes(&admitted.interpreters, &now).iter().for_each(|line| voice.audit(plugin, line));
        }
        // The plugin asks the host for everything else, and is told then.
        let is_silent = |kind| matches!(kind, PermissionKind::Filesystem | PermissionKind::EnvVars);
        for capped in admitted.capped.iter().filter(|capped| is_silent(capped.grant.kind())) {
            voice.audit(plugin, &capped.notice());
        }
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
        if let Some((entry, place)) = writer.state().find(plugin)? {
            let problem = Some(Problem { kind: ProblemKind::Quarantined, reason: reason.to_owned() });
            let stopped = Entry { problem, ..entry.clone() };
            writer.state_mut().put(plugin, place, stopped);
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
        self.ahead.clear();
        for ((plugin, _), worker) in std::mem::take(&mut self.workers) {
            let admitted = self.admitted.get(&plugin).cloned();
            let limits = CallLimits { wall: Some(GRACE), ..CallLimits::default() };
            let mut side = Side { caller: Some(worker.caller()), ..self.side(&plugin, admitted.as_deref(), &limits) };
            worker.dismiss(GRACE, &mut side);
        }
        // What they wrote last is still passed on.
        self.streams.clear();
        self.launchers.clear();
    }

    /// The plugin's verified bytes and grants, read at its first use and kept for restarts.
    fn admit(&mut self, plugin: &PluginName) -> Result<Arc<Admitted>, CallError> {
        if let Some(admitted) = self.admitted.get(plugin) {
            return Ok(Arc::clone(admitted));
        }
        let (launchers, mut ahead) = (&mut self.launchers, None);
        // Started before the bytes are read and judged: the two overlap. A failure shows when it is used.
        let start = |entry: &Entry, grants: &[Permission], caps: &LimitCaps| {
            ahead = None;
            // What a script needs is known once its manifest is.
            let launcher = if entry.holds_scripts() { None } else { launchers.get(plugin, grants).ok() }?;
            let (ordered, room) = launcher.order_ahead(&within(&launcher, worker_spec(grants, caps)))?;
            ahead = Some(ordered);
            Some(room)
        };
        let mut admitted = admit(&self.home, plugin, start)?;
        // Whatever was ordered for other bytes ends.
        self.ahead.remove(plugin);
        self.ahead.extend(ahead.map(|ordered| (plugin.clone(), ordered)));
        if let (Code::Library(_), Some(learner)) = (&admitted.code, &self.settings.learner) {
            admitted.permissions = learner.pretended(&admitted.permissions);
        }
        let admitted = Arc::new(admitted);
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
        let caps = &admitted.caps;
        let [of_commands, of_handlers] = [caps.command_wall, caps.hook_wall].map(|cap| cap.map(Duration::from_secs));
        let wall = match request.command {
            None => wall::of_handler(self.settings.hook_timeout, of_handlers),
            Some(_) if request.is_hook => wall::of_bound(self.settings.hook_timeout, granted, of_commands),
            Some(_) => wall::of_command(self.settings.command_timeout, granted, of_commands),
        };
        let (of_kind, cpu) = match &admitted.code {
            // Interpreters are slower; whoever chose another limit chose it for all.
            Code::Scripts(_) if self.settings.cpu == Limits::NATIVE.cpu => (Limits::SCRIPT, Limits::SCRIPT.cpu),
            Code::Scripts(_) => (Limits::SCRIPT, self.settings.cpu),
            Code::Library(_) => (Limits::NATIVE, self.settings.cpu),
        };
        let cpu = at_most(cpu, caps.cpu);
        CallLimits { wall, cpu, interrupted: self.settings.interrupted, ..call_limits(&of_kind, caps) }
    }

    pub(super) fn side<'a>(
        &'a self,
        plugin: &'a PluginName,
        of: Option<&'a Admitted>,
        limits: &CallLimits,
    ) -> Side<'a> {
        let proxy = of.and_then(|admitted| admitted.upstream.as_ref()).or(self.settings.upstream_proxy.as_ref());
        let permissions = of.map(|admitted| admitted.permissions.as_slice()).unwrap_or_default();
        Side {
            plugin,
            owner: of.map(|admitted| &admitted.owner),
            permissions,
            capped: of.map(|admitted| admitted.capped.as_slice()).unwrap_or_default(),
            caps: of.map(|admitted| admitted.caps).unwrap_or_default(),
            voice: &self.settings.voice,
            home: &self.home,
            data: &self.data,
            variables: None,
            stdin: false,
            stdout_is_taken: self.settings.stdout_is_taken,
            until: limits.wall.map(Deadline::after),
            filters: Filters::default(),
            upstream: proxy,
            learner: self.settings.learner.as_ref(),
            connections: 0,
            streams: &self.streams,
            proxied: Traffic::default(),
            limits: *limits,
            launchers: &self.launchers,
            caller: None,
            secrets: masked::kept_from(&self.settings.secrets, permissions),
            input: masked::Input::default(),
            spent: Spent::new(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The user gave a limit for the call, not for what the start left of it.
pub(super) fn of_whole_call(error: SandboxError, limits: &CallLimits) -> SandboxError {
    match error {
        SandboxError::Died(Death::Time(left)) => SandboxError::Died(Death::Time(limits.wall.unwrap_or(left))),
        other => other,
    }
}

/// What is passed to its workers: those that make streams of their own are passed none.
fn within(launcher: &Launcher, spec: WorkerSpec) -> WorkerSpec {
    WorkerSpec { receives_descriptors: spec.receives_descriptors && !launcher.listens(), ..spec }
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

//! Runs one command of a plugin library in a worker whose layers can be switched off one by one: an attack must work
//! without the layer that stops it, else its test proves nothing. No product path can do this.
//!
//! Standard output shows what the plugin wrote to its caller, then one line about an end that was no success:
//! `CODE: message`, and that code's exit code. The last line on standard error says what was left behind.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of the test suite")]

#[path = "arena/count.rs"]
mod count;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Parser, ValueEnum};
use count::{children, children_of, count, launchers, left_behind, memory, own_groups, size_of, wait_for};
use migraine_host::code::Coded as _;
use migraine_host::ids::PluginName;
use migraine_host::runtime::{
    CallError, Gate, Host, Proxy, Settings, Trial, TrialProblem, Voice, proxy_variables, try_engines,
};
use migraine_host::sandbox::{CallLimits, CallUsage, HostSide, Launcher, SandboxError, Stream, Worker, seal_code};
use migraine_host::store::Home;
use migraine_host::wire::{
    ConnectionLimits, Directory, Kind, LauncherSpec, Layers, Level, LoadBody, LoadBy, Probe, Programs, Rlimits,
    WorkerSpec,
};
use migraine_plugin_api::{ErrorKind, LogLevel, PluginError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[derive(Parser)]
struct Args {
    /// Layers that are left out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Layer>,
    /// Only these layers are on.
    #[arg(long, value_delimiter = ',', conflicts_with = "without")]
    only: Option<Vec<Layer>>,
    /// Connects the plugin to every endpoint that it asks for, and passes the streams.
    #[arg(long)]
    connects: bool,
    /// Gives the plugin sockets of its own, in a namespace where the proxy would listen.
    #[arg(long)]
    listens: bool,
    /// Runs a shell's line instead of a command, in the launcher's network namespace, whose proxy reaches these endpoints.
    #[arg(long, value_delimiter = ',')]
    proxied: Vec<String>,
    /// Loads from a copy instead of through procfs.
    #[arg(long)]
    copy: bool,
    /// Waits before each start until a worker was made ahead, and makes sure that it is the one that starts.
    /// Launchers that show directories make none.
    #[arg(long)]
    made_ahead: bool,
    /// Starts workers in each order, tells which were made ahead, and ends one that was.
    #[arg(long)]
    orders: bool,
    /// Wall clock in milliseconds.
    #[arg(long, default_value_t = 5000)]
    wall: u64,
    /// CPU time in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    cpu: u64,
    /// Host calls and log lines.
    #[arg(long, default_value_t = 100_000)]
    services: u64,
    /// Bytes that a command writes to its caller.
    #[arg(long, default_value_t = CallLimits::default().command_output)]
    command_output: u64,
    /// Configuration of the plugin, KEY=TEXT.
    #[arg(long)]
    config: Vec<String>,
    /// Starts this many idle workers of the same library first, and asks them afterwards whether they live.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Calls this command on each idle worker before the real one.
    #[arg(long)]
    idle_call: Option<String>,
    /// Configuration of the idle workers, KEY=TEXT.
    #[arg(long)]
    idle_config: Vec<String>,
    /// Calls the hook with an event of this name instead of the command.
    #[arg(long)]
    hook: bool,
    /// Calls the command this many times, as long as it succeeds.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Calls this command on the same worker afterwards.
    #[arg(long)]
    again: Option<String>,
    /// Runs the command in this many workers, one after the other; `{}` in an argument is the run's number.
    #[arg(long)]
    repeat: Option<u64>,
    /// Every N-th repetition calls `abort` instead.
    #[arg(long, requires = "repeat")]
    crash_every: Option<u64>,
    /// Calls the command of a plugin that is installed in this home, by its name in place of the library, as often as
    /// `--repeat` says: each time as a host that knows nothing of the last.
    #[arg(long)]
    installed: Option<PathBuf>,
    /// Prints the pids of host, launcher and worker on standard error before the command is called.
    #[arg(long)]
    pids: bool,
    /// A directory that the workers may read.
    #[arg(long)]
    read: Vec<PathBuf>,
    /// A directory that the workers may change.
    #[arg(long)]
    write: Vec<PathBuf>,
    /// Builds the reduced sandbox.
    #[arg(long)]
    reduced: bool,
    /// Prints what limits memory and processes.
    #[arg(long)]
    limited_by: bool,
    /// Has scripts and a granted program try what is forbidden, as `doctor` does, and prints a line for each try: its engine,
    /// layer and act, and `refused` or not. No command is run.
    #[arg(long)]
    engines: bool,
    /// Prints the seal, the worker's status and maps as the host sees them, and the host's own maps.
    #[arg(long)]
    facts: bool,
    library: PathBuf,
    command: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Layer {
    Namespaces,
    Rlimits,
    Privileges,
    Landlock,
    Seccomp,
}

impl Args {
    fn layers(&self) -> Layers {
        let on = |layer| match &self.only {
            Some(only) => only.contains(&layer),
            None => !self.without.contains(&layer),
        };
        Layers {
            namespaces: on(Layer::Namespaces),
            rlimits: on(Layer::Rlimits),
            privileges: on(Layer::Privileges),
            landlock: on(Layer::Landlock),
            seccomp: on(Layer::Seccomp),
        }
    }

    fn directories(&self) -> Vec<Directory> {
        let all = [(&self.read, false), (&self.write, true)];
        let each = all.iter().flat_map(|(paths, writable)| paths.iter().map(move |path| (path.clone(), *writable)));
        each.map(|(path, writable)| Directory { path, writable }).collect()
    }

    fn limits(&self) -> CallLimits {
        CallLimits {
            wall: Some(Duration::from_millis(self.wall)),
            cpu: Duration::from_millis(self.cpu),
            services: self.services,
            command_output: self.command_output,
            ..CallLimits::default()
        }
    }
}

/// Passes output on and offers no service; connects to everything, which only a worker that receives descriptors sees.
struct Bare;

impl HostSide for Bare {
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Out => io::stdout().write_all(bytes),
            Stream::Err => io::stderr().write_all(bytes),
        }
    }

    fn stray(&mut self, _: Stream, bytes: &[u8]) {
        eprint!("[stray] {}", String::from_utf8_lossy(bytes));
    }

    fn log(&mut self, body: &[u8]) {
        eprintln!("log: {}", String::from_utf8_lossy(body));
    }

    fn service(&mut self, name: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(PluginError::new(ErrorKind::Unsupported, format!("the arena offers no `{name}`")))
    }

    fn descriptor(&mut self, _: &str, body: &[u8]) -> Result<OwnedFd, PluginError> {
        let endpoint = String::from_utf8_lossy(body);
        Ok(match endpoint.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path)?.into(),
            None => TcpStream::connect(&*endpoint)?.into(),
        })
    }
}

fn main() -> anyhow::Result<()> {
    migraine_host::worker::enter();
    let args = Args::parse();
    // Whatever a sandbox leaves behind becomes a child of this process, and is counted.
    nix::sys::prctl::set_child_subreaper(true)?;
    let before = count("/proc/self/fd");
    let outcome = match run(&args) {
        Ok(code) => Ok(code),
        Err(Failure::Sandbox(error)) => Ok(tell(&Err(error))),
        Err(Failure::Other(error)) => Err(error),
    };
    io::stdout().flush()?;
    let (processes, zombies) = left_behind();
    let groups = own_groups();
    wait_for(|| count("/proc/self/fd") <= before);
    let descriptors = count("/proc/self/fd") - before;
    let peak = memory("VmHWM:");
    // What a plugin printed may have ended without a line break.
    eprintln!(
        "\nleft: {processes} processes, {zombies} zombies, {descriptors} descriptors, {groups} groups; peak {peak} KiB"
    );
    finish(outcome?)
}

#[expect(clippy::exit, reason = "the end of main")]
fn finish(code: i32) -> anyhow::Result<()> {
    std::process::exit(code)
}

/// Prints how a call ended; the value is the exit code.
fn tell(outcome: &Result<Result<Vec<u8>, PluginError>, SandboxError>) -> i32 {
    match outcome {
        Ok(Ok(answer)) if answer.is_empty() => 0,
        Ok(Ok(answer)) => {
            println!("answer: {}", String::from_utf8_lossy(answer));
            0
        }
        Ok(Err(error)) => {
            // As the product reports it.
            let plugin = "arena".parse().expect("a valid name");
            let error = CallError::Plugin { plugin, error: error.clone() };
            let text: String = error.to_string().chars().take(500).collect();
            println!("{}: {text}", error.code());
            i32::from(error.code().exit().number())
        }
        Err(error) => {
            println!("{}: {error}", error.code());
            if let Some(trace) = error.trace() {
                eprintln!("{trace}");
            }
            i32::from(error.code().exit().number())
        }
    }
}

enum Failure {
    Sandbox(SandboxError),
    Other(anyhow::Error),
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// What every worker of this run is made of.
struct Arena {
    launcher: Arc<Launcher>,
    spec: WorkerSpec,
    code: Vec<u8>,
    /// Whether only workers that were made ahead are started.
    made_ahead: bool,
    /// Those that were started.
    started: RefCell<Vec<i32>>,
}

fn run(args: &Args) -> Result<i32, Failure> {
    if let Some(home) = &args.installed {
        return Ok(installed(args, home)?);
    }
    if args.engines {
        return Ok(engines(args));
    }
    let launcher = Arc::new(Launcher::start(&LauncherSpec {
        load_by: args.copy.then_some(LoadBy::Copy),
        directories: args.directories(),
        programs: Programs::None,
        interpreter: None,
        listens: args.listens || !args.proxied.is_empty(),
        learns: false,
        level: if args.reduced { Level::Reduced } else { Level::Full },
        layers: args.layers(),
    })?);
    if !args.proxied.is_empty() {
        return proxied(args, &launcher);
    }
    let code = fs::read(&args.library).with_context(|| format!("read {}", args.library.display()))?;
    let spec = WorkerSpec { rlimits: Rlimits::NATIVE, receives_descriptors: args.connects, reads_input: false };
    let started = RefCell::default();
    let made_ahead = args.made_ahead && args.directories().is_empty();
    let arena = Arena { launcher, spec, code, made_ahead, started };
    if args.orders {
        return arena.orders(args);
    }
    if let Some(times) = args.repeat {
        return arena.repeat(args, times);
    }
    let mut idle: Vec<Worker> =
        (0..args.idle).map(|_| arena.worker(&args.idle_config)).collect::<Result<_, Failure>>()?;
    if let Some(command) = &args.idle_call {
        for worker in &mut idle {
            tell(&call(worker, args, command, &[]));
        }
    }
    let mut worker = arena.worker(&args.config)?;
    if args.limited_by {
        println!("limited by {}, grouped: {}", arena.launcher.limited_by(), worker.is_grouped());
    }
    if args.facts {
        facts(&worker)?;
    }
    if args.pids {
        let workers: Vec<String> =
            idle.iter().chain([&worker]).filter_map(Worker::pid).map(|p| p.to_string()).collect();
        eprintln!("pids: {} {} {}", std::process::id(), launchers().join(" "), workers.join(" "));
    }
    let mut outcome = call(&mut worker, args, &args.command, &args.args);
    for _ in 1..args.times {
        if matches!(outcome, Ok(Ok(_))) {
            outcome = call(&mut worker, args, &args.command, &args.args);
        }
    }
    let mut code = tell(&outcome);
    if let (Some(again), true) = (&args.again, outcome.is_ok()) {
        code = tell(&call(&mut worker, args, again, &[]));
    }
    let alive = idle.iter_mut().map(answers).filter(|alive| *alive).count();
    if args.idle > 0 {
        println!("idle workers: {alive} alive");
    }
    worker.shut_down(Duration::from_secs(1), &mut Bare);
    Ok(code)
}

impl Arena {
    fn worker(&self, config: &[String]) -> Result<Worker, Failure> {
        self.worker_of(&self.spec, config)
    }

    fn worker_of(&self, spec: &WorkerSpec, config: &[String]) -> Result<Worker, Failure> {
        let sink = Arc::new(|stray: migraine_host::sandbox::Stray<'_>| {
            let _ = io::stderr().write_all(stray.bytes);
        });
        let memfd = seal_code(&self.code).context("seal the code")?;
        if self.made_ahead && spec.receives_descriptors && self.started.borrow().is_empty() {
            // The first one is made for the usual kind, and those that follow for the kind of the last start.
            let unlike = self.await_spare()?;
            self.started.borrow_mut().extend(self.launcher.spawn(spec, &memfd, Arc::clone(&sink) as _)?.pid());
            wait_for(|| self.spare().is_some_and(|spare| spare != unlike));
        }
        let expected = self.made_ahead.then(|| self.await_spare()).transpose()?;
        let mut worker = self.launcher.spawn(spec, &memfd, sink)?;
        self.started.borrow_mut().extend(worker.pid());
        if expected.is_some() && worker.pid() != expected {
            Err(anyhow!("{:?} was started, and {expected:?} was made ahead", worker.pid()))?;
        }
        let pairs = config.iter().filter_map(|pair| pair.split_once('='));
        let config: BTreeMap<_, _> = pairs.map(|(key, text)| (key.to_owned(), text.into())).collect();
        let create = migraine_plugin_api::private::CreateBody { config, ..Default::default() };
        let body = LoadBody { plugin: "arena".to_owned(), create, environment: Vec::new() };
        worker.load(&body, &CallLimits::default(), &mut Bare)?;
        Ok(worker)
    }

    fn repeat(&self, args: &Args, times: u64) -> Result<i32, Failure> {
        // What the first runs allocate stays and is no leak.
        let warm_up = times.min(20);
        let (mut base, mut launcher_base) = ((0, 0), (0, 0));
        for number in 0..times {
            if number == warm_up {
                settle();
                (base, launcher_base) = (size_of("self"), size_of(&self.launcher_pid()));
            }
            println!("[{number}]");
            let mut worker = self.worker(&args.config)?;
            let crash = args.crash_every.is_some_and(|every| number % every == 0);
            let arguments: Vec<String> = args.args.iter().map(|arg| arg.replace("{}", &number.to_string())).collect();
            let command = if crash { "abort" } else { &args.command };
            tell(&call(&mut worker, args, command, &arguments));
        }
        settle();
        let (now, launcher) = (size_of("self"), size_of(&self.launcher_pid()));
        let drift =
            |now: (i64, i64), base: (i64, i64)| format!("{} descriptors, {} KiB", now.0 - base.0, now.1 - base.1);
        println!("drift of the host: {}", drift(now, base));
        println!("drift of the launcher: {}", drift(launcher, launcher_base));
        println!("children of the launcher: {}", children_of(&self.launcher_pid()).len());
        println!("children of the host: {}", launchers().len());
        Ok(0)
    }

    /// The worker that was made ahead.
    fn spare(&self) -> Option<i32> {
        let all = children_of(&self.launcher_pid());
        let mut all = all.iter().filter_map(|pid| pid.parse().ok());
        all.find(|pid| !self.started.borrow().contains(pid))
    }

    fn await_spare(&self) -> anyhow::Result<i32> {
        wait_for(|| self.spare().is_some());
        self.spare().context("no worker was made ahead")
    }

    fn orders(&self, args: &Args) -> Result<i32, Failure> {
        let mut all: Vec<(Worker, bool)> = Vec::new();
        let mut start = |spec: &WorkerSpec, spare: Option<i32>| -> Result<(), Failure> {
            let mut worker = self.worker_of(spec, &args.config)?;
            tell(&call(&mut worker, args, &args.command, &args.args));
            let was_spare = spare.is_some() && worker.pid() == spare;
            all.push((worker, was_spare));
            Ok(())
        };
        start(&self.spec, Some(self.await_spare()?))?;
        // At once: there was no time to make another.
        start(&self.spec, None)?;
        let killed = self.await_spare()?;
        kill(Pid::from_raw(killed), Signal::SIGKILL).context("end a worker that was made ahead")?;
        wait_for(|| self.spare().is_some_and(|spare| spare != killed));
        start(&self.spec, Some(self.await_spare()?))?;
        let receiving = WorkerSpec { receives_descriptors: true, ..self.spec };
        let unlike = self.await_spare()?;
        start(&receiving, Some(unlike))?;
        // The one that was ready is ended, since the last start wanted another kind.
        wait_for(|| self.spare().is_some_and(|spare| spare != unlike));
        start(&receiving, Some(self.await_spare()?))?;
        println!("made ahead: {:?}", all.iter().map(|(_, was_spare)| *was_spare).collect::<Vec<_>>());
        println!("one seal: {}", all.iter().all(|(worker, _)| worker.seal() == all[0].0.seal()));
        println!("grouped: {}", all.iter().all(|(worker, _)| worker.is_grouped() == all[0].0.is_grouped()));
        let first = all.swap_remove(0).0;
        drop(all);
        self.before_their_code(&first)
    }

    /// Orders workers before there is code for them, waits for two in the other order, and not for the third.
    fn before_their_code(&self, like: &Worker) -> Result<i32, Failure> {
        let sink = || Arc::new(|_: migraine_host::sandbox::Stray<'_>| ());
        let mut ahead: Vec<_> = (0..3).filter_map(|_| self.launcher.order_ahead(&self.spec)).collect();
        println!("ordered before their code: {}", ahead.len());
        let (ordered, room) = ahead.first().context("nothing was ordered")?;
        let own = room.as_fd().try_clone_to_owned().context("take a handle")?;
        let other = seal_code(&self.code).context("seal the code")?;
        let is_for = [own, other].map(|code| ordered.is_like(&self.launcher, &self.spec, &code));
        println!("for its own code and another file: {is_for:?}");
        let last = ahead.pop().context("nothing was ordered")?.0.wait(sink())?;
        drop(ahead.pop());
        let first = ahead.pop().context("too little was ordered")?.0.wait(sink())?;
        let pids = [like, &last, &first].map(|worker| worker.pid().unwrap_or_default());
        println!("one seal: {}", [&last, &first].iter().all(|worker| worker.seal() == like.seal()));
        // One more may be made ahead.
        let others = || {
            let all = children_of(&self.launcher_pid());
            all.iter().filter(|pid| pid.parse().is_ok_and(|pid: i32| !pids.contains(&pid))).count()
        };
        wait_for(|| others() <= 1);
        println!("the third is gone: {}", others() <= 1);
        Ok(0)
    }

    fn launcher_pid(&self) -> String {
        let _ = self.launcher.ready();
        let all = children();
        all.iter().find(|pid| is_first_process(pid)).or(all.last()).cloned().unwrap_or_default()
    }
}

fn call(
    worker: &mut Worker,
    args: &Args,
    command: &str,
    arguments: &[String],
) -> Result<Result<Vec<u8>, PluginError>, SandboxError> {
    if args.hook {
        let context = serde_json::json!({"event": command, "handler": "pre_command"});
        return worker.call(Kind::Hook, context.to_string().as_bytes(), b"", &args.limits(), &mut Bare);
    }
    let invocation = serde_json::json!({"command": command, "args": arguments});
    worker.call(Kind::Command, invocation.to_string().as_bytes(), b"", &args.limits(), &mut Bare)
}

fn answers(worker: &mut Worker) -> bool {
    let limits = CallLimits { wall: Some(Duration::from_secs(2)), ..CallLimits::default() };
    worker.call(Kind::Echo, b"here", b"", &limits, &mut Bare).is_ok_and(|answer| answer.as_deref() == Ok(b"here"))
}

fn facts(worker: &Worker) -> anyhow::Result<()> {
    println!("seal: {}", serde_json::to_string(worker.seal())?);
    let pid = worker.pid().context("the worker has no pid here")?;
    print!("{}", fs::read_to_string(format!("/proc/{pid}/status"))?);
    println!("worker maps:\n{}", fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default());
    println!("host maps:\n{}", fs::read_to_string("/proc/self/maps")?);
    Ok(())
}

/// Prints the code of each call that failed.
fn installed(args: &Args, home: &Path) -> anyhow::Result<i32> {
    let name: PluginName = args.library.to_str().context("a name")?.parse().context("a name")?;
    for _ in 0..args.repeat.unwrap_or(1) {
        let mut host = Host::new(Home::open(home).context("open the home")?, Settings::new(Arc::new(Loud)));
        let invocation = host.invocation(&args.command, args.args.clone());
        if let Err(error) = host.command(&name, &invocation) {
            println!("{}", error.code());
        }
    }
    Ok(0)
}

/// What each engine tried, and why one tried nothing.
fn engines(args: &Args) -> i32 {
    for Trial { engine, acts, problem, .. } in
        try_engines(&LauncherSpec { layers: args.layers(), ..LauncherSpec::default() })
    {
        for Probe { layer, act, outcome, refused } in acts {
            let word = if refused { "refused" } else { "done" };
            println!("{engine} {layer:?} {act}: {word}: {outcome}");
        }
        match problem {
            None => println!("{engine}: held"),
            Some(TrialProblem::Absent(error)) => println!("{engine}: absent: {error}"),
            Some(TrialProblem::Failed(error)) => println!("{engine}: failed: {}: {error}", error.code()),
        }
    }
    0
}

/// Whether it is the first process of a namespace of its own. The process that started the launcher may be there still, and
/// is about to end.
fn is_first_process(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    numbers.split_whitespace().skip(1).last() == Some("1")
}

/// Runs the line with the proxy's variables; its end is the arena's.
fn proxied(args: &Args, launcher: &Launcher) -> Result<i32, Failure> {
    let listener = launcher.listener()?.context("nothing listens inside")?;
    let pid = &children().into_iter().find(|pid| is_first_process(pid)).context("no launcher is there")?;
    let permissions = args.proxied.iter().map(|scope| format!("network={scope}").parse());
    let permissions = permissions.collect::<Result<_, _>>().context("an endpoint")?;
    let plugin = "arena".parse().context("a name")?;
    let (voice, limits) = (Arc::new(Loud), ConnectionLimits::PROGRAM);
    let capped = Vec::new();
    let gate = Gate { plugin, permissions, capped, learner: None, voice, upstream: None, until: None, limits };
    let _proxy = Proxy::serve(listener, gate).context("serve the proxy")?;
    let mut inside = Command::new("nsenter");
    inside.args(["-t", pid, "-U", "--preserve-credentials", "-n", "sh", "-c", &args.command]);
    let status = inside.envs(proxy_variables()).status().context("enter the namespace")?;
    Ok(status.code().unwrap_or(128))
}

/// Shows what the proxy decides.
struct Loud;

impl Voice for Loud {
    fn stray(&self, _: &PluginName, _: bool, _: &[u8]) {}

    fn used(&self, _: &PluginName, _: &CallUsage) {}

    fn log(&self, _: &PluginName, _: LogLevel, _: &str) {}

    fn audit(&self, _: &PluginName, message: &str) {
        eprintln!("audit: {message}");
    }

    fn granted(&self, _: &PluginName, message: &str) {
        eprintln!("granted: {message}");
    }
}

/// The sandbox's own thread lets go of what belonged to the last worker at its next look.
fn settle() {
    std::thread::sleep(Duration::from_millis(100));
}

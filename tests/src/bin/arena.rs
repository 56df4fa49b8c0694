//! Runs one command of a plugin library in a worker whose layers can be switched off one by one: an attack must work
//! without the layer that stops it, else its test proves nothing. No product path can do this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of the test suite")]

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use migraine_host::code::Coded as _;
use migraine_host::sandbox::{CallLimits, HostSide, Launcher, SandboxError, Stream, Worker, seal_code};
use migraine_host::wire::{Kind, LauncherSpec, Layers, LoadBody, LoadBy, Rlimits, WorkerSpec};
use migraine_plugin_api::{ErrorKind, PluginError};

#[derive(Parser)]
struct Args {
    /// Layers that are left out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Layer>,
    /// Only these layers are on.
    #[arg(long, value_delimiter = ',', conflicts_with = "without")]
    only: Option<Vec<Layer>>,
    /// Loads from a copy instead of through procfs.
    #[arg(long)]
    copy: bool,
    /// Wall clock in milliseconds.
    #[arg(long, default_value_t = 5000)]
    wall: u64,
    /// Starts this many idle workers of the same library first.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Prints the seal, the worker's status as the host sees it, and the host's own maps.
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
}

/// Passes output on and offers no service.
struct Bare;

impl HostSide for Bare {
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match stream {
            Stream::Out => io::stdout().write_all(bytes),
            Stream::Err => io::stderr().write_all(bytes),
        }
    }

    fn log(&mut self, body: &[u8]) {
        eprintln!("log: {}", String::from_utf8_lossy(body));
    }

    fn service(&mut self, name: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(PluginError::new(ErrorKind::Unsupported, format!("the arena offers no `{name}`")))
    }
}

fn main() -> anyhow::Result<()> {
    migraine_host::worker::enter();
    let args = Args::parse();
    match run(&args) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            println!("plugin error: {error}");
            finish(1)
        }
        Err(Failure::Sandbox(error)) => {
            println!("{}: {error}", error.code());
            if let Some(trace) = error.trace() {
                eprintln!("{trace}");
            }
            finish(i32::from(error.code().exit().number()))
        }
        Err(Failure::Other(error)) => Err(error),
    }
}

#[expect(clippy::exit, reason = "the end of main")]
fn finish(code: i32) -> anyhow::Result<()> {
    io::stdout().flush()?;
    std::process::exit(code)
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

fn run(args: &Args) -> Result<Result<(), PluginError>, Failure> {
    let layers = args.layers();
    let load_by = args.copy.then_some(LoadBy::Copy);
    let launcher = Arc::new(Launcher::start(&LauncherSpec { namespaces: layers.namespaces, load_by })?);
    let code = std::fs::read(&args.library).with_context(|| format!("read {}", args.library.display()))?;
    let idle: Vec<Worker> = (0..args.idle).map(|_| start(&launcher, layers, &code)).collect::<Result<_, Failure>>()?;
    let mut worker = start(&launcher, layers, &code)?;
    if args.facts {
        facts(&worker)?;
    }
    let invocation = serde_json::json!({"command": args.command, "args": args.args});
    let limits = CallLimits { wall: Duration::from_millis(args.wall), ..CallLimits::default() };
    let body = invocation.to_string();
    let outcome = worker.call(Kind::Command, body.as_bytes(), b"", &limits, &mut Bare)?;
    worker.shut_down(Duration::from_secs(1), &mut Bare);
    drop(idle);
    Ok(outcome.map(drop))
}

fn start(launcher: &Arc<Launcher>, layers: Layers, code: &[u8]) -> Result<Worker, Failure> {
    let sink = Arc::new(|stray: migraine_host::sandbox::Stray<'_>| {
        let _ = io::stderr().write_all(stray.bytes);
    });
    let memfd = seal_code(code).context("seal the code")?;
    let spec = WorkerSpec { layers, rlimits: Rlimits::NATIVE };
    let mut worker = launcher.spawn(&spec, &memfd, sink)?;
    let body = LoadBody { plugin: "arena".to_owned(), create: migraine_plugin_api::private::CreateBody::default() };
    worker.load(&body, &CallLimits::default(), &mut Bare)?;
    Ok(worker)
}

fn facts(worker: &Worker) -> anyhow::Result<()> {
    println!("seal: {}", serde_json::to_string(worker.seal())?);
    let pid = worker.pid().context("the worker has no pid here")?;
    print!("{}", std::fs::read_to_string(format!("/proc/{pid}/status"))?);
    println!("host maps:\n{}", std::fs::read_to_string("/proc/self/maps")?);
    Ok(())
}

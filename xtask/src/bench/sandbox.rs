//! Rows of the sandbox: transport, start by layer, cold start, whole command.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use migraine_host::runtime::keys_of;
use migraine_host::sandbox::{CallLimits, HostSide, Launcher, Stream, Worker, seal_code};
use migraine_host::store::{Entry, Home, Installed};
use migraine_host::trust::{SecretKey, judge};
use migraine_host::wire::{Kind, LauncherSpec, LoadBody, Programs, Rlimits, WorkerSpec};
use migraine_plugin_api::private::CreateBody;
use migraine_plugin_api::{CommandInfo, Context as HookContext, HookResult, PluginError, StepInfo, WorkflowInfo};

use super::product::Product;
use super::{Row, Work};
use crate::package_plugin::{self, Packaged};
use crate::project::Project;

/// The argument that makes this program the other end of a bare pipe.
pub(crate) const ECHO: &str = "__echo";

/// The other end of a bare pipe: reads `question` bytes, answers `answer` bytes, until the pipe closes.
pub(crate) fn echo(mut sizes: impl Iterator<Item = String>) -> Result<()> {
    let mut size = || -> Result<usize> { Ok(sizes.next().context("a size is missing")?.parse()?) };
    let (mut question, answer) = (vec![0; size()?], vec![b'a'; size()?]);
    let (mut input, mut output) = (File::from(own(std::io::stdin())?), File::from(own(std::io::stdout())?));
    while input.read_exact(&mut question).is_ok() {
        output.write_all(&answer)?;
    }
    Ok(())
}

/// Not through std's buffers, which copy once more.
fn own(stream: impl std::os::fd::AsFd) -> Result<OwnedFd> {
    Ok(stream.as_fd().try_clone_to_owned()?)
}

pub(super) struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    question: Vec<u8>,
    answer: Vec<u8>,
}

impl Pipe {
    pub(super) fn open(question: usize, answer: usize) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .args([ECHO, &question.to_string(), &answer.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no pipe")?;
        Ok(Self { child, input, output, question: vec![b'q'; question], answer: vec![0; answer] })
    }

    /// What each round sends.
    pub(super) fn question(&mut self) -> &mut [u8] {
        &mut self.question
    }

    pub(super) fn round(&mut self) -> Result<()> {
        self.input.as_mut().context("closed")?.write_all(&self.question)?;
        Ok(self.output.read_exact(&mut self.answer)?)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

/// A host that offers nothing.
pub(super) struct Silent;

impl HostSide for Silent {
    fn output(&mut self, _: Stream, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }

    fn stray(&mut self, _: Stream, _: &[u8]) {}

    fn log(&mut self, _: &[u8]) {}

    fn service(&mut self, _: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(PluginError::failed("the bench offers nothing"))
    }

    fn descriptor(&mut self, _: &str, _: &[u8]) -> Result<OwnedFd, PluginError> {
        Err(PluginError::failed("the bench offers nothing"))
    }
}

pub(super) fn launcher(spec: &LauncherSpec) -> Result<Arc<Launcher>> {
    let launcher = Launcher::start(spec)?;
    launcher.ready()?;
    Ok(Arc::new(launcher))
}

pub(super) fn spawn(launcher: &Arc<Launcher>, code: &OwnedFd) -> Result<Worker> {
    spawn_with(launcher, code, Rlimits::NATIVE)
}

fn spawn_with(launcher: &Arc<Launcher>, code: &OwnedFd, rlimits: Rlimits) -> Result<Worker> {
    let spec = WorkerSpec { rlimits, receives_descriptors: false, reads_input: false };
    Ok(launcher.spawn(&spec, code, Arc::new(|_| ()))?)
}

pub(super) fn load(worker: &mut Worker) -> Result<()> {
    let body = LoadBody { plugin: "bench".to_owned(), create: CreateBody::default(), environment: Vec::new() };
    worker.load(&body, &CallLimits::default(), &mut Silent)?;
    Ok(())
}

/// A key for benches only: it is no secret and is trusted by nobody.
pub(super) fn packaged(project: &Project, plugin: &str) -> Result<Packaged> {
    package_plugin::make(project, plugin, &SecretKey::from_seed(&[1; 32]), Some(&project.target.join("bench")))
}

pub(super) fn library(project: &Project, plugin: &str) -> Result<Vec<u8>> {
    let path = packaged(project, plugin)?.library;
    std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// A frame there and back through a sealed worker.
fn transport(project: &Project, name: &'static str, size: usize) -> Result<Row> {
    let launcher = launcher(&LauncherSpec::default())?;
    let mut worker = spawn(&launcher, &seal_code(&library(project, "steady")?)?)?;
    let body = vec![b'b'; size];
    let limits = CallLimits::default();
    let mut pipe = Pipe::open(size, size)?;
    let ours = move || {
        let _ = worker.call(Kind::Echo, &body, b"", &limits, &mut Silent)?;
        Ok(())
    };
    let about = format!("{size} bytes to a sealed worker and back; reference: a bare pipe between two processes");
    Ok(Row {
        name,
        about,
        ours: Box::new(ours),
        reference: Box::new(move || pipe.round()),
        settle: super::nothing(),
        target: 1.3,
        rounds: 20_000,
    })
}

pub(super) fn transport_small(project: &Project) -> Result<Row> {
    transport(project, "transport-64", 64)
}

pub(super) fn transport_large(project: &Project) -> Result<Row> {
    transport(project, "transport-1k", 1024)
}

/// A context of about 640 bytes.
pub(super) fn context() -> HookContext {
    let mut context = HookContext::new("post-command");
    context.handler = "seen".to_owned();
    context.workflow = Some(WorkflowInfo {
        name: "deploy-app".to_owned(),
        id: "3f0c5a0e-8d0b-4c55-9d7e-6a1f2b3c4d5e".to_owned(),
        start_time: "2024-01-15T10:30:45Z".to_owned(),
    });
    context.step = Some(StepInfo {
        name: "build-app".to_owned(),
        description: "Build the application for the server that was chosen".to_owned(),
        index: 2,
    });
    context.command = Some(CommandInfo {
        original: "npm run build -- --mode {{env}} --target {{server}}".to_owned(),
        resolved: "npm run build -- --mode production --target server-01".to_owned(),
        exit_code: Some(0),
    });
    context.timestamp = "2024-01-15T10:31:22Z".to_owned();
    for (name, value) in [("env", "production"), ("server", "server-01"), ("region", "eu-central-1")] {
        context.variables.insert(name.to_owned(), value.to_owned());
    }
    context
}

/// A hook with everything: encoded, sent, parsed by the plugin, answered, parsed. The target is where a persistent
/// process without a sandbox stands that speaks JSON lines.
pub(super) fn hook(project: &Project) -> Result<Row> {
    hook_row(project, "hook-640", 100, 2.7, "context encoded and parsed, answer parsed; reference: the same bytes bare")
}

/// A hook with 256 KiB of output.
pub(super) fn hook_output(project: &Project) -> Result<Row> {
    hook_row(project, "hook-256k", 256 * 1024, 1.3, "with 256 KiB of output; reference: the same bytes bare")
}

fn hook_row(project: &Project, name: &'static str, output: usize, target: f64, about: &str) -> Result<Row> {
    let launcher = launcher(&LauncherSpec::default())?;
    let mut worker = spawn(&launcher, &seal_code(&library(project, "steady")?)?)?;
    load(&mut worker)?;
    let mut context = context();
    context.output = Some(vec![b'o'; output]);
    context.output_size = u64::try_from(output).ok();
    let limits = CallLimits::default();
    let question = serde_json::to_vec(&context)?.len();
    let mut pipe = Pipe::open(question + output, 100)?;
    let ours = move || {
        let body = serde_json::to_vec(&context)?;
        let raw = context.output.as_deref().unwrap_or_default();
        let reply = worker.call(Kind::Hook, &body, raw, &limits, &mut Silent)??;
        let _ = worker.usage();
        let result: HookResult = serde_json::from_slice(&reply)?;
        if result.success { Ok(()) } else { bail!("the hook failed") }
    };
    let about = format!("{question} bytes of context, {about}");
    let rounds = if output > 1000 { 2000 } else { 20_000 };
    Ok(Row {
        name,
        about,
        ours: Box::new(ours),
        reference: Box::new(move || pipe.round()),
        settle: super::nothing(),
        target,
        rounds,
    })
}

/// Work that makes something, and work that lets go of it, which is not measured.
fn kept<T: 'static>(make: impl Fn() -> Result<T> + 'static) -> (Work, Work) {
    let last = Rc::new(RefCell::new(None));
    let made = Rc::clone(&last);
    let ours = move || {
        *made.borrow_mut() = Some(make()?);
        Ok(())
    };
    let settle = move || {
        drop(last.borrow_mut().take());
        Ok(())
    };
    (Box::new(ours), Box::new(settle))
}

/// Longer than it takes until the next worker is ready.
const PREPARING: Duration = Duration::from_millis(50);

/// As a settle that also waits until a worker is ready.
fn prepared(mut settle: Work) -> Work {
    Box::new(move || {
        settle()?;
        std::thread::sleep(PREPARING);
        Ok(())
    })
}

/// A worker from the order to its seal. One start follows so soon on the other that none is made ahead.
pub(super) fn start(name: &'static str, spec: &LauncherSpec, target: f64, about: &str) -> Result<Row> {
    let sealed = launcher(spec)?;
    let code = seal_code(b"")?;
    let rlimits = if spec.programs.are_run() { Rlimits::PROGRAM } else { Rlimits::NATIVE };
    let (ours, settle) = kept(move || spawn_with(&sealed, &code, rlimits));
    let reference = || {
        if Command::new("/bin/true").status()?.success() { Ok(()) } else { bail!("true failed") }
    };
    let about = format!("{about}: a worker from the order to its seal; reference: start and end of /bin/true");
    Ok(Row { name, about, ours, reference: Box::new(reference), settle, target, rounds: 300 })
}

/// The keeper of a program, in a network namespace that holds the way to the proxy; there was the time to make it ahead.
pub(super) fn start_programs(_: &Project) -> Result<Row> {
    let spec = LauncherSpec { programs: Programs::All, listens: true, ..LauncherSpec::default() };
    let about = "all layers, programs and the proxy's network namespace, made ahead";
    let row = start("start-programs", &spec, 1.0, about)?;
    Ok(Row { settle: prepared(row.settle), ..row })
}

/// A launcher until it stands in its namespaces, a network of its own among them.
pub(super) fn start_launcher(_: &Project) -> Result<Row> {
    let (ours, settle) = kept(|| launcher(&LauncherSpec::default()));
    let about = "a launcher from its exec until it is ready; reference: bwrap --unshare-all true".to_owned();
    Ok(Row { name: "launcher", about, ours, reference: Box::new(bwrap), settle, target: 1.0, rounds: 200 })
}

/// There was the time to make a worker ahead.
pub(super) fn start_all(_: &Project) -> Result<Row> {
    let row = start("start-all", &LauncherSpec::default(), 1.0, "all layers, made ahead")?;
    Ok(Row { settle: prepared(row.settle), ..row })
}

/// The second of two starts in a row, for which none is ready.
pub(super) fn start_unprepared(_: &Project) -> Result<Row> {
    start("start-unprepared", &LauncherSpec::default(), 1.0, "all layers, none made ahead")
}

fn bwrap() -> Result<()> {
    succeeded(bwrap_command().status())
}

fn bwrap_command() -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--unshare-all", "--ro-bind", "/", "/", "true"]);
    command
}

fn succeeded(status: std::io::Result<ExitStatus>) -> Result<()> {
    if status.context("cannot run bwrap; install bubblewrap")?.success() { Ok(()) } else { bail!("bwrap failed") }
}

/// From an installed plugin to its first answer, the launcher standing, a worker made ahead.
pub(super) fn cold(project: &Project) -> Result<Row> {
    let place = Product::new(project, "cold")?.home("home")?;
    place.install(project, "steady")?;
    let (home, name) = (Home::open(&place.home)?, "steady".parse()?);
    let size = home.load_plugin(&name)?.context("it is not installed")?.tree.library().len();
    let about = format!("{size} bytes read, verified, loaded, first answer; reference: bwrap --unshare-all true");
    let launcher = launcher(&LauncherSpec::default())?;
    let body = serde_json::to_vec(&context())?;
    let (ours, settle) = kept(move || {
        let mut ahead = None;
        let order = |_: &Entry| {
            ahead = None;
            let (ordered, room) = launcher.order_ahead(&WorkerSpec::NATIVE)?;
            ahead = Some(ordered);
            Some(room)
        };
        let Installed { tree, exceptions, place, .. } =
            home.load_plugin_with(&name, order)?.context("it is not installed")?;
        judge(&tree.index_text, &tree.index, tree.signature.as_ref(), &keys_of(&home, place)?, &exceptions)?;
        let mut worker = ahead.context("no worker could be ordered ahead")?.wait(Arc::new(|_| ()))?;
        load(&mut worker)?;
        worker.call(Kind::Hook, &body, b"", &CallLimits::default(), &mut Silent)??;
        Ok(worker)
    });
    let settle = prepared(settle);
    Ok(Row { name: "cold-start", about, ours, reference: Box::new(bwrap), settle, target: 0.5, rounds: 200 })
}

/// `migraine plugin run hello-world hello` against an empty sandbox.
pub(super) fn whole_command(project: &Project) -> Result<Row> {
    let place = Product::new(project, "whole")?.home("home")?;
    place.install(project, "hello-world")?;
    let ours = move || {
        let output = place.command(&["plugin", "run", "hello-world", "hello"]).output()?;
        if output.stdout == b"Hello, World!\n" { Ok(()) } else { bail!("{}", String::from_utf8_lossy(&output.stderr)) }
    };
    // Its output is collected as ours is: that wakes this process as well.
    let reference = || succeeded(bwrap_command().output().map(|output| output.status));
    let settle = super::nothing();
    let about = "migraine plugin run hello-world hello; reference: bwrap --unshare-all true".to_owned();
    Ok(Row {
        name: "whole-command",
        about,
        ours: Box::new(ours),
        reference: Box::new(reference),
        settle,
        target: 1.5,
        rounds: 100,
    })
}

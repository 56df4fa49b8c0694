//! What scripts and granted programs can do in their sandboxes, found out by having one of each try what it must not be
//! able to do: a worker tries before its interpreter takes its place, which says nothing of what that can do then.

mod acts;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use migraine_plugin_api::{BashSource, CommandSpec, Handler, Invocation, Manifest, PluginError};

use super::exec::{Output, collector};
use super::programs::loader;
use super::script::{Engine, InterpreterError, Python, Scripts, Told, find_bash};
use super::scripts::status_of;
use super::spec::script_spec;
use crate::policy::LimitCaps;
use crate::sandbox::{BareHost, CallLimits, Death, Launcher, SandboxError, Worker, seal_code};
use crate::text::{safe_line, safe_path};
use crate::wire::{
    Interpreter, Kind, LauncherSpec, Layer, Limits, PROXY_PORT, Probe, Programs, RanBody, Rlimits, RunBody, WorkerSpec,
};

/// Each takes milliseconds; this only bounds a stuck machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes that one says: whatever PATH leads to is started.
const SAID_MAX: u64 = 64 << 10;
/// The number of a descriptor that is beyond every limit.
const DESCRIPTOR: u64 = 100;
/// What is tried as a program where there is no Bash.
const SHELL: &str = "/bin/sh";

const PYTHON_ACTS: &str = include_str!("acts.py");
const SHELL_ACTS: &str = include_str!("acts.sh");

/// What one kind of engine tried.
#[derive(Debug)]
pub struct Trial {
    /// `python`, `bash`, or `program` for one that was granted.
    pub engine: &'static str,
    /// What it is on this machine.
    pub found: Option<String>,
    /// Each forbidden act that was tried.
    pub acts: Vec<Probe>,
    /// Why nothing runs in it, if so.
    pub problem: Option<TrialProblem>,
}

/// Why nothing runs in an engine.
#[derive(Debug)]
pub enum TrialProblem {
    /// It is not on this machine: no failure of the sandbox.
    Absent(InterpreterError),
    /// It does not run in the sandbox, or could do what is forbidden.
    Failed(SandboxError),
}

/// Has each engine of this machine try what it must not be able to do; `base` is what all launchers have in common.
#[must_use]
pub fn try_engines(base: &LauncherSpec) -> Vec<Trial> {
    let python =
        Python::find().map(|python| format!("{} ({})", safe_line(&python.version), safe_path(&python.program)));
    let shell = find_bash().map(|found| safe_path(&found.program));
    let program = program();
    let of_script = |engine| move |acts: &mut Vec<Probe>| Subject::new(base, engine)?.attempt(acts);
    vec![
        Trial::of("python", python, of_script(Engine::Python)),
        Trial::of("bash", shell, of_script(Engine::Bash)),
        Trial::of("program", program.clone().map(|file| safe_path(&file)), |acts| of_program(base, program, acts)),
    ]
}

impl Trial {
    fn of(
        engine: &'static str,
        found: Result<String, InterpreterError>,
        attempt: impl FnOnce(&mut Vec<Probe>) -> Result<(), SandboxError>,
    ) -> Self {
        let mut acts = Vec::new();
        let (found, problem) = match found {
            Err(error) => (None, Some(TrialProblem::Absent(error))),
            Ok(found) => {
                let tried = attempt(&mut acts).and_then(|()| judge(&acts));
                (Some(found), tried.err().map(TrialProblem::Failed))
            }
        };
        Self { engine, found, acts, problem }
    }
}

fn judge(acts: &[Probe]) -> Result<(), SandboxError> {
    match acts.iter().find(|act| !act.refused) {
        Some(act) => Err(SandboxError::not_sealed(format!("it could {}: {}", act.act, act.outcome))),
        None if acts.is_empty() => Err(SandboxError::Untried("it said nothing".to_owned())),
        None => Ok(()),
    }
}

/// A worker whose place an interpreter takes, with a script that holds nothing.
struct Subject {
    engine: Engine,
    scripts: Scripts,
    told: Told<'static>,
    spec: WorkerSpec,
    worker: Worker,
    heard: BareHost,
    printed: Output,
    unseen: Vec<&'static str>,
}

impl Subject {
    fn new(base: &LauncherSpec, engine: Engine) -> Result<Self, SandboxError> {
        let scripts = scripts(&engine).map_err(SandboxError::Code)?;
        let interpreter = scripts.interpreter(&engine).map_err(|error| SandboxError::Untried(error.to_string()))?;
        let unseen = unseen(&interpreter);
        let launcher = Launcher::start(&LauncherSpec { interpreter: Some(interpreter), ..base.clone() })?;
        let spec = script_spec(&[], &LimitCaps::default());
        let (printed, sink) = collector();
        let worker = Arc::new(launcher).spawn(&spec, &scripts.files, sink)?;
        let told = Told {
            plugin: "doctor",
            config: std::borrow::Cow::default(),
            permissions: &[],
            environment: Vec::new(),
            directory: None,
        };
        Ok(Self { engine, scripts, told, spec, worker, heard: BareHost::default(), printed, unseen })
    }

    fn attempt(mut self, acts: &mut Vec<Probe>) -> Result<(), SandboxError> {
        let load = self.scripts.load(&self.engine, &self.told);
        let loaded = self.worker.load_with(&load, &limits(&Limits::SCRIPT), &mut self.heard);
        loaded.map_err(|error| untried(error, &self.printed))?;
        let Rlimits { file_size, data, .. } = self.spec.rlimits;
        let mut args = match self.engine {
            Engine::Bash => vec!["script".to_owned(), DESCRIPTOR.to_string(), String::new(), String::new()],
            _ => [DESCRIPTOR, file_size, data].map(|number| number.to_string()).to_vec(),
        };
        args.extend(self.unseen.iter().map(|&path| path.to_owned()));
        let answer = self.call("acts", &args).map_err(|error| untried(error, &self.printed))?;
        let answer = answer.map_err(|error| SandboxError::Untried(first_line(error.message())))?;
        if let Some((_, output)) = status_of(&answer) {
            self.heard.0.extend_from_slice(output);
        }
        acts.extend(self.worker.pid().and_then(acts::of_process).into_iter().flatten());
        acts.extend(acts::read(&self.heard.0));
        if self.engine == Engine::Python {
            let left = self.call("leave", &[]);
            acts.push(left_root(left)?);
        }
        Ok(())
    }

    fn call(&mut self, command: &str, args: &[String]) -> Result<Result<Vec<u8>, PluginError>, SandboxError> {
        let invocation = Invocation::new(command, &args.iter().map(String::as_str).collect::<Vec<_>>());
        let json = serde_json::to_vec(&invocation).map_err(|error| SandboxError::Control(error.into()))?;
        let body = self.scripts.command_body(&self.engine, &invocation, &json, &self.told);
        let number = self.scripts.of_command(command).unwrap_or_default();
        self.worker.call_handler((Kind::Command, number), &body, b"", &limits(&Limits::SCRIPT), &mut self.heard)
    }
}

/// The one act that is answered with the end of whoever tries it.
fn left_root(ended: Result<Result<Vec<u8>, PluginError>, SandboxError>) -> Result<Probe, SandboxError> {
    let (refused, outcome) = match ended {
        Ok(_) => (false, "it lived on".to_owned()),
        Err(SandboxError::Died(Death::Refused(call))) => (true, format!("killed for {}", call.name)),
        Err(SandboxError::Died(death)) => (false, format!("it {death}")),
        Err(error) => return Err(error),
    };
    Ok(Probe { layer: Layer::Seccomp, act: "leave the root".to_owned(), outcome, refused })
}

/// The scripts of an engine, and nothing that they hold.
fn scripts(engine: &Engine) -> io::Result<Scripts> {
    let function = |name: &str| Handler::Python { module: "acts".to_owned(), function: name.to_owned() };
    let (commands, file) = match engine {
        Engine::Bash => {
            (vec![("acts", Handler::Bash(BashSource::File("acts.sh".to_owned())))], ("acts.sh", SHELL_ACTS))
        }
        _ => (vec![("acts", function("acts")), ("leave", function("leave"))], ("acts.py", PYTHON_ACTS)),
    };
    let mut manifest = Manifest::new("doctor", "1.0.0");
    let command = |(name, handler)| {
        let mut command = CommandSpec::new(name);
        command.handler = Some(handler);
        command
    };
    manifest.commands = commands.into_iter().map(command).collect();
    Scripts::new(manifest, [(file.0, file.1.as_bytes())].into_iter())
}

/// What is tried as a granted program: a shell, which can try something by itself.
fn program() -> Result<PathBuf, InterpreterError> {
    if let Ok(found) = find_bash() {
        return Ok(found.program);
    }
    let missing = || InterpreterError::Missing { name: "a shell".to_owned(), looked_for: SHELL.to_owned() };
    Path::new(SHELL).canonicalize().map_err(|_| missing())
}

/// A granted program in a sandbox of its own, which may reach a proxy.
fn of_program(
    base: &LauncherSpec,
    program: Result<PathBuf, InterpreterError>,
    acts: &mut Vec<Probe>,
) -> Result<(), SandboxError> {
    let file = program.map_err(|error| SandboxError::Untried(error.to_string()))?;
    let files: Vec<PathBuf> = [file.clone()].into_iter().chain(loader(&file)).collect();
    let others = ["/usr/bin/env", "/usr/bin/true", "/usr/bin/id"].map(Path::new);
    let other = others.into_iter().filter_map(|other| other.canonicalize().ok()).find(|other| !files.contains(other));
    let other = other.map(|other| other.display().to_string()).unwrap_or_default();
    let programs = Programs::Only(files);
    let mut arguments = vec!["-c".to_owned(), SHELL_ACTS.to_owned(), "sh".to_owned(), "program".to_owned()];
    arguments.extend([DESCRIPTOR.to_string(), (PROXY_PORT + 1).to_string(), other]);
    let unseen = acts::PLACES.iter().filter(|place| acts::is_there(place) && !programs.lie_in(Path::new(place)));
    arguments.extend(unseen.map(|&place| place.to_owned()));
    let launcher = Launcher::start(&LauncherSpec { programs, listens: true, ..base.clone() })?;
    let spec = WorkerSpec { rlimits: Rlimits::PROGRAM, receives_descriptors: false, reads_input: false };
    let (printed, sink) = collector();
    let input = seal_code(b"").map_err(SandboxError::Code)?;
    let mut worker = Arc::new(launcher).spawn(&spec, &input, sink)?;
    // Of its keeper, whose attributes it inherits and cannot get rid of.
    acts.extend(worker.pid().and_then(acts::of_process).into_iter().flatten());
    let name = file.display().to_string();
    let run = RunBody { file, name, arguments, directory: None, environment: Vec::new() };
    let (caller, limits) = (worker.caller(), limits(&Limits::SCRIPT));
    match worker.run(&run, &caller, &limits).map_err(|error| untried(error, &printed))? {
        RanBody::Exited(0) => {}
        RanBody::Exited(code) => return Err(ended(&format!("it ended with exit code {code}"), &printed)),
        RanBody::Signalled(signal) => return Err(ended(&format!("signal {signal} ended it"), &printed)),
        RanBody::NotStarted(number) => {
            let error = io::Error::from_raw_os_error(number);
            return Err(SandboxError::Untried(format!("it cannot be started: {error}")));
        }
    }
    let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    acts.extend(acts::read(&printed[0]));
    Ok(())
}

/// What a script must not see of the machine, where its interpreter does not lie there.
fn unseen(interpreter: &Interpreter) -> Vec<&'static str> {
    let places = acts::PLACES.iter().copied();
    places.filter(|place| acts::is_there(place) && !interpreter.lies_in(Path::new(place))).collect()
}

fn limits(of_kind: &Limits) -> CallLimits {
    CallLimits { wall: Some(PATIENCE), command_output: SAID_MAX, output: SAID_MAX, ..CallLimits::from(of_kind) }
}

/// An end that is not the machine's fault says what was printed first: an interpreter tells there what it misses.
fn untried(error: SandboxError, printed: &Output) -> SandboxError {
    match error {
        SandboxError::Died(death) => ended(&format!("it {death}"), printed),
        other => other,
    }
}

fn ended(how: &str, printed: &Output) -> SandboxError {
    let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    let said = String::from_utf8_lossy(&printed[1]);
    let first = said.lines().map(str::trim).find(|line| !line.is_empty());
    SandboxError::Untried(first.map_or_else(|| how.to_owned(), |first| format!("{how}: {}", safe_line(first))))
}

fn first_line(text: &str) -> String {
    safe_line(text.lines().next().unwrap_or_default())
}

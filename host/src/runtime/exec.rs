//! Programs that are run for a plugin: each in a sandbox of its own, with the same directories and limits of its own, within
//! the call that asks for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use migraine_plugin_api::{ErrorKind, PluginError};
use serde::Deserialize;
use serde_json::json;

use super::environment;
use super::masked;
use super::programs::{self, ProgramError};
use super::proxy::{Gate, Proxy, proxy_variables};
use super::services::Side;
use super::spec::{proxy_limits, rlimits};
use crate::sandbox::{
    CPU_WINDOW, CallLimits, CallUsage, Death, Launcher, SandboxError, Stray, StraySink, Traffic, Usage, seal_code,
};
use crate::text::safe_line;
use crate::wire::{BODY_MAX, Directory, LauncherSpec, RanBody, Rlimits, RunBody, Variable, WorkerSpec};

/// How much later than its call a program would be ended by itself. The end of the call takes it along.
const AFTER_CALL: Duration = Duration::from_millis(500);

/// What a plugin asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// A name or an absolute path.
    program: String,
    #[serde(default)]
    args: Vec<String>,
    /// A granted directory, or one below it; the scratch directory otherwise.
    #[serde(default)]
    cwd: Option<PathBuf>,
    /// What the program reads; nothing otherwise.
    #[serde(default)]
    stdin: String,
}

/// What the programs of one call have used.
#[derive(Debug)]
pub(super) struct Spent {
    /// When the current window began.
    since: Instant,
    /// CPU time in that window.
    cpu: Duration,
    /// CPU time since the call began.
    whole: Duration,
    /// The most resident memory that one of them had.
    peak_kib: u64,
}

impl Spent {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), cpu: Duration::ZERO, whole: Duration::ZERO, peak_kib: 0 }
    }

    /// One of them ended.
    fn add(&mut self, usage: Usage) {
        self.cpu += usage.cpu;
        self.whole += usage.cpu;
        self.peak_kib = self.peak_kib.max(usage.max_rss_kib);
    }

    /// What the call used, with its programs.
    pub(super) fn with(&self, usage: CallUsage) -> CallUsage {
        CallUsage { cpu: usage.cpu + self.whole, peak_kib: usage.peak_kib.max(self.peak_kib), ..usage }
    }

    /// What is left of a limit. A new window begins with all of it.
    fn left(&mut self, limit: Duration) -> Duration {
        if self.since.elapsed() >= CPU_WINDOW {
            (self.since, self.cpu) = (Instant::now(), Duration::ZERO);
        }
        limit.saturating_sub(self.cpu)
    }
}

/// What was printed on standard output and on standard error.
pub(super) type Output = Arc<Mutex<[Vec<u8>; 2]>>;

impl Side<'_> {
    /// Runs a program to its end.
    pub(super) fn exec(&mut self, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| invalid(&format!("the request to run a program cannot be read: {error}")))?;
        let name = safe_line(&request.program);
        let spec = self.launchers.of_programs(self.permissions).map_err(|error| unrun(&name, &error))?;
        let judged = self.judge(&spec, &request.program);
        let file = judged.map_err(|error| self.refuse(&error))?;
        check(&request, &spec.directories)?;
        let environment = environment::granted(self.permissions, std::env::vars_os());
        let mut environment = masked::environment(self.secrets, environment);
        environment.push(Variable { name: "PATH".to_owned(), value: programs::search_path().into() });
        environment.extend(proxy_environment(spec.listens));
        let run = RunBody { file, name: request.program, arguments: request.args, directory: request.cwd, environment };
        let (ran, output) = self.run(&run, &request.stdin, &spec).map_err(|error| {
            self.voice.granted(self.plugin, &format!("ran `{}`: {error}", run.file.display()));
            unrun(&name, &error)
        })?;
        let code = match ran {
            RanBody::Exited(code) => code,
            RanBody::Signalled(signal) => 128 + signal,
            RanBody::NotStarted(number) => {
                let error = io::Error::from_raw_os_error(number);
                self.voice.granted(self.plugin, &format!("tried to run `{}`: {error}", run.file.display()));
                let help = "a program runs with few rights: everybody must be able to execute it, and its interpreter";
                return Err(PluginError::failed(format!("`{name}` cannot be started: {error}")).with_help(help));
            }
        };
        self.voice.granted(self.plugin, &format!("ran `{}`: exit {code}", run.file.display()));
        let output = match self.secrets {
            Some(secrets) => output.map(|text| secrets.mask_bytes(&text).into_owned()),
            None => output,
        };
        answer(&name, code, &output)
    }

    fn judge(&self, spec: &LauncherSpec, program: &str) -> Result<PathBuf, ProgramError> {
        let Some(learner) = self.learner else {
            return programs::judge(self.permissions, &spec.directories, program);
        };
        // What is shown while it is learned is not what it will be granted.
        learner.run(program)?;
        programs::judge(self.permissions, &[], program)
    }

    fn run(
        &mut self,
        run: &RunBody,
        stdin: &str,
        spec: &LauncherSpec,
    ) -> Result<(RanBody, [Vec<u8>; 2]), SandboxError> {
        let caller = self.caller.as_ref().ok_or(SandboxError::Died(Death::Silent))?;
        let input = seal_code(stdin.as_bytes()).map_err(SandboxError::Code)?;
        let limits = CallLimits {
            // The rest of the call, and a little more: the call's own end comes first, and says whose limit it was.
            wall: self.until.map(|until| until.left() + AFTER_CALL),
            cpu: self.spent.left(self.limits.cpu),
            ..self.limits
        };
        let launcher = self.launchers.for_programs(self.plugin, spec)?;
        let proxy = self.proxy(&launcher)?;
        let (output, sink) = collector();
        // No socket of the host's: the programs of a plugin stand in a network namespace of their own, in which nothing is
        // but the way to the proxy.
        let worker = WorkerSpec {
            rlimits: rlimits(Rlimits::PROGRAM, &self.caps),
            receives_descriptors: false,
            reads_input: false,
        };
        let ran = launcher.spawn(&worker, &input, sink).and_then(|mut worker| {
            let ran = worker.run(run, caller, &limits);
            worker.end().into_iter().for_each(|usage| self.spent.add(usage));
            ran
        });
        self.proxied += proxy.map_or(Traffic::default(), |proxy| proxy.traffic());
        let ran = ran.map_err(|error| match error {
            // The limit is that of all programs of the call, not what those before have left of it.
            SandboxError::Died(Death::Cpu(_)) => SandboxError::Died(Death::Cpu(self.limits.cpu)),
            other => other,
        });
        if ran.as_ref().is_err_and(SandboxError::is_launcher_failure) {
            self.launchers.forget_programs(self.plugin);
        }
        let output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((ran?, output))
    }

    /// Serves the programs of a plugin that holds `network`, for as long as one runs.
    pub(super) fn proxy(&self, launcher: &Launcher) -> Result<Option<Proxy>, SandboxError> {
        let Some(listener) = launcher.listener()? else { return Ok(None) };
        let gate = Gate {
            plugin: self.plugin.clone(),
            permissions: self.permissions.to_vec(),
            learner: self.learner.cloned(),
            voice: Arc::clone(self.voice),
            upstream: self.upstream.cloned(),
            until: self.until,
            limits: proxy_limits(&self.caps),
            capped: self.capped.to_vec(),
        };
        Proxy::serve(listener, gate).map(Some).map_err(SandboxError::Start)
    }

    fn refuse(&self, error: &ProgramError) -> PluginError {
        match error.missing() {
            Some(missing) => self.denied(&missing, error.to_string()),
            None if matches!(error, ProgramError::Name(_)) => invalid(&error.to_string()),
            None => PluginError::failed(error.to_string()),
        }
    }
}

/// The variables by which programs find the proxy, where there is one.
pub(super) fn proxy_environment(listens: bool) -> impl Iterator<Item = Variable> {
    let variables = if listens { proxy_variables() } else { Vec::new() };
    variables.into_iter().map(|(name, value)| Variable { name, value: value.into() })
}

fn invalid(message: &str) -> PluginError {
    PluginError::new(ErrorKind::Invalid, message)
}

/// What the kernel or the sandbox would refuse with less to say.
fn check(request: &Request, directories: &[Directory]) -> Result<(), PluginError> {
    if request.args.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("an argument of a program holds no NUL byte"));
    }
    let is_shown = |path: &Path| directories.iter().any(|directory| path.starts_with(&directory.path));
    match &request.cwd {
        Some(path) if !is_shown(path) => {
            let path = safe_line(&path.to_string_lossy());
            Err(invalid(&format!("a program starts in a granted directory, and `{path}` is none"))
                .with_help("leave `cwd` out: it then starts in an empty directory of its own"))
        }
        _ => Ok(()),
    }
}

/// Where what is printed is collected.
pub(super) fn collector() -> (Output, StraySink) {
    let output = Output::default();
    let kept = Arc::clone(&output);
    let sink = move |stray: Stray<'_>| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept[usize::from(stray.is_stderr)].extend_from_slice(stray.bytes);
    };
    (output, Arc::new(sink))
}

/// The body of `ExecOutput`.
fn answer(name: &str, exit_code: i32, output: &[Vec<u8>; 2]) -> Result<Vec<u8>, PluginError> {
    let [stdout, stderr] = output.each_ref().map(|bytes| String::from_utf8_lossy(bytes));
    let body = serde_json::to_vec(&json!({"exit_code": exit_code, "stdout": stdout, "stderr": stderr}))?;
    if body.len() > BODY_MAX {
        return Err(too_much(name));
    }
    Ok(body)
}

fn too_much(name: &str) -> PluginError {
    PluginError::failed(format!("the output of `{name}` is larger than its limit of {} KiB", BODY_MAX >> 10))
        .with_help("ask the program for less, or let it write to a file in a granted directory")
}

/// Why a run has no output.
fn unrun(name: &str, error: &SandboxError) -> PluginError {
    match error {
        SandboxError::Died(Death::Output(_)) => too_much(name),
        SandboxError::Died(Death::Interrupted) => {
            PluginError::new(ErrorKind::Cancelled, format!("the program `{name}` was interrupted"))
        }
        SandboxError::Died(death @ Death::Cpu(_)) => {
            PluginError::failed(format!("the program `{name}`, with those before it in this call, {death}"))
        }
        SandboxError::Died(death) => PluginError::failed(format!("the program `{name}` {death}")),
        other => PluginError::failed(format!("the program `{name}` cannot be run: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_a_call_is_shared_by_its_programs() {
        let limit = Duration::from_secs(10);
        let mut spent = Spent::new();
        spent.cpu += Duration::from_secs(4);
        assert_eq!(spent.left(limit), Duration::from_secs(6));
        spent.add(Usage { max_rss_kib: 5, cpu: Duration::from_secs(7) });
        assert_eq!(spent.left(limit), Duration::ZERO);
        spent.since -= CPU_WINDOW;
        assert_eq!(spent.left(limit), limit);
        // The record of the call is of all of it.
        spent.add(Usage { max_rss_kib: 3, cpu: Duration::from_secs(1) });
        let own = CallUsage { cpu: Duration::from_secs(1), peak_kib: 4, ..CallUsage::default() };
        assert_eq!(spent.with(own), CallUsage { cpu: Duration::from_secs(9), peak_kib: 5, ..own });
    }

    #[test]
    fn an_answer_fits_into_a_message() {
        let of = |byte: u8, length: usize| answer("x", 0, &[vec![byte; length], Vec::new()]);
        assert_eq!(of(b'y', 3).unwrap(), br#"{"exit_code":0,"stderr":"","stdout":"yyy"}"#);
        assert!(of(b'y', BODY_MAX - 100).is_ok());
        // A control byte takes six in a message.
        for (byte, length) in [(b'y', BODY_MAX), (1, BODY_MAX / 6)] {
            let error = of(byte, length).unwrap_err();
            assert!(error.message().contains("limit of 1024 KiB"), "{error}");
        }
        assert_eq!(
            answer("x", 1, &[vec![0xff], Vec::new()]).unwrap(),
            "{\"exit_code\":1,\"stderr\":\"\",\"stdout\":\"\u{fffd}\"}".as_bytes()
        );
    }

    #[test]
    fn a_request_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Request>(text).is_ok();
        assert!(read(r#"{"program":"env"}"#));
        assert!(read(r#"{"program":"env","args":["-0"],"cwd":"/srv","stdin":"x"}"#));
        for text in [r#"{"args":[]}"#, r#"{"program":"env","shell":true}"#, r#"{"program":"env","args":"-0"}"#] {
            assert!(!read(text), "{text}");
        }
        let directories = [Directory { path: "/srv/data".into(), writable: false }];
        for (cwd, allowed) in [("/srv/data", true), ("/srv/data/x", true), ("/srv", false), ("data", false)] {
            let request = serde_json::from_value(json!({"program": "env", "cwd": cwd})).unwrap();
            assert_eq!(check(&request, &directories).is_ok(), allowed, "{cwd}");
        }
        let request = serde_json::from_value(json!({"program": "env", "args": ["a\0b"]})).unwrap();
        assert!(check(&request, &[]).is_err());
    }
}

//! Why there is no worker, and how a worker ended: each ending is one readable line with its own code.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use migraine_plugin_api::PermissionKind;
use nix::sys::resource::Resource;

use super::cure::{Settings, cure};
use super::stage::{AWAITED, SELF_CHECK, Stage};
use crate::code::{Code, Coded};
use crate::sys::ulimit::{self, LowLimit};
use crate::text::{display_safe, safe_line};
use crate::wire::{BODY_MAX, Ended, FailedStep, LoadFailure, Refused, WireError};

/// How a worker came to its end without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Death {
    /// The wall clock ran out.
    Time(Duration),
    /// The user ended it.
    Interrupted,
    /// The CPU limit of one call was used up.
    Cpu(Duration),
    /// Memory up to the limit, in bytes.
    Memory(u64),
    /// More written by a command to the streams of its caller than allowed, in bytes.
    CommandOutput(u64),
    /// More printed past the interface than allowed, in bytes.
    Output(u64),
    /// More bytes logged in one call than allowed.
    Log(u64),
    /// More host calls than allowed.
    Calls(u64),
    /// More bytes over the connections of one call than allowed.
    Traffic(u64),
    /// Failed after a process or thread was refused it.
    Processes {
        /// How many it may have.
        limit: u64,
        /// How it failed.
        said: String,
    },
    /// An answer larger than a message may be.
    Message(String),
    /// A system call that no plugin may make.
    Refused(Refused),
    /// A system call of a foreign interface: the kernel ended it at once.
    ForeignCall,
    /// A signal ended it.
    Signal(i32),
    /// It exited, with this code, before it answered.
    Exited(i32),
    /// It closed its channel and lived on.
    Silent,
    /// It sent what the protocol does not allow.
    Protocol(String),
}

impl Death {
    /// Reads the launcher's report; `memory` is the limit in bytes, `cpu` that of the user's own, if there is one.
    #[must_use]
    pub(super) fn from_end(ended: &Ended, memory: u64, cpu: Option<Duration>) -> Self {
        if let Some(refused) = &ended.refused {
            return Self::Refused(refused.clone());
        }
        if let Some(limit) = ended.over_cpu_ms {
            return Self::Cpu(Duration::from_millis(limit));
        }
        // A memory hog ends by whatever its allocator does: the peak tells more than the signal.
        let at_limit = ended.max_rss_kib.saturating_mul(1024) >= memory / 10 * 9;
        match (ended.signal, ended.exit) {
            (Some(libc::SIGSYS), _) => Self::ForeignCall,
            // The kernel counts exactly, and says in the end what it counted by ticks.
            (Some(libc::SIGXCPU | libc::SIGKILL), _)
                if cpu.is_some_and(|cpu| Duration::from_micros(ended.cpu_us) >= cpu.mul_f32(0.9)) =>
            {
                Self::Cpu(cpu.unwrap_or_default())
            }
            (Some(_), _) | (_, Some(1..)) if at_limit => Self::Memory(memory),
            (Some(signal), _) => Self::Signal(signal),
            (None, code) => Self::Exited(code.unwrap_or_default()),
        }
    }

    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Time(_) => Code::LimitTime,
            Self::Interrupted => Code::Interrupted,
            Self::Cpu(_) => Code::LimitCpu,
            Self::Memory(_) => Code::LimitMemory,
            Self::CommandOutput(_) | Self::Output(_) | Self::Log(_) => Code::LimitOutput,
            Self::Processes { .. } => Code::LimitProcesses,
            Self::Calls(_) => Code::LimitCalls,
            Self::Traffic(_) => Code::LimitNetwork,
            Self::Message(_) => Code::LimitMessage,
            Self::Refused(_) | Self::ForeignCall => Code::SandboxViolation,
            Self::Signal(_) => Code::PluginCrashed,
            Self::Exited(_) | Self::Silent => Code::PluginExited,
            Self::Protocol(_) => Code::ProtocolError,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(limit) => write!(f, "took longer than its limit of {} s", limit.as_secs_f64()),
            Self::Interrupted => f.write_str("was interrupted"),
            Self::Cpu(limit) => write!(f, "used more CPU time than its limit of {} s", limit.as_secs_f64()),
            Self::Memory(limit) => write!(f, "reached its memory limit of {} MiB", limit >> 20),
            Self::CommandOutput(limit) => write!(f, "wrote more output than its limit of {} KiB", limit >> 10),
            Self::Output(limit) => write!(f, "printed more than {} KiB past the interface in one call", limit >> 10),
            Self::Log(limit) => write!(f, "logged more than {} KiB in one call", limit >> 10),
            Self::Processes { limit, said } => write!(f, "reached its limit of {limit} processes and threads: {said}"),
            Self::Calls(limit) => write!(f, "made more than {limit} host calls in one call"),
            Self::Traffic(limit) => write!(f, "moved more than {} MiB over its connections in one call", limit >> 20),
            Self::Message(size) => write!(f, "answered with {size} bytes, more than the {BODY_MAX} of a message"),
            Self::Refused(call) => write!(f, "made the system call {}, which no plugin may make", call.name),
            Self::ForeignCall => f.write_str("made a system call of a foreign interface (32-bit or x32)"),
            Self::Signal(number) => write!(f, "crashed ({})", signal_name(*number)),
            Self::Exited(code) => write!(f, "ended with exit code {code} before it answered"),
            Self::Silent => f.write_str("closed its channel before it answered"),
            Self::Protocol(why) => write!(f, "broke the protocol: {}", safe_line(why)),
        }
    }
}

fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// Why a worker could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The launcher could not be started.
    #[error("cannot start the sandbox launcher: {0}")]
    Start(#[source] io::Error),
    /// Whoever started this program left it too little.
    #[error("cannot start the sandbox launcher: {0}")]
    Ulimit(LowLimit),
    /// The plugin's bytes cannot be handed over.
    #[error("the plugin's code cannot be handed over to its worker: {0}")]
    Code(#[source] io::Error),
    /// This machine does not let the sandbox be built.
    #[error("this machine cannot run the sandbox: {0}")]
    Unavailable(FailedStep),
    /// Only the reduced sandbox can be built, and the plugin was granted what that cannot bound.
    #[error("only the reduced sandbox can be built here, which runs no plugin with `{permission}`: {failed}")]
    NeedsFull {
        /// What it was granted.
        permission: PermissionKind,
        /// Why the full one cannot be built.
        failed: FailedStep,
    },
    /// Only the reduced sandbox can be built: an interpreter would see the machine's own tree in it.
    #[error("only the reduced sandbox can be built here, which runs no scripts: {0}")]
    ScriptsNeedFull(FailedStep),
    /// A granted directory cannot be given to the plugin.
    #[error("the directory `{}` cannot be given to it: {reason}", display_safe(&directory.to_string_lossy(), 400))]
    Directory {
        /// Its path.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A worker could not seal itself.
    #[error("the plugin's sandbox could not be closed: {0}")]
    NotSealed(FailedStep),
    /// A script or a granted program does not run, so that nobody knows what it could do.
    #[error("what is forbidden could not be tried: {0}")]
    Untried(String),
    /// A worker reported less than was asked for.
    #[error("the plugin's sandbox reports that a layer is missing")]
    LayerMissing,
    /// The launcher ended.
    #[error("the sandbox launcher ended unexpectedly: {0}")]
    LauncherGone(String),
    /// The control channel failed.
    #[error("cannot talk to the sandbox launcher: {0}")]
    Control(#[source] io::Error),
    /// The worker ended.
    #[error("it {0}")]
    Died(Death),
    /// The plugin could not be loaded.
    #[error("{}", load_line(.0))]
    Load(LoadFailure),
    /// A request was above its cap; nothing was sent.
    #[error("the request cannot be sent: {0}")]
    Request(#[source] WireError),
    /// The caller's own output could not be written, for example because its reader is gone.
    #[error("cannot write the plugin's output: {0}")]
    Output(#[source] io::Error),
}

fn load_line(failure: &LoadFailure) -> String {
    match failure {
        LoadFailure::Library { message } => format!("its library cannot be opened: {message}"),
        LoadFailure::NotAPlugin { message } => format!("its library is not a plugin: {message}"),
        LoadFailure::Abi { message, .. } => message.clone(),
        LoadFailure::Create { error } => format!("it could not start: {error}"),
    }
}

/// What a limit of the user's own forbids, the machine may well allow.
fn help_with(failed: &FailedStep) -> String {
    if let Some(limit) = failed.errno.and_then(ulimit::behind) {
        return limit;
    }
    match failed.errno {
        None if failed.step == AWAITED => ulimit::behind_end().unwrap_or_else(|| GONE.to_owned()),
        _ => cure(failed, &Settings::read()),
    }
}

impl Coded for SandboxError {
    fn code(&self) -> Code {
        match self {
            Self::Start(_)
            | Self::Unavailable(_)
            | Self::NeedsFull { .. }
            | Self::ScriptsNeedFull(_)
            | Self::NotSealed(_)
            | Self::Untried(_)
            | Self::LayerMissing
            | Self::LauncherGone(_) => Code::SandboxUnavailable,
            Self::Ulimit(_) => Code::UlimitLow,
            Self::Directory { .. } => Code::DirectoryRefused,
            Self::Control(_) | Self::Output(_) | Self::Code(_) => Code::Io,
            Self::Request(_) => Code::LimitMessage,
            Self::Died(death) => death.code(),
            Self::Load(LoadFailure::Library { .. }) => Code::ElfInvalid,
            Self::Load(LoadFailure::NotAPlugin { .. }) => Code::NotAPlugin,
            Self::Load(LoadFailure::Abi { .. }) => Code::AbiMismatch,
            Self::Load(LoadFailure::Create { error }) => match error.kind() {
                migraine_plugin_api::ErrorKind::Panic => Code::PluginPanicked,
                _ => Code::PluginFailed,
            },
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Unavailable(failed)
            | Self::NotSealed(failed)
            | Self::NeedsFull { failed, .. }
            | Self::ScriptsNeedFull(failed) => Some(help_with(failed)),
            Self::Ulimit(low) => Some(low.cure.clone()),
            Self::Start(error) | Self::Control(error) | Self::Code(error) => Some(
                ulimit::behind_error(error).unwrap_or_else(|| GONE.to_owned()),
            ),
            Self::LauncherGone(_) => Some(ulimit::behind_end().unwrap_or_else(|| GONE.to_owned())),
            Self::Untried(_) => Some(
                "see whether it runs outside of the sandbox, and put one that does into PATH; plugins that do not need it run"
                    .to_owned(),
            ),
            Self::Directory { .. } => Some(
                "a plugin gets exactly the directories that were granted: put it right, or grant another one with \
                 `migraine plugin enable`"
                    .to_owned(),
            ),
            Self::Died(Death::Memory(limit)) if *limit == ulimit::hard(Resource::RLIMIT_DATA) => ulimit::behind(libc::ENOMEM),
            Self::Died(Death::Cpu(limit)) if Some(*limit) == ulimit::cpu() => ulimit::behind_end(),
            Self::Died(Death::Time(_)) => Some(
                "raise the limit with --timeout SECONDS for a command, --hook-timeout SECONDS for hooks".to_owned(),
            ),
            Self::Died(Death::CommandOutput(_)) => Some(
                "let it write what is longer to a directory that it is granted; where the policy has a lower limit, it is \
                 `command_output`"
                    .to_owned(),
            ),
            Self::Died(Death::Refused(_) | Death::ForeignCall) => {
                Some("a correct plugin never does this; report it to its author".to_owned())
            }
            _ => None,
        }
    }
}

/// What is behind an end that nothing else explains.
const GONE: &str = "something outside of the sandbox ended or stopped it: the kernel's log (`dmesg`) tells of a lack of memory and of \
                    security modules; if it happens again, `migraine doctor` shows how far the sandbox can be built";

/// Processes, memory and descriptors that are there again later, and what a limit of the user's own forbids (errno(3)).
const USED_UP: [i32; 5] = [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::EFBIG];

impl SandboxError {
    /// A sandbox that stands and does not hold.
    #[must_use]
    pub fn not_sealed(reason: String) -> Self {
        Self::NotSealed(FailedStep { step: SELF_CHECK.to_owned(), reason, errno: None })
    }

    /// Whether the launcher itself failed, so that nothing more can be had of it.
    #[must_use]
    pub fn is_launcher_failure(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Directory { .. } | Self::LauncherGone(_))
    }

    /// Why the full sandbox cannot be built, where the reduced one may still be. One that stands but does not hold is no
    /// reason to try another, nor is what is only used up for now: others could bring that about.
    #[must_use]
    pub fn lacks_full(&self) -> Option<&FailedStep> {
        let (Self::Unavailable(failed) | Self::NotSealed(failed)) = self else { return None };
        let holds_not = Stage::of(&failed.step) == Some(Stage::Check);
        (!holds_not && failed.errno.is_none_or(|number| !USED_UP.contains(&number))).then_some(failed)
    }

    /// The long trace behind a one-line error, for `--verbose`.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Load(LoadFailure::Abi { trace, .. }) if !trace.is_empty() => Some(trace),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Option<i32>, signal: Option<i32>, max_rss_kib: u64) -> Ended {
        Ended { exit, signal, refused: None, over_cpu_ms: None, max_rss_kib, cpu_us: 0 }
    }

    #[test]
    fn only_what_the_machine_forbids_is_a_reason_for_the_reduced_sandbox() {
        let failed = |step: &str, errno| FailedStep { step: step.to_owned(), reason: "why".to_owned(), errno };
        let lacks = |step: &str, errno| SandboxError::Unavailable(failed(step, errno)).lacks_full().is_some();
        assert!(lacks("unshare namespaces", Some(libc::EPERM)) && lacks("unshare namespaces", Some(libc::ENOSPC)));
        assert!(lacks("leave the old root", None));
        for number in [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE] {
            assert!(!lacks("clone into the pid namespace", Some(number)), "{number}");
            assert!(SandboxError::NotSealed(failed("mount", Some(number))).lacks_full().is_none(), "{number}");
        }
        assert!(SandboxError::Died(Death::Silent).lacks_full().is_none());
    }

    #[test]
    fn an_end_at_the_users_own_limit_of_cpu_time_is_told_as_that() {
        let of = |signal, cpu_ms: u64, cpu: Option<u64>| {
            let ended = Ended { cpu_us: cpu_ms * 1000, ..ended(None, Some(signal), 2000) };
            Death::from_end(&ended, 64 << 20, cpu.map(Duration::from_secs))
        };
        assert_eq!(of(libc::SIGKILL, 995, Some(1)), Death::Cpu(Duration::from_secs(1)));
        assert_eq!(of(libc::SIGXCPU, 1001, Some(1)), Death::Cpu(Duration::from_secs(1)));
        assert_eq!(of(libc::SIGKILL, 500, Some(1)), Death::Signal(libc::SIGKILL));
        assert_eq!(of(libc::SIGSEGV, 1001, Some(1)), Death::Signal(libc::SIGSEGV));
        assert_eq!(of(libc::SIGKILL, 1001, None), Death::Signal(libc::SIGKILL));
    }

    #[test]
    fn endings_are_told_apart() {
        let memory = 64 << 20;
        let check = |end: Ended, code: Code| {
            let death = Death::from_end(&end, memory, None);
            assert_eq!(death.code(), code, "{death}");
        };
        check(ended(None, Some(11), 2000), Code::PluginCrashed);
        check(ended(None, Some(11), 62000), Code::LimitMemory);
        check(ended(Some(101), None, 62000), Code::LimitMemory);
        check(ended(Some(0), None, 62000), Code::PluginExited);
        check(ended(Some(0), None, 2000), Code::PluginExited);
        check(ended(None, Some(31), 2000), Code::SandboxViolation);
        let refused = Some(Refused { name: "ptrace".to_owned(), number: 101, args: [0; 6] });
        let death = Death::from_end(&Ended { refused, ..ended(None, Some(9), 2000) }, memory, None);
        assert_eq!(death.to_string(), "made the system call ptrace, which no plugin may make");
        let over_cpu_ms = Some(300);
        let death = Death::from_end(&Ended { over_cpu_ms, ..ended(None, Some(9), 2000) }, memory, None);
        assert_eq!(death.to_string(), "used more CPU time than its limit of 0.3 s");
    }
}

//! What host and launcher say to each other over the control socket. Both are trusted; descriptors travel beside.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::limits::Rlimits;
use super::{Interpreter, Programs};

/// Which layers a worker seals itself with: all of them, but where [`LauncherSpec::layers`] can be told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each layer is on or off by itself")]
pub struct Layers {
    /// User, mount, pid, net, ipc, uts and cgroup namespaces and the private root.
    pub namespaces: bool,
    /// Resource limits.
    pub rlimits: bool,
    /// No capability, no new privileges, not dumpable.
    pub privileges: bool,
    /// Landlock.
    pub landlock: bool,
    /// The system call filter.
    pub seccomp: bool,
}

impl Layers {
    /// Everything on.
    pub const ALL: Self = Self { namespaces: true, rlimits: true, privileges: true, landlock: true, seccomp: true };
    /// Everything off.
    pub const NONE: Self =
        Self { namespaces: false, rlimits: false, privileges: false, landlock: false, seccomp: false };
}

impl Default for Layers {
    fn default() -> Self {
        Self::ALL
    }
}

/// How much of the sandbox is built. It is never lowered but by the user's own policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All of it.
    #[default]
    Full,
    /// No namespaces, for machines that forbid them: plugins have nothing of the machine, but they can see that a file is
    /// there, and they have no directory of their own.
    Reduced,
}

impl Level {
    const fn layers(self) -> Layers {
        Layers { namespaces: matches!(self, Self::Full), ..Layers::ALL }
    }
}

/// How the worker opens the verified bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadBy {
    /// Through `/proc/self/fd/N`, where the launcher could mount procfs.
    Procfs,
    /// From a copy in a private read-only tmpfs.
    Copy,
}

/// The only argument of a launcher process.
pub const LAUNCHER_ARGUMENT: &str = "__migraine-launcher";

/// The largest control message but for the first, in bytes.
pub const CONTROL_MAX: usize = 4096;

/// The largest [`LauncherSpec`] as JSON, in bytes: room for [`DIRECTORIES_MAX`] of the longest paths, with escapes.
pub const LAUNCHER_SPEC_MAX: usize = 128 * 1024;

/// How many directories one plugin can have.
pub const DIRECTORIES_MAX: usize = 16;

/// Where the proxy listens, on the loopback device of a network namespace that holds nothing else.
pub const PROXY_PORT: u16 = 3128;

/// A directory that the workers of a launcher see at its own path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Directory {
    /// Absolute, without `.` and `..`; no part of it is a symbolic link.
    pub path: PathBuf,
    /// Whether its content may be changed.
    pub writable: bool,
}

/// The first message to a launcher. It is no argument: every user can read a command line (proc_pid_cmdline(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LauncherSpec {
    /// Forces one way of opening the bytes; `None` uses procfs where it can be mounted.
    pub load_by: Option<LoadBy>,
    /// What the workers see of the machine's tree; most have nothing.
    pub directories: Vec<Directory>,
    /// What the workers may execute. Where they may, they see the system's own directories as well.
    pub programs: Programs,
    /// What takes the place of each worker, where its plugin is a script.
    pub interpreter: Option<Interpreter>,
    /// Whether a socket listens on [`PROXY_PORT`] in the network namespace that all of its workers share; the host is
    /// given it. Only for a launcher whose workers belong to one plugin.
    pub listens: bool,
    /// Whether the host records by which paths its workers reach files: it is given the listener of each one's filter, and
    /// the workers stay dumpable, since a path is read from their memory.
    pub learns: bool,
    /// How much of the sandbox is built.
    pub level: Level,
    /// The layers that stand at the full level.
    #[cfg(feature = "attack-controls")]
    #[serde(rename = "attack_controls_layers")]
    pub layers: Layers,
}

impl LauncherSpec {
    /// The layers that the launcher and its workers stand in. In a product the level alone decides; only the tests' own
    /// build can leave layers out, to show that an attack works without what stops it.
    #[must_use]
    pub const fn layers(&self) -> Layers {
        match self.level {
            #[cfg(feature = "attack-controls")]
            Level::Full => self.layers,
            level => level.layers(),
        }
    }

    /// Whether its workers may make processes: a program may, a shell is nothing without, and a script that is granted
    /// programs starts them itself.
    #[must_use]
    pub fn has_families(&self) -> bool {
        self.programs.are_run() || self.interpreter.as_ref().is_some_and(Interpreter::forks)
    }

    /// Where the workers' scratch directory lies: out of the way of directories and programs in `/tmp`, which it would hide.
    #[must_use]
    pub fn scratch(&self) -> &'static str {
        let usual = "/tmp";
        let is_taken = self.directories.iter().any(|directory| directory.path.starts_with(Path::new(usual)));
        let interprets = self.interpreter.as_ref().is_some_and(|interpreter| interpreter.lies_in(Path::new(usual)));
        if is_taken || interprets || self.programs.lie_in(Path::new(usual)) { "/dev/scratch" } else { usual }
    }
}

/// One worker to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Its limits.
    pub rlimits: Rlimits,
    /// Whether the host passes it descriptors: streams that the host has connected.
    pub receives_descriptors: bool,
    /// Whether it has a standard input; the null device otherwise.
    pub reads_input: bool,
}

impl WorkerSpec {
    /// A native plugin that holds nothing.
    pub const NATIVE: Self = Self { rlimits: Rlimits::NATIVE, receives_descriptors: false, reads_input: false };
}

/// Host to launcher.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToLauncher {
    /// Start a worker; beside travel, in this order: code (or the standard input of a program), request pipe, reply pipe,
    /// standard output, standard error, the socket that descriptors come over where it receives some, its standard input
    /// where it reads one; last the doors of its control group.
    Spawn {
        /// The host's number for it.
        worker: u32,
        /// What it is.
        spec: WorkerSpec,
        /// How many doors there are.
        doors: usize,
        /// Whether nobody waits for it yet.
        is_ahead: bool,
    },
    /// The host runs and looks at its workers. While it is silent, which it is when it is stopped, the launcher looks.
    Awake {
        /// CPU time that each worker may use in each [`CPU_WINDOW`](super::CPU_WINDOW), in milliseconds.
        cpu_ms: u64,
    },
}

/// A system call that ended a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its name, as in syscalls(2).
    pub name: String,
    /// Its number.
    pub number: i32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// A step in the building of the sandbox that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step} failed: {reason}")]
pub struct FailedStep {
    /// The step.
    pub step: String,
    /// The system's answer.
    pub reason: String,
    /// The number of that answer, where it has one (errno(3)).
    pub errno: Option<i32>,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code, if it exited.
    pub exit: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// The call it made that no plugin may make.
    pub refused: Option<Refused>,
    /// The CPU time in milliseconds that it used up while the host was silent.
    pub over_cpu_ms: Option<u64>,
    /// Peak resident memory in KiB.
    pub max_rss_kib: u64,
    /// CPU time in microseconds.
    pub cpu_us: u64,
}

/// Launcher to host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromLauncher {
    /// It stands in its own namespaces and waits for work; beside travel its own pidfd and, where it was asked for one, its
    /// listening socket.
    Ready {
        /// How workers will open their code.
        load_by: LoadBy,
    },
    /// It cannot build the sandbox on this machine, and ends; beside travels its own pidfd, if there is one.
    Unavailable {
        /// What failed.
        failed: FailedStep,
    },
    /// A directory cannot be shown to workers, and it ends; beside travels its own pidfd, if there is one.
    NoDirectory {
        /// Its path.
        directory: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A worker runs; beside travel its pidfd and, where the host records its calls, the listener of its filter.
    Spawned {
        /// Which one.
        worker: u32,
        /// Whether it is in its control group.
        is_grouped: bool,
    },
    /// A worker could not be started, or could not seal itself.
    NotSpawned {
        /// Which one.
        worker: u32,
        /// What failed.
        failed: FailedStep,
    },
    /// A worker ended.
    Ended {
        /// Which one.
        worker: u32,
        /// How.
        ended: Ended,
    },
}

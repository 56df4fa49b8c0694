//! Every limit of a plugin, and why it is what it is. What the host enforces for each call, and what the kernel enforces
//! for each worker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A call may use its CPU time anew in each such window: one that streams for hours must not die of its age.
pub const CPU_WINDOW: Duration = Duration::from_secs(30);

/// Wall clock of a call for which nobody said anything, in seconds: a person waits for it.
pub const WALL_SECONDS: u32 = 30;
/// The same.
pub const WALL: Duration = Duration::new(WALL_SECONDS as u64, 0);

/// The limits of one kind of plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What the kernel enforces.
    pub rlimits: Rlimits,
    /// CPU time of all threads in each [`CPU_WINDOW`] of a call.
    pub cpu: Duration,
    /// Host calls and log lines of one call: each costs the host some time that is not counted as the plugin's.
    pub services: u64,
    /// What a command may write to the streams of its caller in one call, in bytes: more than anybody reads, less than what
    /// fills a disk.
    pub command_output: u64,
    /// Bytes of all log lines of one call: they end on a terminal.
    pub log: u64,
    /// What it may print on each of its own descriptors during one call, in bytes: it is shown line by line.
    pub output: u64,
    /// Connections that one call may ask for: what it can put on the other end.
    pub connections: u32,
}

impl Limits {
    /// A plugin that is a library.
    pub const NATIVE: Self = Self {
        rlimits: Rlimits::NATIVE,
        cpu: Duration::from_secs(10),
        services: 100_000,
        command_output: 1 << 30,
        log: 1 << 20,
        output: 1 << 20,
        connections: ConnectionLimits::PLUGIN.all,
    };
    /// A plugin that is a script: its interpreter starts slowly and counts as its own.
    pub const SCRIPT: Self = Self { rlimits: Rlimits::SCRIPT, cpu: Duration::from_secs(30), ..Self::NATIVE };
}

/// Limits of one worker (setrlimit(2) names), sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimits {
    /// Memory: of all its processes where a control group can be made, else `RLIMIT_DATA` of each (heap and private
    /// writable memory), which stands in any case.
    pub data: u64,
    /// `RLIMIT_AS`: a loose outer bound, since allocators reserve much more than they use.
    pub address_space: u64,
    /// `RLIMIT_STACK`.
    pub stack: u64,
    /// `RLIMIT_NOFILE`, on top of the worker's own descriptors.
    pub descriptors: u64,
    /// Processes and threads: of the control group, else `RLIMIT_NPROC`, which stands in any case. It counts in the user
    /// namespace of the worker, so that nobody else's count.
    pub threads: u64,
    /// `RLIMIT_FSIZE`.
    pub file_size: u64,
    /// Size of the scratch directory. It lies in memory, and counts as such in a control group.
    pub scratch: u64,
    /// Files in the scratch directory: each costs kernel memory that its size does not show.
    pub scratch_files: u64,
}

impl Rlimits {
    /// The defaults of a native plugin.
    pub const NATIVE: Self = Self {
        data: 64 << 20,
        address_space: 1 << 30,
        stack: 8 << 20,
        descriptors: 20,
        threads: 8,
        file_size: 16 << 20,
        scratch: 32 << 20,
        scratch_files: 4096,
    };
    /// The defaults of a script: interpreters need memory before the first line runs.
    pub const SCRIPT: Self = Self { data: 256 << 20, stack: 10 << 20, ..Self::NATIVE };
    /// A program of the system and all that it starts. Programs are written for machines without such limits: they open
    /// files, fork, and reserve address space.
    pub const PROGRAM: Self = Self { address_space: 4 << 30, descriptors: 64, threads: 32, ..Self::SCRIPT };
}

/// Limits of connections: of those that a plugin makes itself, in one call, or of those that go through the proxy, in one
/// run of a program with all that it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time: each costs a thread of the host.
    pub open: usize,
    /// Connections in all: each costs whoever is at the other end.
    pub all: u32,
    /// Bytes of all connections, both ways: more than a tool's usual download, less than what fills a disk.
    pub bytes: u64,
    /// How long a connection over a network may be silent: servers and proxies close those that are. A local socket may
    /// be for ever: whoever follows events or a log waits for what may never come.
    pub idle: Duration,
    /// How long a client of the proxy may take to say what it wants: a program says it in one piece.
    pub request: Duration,
}

impl ConnectionLimits {
    /// Of every program.
    pub const PROGRAM: Self =
        Self { open: 10, all: 1024, bytes: 1 << 30, idle: Duration::from_secs(60), request: Duration::from_secs(10) };
    /// Of every plugin: it may keep a connection over the time between two calls.
    pub const PLUGIN: Self = Self { idle: Duration::from_secs(300), ..Self::PROGRAM };
}

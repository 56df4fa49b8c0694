//! One worker: load, call, end. Everything that comes from it is hostile input.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use migraine_plugin_api::{ErrorKind, PluginError};

use super::attend::Watched;
use super::cgroup::Group;
use super::error::{Death, SandboxError};
use super::launcher::Launcher;
use super::said::Said;
use super::usage::{CallUsage, length};
use crate::controls::{Check, makes};
use crate::sys;
use crate::sys::ulimit;
use crate::text::display_safe;
use crate::wire::{
    Ended, FrameReader, Header, Kind, Limits, LoadBody, LoadFailure, LoadedBody, Rlimits, SealReport, WALL, WireError,
    WorkerSpec, write_frame,
};

/// Limits of one call, host calls included.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Wall clock; none for a call that ends by itself or by `interrupted`.
    pub wall: Option<Duration>,
    /// CPU time of the worker, all threads, in each [`CPU_WINDOW`](crate::wire::CPU_WINDOW) of the call.
    pub cpu: Duration,
    /// Host calls and log lines.
    pub services: u64,
    /// Bytes that a command writes to the streams of its caller.
    pub command_output: u64,
    /// Bytes of log lines.
    pub log: u64,
    /// Bytes on each of the worker's own descriptors.
    pub output: u64,
    /// Connections that are asked for.
    pub connections: u32,
    /// Ends the call as soon as it is set.
    pub interrupted: Option<&'static AtomicBool>,
}

impl From<&Limits> for CallLimits {
    fn from(limits: &Limits) -> Self {
        let Limits { cpu, services, command_output, log, output, connections, .. } = *limits;
        Self { wall: Some(WALL), cpu, services, command_output, log, output, connections, interrupted: None }
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::from(&Limits::NATIVE)
    }
}

/// Which of the caller's streams a command writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a running call may ask of the host.
pub trait HostSide {
    /// Output of a command; an error ends the call.
    ///
    /// # Errors
    /// The caller's stream cannot be written.
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()>;

    /// What it printed for nobody: in a hook, or after its command was over.
    fn stray(&mut self, stream: Stream, bytes: &[u8]);

    /// A log line as the plugin wrote it.
    fn log(&mut self, body: &[u8]);

    /// A host service.
    ///
    /// # Errors
    /// The refusal, passed to the plugin.
    fn service(&mut self, name: &str, body: &[u8]) -> Result<Vec<u8>, PluginError>;

    /// A host service whose answer is a descriptor; the worker gets a copy, and this one is closed.
    ///
    /// # Errors
    /// The refusal, passed to the plugin.
    fn descriptor(&mut self, name: &str, body: &[u8]) -> Result<OwnedFd, PluginError>;
}

/// What a worker used until its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Peak resident memory.
    pub max_rss_kib: u64,
    /// CPU time.
    pub cpu: Duration,
}

/// The host's ends of what it shares with one worker.
pub(super) struct Channel {
    pub(super) requests: File,
    pub(super) replies: FrameReader<File>,
    /// Descriptors go out over it; nothing is read from it. Only a worker that receives some has one.
    pub(super) passing: Option<OwnedFd>,
}

/// A worker. Replaced, never reused, after any error that is not the plugin's own.
pub struct Worker {
    launcher: Arc<Launcher>,
    number: u32,
    pub(super) rlimits: Rlimits,
    /// Removed after the process, whose handle the launcher holds.
    pub(super) group: Option<Group>,
    /// Processes that the group had refused when somebody last asked.
    refused: u64,
    pub(super) watched: Arc<Watched>,
    /// The attendant's key for it.
    key: u64,
    pub(super) channel: Channel,
    seal: SealReport,
    calls: u32,
    pub(super) usage: CallUsage,
    /// CPU time that has been reported as used.
    cpu: Duration,
    /// Whether the last call was one of those that must cost nothing more.
    is_hot: bool,
    ended: Option<Ended>,
    dismissed: bool,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("number", &self.number).field("seal", &self.seal).finish_non_exhaustive()
    }
}

impl Worker {
    /// Reads the seal; a worker that does not report every layer of its launcher is ended.
    pub(super) fn new(
        launcher: Arc<Launcher>,
        number: u32,
        spec: &WorkerSpec,
        group: Option<Group>,
        (watched, key): (Arc<Watched>, u64),
        channel: Channel,
    ) -> Result<Self, SandboxError> {
        let nothing = SealReport { layers: crate::wire::Layers::NONE, landlock_abi: 0, probes: Vec::new() };
        let mut worker = Self {
            launcher,
            number,
            rlimits: spec.rlimits,
            group,
            refused: 0,
            watched,
            key,
            channel,
            seal: nothing,
            calls: 0,
            usage: CallUsage::default(),
            cpu: Duration::ZERO,
            is_hot: false,
            ended: None,
            dismissed: false,
        };
        worker.watched.arm(0, &CallLimits::default());
        worker.launcher.attendant().nudge();
        let read = match worker.channel.replies.next_frame() {
            Ok(frame) if frame.header.kind == Kind::Sealed => Ok(serde_json::from_slice::<SealReport>(frame.body).ok()),
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        };
        worker.watched.disarm();
        match read {
            Ok(Some(seal)) if seal.layers == worker.launcher.layers() => {
                if let Some(breach) = seal.breach() {
                    let why = format!("it could {}: {}", breach.act, display_safe(&breach.outcome, 80));
                    return Err(SandboxError::not_sealed(why));
                }
                worker.seal = seal;
            }
            Ok(_) => return Err(SandboxError::LayerMissing),
            Err(_) => {
                // No plugin code has run.
                let why = format!("the worker {}", worker.bury()?);
                return Err(SandboxError::not_sealed(why));
            }
        }
        Ok(worker)
    }

    /// What is in force, as the worker reported it before the plugin was near.
    #[must_use]
    pub fn seal(&self) -> &SealReport {
        &self.seal
    }

    /// The worker's process as the host's pid namespace sees it.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.watched.pid()
    }

    /// Has a worker that has loaded nothing make a system call that no plugin may make.
    ///
    /// # Errors
    /// Its death, as it must be; or why there is none.
    pub(super) fn provoke(&mut self, side: &mut dyn HostSide) -> Result<(), SandboxError> {
        self.exchange((Kind::Provoke, 0), b"", b"", &CallLimits::default(), side).map(drop)
    }

    /// Whether it stands in a control group.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.group.is_some()
    }

    /// What the last call used. Asking costs a system call, and more after a call of a command.
    pub fn usage(&mut self) -> CallUsage {
        let ended = self.ended.as_ref();
        let at_end = ended.map(|ended| self.cpu_at_end(ended));
        let cpu = at_end.or_else(|| self.watched.cpu_time(!self.is_hot));
        if let Some(cpu) = cpu {
            self.usage.cpu += cpu.saturating_sub(std::mem::replace(&mut self.cpu, cpu));
        }
        let seen = self.watched.peak_kib(!self.is_hot && ended.is_none());
        self.usage.peak_kib = ended.map_or(seen, |ended| ended.max_rss_kib.max(seen));
        self.usage
    }

    /// The kernel does not add what processes used that ended with the first one.
    fn cpu_at_end(&self, ended: &Ended) -> Duration {
        Duration::from_micros(ended.cpu_us).max(self.watched.seen_cpu_time())
    }

    /// Loads the plugin.
    ///
    /// # Errors
    /// The library or its interface is refused, the plugin's constructor failed, or the worker died.
    pub fn load(
        &mut self,
        body: &LoadBody,
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<LoadedBody, SandboxError> {
        let body = serde_json::to_vec(body).map_err(|error| SandboxError::Control(error.into()))?;
        self.load_with(&body, limits, side)
    }

    /// As [`Worker::load`], with a body of the form that the worker's interpreter reads.
    ///
    /// # Errors
    /// As [`Worker::load`].
    pub fn load_with(
        &mut self,
        body: &[u8],
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<LoadedBody, SandboxError> {
        match self.exchange((Kind::Load, 0), body, b"", limits, side)? {
            (Kind::Loaded, body) => serde_json::from_slice(&body).map_err(|error| self.broken(error.to_string())),
            (Kind::LoadFailed, body) => match serde_json::from_slice::<LoadFailure>(&body) {
                Ok(failure) => Err(SandboxError::Load(failure)),
                Err(error) => Err(self.broken(error.to_string())),
            },
            (kind, _) => Err(self.broken(format!("{kind:?} in answer to a load"))),
        }
    }

    /// One call of the plugin. The outer error ends the worker; the inner one is the plugin's own.
    ///
    /// # Errors
    /// The worker died, broke a limit or the protocol.
    pub fn call(
        &mut self,
        kind: Kind,
        body: &[u8],
        raw: &[u8],
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<Result<Vec<u8>, PluginError>, SandboxError> {
        self.call_handler((kind, 0), body, raw, limits, side)
    }

    /// As [`Worker::call`], of the handler of that number.
    ///
    /// # Errors
    /// As [`Worker::call`].
    pub fn call_handler(
        &mut self,
        wanted: (Kind, u16),
        body: &[u8],
        raw: &[u8],
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<Result<Vec<u8>, PluginError>, SandboxError> {
        match self.exchange(wanted, body, raw, limits, side)? {
            (Kind::Reply, body) => Ok(Ok(body)),
            (Kind::Failed, body) => match serde_json::from_slice(&body) {
                Ok(error) => self.failed(error).map(Err),
                Err(_) if !makes(Check::AnswerForm) => Ok(Ok(Vec::new())),
                Err(error) => Err(self.broken(error.to_string())),
            },
            (Kind::OutOfMemory, _) => {
                self.watched.kill(Some(Death::Memory(self.rlimits.data)));
                Err(self.died())
            }
            (Kind::Oversized, body) => {
                let size = String::from_utf8_lossy(&body).into_owned();
                self.watched.kill(Some(Death::Message(display_safe(&size, 20))));
                Err(self.died())
            }
            (kind, _) => Err(self.broken(format!("{kind:?} in answer to a call"))),
        }
    }

    /// A failure of the plugin's own, unless it had no processes or threads left for what it tried.
    fn failed(&mut self, error: PluginError) -> Result<PluginError, SandboxError> {
        if matches!(error.kind(), ErrorKind::Failed | ErrorKind::Panic) && self.was_refused_processes() {
            let said = display_safe(error.message(), 200);
            self.watched.kill(Some(Death::Processes { limit: self.rlimits.threads, said }));
            return Err(self.died());
        }
        Ok(error)
    }

    /// Whether the group has refused a process or thread since this was last asked.
    fn was_refused_processes(&mut self) -> bool {
        let refused = self.group.as_ref().map_or(0, Group::refused_processes);
        refused > std::mem::replace(&mut self.refused, refused)
    }

    /// Ends the worker at once and waits until its processes are gone.
    pub fn end(mut self) -> Option<Usage> {
        self.watched.kill(None);
        let _ = self.bury();
        self.until_end()
    }

    /// Tells the plugin to end, waits at most `grace` for its own clean-up, and leaves the process to the end of the
    /// launcher, which follows: the kernel takes milliseconds to take a worker's namespaces apart.
    pub fn dismiss(mut self, grace: Duration, side: &mut dyn HostSide) {
        self.say_goodbye(grace, side);
        sys::process::kill(self.watched.pidfd.as_fd());
        self.launcher.attendant().remove(self.key);
        self.dismissed = true;
    }

    fn say_goodbye(&mut self, grace: Duration, side: &mut dyn HostSide) {
        if self.launcher.speaks_lines() {
            // Lines have no word for it: its end is the end of its input.
            return;
        }
        let limits = CallLimits { wall: Some(grace), ..CallLimits::default() };
        let _ = self.exchange((Kind::Shutdown, 0), b"", b"", &limits, side);
    }

    /// Tells the plugin to end and waits until its process is gone; its own clean-up may take `grace`.
    pub fn shut_down(mut self, grace: Duration, side: &mut dyn HostSide) -> Option<Usage> {
        self.say_goodbye(grace, side);
        let _ = self.bury();
        self.until_end()
    }

    fn until_end(&self) -> Option<Usage> {
        let ended = self.ended.as_ref()?;
        let max_rss_kib = ended.max_rss_kib.max(self.watched.peak_kib(false));
        Some(Usage { max_rss_kib, cpu: self.cpu_at_end(ended) })
    }

    pub(super) fn exchange(
        &mut self,
        (kind, extra): (Kind, u16),
        body: &[u8],
        raw: &[u8],
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<(Kind, Vec<u8>), SandboxError> {
        self.calls += 1;
        let call = self.calls;
        let began = Instant::now();
        self.usage = CallUsage { bytes_in: length(body.len() + raw.len()), ..CallUsage::default() };
        self.watched.arm(call, limits);
        self.launcher.attendant().nudge();
        let outcome = if self.launcher.speaks_lines() && kind != Kind::Run {
            self.ask_in_line((call, body), limits, side)
        } else {
            match write_frame(&mut self.channel.requests, Header { kind, call, extra }, body, raw) {
                Err(error @ WireError::TooLarge { .. }) => Err(SandboxError::Request(error)),
                // A closed pipe here is a dead worker; reading says the same and also finds an answer sent before.
                _ => self.listen((kind, call), limits, side),
            }
        };
        // Before the output is passed on: the caller's slow terminal is not the plugin's time.
        self.watched.disarm();
        let is_hot = kind == Kind::Hook || kind == Kind::Echo;
        self.is_hot = is_hot;
        self.usage.wall = began.elapsed();
        if !is_hot {
            // What a command printed on its own descriptors must be shown before its end is.
            self.watched.drain();
            if outcome.is_ok() && self.watched.cause().is_some() {
                // It printed too much and answered before that was seen: the worker is gone all the same.
                return Err(self.died());
            }
        }
        outcome
    }

    fn listen(
        &mut self,
        (asked, call): (Kind, u32),
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<(Kind, Vec<u8>), SandboxError> {
        let mut said = Said::default();
        loop {
            let frame = match self.channel.replies.next_frame() {
                Ok(frame) => frame,
                Err(error) => return Err(self.lost(&error)),
            };
            let kind = frame.header.kind;
            self.usage.bytes_out += length(frame.body.len());
            match kind {
                Kind::Out | Kind::Err => {
                    let stream = if kind == Kind::Out { Stream::Out } else { Stream::Err };
                    let is_command = asked == Kind::Command && frame.header.call == call;
                    said.output(is_command, (&self.watched, limits), side, (stream, frame.body))?;
                }
                Kind::Log => {
                    self.usage.services += 1;
                    said.log(&self.watched, limits, side, frame.body);
                }
                _ if frame.header.call != call && makes(Check::CallNumber) => {
                    return Err(self.broken(format!("{kind:?} for another call")));
                }
                Kind::Service | Kind::Descriptor => {
                    self.usage.services += 1;
                    let parts = frame.body.split_at_checked(usize::from(frame.header.extra));
                    let Some((Ok(name), body)) = parts.map(|(name, body)| (std::str::from_utf8(name), body)) else {
                        return Err(self.broken("a host call without a name".to_owned()));
                    };
                    let outcome = if kind == Kind::Service {
                        side.service(name, body)
                    } else {
                        // Before the answer, which tells the worker that it is there.
                        let passing = self.channel.passing.as_ref();
                        side.descriptor(name, body).and_then(|fd| pass(passing, &fd)).map(|()| Vec::new())
                    };
                    let (kind, body) = answer(outcome);
                    self.usage.bytes_in += length(body.len());
                    if let Err(WireError::TooLarge { .. }) =
                        write_frame(&mut self.channel.requests, Header::new(kind, call), &body, b"")
                    {
                        return Err(self.broken("a host call whose answer is too large".to_owned()));
                    }
                }
                Kind::Reply | Kind::Failed | Kind::Loaded | Kind::LoadFailed | Kind::Oversized | Kind::OutOfMemory => {
                    return Ok((kind, frame.body.to_vec()));
                }
                other => return Err(self.broken(format!("an unexpected {other:?}"))),
            }
            if self.usage.services > limits.services && makes(Check::Calls) {
                self.watched.kill(Some(Death::Calls(limits.services)));
            }
        }
    }

    /// The channel ended or is broken.
    pub(super) fn lost(&mut self, error: &WireError) -> SandboxError {
        if !matches!(error, WireError::Closed | WireError::Cut) {
            return self.broken(error.to_string());
        }
        match self.died() {
            // Half a message and an end in good order: that is no crash, whose cause would say more.
            SandboxError::Died(Death::Exited(_) | Death::Silent) if matches!(error, WireError::Cut) => {
                SandboxError::Died(Death::Protocol(error.to_string()))
            }
            died => died,
        }
    }

    /// The worker broke the protocol.
    pub(super) fn broken(&mut self, why: String) -> SandboxError {
        self.watched.kill(Some(Death::Protocol(why)));
        self.died()
    }

    pub(super) fn died(&mut self) -> SandboxError {
        self.bury().map_or_else(|error| error, SandboxError::Died)
    }

    /// What the worker's group knows of an end that the process itself cannot explain.
    fn explain(&mut self, death: Death) -> Death {
        if !matches!(death, Death::Signal(_) | Death::Exited(_)) {
            return death;
        }
        if self.group.as_ref().is_some_and(Group::ran_out_of_memory) {
            return Death::Memory(self.rlimits.data);
        }
        if self.was_refused_processes() {
            return Death::Processes { limit: self.rlimits.threads, said: format!("it {death}") };
        }
        death
    }

    /// Makes sure that the worker is gone and says how it came to its end. When the launcher is gone, and took the worker
    /// along, the plugin is not to blame.
    pub(super) fn bury(&mut self) -> Result<Death, SandboxError> {
        let mut failure = None;
        if self.ended.is_none() {
            // A worker that closed its channel may live on for a moment, or for ever.
            if !self.watched.gone_within(Duration::from_millis(200)) {
                self.watched.kill(Some(Death::Silent));
            }
            match self.launcher.await_end(self.number) {
                Ok(ended) => self.ended = Some(ended),
                Err(error) => failure = Some(error),
            }
            self.watched.drain();
            self.launcher.attendant().remove(self.key);
        }
        let reported = self.ended.as_ref().map(|ended| Death::from_end(ended, self.rlimits.data, ulimit::cpu()));
        let reported = reported.map(|death| self.explain(death));
        match (self.watched.cause().or(reported), failure) {
            (Some(death), _) => Ok(death),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Death::Silent),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended.is_none() && !self.dismissed {
            self.watched.kill(None);
            let _ = self.bury();
        }
    }
}

/// Sends a descriptor to the worker; never waits for it.
pub(super) fn pass(passing: Option<&OwnedFd>, fd: &OwnedFd) -> Result<(), PluginError> {
    let Some(passing) = passing else {
        return Err(PluginError::new(ErrorKind::Unsupported, "this worker cannot receive descriptors"));
    };
    sys::fd::send(passing.as_fd(), b"\0", &[fd.as_fd()]).map_err(|error| {
        PluginError::failed(format!("the descriptor cannot be passed: {error}"))
            .with_help("receive each descriptor that was asked for, and close those that are done")
    })
}

fn answer(outcome: Result<Vec<u8>, PluginError>) -> (Kind, Vec<u8>) {
    match outcome {
        Ok(body) => (Kind::Answer, body),
        Err(error) => (Kind::Refusal, serde_json::to_vec(&error).unwrap_or_default()),
    }
}

//! The blank: a worker that the launcher makes ahead, while nothing else is asked of it. It is sealed and has tried what
//! must fail, holds the null device and nothing else, and waits in a system call that its filter holds for the launcher.
//! A start puts the descriptors of one plugin into it, under their numbers, and lets that call return.
//!
//! Every layer stands before it waits, so it is out of everybody's reach as any other worker is: alone in its namespaces,
//! not dumpable, with no descriptor that leads anywhere. It ends with the launcher. It belongs to no plugin, and the host
//! never hears of one that is not used.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};

use super::jail::{Common, Sealing};
use super::launcher::{Running, SEAL_DEADLINE, numbers_of, timeout};
use super::{loader, numbers, serve};
use crate::sys;
use crate::sys::seccomp::{Answer, Notification};
use crate::wire::{Layers, LoadBy, WorkerSpec};

/// What the waiting process says: that it is sealed; then, where it was given doors, whether it is in its group.
const SEALED: u64 = 0;
const GROUPED: u64 = 1;
const UNGROUPED: u64 = 2;

/// The first one waits until the host has had the time to ask for a worker at once.
const AFTER_LAUNCH: Duration = Duration::from_millis(1);
/// Later ones must not compete with the load and the first call of the plugin that has just started; a program that
/// starts one plugin for one call is over by then.
const AFTER_START: Duration = Duration::from_millis(10);
/// Where so many came to nothing, there are no more.
const FAILURES: u32 = 3;

/// Whether the workers of a launcher can be made ahead: what they do before their filter stands needs nothing of theirs.
/// A launcher that shows directories, programs or an interpreter belongs to one plugin, which rarely starts again.
fn fits(common: &Common) -> bool {
    common.layers == Layers::ALL
        && common.load_by == LoadBy::Procfs
        && common.directories.is_empty()
        && !common.programs.are_run()
        && common.interpreter.is_none()
        && !common.learns
}

/// The launcher's view: what stands ready, and when the next is made.
pub(super) struct Blanks {
    ready: Option<Blank>,
    /// What the next one is for: a start like the last.
    spec: WorkerSpec,
    due: Option<Instant>,
    failures: u32,
}

struct Blank {
    running: Running,
    spec: WorkerSpec,
}

impl Blanks {
    pub(super) fn new(common: &Common) -> Self {
        let due = fits(common).then(|| Instant::now() + AFTER_LAUNCH);
        Self { ready: None, spec: WorkerSpec::NATIVE, due, failures: 0 }
    }

    /// How long until the next one is to be made, if one is.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// What is to be made now.
    pub(super) fn is_due(&mut self) -> Option<WorkerSpec> {
        self.due.take_if(|due| *due <= Instant::now())?;
        match &self.ready {
            Some(blank) if blank.spec == self.spec => None,
            _ => {
                // Out of reach at once: no start may take one that is on its way out.
                if let Some(blank) = self.ready.take() {
                    sys::process::kill(blank.running.pidfd.as_fd());
                    let _ = sys::process::reap(blank.running.pid);
                }
                Some(self.spec)
            }
        }
    }

    /// One was made.
    pub(super) fn keep(&mut self, spec: WorkerSpec, running: Running) {
        self.ready = Some(Blank { running, spec });
    }

    /// One could not be made. Whoever asks for a worker will hear why.
    pub(super) fn fail(&mut self) {
        self.failures += 1;
        self.due = (self.failures < FAILURES).then(|| Instant::now() + AFTER_START);
    }

    /// The handle on the one that is ready.
    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        self.ready.as_ref().map(|blank| &blank.running.pidfd)
    }

    /// It ended, as no plugin's worker: somebody killed it.
    pub(super) fn reap(&mut self) {
        let Some(blank) = self.ready.take() else { return };
        let _ = sys::process::reap(blank.running.pid);
        self.fail();
    }

    /// A worker was started: the next one is for one like it.
    pub(super) fn expect(&mut self, spec: WorkerSpec, common: &Common) {
        if fits(common) && self.failures < FAILURES {
            self.spec = spec;
            self.due = Some(Instant::now() + AFTER_START);
        }
    }

    /// Makes the one that is ready a plugin's worker, if it can become this one, and says whether it is in its group.
    pub(super) fn start(&mut self, spec: &WorkerSpec, fds: &[OwnedFd], doors: &[OwnedFd]) -> Option<(Running, bool)> {
        let Blank { running, spec } = self.ready.take_if(|blank| blank.spec == *spec)?;
        match start(&running, &spec, fds, doors) {
            Ok(is_grouped) => Some((running, is_grouped)),
            Err(_) => {
                sys::process::kill(running.pidfd.as_fd());
                let _ = sys::process::reap(running.pid);
                self.failures += 1;
                None
            }
        }
    }
}

fn start(running: &Running, spec: &WorkerSpec, fds: &[OwnedFd], doors: &[OwnedFd]) -> io::Result<bool> {
    let listener = running.listener.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let (sealed, _) = hear(running, listener, &[SEALED])?;
    let place = |fd: &OwnedFd, number| sys::seccomp::place(listener.as_fd(), &sealed, fd.as_fd(), number);
    for (fd, number) in fds.iter().zip(numbers_of(spec)) {
        place(fd, number)?;
    }
    for (door, number) in doors.iter().zip(numbers::DOORS..) {
        place(door, number)?;
    }
    let answer = |call: &Notification, value| sys::seccomp::answer(listener.as_fd(), call, Answer::Return(value));
    let count = i64::try_from(doors.len()).map_err(io::Error::other)?;
    if doors.is_empty() {
        sys::process::lower_threads(running.pid, spec.rlimits.threads)?;
        answer(&sealed, count)?;
        return Ok(false);
    }
    answer(&sealed, count)?;
    let (joined, said) = hear(running, listener, &[GROUPED, UNGROUPED])?;
    if said == UNGROUPED {
        sys::process::lower_threads(running.pid, spec.rlimits.threads)?;
    }
    answer(&joined, 0)?;
    Ok(said == GROUPED)
}

/// Waits for the call that the process waits in. It runs no plugin code, so the deadline only bounds a stuck kernel.
fn hear(running: &Running, listener: &OwnedFd, expected: &[u64]) -> io::Result<(Notification, u64)> {
    // Its end as well: before Linux 6.11 the listener of a process that was killed says nothing until that is reaped.
    let mut fds = [listener, &running.pidfd].map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN));
    if poll(&mut fds, timeout(SEAL_DEADLINE))? == 0
        || !fds[0].revents().is_some_and(|is| is.contains(PollFlags::POLLIN))
    {
        return Err(io::ErrorKind::NotFound.into());
    }
    let call = sys::seccomp::receive(listener.as_fd())?;
    let said = sys::seccomp::said_by_waiting(&call).filter(|said| expected.contains(said));
    Ok((call, said.ok_or(io::ErrorKind::InvalidData)?))
}

/// The process itself: finishes the sealing, waits, and serves the plugin that it is given. The value is the exit code.
pub(super) fn main(sealing: Sealing<'_>, load_by: LoadBy) -> i32 {
    let receives_descriptors = sealing.receives_descriptors();
    let Ok(report) = sealing.finish() else { return 73 };
    let Ok(prepared) = serve::Sealed::new(report) else { return 74 };
    loader::rehearse();
    match sys::seccomp::wait_in_call(SEALED).and_then(enter_group) {
        Ok(()) => serve::report(prepared, receives_descriptors, load_by),
        Err(_) => 78,
    }
}

/// Before anything of the plugin is near: what it uses from here on is counted.
fn enter_group(doors: i64) -> io::Result<()> {
    let count = RawFd::try_from(doors).map_err(io::Error::other)?;
    if count == 0 {
        return Ok(());
    }
    let doors = (numbers::DOORS..).take(usize::try_from(count).unwrap_or_default());
    let doors = doors.map(sys::fd::take_inherited).collect::<io::Result<Vec<_>>>()?;
    let is_grouped = super::launcher::join(&doors);
    drop(doors);
    sys::seccomp::wait_in_call(if is_grouped { GROUPED } else { UNGROUPED }).map(drop)
}

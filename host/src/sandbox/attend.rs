//! The attendant: one thread that ends workers whose time is up, and one that passes on what they print on their own
//! descriptors. They are two because the second may wait for the caller's terminal, and no deadline may wait with it.
//!
//! A call only stores its deadline; the hot path makes no system call for it. While a call runs, and a little longer, the
//! first thread looks every [`TICK`]; otherwise it looks every [`IDLE_LOOK`] at what workers do uncalled.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::awake;
use super::cgroup::{Group, Groups, MemoryEvents};
use super::control::Starter;
use super::error::Death;
use super::worker::CallLimits;
use crate::controls::{Check, makes};
use crate::family::{self, Memory, Tally};
use crate::sys;
use crate::wire::{Layers, Limits, ToLauncher, WorkerSpec};

mod used;

use used::{Seen, Used};

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(20);
/// Ticks without a running call before the thread goes to sleep: a fast series of calls must not wake it each time.
const IDLE_TICKS: u32 = 50;
/// How often the thread looks at a worker that nobody calls, once it sleeps, and at the memory of one even before: it may
/// keep threads, but not burn the machine.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// How often the launcher is told, while there are workers. It takes three such times for a stop.
const TELL: Duration = Duration::from_secs(1);
/// What can wait leaves the processors to the worker that has just been started, and to whoever waits for it: making a group
/// keeps one busy for as long as a plugin loads.
const LATER: Duration = Duration::from_millis(1);
/// A write to the caller's stream that takes longer waits for its reader, which is not the plugin's time. Quicker ones
/// count: a flood of them must not make a call longer.
const SLOW_WRITE: Duration = Duration::from_millis(1);
/// Memory beside `RLIMIT_DATA` that a worker touches without being a hog: relocated pages of the libraries.
const RELOCATED: u64 = 16 << 20;

/// A piece of what a plugin printed on its own descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stray<'a> {
    /// Whether it stood on standard error.
    pub is_stderr: bool,
    /// The bytes, as they came.
    pub bytes: &'a [u8],
}

/// Receives stray output, from the attendant's thread or the caller's.
pub type StraySink = Arc<dyn Fn(Stray<'_>) + Send + Sync>;

/// What the attendant and a worker's handle share.
pub(super) struct Watched {
    pub(super) pidfd: OwnedFd,
    /// The pid in the host's namespace, for the CPU clock; looked up at the first look that needs it.
    pid: OnceLock<Option<i32>>,
    /// Nanoseconds on the clock of [`awake`]; 0 while no call runs, [`u64::MAX`] for a call without a limit.
    deadline: AtomicU64,
    /// Set from outside to end the call that runs.
    interrupted: OnceLock<&'static AtomicBool>,
    /// The worker whose call this one runs for: it ends with that one.
    on_behalf: OnceLock<Arc<Watched>>,
    /// Whether there may be processes below it, which all count: of a program, a shell, or what a script starts.
    has_family: bool,
    wall_ms: AtomicU64,
    cpu_ms: AtomicU64,
    /// The most bytes of stray output of one stream in one call.
    output: AtomicU64,
    call: AtomicU32,
    /// Nanoseconds on the same clock at which the caller began to write output; 0 while it does not.
    writing: AtomicU64,
    cause: Mutex<Option<Death>>,
    stray: Mutex<StrayPipes>,
    used: Mutex<Used>,
    /// What all of its processes have used.
    tally: Mutex<Tally>,
    /// Peak resident memory in KiB, as it was last looked at.
    peak_kib: AtomicU64,
    /// The limit of resident memory and of `RLIMIT_DATA`, in bytes; none where limits are off.
    memory: Option<(u64, u64)>,
    /// What the kernel does in its group at that limit.
    events: Option<MemoryEvents>,
}

struct StrayPipes {
    pipes: [Option<File>; 2],
    counts: [u64; 2],
    /// The call that the counts belong to.
    call: u32,
    sink: StraySink,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds on the clock of [`awake`], never 0.
fn now() -> u64 {
    u64::try_from(awake::now().as_nanos()).unwrap_or(u64::MAX).max(1)
}

impl Watched {
    pub(super) fn new(
        pidfd: OwnedFd,
        out: File,
        err: File,
        sink: StraySink,
        spec: &WorkerSpec,
        layers: Layers,
    ) -> Self {
        let limits = &spec.rlimits;
        let resident = limits.data.saturating_add(limits.stack).saturating_add(RELOCATED);
        Self {
            pidfd,
            pid: OnceLock::new(),
            deadline: AtomicU64::new(0),
            interrupted: OnceLock::new(),
            on_behalf: OnceLock::new(),
            has_family: false,
            wall_ms: AtomicU64::new(0),
            cpu_ms: AtomicU64::new(0),
            output: AtomicU64::new(Limits::NATIVE.output),
            call: AtomicU32::new(0),
            writing: AtomicU64::new(0),
            cause: Mutex::new(None),
            stray: Mutex::new(StrayPipes { pipes: [Some(out), Some(err)], counts: [0; 2], call: 0, sink }),
            used: Mutex::new(Used::new(Instant::now())),
            tally: Mutex::default(),
            peak_kib: AtomicU64::new(0),
            memory: layers.rlimits.then_some((resident, limits.data)),
            events: None,
        }
    }

    /// It stands in this group, if in one, and may have processes below it or not.
    pub(super) fn standing(self, group: Option<&Group>, has_family: bool) -> Self {
        Self { events: group.map(Group::memory_events), has_family, ..self }
    }

    /// A call begins.
    pub(super) fn arm(&self, call: u32, limits: &CallLimits) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.wall_ms.store(limits.wall.map_or(u64::MAX, millis), Ordering::Relaxed);
        self.cpu_ms.store(millis(limits.cpu), Ordering::Relaxed);
        self.output.store(limits.output, Ordering::Relaxed);
        self.call.store(call, Ordering::Relaxed);
        if let Some(flag) = limits.interrupted {
            let _ = self.interrupted.set(flag);
        }
        let at = limits.wall.map_or(Duration::MAX, |wall| awake::now().saturating_add(wall));
        self.deadline.store(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1), Ordering::SeqCst);
    }

    /// It is about to run a program, for the call of another worker or for its own.
    pub(super) fn run_for(&self, caller: &Arc<Self>) {
        // Its own end, right after its answer, interrupts nothing.
        if !std::ptr::eq(Arc::as_ptr(caller), self) {
            let _ = self.on_behalf.set(Arc::clone(caller));
        }
    }

    /// Writes to the caller's stream. While that waits for its reader, the plugin's time stands still.
    pub(super) fn write<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = now();
        self.writing.store(began, Ordering::SeqCst);
        let done = work();
        let took = now() - began;
        if Duration::from_nanos(took) >= SLOW_WRITE {
            let later = |at: u64| (at != 0).then(|| at.saturating_add(took));
            let _ = self.deadline.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
        // After the new deadline stands: in between the call would be over its time.
        self.writing.store(0, Ordering::SeqCst);
        done
    }

    /// The call is over.
    pub(super) fn disarm(&self) {
        self.deadline.store(0, Ordering::SeqCst);
    }

    /// Ends the worker for a reason; the first reason stays.
    pub(super) fn kill(&self, death: Option<Death>) {
        let mut cause = locked(&self.cause);
        if cause.is_none() {
            *cause = death;
        }
        sys::process::kill(self.pidfd.as_fd());
    }

    /// Whether the process ends within a time.
    pub(super) fn gone_within(&self, time: Duration) -> bool {
        let mut fds = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO)).is_ok_and(|ready| ready > 0)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        *self.pid.get_or_init(|| pid_behind(&self.pidfd))
    }

    pub(super) fn cause(&self) -> Option<Death> {
        locked(&self.cause).clone()
    }

    /// Passes on what was printed so far. The count starts anew with each call.
    pub(super) fn drain(&self) {
        let mut stray = locked(&self.stray);
        let StrayPipes { pipes, counts, call, sink } = &mut *stray;
        let current = self.call.load(Ordering::Relaxed);
        if *call != current {
            (*call, *counts) = (current, [0; 2]);
        }
        let most = self.output.load(Ordering::Relaxed);
        for (index, pipe) in pipes.iter_mut().enumerate() {
            if drain_pipe(pipe, &mut counts[index], most, index == 1, sink) {
                // In this order: a plugin that finds its descriptor closed could still answer.
                self.kill(Some(Death::Output(most)));
                *pipe = None;
            }
        }
    }

    /// Ends the worker if it is over a limit; says whether a call runs.
    fn look(&self) -> bool {
        // Before the deadline: a write that ends in between has moved it by then.
        let writing = self.writing.load(Ordering::SeqCst);
        let at = self.deadline.load(Ordering::SeqCst);
        let now = now();
        if at != 0 && self.interrupted.get().is_some_and(|flag| flag.load(Ordering::SeqCst)) {
            self.kill(Some(Death::Interrupted));
            return true;
        }
        if at != 0 && self.on_behalf.get().is_some_and(|other| other.gone_within(Duration::ZERO)) {
            self.kill(Some(Death::Interrupted));
            return true;
        }
        let waits = writing != 0 && Duration::from_nanos(now.saturating_sub(writing)) >= SLOW_WRITE;
        if at != 0 && now >= at && !waits && makes(Check::Deadline) {
            self.kill(Some(Death::Time(Duration::from_millis(self.wall_ms.load(Ordering::Relaxed)))));
            return true;
        }
        self.look_at_usage(at != 0);
        at != 0
    }

    /// Its process, and those below it where there may be some.
    fn members(&self, pid: i32) -> Vec<i32> {
        if self.has_family { family::members(pid) } else { vec![pid] }
    }

    /// Ends the worker if all of it holds more memory than it may.
    ///
    /// Resident memory is looked at since `RLIMIT_DATA` does not count pages that were made read-only after they were
    /// written, nor other processes, and `RLIMIT_AS` must leave room for address space that is only reserved.
    fn look_at_memory(&self, members: &[i32]) {
        let Some(memory) = self.memory_of(members) else { return };
        let Some((resident, limit)) = self.memory else { return };
        let is_over = |bytes: u64| bytes > resident;
        let is_held = match &self.events {
            // The kernel holds a group below its limit by ending its largest process: the others go on, and may wait for
            // ever.
            Some(events) => events.has_oom_kill(),
            // What processes share is counted for each at first: the exact sum costs far more.
            None => members.len() > 1 && is_over(memory.private) && is_over(family::private_exactly(members)),
        };
        if is_held || members.len() == 1 && is_over(memory.private) {
            self.kill(Some(Death::Memory(limit)));
        }
    }

    /// What all of it holds; notes the peak.
    fn memory_of(&self, members: &[i32]) -> Option<Memory> {
        let memory = Memory::of(members)?;
        self.peak_kib.fetch_max(memory.peak / 1024, Ordering::Relaxed);
        Some(memory)
    }

    /// Peak resident memory in KiB; `is_fresh` looks once more.
    pub(super) fn peak_kib(&self, is_fresh: bool) -> u64 {
        if is_fresh && let Some(pid) = self.pid() {
            let _ = self.memory_of(&self.members(pid));
        }
        self.peak_kib.load(Ordering::Relaxed)
    }

    /// CPU time that the worker has used, with all of its processes; nothing of one that is gone. What processes use that
    /// still run is as it was last looked at, unless `is_fresh`.
    pub(super) fn cpu_time(&self, is_fresh: bool) -> Option<Duration> {
        let pid = self.pid()?;
        match (self.has_family, is_fresh) {
            (false, _) => sys::clock::cpu_time(pid).ok(),
            (true, false) => locked(&self.tally).look_at_first(pid),
            (true, true) => locked(&self.tally).look(&family::members(pid)),
        }
    }

    /// CPU time that was seen of a family: of one that was ended, the kernel knows less.
    pub(super) fn seen_cpu_time(&self) -> Duration {
        locked(&self.tally).most()
    }

    fn look_at_usage(&self, is_called: bool) {
        let Some(pid) = self.pid() else { return };
        let call = self.call.load(Ordering::Relaxed);
        let mut used = locked(&self.used);
        let now = Instant::now();
        let members = self.members(pid);
        if !used.is_rest(call, is_called) || now.duration_since(used.looked_at_memory) >= IDLE_LOOK {
            used.looked_at_memory = now;
            self.look_at_memory(&members);
        }
        let cpu = match self.has_family {
            true => locked(&self.tally).look(&members),
            false => sys::clock::cpu_time(pid).ok(),
        };
        let Some(cpu) = cpu else { return };
        let limit = Duration::from_millis(self.cpu_ms.load(Ordering::Relaxed));
        if used.is_over(Seen { call, is_called, cpu, now }, limit) && makes(Check::CpuClock) {
            self.kill(Some(Death::Cpu(limit)));
        }
    }
}

/// Reads until nothing is left; `true`, with the pipe still open, when the cap is reached.
fn drain_pipe(pipe: &mut Option<File>, count: &mut u64, most: u64, is_stderr: bool, sink: &StraySink) -> bool {
    let mut piece = [0; 8192];
    loop {
        let Some(file) = pipe else { return false };
        match file.read(&mut piece) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                *count += u64::try_from(length).unwrap_or_default();
                if *count > most && makes(Check::Output) {
                    return true;
                }
                sink(Stray { is_stderr, bytes: &piece[..length] });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => *pipe = None,
        }
    }
}

/// The pid of a pidfd as this namespace sees it (pidfd_open(2), fdinfo).
fn pid_behind(pidfd: &OwnedFd) -> Option<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|&pid| pid > 0)
}

/// The threads and what they share.
pub(super) struct Attendant {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// The launcher's control socket; only ever written here.
    launcher: OwnedFd,
    groups: Arc<Groups>,
    /// Collected here: everybody else has something to wait for.
    starter: Starter,
    /// Makes a worker ahead.
    prepares: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
    /// Whether the next worker's control group is to be made.
    wants_group: AtomicBool,
    list: Mutex<BTreeMap<u64, Arc<Watched>>>,
    next: AtomicU64,
    /// Whether the thread that looks rests between two idle looks, or for ever.
    asleep: AtomicBool,
    over: AtomicBool,
    /// Whether the whole program ends now.
    left: AtomicBool,
    /// Knows every pipe by its worker's key, so that a new worker wakes nobody.
    pipes: Epoll,
    end: EventFd,
}

/// The key of the event that ends the draining thread.
const END: u64 = 0;

impl Attendant {
    /// Starts the threads; they tell the launcher, over its control socket, that this process is not stopped.
    /// `prepares` makes a worker ahead, when it is time to, and says how long until then.
    pub(super) fn start(
        launcher: OwnedFd,
        (groups, starter): (Arc<Groups>, Starter),
        prepares: impl Fn() -> Option<Duration> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let pipes = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        pipes.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, END))?;
        let shared = Arc::new(Shared {
            launcher,
            groups,
            starter,
            prepares: Box::new(prepares),
            wants_group: AtomicBool::new(false),
            list: Mutex::default(),
            next: AtomicU64::new(END + 1),
            asleep: AtomicBool::new(false),
            over: AtomicBool::new(false),
            left: AtomicBool::new(false),
            pipes,
            end,
        });
        // Held while the second is started: dropping it ends the first.
        let mut attendant = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let inner = Arc::clone(&shared);
        let looks = std::thread::Builder::new().name("attendant".to_owned()).spawn(move || inner.run())?;
        attendant.threads.push(looks);
        let drains = std::thread::Builder::new().name("stray output".to_owned()).spawn(move || shared.drain())?;
        attendant.threads.push(drains);
        Ok(attendant)
    }

    /// A worker exists; the key is for [`Attendant::remove`].
    pub(super) fn add(&self, watched: &Arc<Watched>) -> io::Result<u64> {
        let key = self.shared.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.shared.list).insert(key, Arc::clone(watched));
        for pipe in locked(&watched.stray).pipes.iter().flatten() {
            self.shared.pipes.add(pipe, EpollEvent::new(EpollFlags::EPOLLIN, key))?;
        }
        Ok(key)
    }

    /// A worker is gone. Its pipes leave the set when they are closed, with the last handle on them.
    pub(super) fn remove(&self, key: u64) {
        locked(&self.shared.list).remove(&key);
    }

    /// The whole program ends now: nobody waits for the threads.
    pub(super) fn leave(&self) {
        self.shared.left.store(true, Ordering::SeqCst);
    }

    /// A control group was taken: makes the next one, now or with the next look.
    pub(super) fn prepare_group(&self, now: bool) {
        self.shared.wants_group.store(true, Ordering::SeqCst);
        if now && let Some(looks) = self.threads.first() {
            looks.thread().unpark();
        }
    }

    /// A call began: wakes the thread that looks, if it rests.
    pub(super) fn nudge(&self) {
        if self.shared.asleep.swap(false, Ordering::SeqCst)
            && let Some(looks) = self.threads.first()
        {
            looks.thread().unpark();
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if self.shared.left.load(Ordering::SeqCst) {
            return;
        }
        let _ = self.shared.end.write(1);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut idle = 0;
        let mut told: Option<(Instant, u64)> = None;
        while !self.over.load(Ordering::SeqCst) {
            if self.wants_group.swap(false, Ordering::SeqCst) {
                std::thread::park_timeout(LATER);
                self.groups.prepare();
            }
            // A copy, so that a buried worker's handle can leave the list meanwhile.
            let all: Vec<_> = locked(&self.list).values().cloned().collect();
            let cpu_ms = all.iter().map(|watched| watched.cpu_ms.load(Ordering::Relaxed)).max().unwrap_or_default();
            let is_known = told.is_some_and(|(at, known)| known == cpu_ms && at.elapsed() < TELL);
            if cpu_ms != 0 && !is_known {
                self.tell(cpu_ms);
                told = Some((Instant::now(), cpu_ms));
            }
            self.collect_starter();
            let due = (self.prepares)();
            let active = all.iter().filter(|watched| watched.look()).count() > 0;
            idle = if active { 0 } else { idle + 1 };
            if idle < IDLE_TICKS || due.is_some() {
                std::thread::park_timeout(due.map_or(TICK, |due| due.min(TICK)));
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            // A call may have begun, even of a new worker, between the look and the store.
            let fresh: Vec<_> = locked(&self.list).values().cloned().collect();
            if fresh.iter().any(|watched| watched.deadline.load(Ordering::SeqCst) != 0) {
                idle = 0;
            } else if !self.over.load(Ordering::SeqCst) {
                // The end wakes whoever rests once, and that may have been spent on another rest since the loop began.
                if fresh.is_empty() {
                    std::thread::park();
                } else {
                    std::thread::park_timeout(IDLE_LOOK);
                }
                if !self.over.load(Ordering::SeqCst) {
                    std::thread::park_timeout(LATER);
                }
            }
            self.asleep.store(false, Ordering::SeqCst);
            idle = idle.min(IDLE_TICKS);
        }
    }

    fn collect_starter(&self) {
        let mut starter = locked(&self.starter);
        let has_ended = |starter: &mut Child| starter.try_wait().is_ok_and(|status| status.is_some());
        drop(starter.take_if(has_ended));
    }

    /// Tells the launcher that somebody looks at its workers. A launcher that takes no message now hears the next one.
    fn tell(&self, cpu_ms: u64) {
        let Ok(message) = serde_json::to_vec(&ToLauncher::Awake { cpu_ms }) else { return };
        let _ = sys::fd::send_at_once(self.launcher.as_fd(), &message, &[]);
    }

    fn drain(&self) {
        let mut events = [EpollEvent::empty(); 32];
        loop {
            let count = match self.pipes.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(_) => return,
            };
            for event in &events[..count] {
                if event.data() == END {
                    return;
                }
                let watched = locked(&self.list).get(&event.data()).cloned();
                match watched {
                    Some(watched) => watched.drain(),
                    // Its handle is being buried and closes the pipes in a moment.
                    None => std::thread::yield_now(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

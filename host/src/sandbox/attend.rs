//! The attendant: one thread that ends workers whose time is up, and one that drains what they print on their own
//! descriptors.
//!
//! A call only stores its deadline; the hot path makes no system call for it. While a call runs, and a little longer, the
//! clock thread looks every [`TICK`]; otherwise it sleeps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::error::Death;
use super::worker::CallLimits;
use crate::sys;

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(20);
/// Ticks without a running call before the thread goes to sleep: a fast series of calls must not wake it each time.
const IDLE_TICKS: u32 = 50;
/// What a plugin may print on each of its own descriptors during one call, in bytes.
pub(super) const STRAY_MAX: u64 = 1024 * 1024;

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
    /// The pid in the host's namespace, for the CPU clock; looked up at the first tick that needs it.
    pid: OnceLock<Option<i32>>,
    epoch: Instant,
    /// Nanoseconds since `epoch`; 0 while no call runs.
    deadline: AtomicU64,
    wall_ms: AtomicU64,
    cpu_ms: AtomicU64,
    call: AtomicU32,
    cause: Mutex<Option<Death>>,
    stray: Mutex<StrayPipes>,
    cpu_base: Mutex<(u32, Duration)>,
}

struct StrayPipes {
    pipes: [Option<File>; 2],
    counts: [u64; 2],
    sink: StraySink,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    pub(super) fn new(pidfd: OwnedFd, out: File, err: File, sink: StraySink) -> Self {
        Self {
            pidfd,
            pid: OnceLock::new(),
            epoch: Instant::now(),
            deadline: AtomicU64::new(0),
            wall_ms: AtomicU64::new(0),
            cpu_ms: AtomicU64::new(0),
            call: AtomicU32::new(0),
            cause: Mutex::new(None),
            stray: Mutex::new(StrayPipes { pipes: [Some(out), Some(err)], counts: [0; 2], sink }),
            cpu_base: Mutex::new((0, Duration::ZERO)),
        }
    }

    /// A call begins.
    pub(super) fn arm(&self, call: u32, limits: &CallLimits) {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.wall_ms.store(millis(limits.wall), Ordering::Relaxed);
        self.cpu_ms.store(millis(limits.cpu), Ordering::Relaxed);
        self.call.store(call, Ordering::Relaxed);
        let at = self.epoch.elapsed().saturating_add(limits.wall);
        self.deadline.store(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1), Ordering::SeqCst);
    }

    /// The caller's own terminal was slow; that is not the plugin's time.
    pub(super) fn extend(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self.deadline.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |at| Some(at.saturating_add(by)));
    }

    /// The call is over; what it printed counts from zero for the next one.
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
    pub(super) fn drain(&self, anew: bool) {
        let mut stray = locked(&self.stray);
        let StrayPipes { pipes, counts, sink } = &mut *stray;
        for (index, pipe) in pipes.iter_mut().enumerate() {
            if drain_pipe(pipe, &mut counts[index], index == 1, sink) {
                // In this order: a plugin that finds its descriptor closed could still answer.
                self.kill(Some(Death::Output(STRAY_MAX)));
                *pipe = None;
            }
        }
        if anew {
            *counts = [0; 2];
        }
    }

    fn look(&self) -> bool {
        let at = self.deadline.load(Ordering::SeqCst);
        if at == 0 {
            return false;
        }
        if self.epoch.elapsed().as_nanos() >= u128::from(at) {
            self.kill(Some(Death::Time(Duration::from_millis(self.wall_ms.load(Ordering::Relaxed)))));
            return true;
        }
        let call = self.call.load(Ordering::Relaxed);
        if let Some(used) = self.pid().and_then(|pid| sys::clock::cpu_time(pid).ok()) {
            let mut base = locked(&self.cpu_base);
            if base.0 != call {
                // The first look at this call: what it used before is less than one tick per thread.
                *base = (call, used);
            }
            let limit = Duration::from_millis(self.cpu_ms.load(Ordering::Relaxed));
            if used.saturating_sub(base.1) >= limit {
                self.kill(Some(Death::Cpu(limit)));
            }
        }
        true
    }
}

/// Reads until nothing is left; `true`, with the pipe still open, when the cap is reached.
fn drain_pipe(pipe: &mut Option<File>, count: &mut u64, is_stderr: bool, sink: &StraySink) -> bool {
    let mut piece = [0; 8192];
    loop {
        let Some(file) = pipe else { return false };
        match file.read(&mut piece) {
            Ok(0) => *pipe = None,
            Ok(length) => {
                *count += u64::try_from(length).unwrap_or_default();
                if *count > STRAY_MAX {
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
    use std::os::fd::AsRawFd as _;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    line.trim().parse().ok().filter(|&pid| pid > 0)
}

/// The two threads and what they share.
pub(super) struct Attendant {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    list: Mutex<BTreeMap<u64, Arc<Watched>>>,
    next: AtomicU64,
    /// Whether the clock thread sleeps until it is woken.
    asleep: AtomicBool,
    over: AtomicBool,
    /// Knows every pipe by its worker's key, so that a new worker wakes nobody.
    pipes: Epoll,
    end: EventFd,
}

/// The key of the event that ends the draining thread.
const END: u64 = 0;

impl Attendant {
    pub(super) fn start() -> io::Result<Self> {
        let pipes = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        pipes.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, END))?;
        let shared = Arc::new(Shared {
            list: Mutex::default(),
            next: AtomicU64::new(END + 1),
            asleep: AtomicBool::new(false),
            over: AtomicBool::new(false),
            pipes,
            end,
        });
        // Two, since showing what was printed may block on a slow terminal, and deadlines must not.
        let spawn = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared))
        };
        let threads = vec![spawn("clock", Shared::keep_time)?, spawn("drain", Shared::drain)?];
        Ok(Self { shared, threads })
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

    /// A call began: wakes the clock if it sleeps.
    pub(super) fn nudge(&self) {
        if self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.threads[0].thread().unpark();
        }
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = self.shared.end.write(1);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn keep_time(&self) {
        let mut idle = 0;
        while !self.over.load(Ordering::SeqCst) {
            // A copy, so that a killed worker's handle can leave the list meanwhile.
            let all: Vec<_> = locked(&self.list).values().cloned().collect();
            // Every one is looked at: `any` would stop at the first that is active.
            let active = all.iter().filter(|watched| watched.look()).count() > 0;
            idle = if active { 0 } else { idle + 1 };
            if idle <= IDLE_TICKS {
                std::thread::park_timeout(TICK);
                continue;
            }
            self.asleep.store(true, Ordering::SeqCst);
            // A call may have begun, even of a new worker, between the look and the store.
            let began = locked(&self.list).values().any(|watched| watched.deadline.load(Ordering::SeqCst) != 0);
            while !began && self.asleep.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
            idle = 0;
        }
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
                    Some(watched) => watched.drain(false),
                    // Its handle is being buried and closes the pipes in a moment.
                    None => std::thread::yield_now(),
                }
            }
        }
    }
}

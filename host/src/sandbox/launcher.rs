//! The launcher seen from the host: started early, asked for workers, ended with its control socket.

use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::attend::{Attendant, StraySink, Watched};
use super::cgroup::{Groups, LimitedBy};
use super::control::{Control, LAST_DEADLINE, Spawned, Starter};
use super::error::SandboxError;
use super::ordered::Ordered;
use super::orders::{Ends, Order, Orders};
use super::record::{Recorder, record};
use super::spare::Spares;
use super::worker::Worker;
use crate::controls::{self, Check, makes};
use crate::sys;
use crate::sys::memory::Room;
use crate::sys::ulimit;
use crate::wire::{Ended, LAUNCHER_ARGUMENT, LAUNCHER_SPEC_MAX, Language, LauncherSpec, Layers, LoadBy, WorkerSpec};

/// The environment of every plugin, whole but for `TMPDIR`. Run-times take the core count for their thread count; a plugin has few threads.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/usr/bin:/bin"),
    ("LANG", "C.UTF-8"),
    ("TZ", "UTC"),
    ("MIGRAINE_API", "1.0"),
    ("TOKIO_WORKER_THREADS", "2"),
    ("RAYON_NUM_THREADS", "2"),
];

/// A running launcher.
pub struct Launcher {
    layers: Layers,
    /// Whether its workers speak lines of JSON once they are sealed.
    speaks_lines: bool,
    /// Whether its workers may make processes.
    has_families: bool,
    /// Whether its workers reach the proxy.
    listens: bool,
    attendant: Attendant,
    /// Whether a worker was started.
    has_started: AtomicBool,
    /// Told by which paths workers reach files.
    recorder: Option<Arc<dyn Recorder>>,
    orders: Arc<Orders>,
    /// Last: what is left of them can be removed when the workers are gone.
    groups: Arc<Groups>,
}

impl std::fmt::Debug for Launcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launcher").finish_non_exhaustive()
    }
}

/// A launcher that does not know what it is yet.
struct Process {
    socket: OwnedFd,
    starter: Child,
}

/// What starts one early, until somebody needs it.
static EARLY: Mutex<Option<JoinHandle<Option<Process>>>> = Mutex::new(None);

fn locked_early() -> MutexGuard<'static, Option<JoinHandle<Option<Process>>>> {
    EARLY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one that was started early, if one was.
fn take_early() -> Option<Process> {
    locked_early().take()?.join().ok()?
}

impl Process {
    fn start() -> Result<Self, SandboxError> {
        let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|error| SandboxError::Start(error.into()))?;
        // A fresh exec of this very program: a bare fork would take a copy of this process's memory along. The link
        // names the running file itself, so an upgrade in mid run cannot mix versions.
        let mut command = Command::new("/proc/self/exe");
        if makes(Check::Environment) {
            command.env_clear();
        }
        controls::pass_on(&mut command);
        let starter = command
            .arg(LAUNCHER_ARGUMENT)
            .envs(ENVIRONMENT)
            .current_dir("/")
            // Out of the terminal's foreground group at once: Ctrl-C is for the host, which then ends its workers.
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(SandboxError::Start)?;
        Ok(Self { socket, starter })
    }

    /// Says what it is. It waits in the socket until the new process reads it.
    fn tell(mut self, spec: &[u8]) -> Result<Self, SandboxError> {
        match sys::fd::send(self.socket.as_fd(), spec, &[]) {
            Ok(()) => Ok(self),
            Err(error) => {
                let _ = self.starter.wait();
                Err(SandboxError::Start(error))
            }
        }
    }

    /// It has not learned what it is, so it has made nothing that would outlive it.
    fn end(mut self) {
        let _ = self.starter.kill();
        let _ = self.starter.wait();
    }
}

impl Launcher {
    /// Starts a launcher; returns as soon as the process exists, so that its start overlaps with other work.
    ///
    /// # Errors
    /// The process could not be started.
    pub fn start(spec: &LauncherSpec) -> Result<Self, SandboxError> {
        Self::start_recording(spec, None)
    }

    /// Starts a launcher whose workers are recorded, where there is a recorder.
    ///
    /// # Errors
    /// As [`Launcher::start`].
    pub fn start_recording(spec: &LauncherSpec, recorder: Option<Arc<dyn Recorder>>) -> Result<Self, SandboxError> {
        if let Some(low) = ulimit::too_low() {
            return Err(SandboxError::Ulimit(low));
        }
        let spec = &LauncherSpec { learns: recorder.is_some(), ..spec.clone() };
        let body = serde_json::to_vec(spec).map_err(|error| SandboxError::Start(error.into()))?;
        if body.len() > LAUNCHER_SPEC_MAX {
            let error = std::io::Error::other("the paths of the granted directories are too long");
            return Err(SandboxError::Start(error));
        }
        let told = take_early().and_then(|process| process.tell(&body).ok());
        // One that was started early may have been killed since.
        let Process { socket: ours, starter } = match told {
            Some(process) => process,
            None => Process::start()?.tell(&body)?,
        };
        let groups = Arc::new(Groups::new());
        let starter: Starter = Arc::new(Mutex::new(Some(starter)));
        let watched = (Arc::clone(&groups), Arc::clone(&starter));
        let socket = ours.try_clone().map_err(SandboxError::Start)?;
        let control = Control::new(ours, starter);
        let orders = Arc::new(Orders::new(spec.layers(), control, Spares::of(spec), Arc::clone(&groups)));
        let prepares = Arc::clone(&orders);
        let attendant = Attendant::start(socket, watched, move || prepares.prepare()).map_err(SandboxError::Start)?;
        let speaks_lines = spec.interpreter.as_ref().is_some_and(|found| found.language == Language::Lines);
        Ok(Self {
            layers: spec.layers(),
            speaks_lines,
            has_families: spec.has_families(),
            listens: spec.listens,
            attendant,
            has_started: AtomicBool::new(false),
            recorder,
            orders,
            groups,
        })
    }

    /// Starts the process of the next launcher, before anybody knows what it is for: its start overlaps with all that a
    /// program does until then. One that nobody needed is for [`Launcher::end_early`]. Only for a program that is about to
    /// start a launcher.
    pub fn start_early() {
        // In a thread of its own: whoever starts a process waits until that has its program (posix_spawn(3)), and may then
        // have to share a processor with it.
        let start = || {
            // They are for the threads that know what to do.
            let _ = SigSet::all().thread_block();
            Process::start().ok()
        };
        // Whoever starts the launcher will hear what is wrong.
        *locked_early() = std::thread::Builder::new().name("launcher start".to_owned()).spawn(start).ok();
    }

    /// Ends the process of [`Launcher::start_early`] that nobody needed, before this one ends: else whoever inherits this
    /// one's children would have to collect it.
    pub fn end_early() {
        if let Some(process) = take_early() {
            process.end();
        }
    }

    /// For a program that ends right after: everything is killed, but not waited for. The kernel takes milliseconds to
    /// take namespaces apart; whoever inherits this program's children collects the launcher.
    pub fn leave(&self) {
        self.orders.leave();
        self.attendant.leave();
        self.groups.give_up();
    }

    /// Waits until the launcher stands in its namespaces; says how workers will open their code.
    ///
    /// # Errors
    /// The sandbox cannot be built on this machine.
    pub fn ready(&self) -> Result<LoadBy, SandboxError> {
        self.orders.control().await_ready()
    }

    /// Waits as [`Launcher::ready`]; another handle on the socket that listens inside, if one was asked for. Whoever serves
    /// it serves one run: the launcher may have others after it.
    ///
    /// # Errors
    /// The sandbox cannot be built on this machine; this process has no descriptor left.
    pub fn listener(&self) -> Result<Option<TcpListener>, SandboxError> {
        let mut control = self.orders.control();
        control.await_ready()?;
        let listener = control.ready.as_ref().and_then(|ready| ready.listener.as_ref());
        listener.map(TcpListener::try_clone).transpose().map_err(SandboxError::Control)
    }

    /// Starts a worker for sealed code and waits until it is sealed itself.
    ///
    /// # Errors
    /// The sandbox cannot be built, or the worker could not seal itself.
    pub fn spawn(self: &Arc<Self>, spec: &WorkerSpec, code: &OwnedFd, sink: StraySink) -> Result<Worker, SandboxError> {
        self.spawn_reading(spec, code, None, sink)
    }

    /// As [`Launcher::spawn`], with a pipe as the worker's standard input.
    ///
    /// # Errors
    /// As [`Launcher::spawn`].
    pub fn spawn_reading(
        self: &Arc<Self>,
        spec: &WorkerSpec,
        code: &OwnedFd,
        input: Option<&OwnedFd>,
        sink: StraySink,
    ) -> Result<Worker, SandboxError> {
        // The spare one has no standard input.
        if let Some((order, room)) = input.is_none().then(|| self.orders.take_spare(spec)).flatten() {
            let ordered = Ordered::new(Arc::clone(self), order);
            // Where its room cannot be filled, it ends.
            if room.copy(code.as_fd()).is_ok() {
                return ordered.wait(sink);
            }
        }
        Ordered::new(Arc::clone(self), self.orders.place(spec, code.as_fd(), input)?).wait(sink)
    }

    /// Asks for a worker before its code was read, and has room for that: the worker is made meanwhile, and opens the code
    /// no earlier than it is told to load it. Nothing where it would have to look at the code before, where somebody
    /// watches from its first look on, or where the launcher is not up, so that asking would wait. See [`Ordered`] for when
    /// it may be told to.
    #[must_use]
    pub fn order_ahead(self: &Arc<Self>, spec: &WorkerSpec) -> Option<(Ordered, Room)> {
        let is_up = self.orders.control().ready.as_ref().is_some_and(|ready| ready.load_by == LoadBy::Procfs);
        if !is_up || self.recorder.is_some() {
            return None;
        }
        let (order, room) = self.orders.take_spare(spec).or_else(|| {
            let room = self.orders.room().ok()?;
            Some((self.orders.place(spec, room.as_fd(), None).ok()?, room))
        })?;
        Some((Ordered::new(Arc::clone(self), order), room))
    }

    /// Waits for a worker that was ordered, and attends to it.
    pub(super) fn receive(self: &Arc<Self>, order: Order, sink: StraySink) -> Result<Worker, SandboxError> {
        let Order { asked, held: spec, number, ends, .. } = order;
        let spawned = self.orders.control().await_spawned(number);
        let Spawned { pidfd, listener, is_grouped } = spawned?;
        let Ends { channel, out, err, group } = ends;
        let begun = Arc::new(AtomicBool::new(false));
        if let (Some(recorder), Some(listener)) = (&self.recorder, listener) {
            record(listener, &pidfd, Arc::clone(recorder), Arc::clone(&begun)).map_err(SandboxError::Control)?;
        }
        if group.is_some() && !is_grouped {
            self.groups.give_up();
        }
        let group = group.filter(|_| is_grouped);
        let watched = Watched::new(pidfd, out, err, sink, &spec, self.layers);
        let watched = Arc::new(watched.standing(group.as_ref(), self.has_families));
        let key = self.attendant.add(&watched).map_err(SandboxError::Control)?;
        let worker = Worker::new(Arc::clone(self), number, &spec, group, (watched, key), channel);
        begun.store(true, Ordering::Release);
        self.orders.expect(&asked);
        if is_grouped {
            // Not before: on one processor the new worker would wait for it. The first one is often the only one.
            self.attendant.prepare_group(self.has_started.swap(true, Ordering::Relaxed));
        }
        worker
    }

    /// Ends a worker that was ordered and is not needed.
    pub(super) fn cancel(&self, number: u32) {
        let mut control = self.orders.control();
        match control.patiently(LAST_DEADLINE, |control| control.await_spawned(number)) {
            Ok(spawned) => {
                sys::process::kill(spawned.pidfd.as_fd());
                let _ = control.await_end(number);
            }
            // One that answers later is ended then.
            Err(_) => control.abandon(number),
        }
    }

    /// Whether its workers make streams of their own, to the proxy alone. They are passed none then.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// What limits memory and processes of the next worker.
    #[must_use]
    pub fn limited_by(&self) -> LimitedBy {
        self.groups.limited_by()
    }

    /// The layers that every worker must report.
    pub(super) fn layers(&self) -> Layers {
        self.layers
    }

    pub(super) fn speaks_lines(&self) -> bool {
        self.speaks_lines
    }

    pub(super) fn attendant(&self) -> &Attendant {
        &self.attendant
    }

    /// Waits for the report of a worker's end.
    pub(super) fn await_end(&self, worker: u32) -> Result<Ended, SandboxError> {
        self.orders.control().await_end(worker)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Before the attendant, which shares the socket.
        self.orders.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_that_nobody_needed_is_collected() {
        let process = Process::start().unwrap();
        let entry = format!("/proc/{}", process.starter.id());
        assert!(std::fs::exists(&entry).unwrap());
        process.end();
        assert!(!std::fs::exists(&entry).unwrap());
    }
}

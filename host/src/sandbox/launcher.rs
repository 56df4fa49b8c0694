//! The launcher seen from the host: started early, asked for workers, ended with its control socket.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::Resource;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::pipe2;

use super::attend::{Attendant, StraySink, Watched};
use super::cgroup::{Group, Groups, LimitedBy};
use super::error::SandboxError;
use super::ordered::Ordered;
use super::record::{Recorder, record};
use super::worker::{Channel, Worker};
use crate::controls::{self, Check, makes};
use crate::sys;
use crate::sys::fd::Identity;
use crate::sys::memory::Room;
use crate::sys::ulimit;
use crate::wire::{
    CONTROL_MAX, Ended, FrameReader, FromLauncher, LAUNCHER_ARGUMENT, LAUNCHER_SPEC_MAX, Language, LauncherSpec,
    Layers, LoadBy, Rlimits, ToLauncher, WorkerSpec,
};

/// How long the launcher may take to answer. It waits for nothing; this only bounds a stuck kernel.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// The same for what nobody needs any more.
const LAST_DEADLINE: Duration = Duration::from_secs(2);

/// Room of a request pipe, in bytes (pipe(7)).
const REQUEST_PIPE: i32 = 256 * 1024;

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
    control: Mutex<Control>,
    attendant: Attendant,
    /// Told by which paths workers reach files.
    recorder: Option<Arc<dyn Recorder>>,
    /// Last: what is left of them can be removed when the workers are gone.
    groups: Arc<Groups>,
}

impl std::fmt::Debug for Launcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launcher").finish_non_exhaustive()
    }
}

/// The process that was started. It ends as soon as the launcher proper stands in its namespaces, a millisecond later, which
/// is not waited for: the attendant collects it. Where there are no namespaces, it is the launcher itself.
pub(super) type Starter = Arc<Mutex<Option<Child>>>;

struct Control {
    socket: OwnedFd,
    starter: Starter,
    ready: Option<Ready>,
    next: u32,
    /// Whether the whole program ends now.
    left: bool,
    /// How long an answer may take.
    patience: Duration,
    /// Workers that were ordered, with the answers that were read while something else was waited for.
    ordered: BTreeMap<u32, Option<Result<Spawned, SandboxError>>>,
    /// Ends of workers that were read while something else was waited for.
    ended: BTreeMap<u32, Ended>,
}

struct Ready {
    load_by: LoadBy,
    pidfd: OwnedFd,
    listener: Option<TcpListener>,
}

/// A launcher that does not know what it is yet.
struct Process {
    socket: OwnedFd,
    starter: Child,
}

/// The one that was started early, until somebody needs it.
static EARLY: Mutex<Option<Process>> = Mutex::new(None);

fn locked_early() -> MutexGuard<'static, Option<Process>> {
    EARLY.lock().unwrap_or_else(PoisonError::into_inner)
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
        let early = locked_early().take();
        let told = early.and_then(|process| process.tell(&body).ok());
        // One that was started early may have been killed since.
        let Process { socket: ours, starter } = match told {
            Some(process) => process,
            None => Process::start()?.tell(&body)?,
        };
        let groups = Arc::new(Groups::new());
        let starter: Starter = Arc::new(Mutex::new(Some(starter)));
        let shared = (Arc::clone(&groups), Arc::clone(&starter));
        let attendant = ours.try_clone().and_then(|socket| Attendant::start(socket, shared));
        let attendant = attendant.map_err(SandboxError::Start)?;
        let control = Control {
            socket: ours,
            starter,
            ready: None,
            next: 1,
            left: false,
            patience: ANSWER_DEADLINE,
            ordered: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        let speaks_lines = spec.interpreter.as_ref().is_some_and(|found| found.language == Language::Lines);
        Ok(Self {
            layers: spec.layers(),
            speaks_lines,
            has_families: spec.has_families(),
            listens: spec.listens,
            control: Mutex::new(control),
            attendant,
            recorder,
            groups,
        })
    }

    /// Starts the process of the next launcher, before anybody knows what it is for: its start overlaps with all that a
    /// program does until then. One that nobody needed is for [`Launcher::end_early`]. Only for a program that is about to
    /// start a launcher.
    pub fn start_early() {
        // Whoever starts the launcher will hear what is wrong.
        *locked_early() = Process::start().ok();
    }

    /// Ends the process of [`Launcher::start_early`] that nobody needed, before this one ends: else whoever inherits this
    /// one's children would have to collect it.
    pub fn end_early() {
        if let Some(process) = locked_early().take() {
            process.end();
        }
    }

    fn locked(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a program that ends right after: everything is killed, but not waited for. The kernel takes milliseconds to
    /// take namespaces apart; whoever inherits this program's children collects the launcher.
    pub fn leave(&self) {
        self.locked().left = true;
        self.attendant.leave();
        self.groups.give_up();
    }

    /// Waits until the launcher stands in its namespaces; says how workers will open their code.
    ///
    /// # Errors
    /// The sandbox cannot be built on this machine.
    pub fn ready(&self) -> Result<LoadBy, SandboxError> {
        self.locked().await_ready()
    }

    /// Waits as [`Launcher::ready`]; another handle on the socket that listens inside, if one was asked for. Whoever serves
    /// it serves one run: the launcher may have others after it.
    ///
    /// # Errors
    /// The sandbox cannot be built on this machine; this process has no descriptor left.
    pub fn listener(&self) -> Result<Option<TcpListener>, SandboxError> {
        let mut control = self.locked();
        control.await_ready()?;
        let listener = control.ready.as_ref().and_then(|ready| ready.listener.as_ref());
        listener.map(TcpListener::try_clone).transpose().map_err(SandboxError::Control)
    }

    /// Starts a worker and waits until it is sealed.
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
        self.order(spec, code.as_fd(), input)?.wait(sink)
    }

    /// Asks for a worker before its code was read, and has room for that: the worker is made meanwhile, and opens the code
    /// no earlier than it is told to load it. Nothing where it would have to look at the code before, where somebody
    /// watches from its first look on, or where the launcher is not up, so that asking would wait. See [`Ordered`] for when
    /// it may be told to.
    #[must_use]
    pub fn order_ahead(self: &Arc<Self>, spec: &WorkerSpec) -> Option<(Ordered, Room)> {
        let is_up = self.locked().ready.as_ref().is_some_and(|ready| ready.load_by == LoadBy::Procfs);
        if !is_up || self.recorder.is_some() {
            return None;
        }
        let room = Room::new().ok()?;
        let ordered = self.order(spec, room.as_fd(), None).ok()?;
        Some((ordered, room))
    }

    fn order(
        self: &Arc<Self>,
        spec: &WorkerSpec,
        code: BorrowedFd<'_>,
        input: Option<&OwnedFd>,
    ) -> Result<Ordered, SandboxError> {
        let identity = Identity::of(code).map_err(SandboxError::Control)?;
        let asked = *spec;
        let spec = WorkerSpec { reads_input: input.is_some(), rlimits: held(spec.rlimits), ..*spec };
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|error| SandboxError::Control(error.into()));
        let (request_end, requests) = pipe()?;
        let (replies, reply_end) = pipe()?;
        let (out, out_end) = pipe()?;
        let (err, err_end) = pipe()?;
        // Fewer switches for large outputs; an unprivileged user's quota may be used up, and then the default serves.
        let _ = fcntl(&requests, FcntlArg::F_SETPIPE_SZ(REQUEST_PIPE));
        for end in [&out, &err] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|error| SandboxError::Control(error.into()))?;
        }
        for pipe in [&request_end, &reply_end, &out_end, &err_end] {
            // The worker has its ends; opening one anew through /proc/self/fd would turn its direction.
            fchmod(pipe, Mode::empty()).map_err(|error| SandboxError::Control(error.into()))?;
        }
        let mut fds = vec![code, request_end.as_fd(), reply_end.as_fd(), out_end.as_fd(), err_end.as_fd()];
        let passing = if spec.receives_descriptors { Some(passing_pair()?) } else { None };
        fds.extend(passing.as_ref().map(|(_, theirs)| theirs.as_fd()));
        fds.extend(input.map(OwnedFd::as_fd));
        let group = if self.layers.rlimits { self.groups.take(&spec.rlimits) } else { None };
        let doors: Vec<_> = group.iter().flat_map(Group::doors).collect();
        fds.extend(&doors);
        let number = self.locked().order(&spec, &fds, doors.len())?;
        let passing = passing.map(|(ours, _)| ours);
        let channel =
            Channel { requests: File::from(requests), replies: FrameReader::new(File::from(replies)), passing };
        let ends = Ends { channel, out: File::from(out), err: File::from(err), group };
        Ok(Ordered::new(Arc::clone(self), (asked, spec), identity, (number, ends)))
    }

    /// Waits for a worker that was ordered, and attends to it.
    pub(super) fn receive(
        self: &Arc<Self>,
        spec: &WorkerSpec,
        number: u32,
        ends: Ends,
        sink: StraySink,
    ) -> Result<Worker, SandboxError> {
        let spawned = self.locked().await_spawned(number);
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
        let watched = Watched::new(pidfd, out, err, sink, spec, self.layers);
        let watched = Arc::new(watched.standing(group.as_ref(), self.has_families));
        let key = self.attendant.add(&watched).map_err(SandboxError::Control)?;
        let worker = Worker::new(Arc::clone(self), number, spec, group, (watched, key), channel);
        begun.store(true, Ordering::Release);
        if is_grouped {
            // Not before: on one processor the new worker would wait for it. The first one is often the only one.
            self.attendant.prepare_group(number > 1);
        }
        worker
    }

    /// Ends a worker that was ordered and is not needed.
    pub(super) fn cancel(&self, number: u32) {
        let spawned = self.locked().patiently(LAST_DEADLINE, |control| control.await_spawned(number));
        // One that answers later is ended then.
        if let Ok(spawned) = spawned {
            sys::process::kill(spawned.pidfd.as_fd());
            let _ = self.await_end(number);
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
        let mut control = self.locked();
        loop {
            if let Some(ended) = control.ended.remove(&worker) {
                return Ok(ended);
            }
            control.hear()?;
        }
    }
}

/// The limits that a worker will have: it can raise none of this process's own, and is told to be over what it has.
fn held(limits: Rlimits) -> Rlimits {
    Rlimits {
        data: limits.data.min(ulimit::hard(Resource::RLIMIT_DATA)),
        address_space: limits.address_space.min(ulimit::hard(Resource::RLIMIT_AS)),
        stack: limits.stack.min(ulimit::hard(Resource::RLIMIT_STACK)),
        file_size: limits.file_size.min(ulimit::hard(Resource::RLIMIT_FSIZE)),
        ..limits
    }
}

/// The socket that descriptors are passed over: the host's end and the worker's. The host only ever sends: what a worker
/// writes into its end is never read.
fn passing_pair() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    let control = |error: nix::errno::Errno| SandboxError::Control(error.into());
    let kind = SockType::SeqPacket;
    let (ours, theirs) = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).map_err(control)?;
    // A worker that does not receive what it asked for must not hold the host up, nor pile up descriptors on the way: an
    // honest one has at most one there. The kernel raises the size to its least, which is enough for a handful.
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(control)?;
    setsockopt(&ours, sockopt::SndBuf, &0).map_err(control)?;
    Ok((ours, theirs))
}

/// A worker that runs.
struct Spawned {
    pidfd: OwnedFd,
    listener: Option<OwnedFd>,
    is_grouped: bool,
}

/// The host's ends of what a worker that was ordered is given.
pub(super) struct Ends {
    channel: Channel,
    out: File,
    err: File,
    group: Option<Group>,
}

impl Control {
    fn await_ready(&mut self) -> Result<LoadBy, SandboxError> {
        while self.ready.is_none() {
            self.hear()?;
        }
        self.ready.as_ref().map(|ready| ready.load_by).ok_or_else(|| SandboxError::LauncherGone("no answer".to_owned()))
    }

    /// `fds` as for [`ToLauncher::Spawn`], the last `doors` of them those of its group. The value is the worker's number.
    fn order(&mut self, spec: &WorkerSpec, fds: &[BorrowedFd<'_>], doors: usize) -> Result<u32, SandboxError> {
        let worker = self.next;
        self.next += 1;
        let order = serde_json::to_vec(&ToLauncher::Spawn { worker, spec: *spec, doors })
            .map_err(|error| SandboxError::Control(error.into()))?;
        // A launcher that is not up yet finds the order waiting.
        if let Err(error) = sys::fd::send(self.socket.as_fd(), &order, fds) {
            // It may have said why it ends.
            self.await_ready()?;
            return Err(SandboxError::LauncherGone(error.to_string()));
        }
        self.ordered.insert(worker, None);
        Ok(worker)
    }

    /// Does something during which an answer may take no longer than this.
    fn patiently<T>(&mut self, patience: Duration, work: impl FnOnce(&mut Self) -> T) -> T {
        let usual = std::mem::replace(&mut self.patience, patience);
        let done = work(self);
        self.patience = usual;
        done
    }

    /// Waits for a worker that was ordered.
    fn await_spawned(&mut self, worker: u32) -> Result<Spawned, SandboxError> {
        loop {
            if let Some(answer) = self.ordered.get_mut(&worker).and_then(Option::take) {
                self.ordered.remove(&worker);
                return answer;
            }
            self.hear().inspect_err(|_| drop(self.ordered.remove(&worker)))?;
        }
    }

    /// A message was lost, which may have been the answer to any order.
    fn lose(&mut self, error: &std::io::Error) {
        for answer in self.ordered.values_mut().filter(|answer| answer.is_none()) {
            *answer = Some(Err(SandboxError::LauncherGone(error.to_string())));
        }
    }

    /// What became of an order; nobody waits any more for one that is not known.
    fn answer(&mut self, worker: u32, answer: Result<Spawned, SandboxError>) {
        match (self.ordered.get_mut(&worker), answer) {
            (Some(place), answer) => *place = Some(answer),
            (None, Ok(spawned)) => sys::process::kill(spawned.pidfd.as_fd()),
            (None, Err(_)) => {}
        }
    }

    /// Reads one message.
    fn hear(&mut self) -> Result<(), SandboxError> {
        let timeout = PollTimeout::try_from(self.patience).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let ready = loop {
            match poll(&mut fds, timeout) {
                Err(nix::errno::Errno::EINTR) => {}
                other => break other.map_err(|error| SandboxError::Control(error.into()))?,
            }
        };
        if ready == 0 {
            return Err(SandboxError::LauncherGone("it did not answer in time".to_owned()));
        }
        let lost = |error: std::io::Error| SandboxError::LauncherGone(error.to_string());
        let received = sys::fd::receive(self.socket.as_fd(), CONTROL_MAX).inspect_err(|error| self.lose(error));
        let (body, mut fds) = received.map_err(lost)?;
        if body.is_empty() {
            return Err(SandboxError::LauncherGone("its control channel closed".to_owned()));
        }
        let gone = || SandboxError::LauncherGone("a message came without its descriptor".to_owned());
        match serde_json::from_slice(&body).map_err(|error| lost(error.into()))? {
            FromLauncher::Ready { load_by } => {
                let mut fds = fds.into_iter();
                let pidfd = fds.next().ok_or_else(gone)?;
                self.ready = Some(Ready { load_by, pidfd, listener: fds.next().map(TcpListener::from) });
            }
            FromLauncher::Unavailable { failed } => {
                // It ends now; whichever process it was, nobody else would collect it.
                if let Some(pidfd) = fds.pop() {
                    sys::process::await_end(&pidfd);
                }
                return Err(SandboxError::Unavailable(failed));
            }
            FromLauncher::NoDirectory { directory, reason } => {
                if let Some(pidfd) = fds.pop() {
                    sys::process::await_end(&pidfd);
                }
                return Err(SandboxError::Directory { directory, reason });
            }
            FromLauncher::Spawned { worker, is_grouped } => {
                let mut fds = fds.into_iter();
                let pidfd = fds.next().ok_or_else(gone);
                self.answer(worker, pidfd.map(|pidfd| Spawned { pidfd, listener: fds.next(), is_grouped }));
            }
            FromLauncher::NotSpawned { worker, failed } => {
                self.answer(worker, Err(SandboxError::NotSealed(failed)));
            }
            FromLauncher::Ended { worker, ended } => {
                self.ended.insert(worker, ended);
            }
        }
        Ok(())
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // The launcher proper is this process's own child, known only by the handle it sends when it is up: without it
        // nothing could be ended or collected. It answers in milliseconds, or is no more.
        self.patience = LAST_DEADLINE;
        let _ = self.await_ready();
        // Killing is quicker than the end of the channel, and as final: pid 1 of the namespace takes all workers along.
        let was_up = self.ready.is_some();
        if let Some(ready) = self.ready.take() {
            sys::process::kill(ready.pidfd.as_fd());
            if self.left {
                return;
            }
            sys::process::await_end(&ready.pidfd);
        }
        if let Some(mut starter) = self.starter.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Never by its number: a program that collects all children may have freed it for another process.
            if was_up {
                let _ = starter.wait();
            } else {
                let _ = starter.try_wait();
            }
        }
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

//! The launcher: a fresh process that enters its namespaces once and then makes, watches and reaps workers. It runs no
//! plugin code, holds no secret, and ends, with every worker, when the host's end of the control socket closes.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;

use super::absence::Absence;
use super::jail::directories::TakeError;
use super::jail::filter::{self, Profile};
use super::jail::root::Entered;
use super::jail::spaces::Starter;
use super::jail::{self, Common, Report, StepError, at};
use super::{numbers, program, script, serve};
use crate::package::target::OWN;
use crate::sys;
use crate::sys::process::{Cloned, clone, exit_now};
use crate::sys::seccomp::Instruction;
use crate::wire::{
    CONTROL_MAX, Ended, FailedStep, FromLauncher, LAUNCHER_SPEC_MAX, LauncherSpec, Level, LoadBy, Refused, ToLauncher,
    WorkerSpec,
};

/// Runs the launcher; does not return.
pub(super) fn main() -> ! {
    let Ok(control) = take_control() else { exit_now(65) };
    let Ok(spec) = hear_spec(&control) else { exit_now(64) };
    // The workers have it from here; there is one thread.
    sys::process::set_variable("TMPDIR", spec.scratch().as_ref());
    let mut filters = Filters::new();
    let code = match start(&spec, &control, &mut filters) {
        Ok(stand) => Launcher::new(control, stand, spec, filters).run(),
        Err(error) => {
            let message = complaint(error);
            // Its handle goes along, so that the host can collect this process.
            let own = sys::process::pidfd_of_self().ok();
            let fds: Vec<BorrowedFd<'_>> = own.iter().map(OwnedFd::as_fd).collect();
            i32::from(say(&control, &message, &fds).is_err()) + 70
        }
    };
    exit_now(code)
}

/// The host gives the control socket as standard input: every other descriptor is closed, whatever leaked.
fn take_control() -> io::Result<OwnedFd> {
    let inherited = sys::fd::take_inherited(0)?;
    let control = sys::fd::lift(&inherited, numbers::LAUNCHER)?;
    drop(inherited);
    let kept = control.as_raw_fd().cast_unsigned();
    sys::fd::close_range(0, kept - 1)?;
    sys::fd::close_range(kept + 1, u32::MAX)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for number in 1..=2 {
        sys::fd::place(null.as_fd(), number)?;
    }
    // It stands at 0, the lowest free number, and must stay there.
    std::mem::forget(null);
    Ok(control)
}

/// The host's first message, which may be there before this process is.
fn hear_spec(control: &OwnedFd) -> io::Result<LauncherSpec> {
    // Room for the longest would have to be cleared, page by page, before anything else is done.
    let length = sys::fd::length_of_next(control.as_fd())?.min(LAUNCHER_SPEC_MAX);
    let (body, _) = sys::fd::receive(control.as_fd(), length)?;
    Ok(serde_json::from_slice(&body)?)
}

fn complaint(error: TakeError) -> FromLauncher {
    match error {
        TakeError::Step(error) => FromLauncher::Unavailable { failed: error.into() },
        TakeError::Directory(error) => FromLauncher::NoDirectory { directory: error.directory, reason: error.reason },
    }
}

/// What the launcher stands in.
struct Stand {
    root: Entered,
    starter: Option<Starter>,
}

/// Enters the sandbox of the launcher itself.
fn start(spec: &LauncherSpec, control: &OwnedFd, filters: &mut Filters) -> Result<Stand, TakeError> {
    // The caller's could leave directories of the new root that nobody may enter.
    let callers = nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    at("expect the ends of workers", sys::signal::expect_children())?;
    let (mut listener, mut starter) = (None, None);
    let mut root = Entered { load_by: spec.load_by.unwrap_or(LoadBy::Procfs), procfs: None };
    if spec.layers().namespaces {
        let trees = jail::directories::take_as_root(&spec.directories)?;
        let interpreter = jail::system::take_as_root(spec.interpreter.as_ref())?;
        jail::spaces::leave_root()?;
        jail::spaces::enter_all()?;
        let mut trees = trees.map_or_else(|| jail::directories::take(&spec.directories), Ok)?;
        // After the directories: where both show a place, it is the system's that is seen.
        trees.extend(jail::system::take(&spec.programs)?);
        trees.extend(interpreter.map_or_else(|| jail::system::take_interpreter(spec.interpreter.as_ref()), Ok)?);
        let network = jail::spaces::Network::prepare()?;
        // A sibling of this process, so that the host stays its parent and can reap it; pid 1 of the new namespace, so
        // that it can mount procfs and its end takes every worker along.
        match at("clone into the pid namespace", clone(libc::CLONE_PARENT))? {
            Cloned::Parent { .. } => {
                network.make();
                exit_now(0)
            }
            Cloned::Child => {}
        }
        // The host started a process group for the starter, whose leader could not do this.
        at("setsid", nix::unistd::setsid().map(drop))?;
        preload(spec)?;
        root = jail::root::enter(spec, &trees)?;
        jail::spaces::rename_host()?;
        // What most workers need is ready before the first is asked for, and while this one would wait anyway.
        filters.insert(Profile::default(), filter::compile(Profile::default()));
        starter = Some(network.enter()?);
        if spec.listens {
            listener = Some(jail::network::listen()?);
        }
    } else {
        preload(spec)?;
        if spec.level == Level::Reduced {
            jail::spaces::leave_root()?;
        }
    }
    // What a plugin makes in the caller's directories is as private as what the caller makes.
    nix::sys::stat::umask(callers);
    let own = at("open a pidfd", sys::process::pidfd_of_self())?;
    let fds: Vec<BorrowedFd<'_>> = [&own].into_iter().chain(&listener).map(OwnedFd::as_fd).collect();
    at("report to the host", say(control, &FromLauncher::Ready { load_by: root.load_by }, &fds))?;
    Ok(Stand { root, starter })
}

/// Loads what plugins may need: before the root goes away, since a native worker's holds no libraries, and before any plugin
/// is near, since their constructors are the system's own.
fn preload(spec: &LauncherSpec) -> Result<(), StepError> {
    let loads_libraries = !spec.programs.are_run() && spec.interpreter.is_none();
    for library in OWN.libraries.iter().filter(|_| loads_libraries) {
        at("preload the system's libraries", sys::dl::preload(library).map_err(io::Error::other))?;
    }
    Ok(())
}

fn say(control: &OwnedFd, message: &FromLauncher, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    sys::fd::send(control.as_fd(), &serde_json::to_vec(message)?, fds)
}

/// A worker that runs.
struct Running {
    pid: i32,
    pidfd: OwnedFd,
    listener: Option<OwnedFd>,
    /// Whether it has yet to be replaced by its interpreter, and how often it tried to start another program since.
    execs: script::Execs,
    refused: Option<Refused>,
    over_cpu: Option<Duration>,
}

/// Each compiled once, when the first worker needs it: a worker only installs it.
type Filters = BTreeMap<Profile, Vec<Instruction>>;

struct Launcher {
    control: OwnedFd,
    common: Common,
    filters: Filters,
    workers: BTreeMap<u32, Running>,
    absence: Absence,
    /// Kept until the first worker is sealed: its end takes as long as the clone that somebody waits for.
    starter: Option<Starter>,
}

/// How long the starter is kept where no worker is asked for.
const STARTER_STAYS: Duration = Duration::from_millis(20);

enum Event {
    Control,
    Ended(u32),
    Notified(u32),
    Unlistened(u32),
    Tick,
}

impl Launcher {
    fn new(control: OwnedFd, stand: Stand, spec: LauncherSpec, filters: Filters) -> Self {
        let Stand { root: Entered { load_by, procfs }, starter } = stand;
        let (layers, scratch) = (spec.layers(), spec.scratch());
        // Without namespaces the workers' network is the machine's own.
        let listens = spec.listens && layers.namespaces;
        let LauncherSpec { directories, programs, interpreter, level, learns, .. } = spec;
        let common = Common { layers, load_by, scratch, directories, programs, interpreter, listens, learns, level };
        Self { control, common, filters, workers: BTreeMap::new(), absence: Absence::new(procfs), starter }
    }

    fn run(mut self) -> i32 {
        loop {
            for event in self.wait() {
                let outcome = match event {
                    Event::Control => match self.obey() {
                        Ok(true) => Ok(()),
                        Ok(false) => return 0,
                        Err(error) => Err(error),
                    },
                    Event::Ended(worker) => self.reap(worker),
                    Event::Notified(worker) => {
                        self.refuse(worker);
                        Ok(())
                    }
                    Event::Unlistened(worker) => {
                        // Closed: it would be ready again and again, until the kernel has taken the worker apart.
                        self.workers.entry(worker).and_modify(|running| running.listener = None);
                        Ok(())
                    }
                    Event::Tick => {
                        self.starter = None;
                        self.look();
                        Ok(())
                    }
                };
                // The only way any of this fails for good is a host that is gone.
                if outcome.is_err() {
                    return 1;
                }
            }
        }
    }

    fn wait(&self) -> Vec<Event> {
        let mut fds = vec![PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        let mut meanings = vec![Event::Control];
        for (&worker, running) in &self.workers {
            // The listener first: a refused call must be known before the end that it causes is reported.
            if let Some(listener) = &running.listener {
                fds.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
                meanings.push(Event::Notified(worker));
            }
            fds.push(PollFd::new(running.pidfd.as_fd(), PollFlags::POLLIN));
            meanings.push(Event::Ended(worker));
        }
        let timeout = match (&self.starter, self.workers.is_empty()) {
            (Some(_), _) => timeout(STARTER_STAYS),
            (None, false) => timeout(Absence::TICK),
            (None, true) => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Ok(0) => return vec![Event::Tick],
            Ok(_) => {}
            Err(_) => return Vec::new(),
        }
        let happened: Vec<PollFlags> = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        meanings
            .into_iter()
            .zip(happened)
            .filter(|(_, flags)| !flags.is_empty())
            .map(|(meaning, flags)| match meaning {
                // No notification, but a hang-up: its worker is on its way out.
                Event::Notified(worker) if !flags.contains(PollFlags::POLLIN) => Event::Unlistened(worker),
                other => other,
            })
            .collect()
    }

    /// One order of the host; `false` when it is gone.
    fn obey(&mut self) -> io::Result<bool> {
        let (body, fds) = sys::fd::receive(self.control.as_fd(), CONTROL_MAX)?;
        if body.is_empty() {
            return Ok(false);
        }
        self.absence.end();
        let (worker, spec, doors, is_ahead) = match serde_json::from_slice(&body)? {
            ToLauncher::Spawn { worker, spec, doors, is_ahead } => (worker, spec, doors, is_ahead),
            ToLauncher::Awake { cpu_ms } => {
                self.absence.allow(Duration::from_millis(cpu_ms));
                return Ok(true);
            }
        };
        let message = match self.spawn(spec, (fds, doors), is_ahead) {
            Ok((mut running, is_grouped)) => {
                // The host answers the calls that it records, and those that end the worker with them.
                let recorded = running.listener.take_if(|_| self.common.learns);
                let fds: Vec<_> = [&running.pidfd].into_iter().chain(&recorded).map(OwnedFd::as_fd).collect();
                say(&self.control, &FromLauncher::Spawned { worker, is_grouped }, &fds)?;
                self.workers.insert(worker, running);
                self.starter = None;
                return Ok(true);
            }
            Err(failed) => FromLauncher::NotSpawned { worker, failed },
        };
        say(&self.control, &message, &[])?;
        Ok(true)
    }

    /// The worker, and whether it is in its group, through whose doors the last descriptors lead.
    fn spawn(
        &mut self,
        spec: WorkerSpec,
        (mut fds, doors): (Vec<OwnedFd>, usize),
        is_ahead: bool,
    ) -> Result<(Running, bool), FailedStep> {
        if fds.len() != numbers_of(&spec).len() + doors {
            at("take the worker's descriptors", Err(io::Error::other("wrong number")))?;
        }
        let doors = fds.split_off(fds.len() - doors);
        let given = Given { fds, doors, is_ahead };
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (ear, mouth) = at("make the worker's report socket", pair)?;
        let mut flags = 0;
        if self.common.layers.namespaces {
            flags |= libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
        }
        let profile = Profile::of(&spec, &self.common);
        let program = self.filters.entry(profile).or_insert_with(|| filter::compile(profile));
        match at("clone the worker", clone(flags))? {
            Cloned::Child => become_worker(spec, &self.common, program, given, mouth),
            Cloned::Parent { pid, pidfd } => {
                drop((given, mouth));
                let (listener, is_grouped) = await_seal(&pidfd, &ear).inspect_err(|_| {
                    sys::process::kill(pidfd.as_fd());
                    let _ = sys::process::reap(pid);
                })?;
                let execs = script::Execs::of(self.common.interpreter.as_ref());
                Ok((Running { pid, pidfd, listener, execs, refused: None, over_cpu: None }, is_grouped))
            }
        }
    }

    fn refuse(&mut self, worker: u32) {
        let Some(running) = self.workers.get_mut(&worker) else { return };
        let Some(listener) = running.listener.take() else { return };
        if let Ok(call) = sys::seccomp::receive(listener.as_fd()) {
            if running.execs.answer(&listener, &call) {
                running.listener = Some(listener);
                return;
            }
            let name = filter::call_name(call.number);
            running.refused = Some(Refused { name, number: call.number, args: call.args });
        }
        // Killed before the listener closes: a closed listener would let the call fail and the plugin go on.
        sys::process::kill(running.pidfd.as_fd());
    }

    /// Nothing happened for a while: the host may be stopped.
    fn look(&mut self) {
        for (&worker, running) in &mut self.workers {
            if let Some(limit) = self.absence.look(worker, running.pid) {
                running.over_cpu = Some(limit);
                sys::process::kill(running.pidfd.as_fd());
            }
        }
    }

    fn reap(&mut self, worker: u32) -> io::Result<()> {
        let Some(running) = self.workers.remove(&worker) else { return Ok(()) };
        let reaped = sys::process::reap(running.pid)?;
        let ended = Ended {
            exit: reaped.exit,
            signal: reaped.signal,
            refused: running.refused,
            over_cpu_ms: running.over_cpu.and_then(|limit| u64::try_from(limit.as_millis()).ok()),
            max_rss_kib: reaped.max_rss_kib,
            cpu_us: reaped.cpu_us,
        };
        say(&self.control, &FromLauncher::Ended { worker, ended }, &[])
    }
}

/// What a worker gets from the host: its descriptors in the order of their numbers, and the doors of its control group;
/// and whether nobody waits for it.
struct Given {
    fds: Vec<OwnedFd>,
    doors: Vec<OwnedFd>,
    is_ahead: bool,
}

/// Enters a control group, if there is one: `0` is the process that writes (cgroups(7)).
fn join(doors: &[OwnedFd]) -> bool {
    !doors.is_empty() && doors.iter().all(|door| nix::unistd::write(door, b"0").is_ok())
}

/// The clone's side: descriptors to their numbers, everything else closed, sealed, served. Never returns.
fn become_worker(
    mut spec: WorkerSpec,
    common: &Common,
    program: &[Instruction],
    Given { fds, doors, is_ahead }: Given,
    mouth: OwnedFd,
) -> ! {
    // First: what it uses from here on is counted.
    let is_grouped = join(&doors);
    drop(doors);
    if is_grouped {
        // The group's own count comes first, since only it tells that something was refused.
        spec.rlimits.threads += 1;
    }
    let outcome = arrange(&spec, fds, mouth).and_then(|report| {
        let tell = |message: &Report| at("report to the launcher", send_report(&report, message));
        match jail::seal(&spec, common, program) {
            Ok(mut sealing) => {
                let listener = sealing.listener.as_ref().map(std::os::fd::AsRawFd::as_raw_fd);
                tell(&Report::Sealed { listener, is_grouped })?;
                sealing.launcher = Some(report);
                Ok(sealing)
            }
            Err(error) => {
                tell(&Report::Failed(error.into()))?;
                exit_now(71);
            }
        }
    });
    match outcome {
        Ok(sealing) if common.is_kept() => exit_now(program::main(sealing)),
        Ok(sealing) if common.interpreter.is_some() => exit_now(script::main(sealing)),
        Ok(sealing) => exit_now(serve::main(sealing, common.load_by, is_ahead)),
        Err(_) => exit_now(71),
    }
}

/// How long a worker may take to seal itself. It runs no plugin code in that time; this only bounds a stuck kernel.
const SEAL_DEADLINE: Duration = Duration::from_secs(10);

/// Rounded up: a time that has passed almost is not looked at again and again.
fn timeout(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
}

/// Waits for the worker's filter and fetches its listener; says also whether the worker is in its group.
fn await_seal(pidfd: &OwnedFd, ear: &OwnedFd) -> Result<(Option<OwnedFd>, bool), FailedStep> {
    let wait = "wait for the seal";
    let mut fds = [PollFd::new(ear.as_fd(), PollFlags::POLLIN)];
    if at(wait, poll(&mut fds, timeout(SEAL_DEADLINE)))? == 0 {
        at(wait, Err(io::Error::other("the worker did not answer")))?;
    }
    let (body, _) = at(wait, sys::fd::receive(ear.as_fd(), CONTROL_MAX))?;
    if body.is_empty() {
        at(wait, Err(io::Error::other("the worker died")))?;
    }
    match at(wait, serde_json::from_slice(&body))? {
        Report::Failed(failed) => Err(failed),
        Report::Sealed { listener, is_grouped } => {
            let fetched = listener.map(|number| sys::process::getfd(pidfd.as_fd(), number)).transpose();
            let listener = at("fetch the filter's listener", fetched)?;
            at("release the worker", sys::fd::send(ear.as_fd(), b"go", &[]))?;
            Ok((listener, is_grouped))
        }
    }
}

fn send_report(report: &OwnedFd, message: &Report) -> io::Result<()> {
    // write(2), since the filter that now stands allows no sendmsg(2).
    nix::unistd::write(report, &serde_json::to_vec(message)?)?;
    Ok(())
}

/// The numbers of a worker's descriptors, in the order of [`ToLauncher::Spawn`].
fn numbers_of(spec: &WorkerSpec) -> Vec<RawFd> {
    let mut all = vec![numbers::CODE, numbers::REQUESTS, numbers::REPLIES, 1, 2];
    all.extend(spec.receives_descriptors.then_some(numbers::PASSED));
    all.extend(spec.reads_input.then_some(0));
    all
}

/// Puts each descriptor under its number and closes everything else.
fn arrange(spec: &WorkerSpec, fds: Vec<OwnedFd>, mouth: OwnedFd) -> Result<OwnedFd, StepError> {
    let first_free = if spec.receives_descriptors { numbers::PASSED + 1 } else { numbers::REPORT + 1 };
    // All out of the way before the first is placed: a source may stand where another's target is.
    let wanted: Vec<_> = fds.into_iter().zip(numbers_of(spec)).chain([(mouth, numbers::REPORT)]).collect();
    let lifted: Vec<_> =
        wanted.into_iter().map(|(fd, number)| (sys::fd::lift(&fd, numbers::LAUNCHER), number)).collect();
    for (fd, number) in lifted {
        let fd = at("arrange descriptors", fd)?;
        at("arrange descriptors", sys::fd::place(fd.as_fd(), number))?;
    }
    at("close other descriptors", sys::fd::close_range(first_free.cast_unsigned(), u32::MAX))?;
    at("arrange descriptors", sys::fd::take_inherited(numbers::REPORT))
}

//! The control socket of a launcher: orders out, answers and ends in, each put where whoever waits for it finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::SandboxError;
use crate::sys;
use crate::wire::{CONTROL_MAX, Ended, FromLauncher, LoadBy, ToLauncher, WorkerSpec};

/// How long the launcher may take to answer. It waits for nothing; this only bounds a stuck kernel.
const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// The same for what nobody needs any more.
pub(super) const LAST_DEADLINE: Duration = Duration::from_secs(2);

/// The process that was started. It ends when the launcher proper has made a worker, or had no order for 20 ms, which is not
/// waited for: the attendant collects it. Where there are no namespaces, it is the launcher itself.
pub(super) type Starter = Arc<Mutex<Option<Child>>>;

/// The host's end of the control socket.
pub(super) struct Control {
    socket: OwnedFd,
    starter: Starter,
    pub(super) ready: Option<Ready>,
    next: u32,
    /// Whether the whole program ends now.
    pub(super) left: bool,
    /// Whether the launcher was ended.
    is_over: bool,
    /// How long an answer may take.
    patience: Duration,
    /// Workers that were ordered, with the answers that were read while something else was waited for.
    ordered: BTreeMap<u32, Option<Result<Spawned, SandboxError>>>,
    /// Ends of workers that were read while something else was waited for.
    ended: BTreeMap<u32, Ended>,
    /// Workers that nobody will ask about any more.
    abandoned: BTreeSet<u32>,
    /// What went wrong while nobody waited for anything.
    unheard: Option<SandboxError>,
}

/// A launcher that is up.
pub(super) struct Ready {
    pub(super) load_by: LoadBy,
    pidfd: OwnedFd,
    pub(super) listener: Option<TcpListener>,
}

/// A worker that runs.
pub(super) struct Spawned {
    pub(super) pidfd: OwnedFd,
    pub(super) listener: Option<OwnedFd>,
    pub(super) is_grouped: bool,
}

impl Control {
    pub(super) fn new(socket: OwnedFd, starter: Starter) -> Self {
        Self {
            socket,
            starter,
            ready: None,
            next: 1,
            left: false,
            is_over: false,
            patience: ANSWER_DEADLINE,
            ordered: BTreeMap::new(),
            ended: BTreeMap::new(),
            abandoned: BTreeSet::new(),
            unheard: None,
        }
    }

    pub(super) fn await_ready(&mut self) -> Result<LoadBy, SandboxError> {
        while self.ready.is_none() {
            self.hear()?;
        }
        self.ready.as_ref().map(|ready| ready.load_by).ok_or_else(|| SandboxError::LauncherGone("no answer".to_owned()))
    }

    /// `fds` as for [`ToLauncher::Spawn`], the last `doors` of them those of its group. The value is the worker's number.
    pub(super) fn order(
        &mut self,
        spec: &WorkerSpec,
        is_ahead: bool,
        fds: &[BorrowedFd<'_>],
        doors: usize,
    ) -> Result<u32, SandboxError> {
        let worker = self.next;
        self.next += 1;
        let order = serde_json::to_vec(&ToLauncher::Spawn { worker, spec: *spec, doors, is_ahead })
            .map_err(|error| SandboxError::Control(error.into()))?;
        if is_ahead {
            // Nobody needs it: whoever sends it waits for nothing.
            sys::fd::send_at_once(self.socket.as_fd(), &order, fds).map_err(SandboxError::Control)?;
        } else if let Err(error) = sys::fd::send(self.socket.as_fd(), &order, fds) {
            // A launcher that is not up yet finds the order waiting. One that is gone may have said why it ends.
            self.await_ready()?;
            return Err(SandboxError::LauncherGone(error.to_string()));
        }
        self.ordered.insert(worker, None);
        Ok(worker)
    }

    /// Does something during which an answer may take no longer than this.
    pub(super) fn patiently<T>(&mut self, patience: Duration, work: impl FnOnce(&mut Self) -> T) -> T {
        let usual = std::mem::replace(&mut self.patience, patience);
        let done = work(self);
        self.patience = usual;
        done
    }

    /// Waits for a worker that was ordered.
    pub(super) fn await_spawned(&mut self, worker: u32) -> Result<Spawned, SandboxError> {
        loop {
            if let Some(answer) = self.ordered.get_mut(&worker).and_then(Option::take) {
                self.ordered.remove(&worker);
                return answer;
            }
            self.hear().inspect_err(|_| drop(self.ordered.remove(&worker)))?;
        }
    }

    /// Waits for the report of a worker's end.
    pub(super) fn await_end(&mut self, worker: u32) -> Result<Ended, SandboxError> {
        loop {
            if let Some(ended) = self.ended.remove(&worker) {
                return Ok(ended);
            }
            self.hear()?;
        }
    }

    /// Whether a worker that was ordered, and is not waited for yet, has come to nothing, as far as was heard.
    pub(super) fn has_failed(&self, worker: u32) -> bool {
        match self.ordered.get(&worker) {
            Some(Some(Ok(spawned))) => self.ended.contains_key(&worker) || has_ended(&spawned.pidfd),
            Some(None) => false,
            Some(Some(Err(_))) | None => true,
        }
    }

    /// Ends a worker that was ordered, now or as soon as it is there, and waits for nothing.
    pub(super) fn abandon(&mut self, worker: u32) {
        match self.ordered.remove(&worker) {
            Some(Some(Err(SandboxError::NotSealed(_)))) => return,
            Some(Some(Ok(spawned))) => sys::process::kill(spawned.pidfd.as_fd()),
            // Its answer was lost, or is yet to come.
            Some(Some(Err(_)) | None) | None => {}
        }
        if self.ended.remove(&worker).is_none() {
            self.abandoned.insert(worker);
        }
    }

    /// Reads what is there, and waits for nothing.
    pub(super) fn hear_waiting(&mut self) {
        while self.unheard.is_none() && is_readable(self.socket.as_fd(), PollTimeout::ZERO).is_ok_and(|is| is) {
            match self.receive() {
                Ok((body, fds)) => self.unheard = self.take(&body, fds).err(),
                // The descriptors of an answer did not fit: whoever waits for that answer was told.
                Err(_) if self.ready.is_some() => return,
                Err(error) => self.unheard = Some(lost(&error)),
            }
        }
    }

    /// Whether nothing more will be heard: the launcher could not be built, or is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.is_over || self.unheard.is_some()
    }

    /// A message was lost, which may have been the answer to any order.
    fn lose(&mut self, error: &io::Error) {
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
        if let Some(error) = self.unheard.take() {
            return Err(error);
        }
        let timeout = PollTimeout::try_from(self.patience).unwrap_or(PollTimeout::MAX);
        if !is_readable(self.socket.as_fd(), timeout)? {
            return Err(SandboxError::LauncherGone("it did not answer in time".to_owned()));
        }
        let (body, fds) = self.receive().map_err(|error| lost(&error))?;
        self.take(&body, fds)
    }

    fn receive(&mut self) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
        sys::fd::receive(self.socket.as_fd(), CONTROL_MAX).inspect_err(|error| self.lose(error))
    }

    fn take(&mut self, body: &[u8], mut fds: Vec<OwnedFd>) -> Result<(), SandboxError> {
        if body.is_empty() {
            return Err(SandboxError::LauncherGone("its control channel closed".to_owned()));
        }
        let gone = || SandboxError::LauncherGone("a message came without its descriptor".to_owned());
        match serde_json::from_slice(body).map_err(|error| lost(&error.into()))? {
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
                self.abandoned.remove(&worker);
                self.answer(worker, Err(SandboxError::NotSealed(failed)));
            }
            FromLauncher::Ended { worker, ended } => {
                if !self.abandoned.remove(&worker) {
                    self.ended.insert(worker, ended);
                }
            }
        }
        Ok(())
    }

    /// Ends the launcher, and every worker with it.
    pub(super) fn end(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
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

impl Drop for Control {
    fn drop(&mut self) {
        self.end();
    }
}

fn lost(error: &io::Error) -> SandboxError {
    SandboxError::LauncherGone(error.to_string())
}

fn is_readable(fd: BorrowedFd<'_>, timeout: PollTimeout) -> Result<bool, SandboxError> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, timeout) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(|ready| ready > 0).map_err(|error| SandboxError::Control(error.into())),
        }
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    is_readable(pidfd.as_fd(), PollTimeout::ZERO).is_ok_and(|is| is)
}

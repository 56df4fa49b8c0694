//! Orders of workers: what each is given, who waits for it, and the spare one that is ordered before anybody asks.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::Resource;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::pipe2;

use super::cgroup::{Group, Groups};
use super::control::Control;
use super::error::SandboxError;
use super::spare::{Spare, Spares};
use super::worker::Channel;
use crate::sys::fd::Identity;
use crate::sys::memory::Room;
use crate::sys::ulimit;
use crate::wire::{FrameReader, Layers, Rlimits, WorkerSpec};

/// Room of a request pipe, in bytes (pipe(7)).
const REQUEST_PIPE: i32 = 256 * 1024;

/// A worker that was asked for.
pub(super) struct Order {
    /// What was asked for.
    pub(super) asked: WorkerSpec,
    /// What is left of it within this process's own limits.
    pub(super) held: WorkerSpec,
    /// The file that it was given as its code.
    pub(super) code: Identity,
    pub(super) number: u32,
    pub(super) ends: Ends,
}

/// The host's ends of what a worker that was ordered is given.
pub(super) struct Ends {
    pub(super) channel: Channel,
    pub(super) out: File,
    pub(super) err: File,
    pub(super) group: Option<Group>,
}

/// What a launcher's handle and its attendant share.
pub(super) struct Orders {
    layers: Layers,
    control: Mutex<Control>,
    spares: Mutex<Spares>,
    groups: Arc<Groups>,
    /// Bytes of the last worker's code: as many are expected of the next one's.
    usual: Arc<AtomicU64>,
}

impl Orders {
    pub(super) fn new(layers: Layers, control: Control, spares: Spares, groups: Arc<Groups>) -> Self {
        Self { layers, control: Mutex::new(control), spares: Mutex::new(spares), groups, usual: Arc::default() }
    }

    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing where somebody waits for an answer.
    fn free_control(&self) -> Option<MutexGuard<'_, Control>> {
        match self.control.try_lock() {
            Ok(control) => Some(control),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Held for moments only, and never while the control socket is waited for.
    fn spares(&self) -> MutexGuard<'_, Spares> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a worker that somebody needs.
    pub(super) fn place(
        &self,
        spec: &WorkerSpec,
        code: BorrowedFd<'_>,
        input: Option<&OwnedFd>,
    ) -> Result<Order, SandboxError> {
        self.spares().hold();
        // Room that is empty as yet says nothing; it is told when it is filled.
        if let Some(code_size) =
            fstat(code).ok().and_then(|found| u64::try_from(found.st_size).ok()).filter(|&size| size > 0)
        {
            self.usual.store(code_size, Ordering::Relaxed);
        }
        let order = || self.order(spec, code, input, |held, fds, doors| self.control().order(held, false, fds, doors));
        match order() {
            // What is held for later gives way to what is needed now.
            Err(error) if lacks_descriptors(&error) && self.let_go() => order(),
            placed => placed,
        }
    }

    /// `send` gives the order to the launcher; nothing is held by this before.
    fn order(
        &self,
        spec: &WorkerSpec,
        code: BorrowedFd<'_>,
        input: Option<&OwnedFd>,
        send: impl FnOnce(&WorkerSpec, &[BorrowedFd<'_>], usize) -> Result<u32, SandboxError>,
    ) -> Result<Order, SandboxError> {
        let identity = Identity::of(code).map_err(SandboxError::Control)?;
        let held = WorkerSpec { reads_input: input.is_some(), rlimits: held(spec.rlimits), ..*spec };
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
        let passing = if held.receives_descriptors { Some(passing_pair()?) } else { None };
        fds.extend(passing.as_ref().map(|(_, theirs)| theirs.as_fd()));
        fds.extend(input.map(OwnedFd::as_fd));
        let group = if self.layers.rlimits { self.groups.take(&held.rlimits) } else { None };
        let doors: Vec<_> = group.iter().flat_map(Group::doors).collect();
        fds.extend(&doors);
        let number = send(&held, &fds, doors.len())?;
        let passing = passing.map(|(ours, _)| ours);
        let channel =
            Channel { requests: File::from(requests), replies: FrameReader::new(File::from(replies)), passing };
        let ends = Ends { channel, out: File::from(out), err: File::from(err), group };
        Ok(Order { asked: *spec, held, code: identity, number, ends })
    }

    /// Room for the code of a worker that is ordered before it is read.
    pub(super) fn room(&self) -> io::Result<Room> {
        Room::new().map(|room| room.tell(&self.usual))
    }

    /// The spare one, and the room for its code, if there is one of this kind.
    pub(super) fn take_spare(&self, spec: &WorkerSpec) -> Option<(Order, Room)> {
        let Spare { order, room } = self.spares().take(spec)?;
        let mut control = self.control();
        control.hear_waiting();
        if control.has_failed(order.number) {
            control.abandon(order.number);
            drop(control);
            self.spares().fail();
            return None;
        }
        Some((order, room))
    }

    /// A worker was started, and the next one will be like it.
    pub(super) fn expect(&self, spec: &WorkerSpec) {
        self.spares().expect(spec);
    }

    /// Orders a spare worker, if it is time to; the value is how long until then. Waits for nobody: deadlines are looked at
    /// by whoever calls this.
    pub(super) fn prepare(&self) -> Option<Duration> {
        if let Some(spec) = self.wanted() {
            self.order_spare(&spec);
            // It has taken the group that was ready: one for the next worker that is needed, of whichever kind.
            self.groups.prepare();
        }
        self.spares().wait()
    }

    /// Looks after the spare worker, and says what the one is to be like that is to be ordered now.
    fn wanted(&self) -> Option<WorkerSpec> {
        let mut spares = self.spares();
        if spares.is_idle() {
            return None;
        }
        let Some(mut control) = self.free_control() else {
            spares.put_off();
            return None;
        };
        control.hear_waiting();
        if control.is_gone() {
            spares.give_up();
            return None;
        }
        if let Some(spare) = spares.take_if(|spare| control.has_failed(spare.order.number)) {
            control.abandon(spare.order.number);
            spares.fail();
        }
        let spec = spares.due(Instant::now())?;
        match &control.ready {
            None => {
                spares.postpone();
                return None;
            }
            // Such a worker looks at its code before it is sealed.
            Some(ready) if !spares.fit(ready.load_by) => {
                spares.give_up();
                return None;
            }
            Some(_) => {}
        }
        if let Some(unlike) = spares.take_if(|spare| spare.order.asked != spec) {
            control.abandon(unlike.order.number);
        }
        (!spares.is_ready()).then_some(spec)
    }

    fn order_spare(&self, spec: &WorkerSpec) {
        let (mut spares, mut is_free) = (None, true);
        let usual = self.usual.load(Ordering::Relaxed);
        let spare = self.room().map(|room| room.lay_out(usual)).map_err(SandboxError::Code).and_then(|room| {
            let order = self.order(spec, room.as_fd(), None, |held, fds, doors| {
                // From the order on whoever looks for the spare one finds it.
                spares = Some(self.spares());
                let control = self.free_control();
                is_free = control.is_some();
                let busy = || SandboxError::LauncherGone("it is asked for something else".to_owned());
                control.ok_or_else(busy)?.order(held, true, fds, doors)
            })?;
            Ok(Spare { order, room })
        });
        let mut spares = spares.unwrap_or_else(|| self.spares());
        match spare {
            Ok(spare) => drop(spares.keep(spare)),
            Err(_) if !is_free => spares.postpone(),
            Err(_) => spares.fail(),
        }
    }

    /// Ends the spare worker, if there is one.
    fn let_go(&self) -> bool {
        let spare = self.spares().take_if(|_| true);
        if let Some(Spare { order, .. }) = &spare {
            self.control().abandon(order.number);
        }
        spare.is_some()
    }

    /// The whole program ends soon: no more are made, and the spare one is killed. Its group can be removed later.
    pub(super) fn leave(&self) {
        let spare = {
            let mut spares = self.spares();
            spares.give_up();
            spares.number()
        };
        let mut control = self.control();
        control.left = true;
        control.hear_waiting();
        if let Some(number) = spare {
            control.abandon(number);
        }
    }

    /// Ends the launcher, and every worker with it.
    pub(super) fn end(&self) {
        self.spares().give_up();
        self.control().end();
        // After the process, which stood in its group.
        drop(self.spares().take_if(|_| true));
    }
}

/// Whether this process may not have another descriptor.
fn lacks_descriptors(error: &SandboxError) -> bool {
    matches!(error, SandboxError::Control(error) if error.raw_os_error() == Some(libc::EMFILE))
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

//! Namespaces and user ids: the launcher's own, and the user namespace of each worker (namespaces(7)).

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Gid, Uid, getgid, getuid, pipe2, read, setgroups, setresgid, setresuid, write};

use super::{StepError, at};
use crate::sys;
use crate::sys::process::{Cloned, clone, exit_now, reap};

/// Ids that systemd's table of user ids leaves for such uses; 65534 is shared with other daemons.
const FIRST_ID: u32 = 61184;
const IDS: u32 = 65519 - FIRST_ID + 1;

/// Leaves user id 0 before the user namespace: RLIMIT_NPROC is not counted for the children of id 0, even where they are
/// mapped to another id.
///
/// # Errors
/// The ids could not be changed although this is the initial user namespace.
pub(in crate::worker) fn leave_root() -> Result<(), StepError> {
    if getuid().is_root() {
        let id = id_without_rights();
        let outcome = setgroups(&[])
            .and_then(|()| setresgid(Gid::from_raw(id), Gid::from_raw(id), Gid::from_raw(id)))
            .and_then(|()| setresuid(Uid::from_raw(id), Uid::from_raw(id), Uid::from_raw(id)));
        // In a nested user namespace id 0 stands for an ordinary user outside, and other ids may not exist.
        if outcome.is_err() && is_initial_namespace() {
            at("drop user id 0", outcome)?;
        }
    }
    // The change of ids took it away; without it the id maps cannot be written.
    at("become dumpable", sys::privileges::set_dumpable(true))
}

/// The id that root's workers have on this machine.
fn id_without_rights() -> u32 {
    FIRST_ID + std::process::id() % IDS
}

/// Whether this is root itself, who may show a directory with other owners than it has. Root of a container or of a
/// nested namespace is not.
pub(super) fn may_map_ids() -> bool {
    getuid().is_root() && is_initial_namespace() && sys::privileges::may_administer()
}

/// A user namespace for a mount on which root's files belong to the workers, and what a worker makes belongs to root on
/// the disk. Everybody else's stay theirs: a worker reaches what root would reach without its privileges. The worker's own
/// id is left out, since two owners cannot become one.
///
/// # Errors
/// The kernel or its configuration forbids it.
pub(super) fn id_map() -> Result<OwnedFd, StepError> {
    let (theirs, ours) = at("make a pipe", pipe2(OFlag::O_CLOEXEC))?;
    match at("clone into a namespace for an id map", clone(libc::CLONE_NEWUSER))? {
        Cloned::Child => {
            drop(ours);
            // Until the namespace is held by others, or nobody is left to hold it.
            let _ = read(&theirs, &mut [0]);
            exit_now(0)
        }
        Cloned::Parent { pid, .. } => {
            let space = write_id_map(pid);
            drop(ours);
            at("collect the namespace's process", reap(pid))?;
            space
        }
    }
}

fn write_id_map(pid: i32) -> Result<OwnedFd, StepError> {
    let id = id_without_rights();
    let map = format!("0 {id} 1\n1 1 {}\n{} {} {}\n", id - 1, id + 1, id + 1, u32::MAX - id - 1);
    for file in ["uid_map", "gid_map"] {
        at("write an id map", fs::write(format!("/proc/{pid}/{file}"), &map))?;
    }
    at("open a namespace", File::open(format!("/proc/{pid}/ns/user"))).map(OwnedFd::from)
}

fn is_initial_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Enters new namespaces of every kind but the network's and maps the own ids to themselves.
///
/// # Errors
/// The kernel or its configuration forbids it.
pub(in crate::worker) fn enter_all() -> Result<(), StepError> {
    let (uid, gid) = (getuid(), getgid());
    at(
        "unshare namespaces",
        unshare(
            CloneFlags::CLONE_NEWUSER
                | CloneFlags::CLONE_NEWNS
                | CloneFlags::CLONE_NEWIPC
                | CloneFlags::CLONE_NEWUTS
                | CloneFlags::CLONE_NEWCGROUP
                | CloneFlags::CLONE_NEWPID,
        ),
    )?;
    // Without this the kernel refuses the map of groups to a process without privileges (user_namespaces(7)).
    at("deny setgroups", fs::write("/proc/self/setgroups", "deny"))?;
    at("write uid_map", fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")))?;
    at("write gid_map", fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")))
}

/// A network namespace takes as long to make as all the others and the root together. So the process that has started the
/// launcher makes it, while the launcher builds its root.
pub(in crate::worker) struct Network {
    starter: OwnedFd,
    theirs: OwnedFd,
    ours: OwnedFd,
}

impl Network {
    /// Called by the starter, before it clones the launcher.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(in crate::worker) fn prepare() -> Result<Self, StepError> {
        let starter = at("open a pidfd", sys::process::pidfd_of_self())?;
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (theirs, ours) = at("make a pipe", pair)?;
        Ok(Self { starter, theirs, ours })
    }

    /// The starter's side: makes the namespace, and keeps it until the launcher lets go of its [`Starter`].
    pub(in crate::worker) fn make(self) {
        drop(self.ours);
        let errno = unshare(CloneFlags::CLONE_NEWNET).err().map_or(0, |errno| errno as i32);
        if write(&self.theirs, &errno.to_ne_bytes()).is_ok() {
            let _ = read(&self.theirs, &mut [0]);
        }
    }

    /// The launcher's side: waits for the namespace and enters it.
    ///
    /// # Errors
    /// The kernel or its configuration forbids it.
    pub(in crate::worker) fn enter(self) -> Result<Starter, StepError> {
        drop(self.theirs);
        let mut errno = [0; 4];
        let made = match read(&self.ours, &mut errno) {
            Ok(4) => match i32::from_ne_bytes(errno) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            },
            Ok(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Err(errno) => Err(errno.into()),
        };
        at("unshare namespaces", made)?;
        at("enter the network namespace", setns(&self.starter, CloneFlags::CLONE_NEWNET).map_err(io::Error::from))?;
        Ok(Starter { _lives: self.ours })
    }
}

/// Keeps the starter, whose end takes processor time that whoever waits for the launcher would wait for as well.
pub(in crate::worker) struct Starter {
    _lives: OwnedFd,
}

/// Gives the machine another name: uname(2) would tell a plugin the real one.
///
/// # Errors
/// As sethostname(2).
pub(in crate::worker) fn rename_host() -> Result<(), StepError> {
    at("name the machine", nix::unistd::sethostname("sandbox").map_err(io::Error::from))
}

/// A user namespace without maps, for one worker.
///
/// # Errors
/// The kernel or its configuration forbids nested user namespaces.
pub(super) fn own_user_namespace() -> Result<(), StepError> {
    at("unshare the worker's user namespace", unshare(CloneFlags::CLONE_NEWUSER).map_err(io::Error::from))
}

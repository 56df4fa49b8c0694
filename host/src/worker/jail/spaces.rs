//! Namespaces and user ids: the launcher's own, and the user namespace of each worker (namespaces(7)).

use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getgid, getuid, setgroups, setresgid, setresuid};

use super::{StepError, at};
use crate::sys;

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
        let id = FIRST_ID + std::process::id() % IDS;
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

fn is_initial_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Enters new namespaces of every kind and maps the own ids to themselves.
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
                | CloneFlags::CLONE_NEWNET
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

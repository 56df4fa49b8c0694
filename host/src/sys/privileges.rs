//! Capabilities and process attributes (capabilities(7), prctl(2)).

use std::io;

use super::{checked, done};

/// The highest capability that any kernel of today has; higher numbers answer EINVAL and end the loop.
const LAST_CAPABILITY: libc::c_ulong = 63;

const CAP_SYS_ADMIN: u32 = 21;

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Empties all five capability sets and locks the secure bits, so that no exec can bring one back.
///
/// # Errors
/// The kernel refused; the caller must not go on.
pub(crate) fn drop_all_capabilities() -> io::Result<()> {
    // NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock; KEEP_CAPS only locked.
    let bits: libc::c_ulong = 0b1110_1111;
    prctl(libc::PR_SET_SECUREBITS, bits)?;
    for capability in 0..=LAST_CAPABILITY {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            other => other?,
        }
    }
    drop_held_capabilities()
}

/// Empties the capability sets that a process may empty without holding any. The bounding set, which is left, is no way
/// to a capability for whom no exec grants one.
///
/// # Errors
/// The kernel refused; the caller must not go on.
pub(crate) fn drop_held_capabilities() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong)?;
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let data = [CapData::default(); 2];
    // SAFETY: capset(2) version 3 reads one header and two data records through valid pointers.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
}

fn capabilities() -> io::Result<[CapData; 2]> {
    let mut header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: capget(2) version 3 reads one header and writes two data records through valid pointers.
    done(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    Ok(data)
}

/// Whether this process holds CAP_SYS_ADMIN, which mounts and user namespaces for them need.
pub(crate) fn may_administer() -> bool {
    capabilities().is_ok_and(|sets| sets[0].effective & 1 << CAP_SYS_ADMIN != 0)
}

/// Whether every capability set that can be asked about is empty.
///
/// # Errors
/// The kernel refused the question.
pub(crate) fn has_no_capabilities() -> io::Result<bool> {
    Ok(capabilities()?.iter().all(|set| set.effective == 0 && set.permitted == 0 && set.inheritable == 0))
}

/// No exec grants anything any more; needed for Landlock and seccomp without privileges.
///
/// # Errors
/// As prctl(2).
pub(crate) fn set_no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Whether other processes of the same user may look into this one, and whether it leaves a core.
///
/// # Errors
/// As prctl(2).
pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into())
}

/// Ends this process with SIGKILL when the thread that made it ends.
///
/// # Errors
/// As prctl(2).
pub(crate) fn die_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
}

/// What prctl(2) says of this process: no new privileges, seccomp mode, dumpable.
///
/// # Errors
/// As prctl(2).
pub(crate) fn attributes() -> io::Result<(i64, i64, i64)> {
    let get = |option| {
        // SAFETY: these options take no pointers.
        checked(unsafe { libc::prctl(option, 0, 0, 0, 0) }.into())
    };
    Ok((get(libc::PR_GET_NO_NEW_PRIVS)?, get(libc::PR_GET_SECCOMP)?, get(libc::PR_GET_DUMPABLE)?))
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used in this file take integers only; unused arguments must be zero.
    done(unsafe { libc::prctl(option, value, 0, 0, 0) }.into())
}

//! Resource limits (setrlimit(2)). A limit that cannot be set stops the start.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{StepError, at};
use crate::wire::{Level, WorkerSpec};

/// Descriptors that the protocol itself uses, the lowest free number included; the socket that others come over is one
/// more.
const OWN_DESCRIPTORS: u64 = 6;

/// Sets every limit, soft and hard alike; one that the caller already holds lower stays so, since nobody may raise it.
///
/// # Errors
/// The kernel refused one.
pub(super) fn apply(spec: &WorkerSpec, level: Level) -> Result<(), StepError> {
    let limits = &spec.rlimits;
    let own = OWN_DESCRIPTORS + u64::from(spec.receives_descriptors);
    let table = [
        ("limit data", Resource::RLIMIT_DATA, limits.data),
        ("limit address space", Resource::RLIMIT_AS, limits.address_space),
        ("limit stack", Resource::RLIMIT_STACK, limits.stack),
        ("limit descriptors", Resource::RLIMIT_NOFILE, limits.descriptors + own),
        // Without a user namespace everything else of the user's counts as well; the stacks of threads count as memory.
        ("limit threads", Resource::RLIMIT_NPROC, if level == Level::Full { limits.threads } else { u64::MAX }),
        ("limit file size", Resource::RLIMIT_FSIZE, limits.file_size),
        // One byte, not zero: zero does not stop a core pattern that is a pipe (core(5)).
        ("limit core", Resource::RLIMIT_CORE, 1),
        ("limit locked memory", Resource::RLIMIT_MEMLOCK, 0),
        ("limit message queues", Resource::RLIMIT_MSGQUEUE, 0),
        ("limit pending signals", Resource::RLIMIT_SIGPENDING, 64),
        ("limit niceness", Resource::RLIMIT_NICE, 0),
        ("limit real-time priority", Resource::RLIMIT_RTPRIO, 0),
    ];
    for (step, resource, value) in table {
        let (_, held) = at(step, getrlimit(resource))?;
        let value = value.min(held);
        at(step, setrlimit(resource, value, value))?;
    }
    Ok(())
}

//! What the kernel says of Landlock (landlock_create_ruleset(2)).

use std::io;

use super::checked;

/// The kernel's version of the interface.
///
/// # Errors
/// It has none (ENOSYS), or none that is switched on (EOPNOTSUPP).
pub(crate) fn version() -> io::Result<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h.
    const VERSION: libc::c_int = 1;
    let nothing = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag, no attribute and a size of zero the call reads and writes no memory.
    let value = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
    u32::try_from(checked(value)?).map_err(io::Error::other)
}

//! CPU clocks of other processes.

use std::io;
use std::time::Duration;

use super::done;

/// CPU time a process has used, all threads included (clock_getcpuclockid(3)).
///
/// # Errors
/// No such process in this pid namespace.
pub(crate) fn cpu_time(pid: i32) -> io::Result<Duration> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: clock_getcpuclockid(3) writes one clockid_t through a valid pointer.
    let code = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if code != 0 {
        return Err(io::Error::from_raw_os_error(code));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes one timespec through a valid pointer.
    done(unsafe { libc::clock_gettime(clock, &raw mut time) }.into())?;
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Ok(Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
}

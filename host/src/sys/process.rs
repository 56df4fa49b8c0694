//! Processes by clone(2), pidfds and wait4(2).

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::checked;

/// Where a clone returns.
pub(crate) enum Cloned {
    /// In the new process.
    Child,
    /// In the old one.
    Parent {
        /// The new process as this pid namespace sees it.
        pid: i32,
        /// A stable handle on it.
        pidfd: OwnedFd,
    },
}

/// Clones this single-threaded process with a copy of its memory, as fork(2) does, with more flags.
///
/// # Errors
/// As clone(2).
pub(crate) fn clone(flags: libc::c_int) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    let flags = flags | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack the child runs on a copy of this stack, as after fork(2). The
    // callers are single-threaded, so no lock is held in the copy. clone(2) writes the pidfd through a valid pointer.
    let value = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    let pid = i32::try_from(checked(value)?).map_err(io::Error::other)?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: CLONE_PIDFD installed a new descriptor in the parent, owned here alone.
    Ok(Cloned::Parent { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// Tries to make a process; one that is made ends at once.
///
/// # Errors
/// As clone(2).
pub(crate) fn try_fork() -> io::Result<()> {
    // SAFETY: as in [`clone`]; the child does nothing but end.
    match checked(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })? {
        0 => exit_now(0),
        _ => Ok(()),
    }
}

/// Ends the process without running destructors or exit handlers (_exit(2)): nothing of the parent's may run twice.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) has no preconditions and does not return.
    unsafe { libc::_exit(code) }
}

/// Sets a variable of the environment of this process, which must have one thread.
#[expect(clippy::disallowed_methods, reason = "a worker before its plugin: there is no other thread")]
pub(crate) fn set_variable(name: &str, value: &std::ffi::OsStr) {
    // SAFETY: setenv(3) must not run beside another thread that reads the environment; the callers have one thread.
    unsafe { std::env::set_var(name, value) };
}

/// A handle on this process itself (pidfd_open(2)).
///
/// # Errors
/// As pidfd_open(2).
pub(crate) fn pidfd_of_self() -> io::Result<OwnedFd> {
    pidfd_of(nix::unistd::getpid().as_raw())
}

/// A handle on a process by its number, which must be held by its parent: this process itself, or a child of it.
///
/// # Errors
/// As pidfd_open(2).
pub(crate) fn pidfd_of(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes no pointers; it returns a new descriptor or an error.
    let value = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let number = i32::try_from(checked(value)?).map_err(io::Error::other)?;
    // SAFETY: just created, owned here alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends SIGKILL to the process behind a pidfd (pidfd_send_signal(2)); one that is gone is fine.
pub(crate) fn kill(pidfd: BorrowedFd<'_>) {
    // SAFETY: no pointer is passed but null, which means default signal information.
    let _ = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, 0, 0) };
}

/// A copy of a descriptor out of another process (pidfd_getfd(2)).
///
/// # Errors
/// As pidfd_getfd(2).
pub(crate) fn getfd(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the call returns a new descriptor or an error.
    let value = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    let number = i32::try_from(checked(value)?).map_err(io::Error::other)?;
    // SAFETY: just created, owned here alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether two processes run in the same memory (kcmp(2)); `false` where the kernel does not tell.
pub(crate) fn share_memory(one: i32, other: i32) -> bool {
    // `KCMP_VM` of linux/kcmp.h.
    const KCMP_VM: libc::c_int = 1;
    // SAFETY: of this type, kcmp(2) takes no pointers.
    unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0 }
}

/// How a child ended and what it used.
pub(crate) struct Reaped {
    pub(crate) exit: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) max_rss_kib: u64,
    pub(crate) cpu_us: u64,
}

/// Waits for one child (wait4(2)).
///
/// # Errors
/// It is not a child of this process.
pub(crate) fn reap(pid: i32) -> io::Result<Reaped> {
    let mut status = 0;
    // SAFETY: rusage is plain integers; all zeroes is a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: wait4(2) writes through two valid pointers.
        match checked(unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) }.into()) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let micros = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or_default()
    };
    Ok(Reaped {
        exit: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or_default(),
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
    })
}

/// Waits until the process behind a pidfd is gone and, if it is a child, reaps it. An embedding program that reaps all
/// children itself may have been faster (ECHILD).
pub(crate) fn await_end(pidfd: &OwnedFd) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
    let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOHANG;
    let _ = nix::sys::wait::waitid(nix::sys::wait::Id::PIDFd(pidfd.as_fd()), flags);
}

//! Installing a filter and answering its notifications (seccomp(2), seccomp_unotify(2)).

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::{checked, done};

/// One instruction of a classic BPF program.
pub(crate) type Instruction = libc::sock_filter;

/// A system call that waits for an answer.
pub(crate) struct Notification {
    /// Names it in the answer.
    id: u64,
    /// The thread that makes it, in the pid namespace of who receives this.
    pub(crate) pid: u32,
    pub(crate) number: i32,
    pub(crate) args: [u64; 6],
}

/// Installs a filter on this single-threaded process and returns the listener of its notifications.
///
/// # Errors
/// As seccomp(2); no-new-privileges must be set.
pub(crate) fn install(program: &[Instruction]) -> io::Result<OwnedFd> {
    let length = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
    // The kernel only reads the program; the pointer type is the interface's.
    let filter = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: seccomp(2) reads `len` instructions behind a valid pointer and returns a new descriptor.
    let value = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const filter,
        )
    };
    let number = i32::try_from(checked(value)?).map_err(io::Error::other)?;
    // SAFETY: just created, owned here alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The call that a worker waits in; the kernel keeps it waiting.
///
/// # Errors
/// The worker is gone (ENOENT).
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: seccomp_notif is plain integers; the kernel demands that it is zeroed.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the ioctl writes one seccomp_notif through a valid pointer.
    done(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) }.into())?;
    let libc::seccomp_notif { id, pid, data, .. } = notification;
    Ok(Notification { id, pid, number: data.nr, args: data.args })
}

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE` of linux/seccomp.h, in the width of its field.
const CONTINUE: u32 = 1;

/// What a call that waits is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// It is made as if it had not been held. What its arguments point to may have changed meanwhile: whoever answers so
    /// decides nothing by them.
    GoOn,
    /// It fails with this `errno`.
    Refuse(i32),
}

/// Answers a call that waits.
///
/// # Errors
/// The caller is gone (ENOENT).
pub(crate) fn answer(listener: BorrowedFd<'_>, call: &Notification, answer: Answer) -> io::Result<()> {
    let (error, flags) = match answer {
        Answer::GoOn => (0, CONTINUE),
        Answer::Refuse(errno) => (-errno, 0),
    };
    let mut response = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
    // SAFETY: the ioctl reads one seccomp_notif_resp through a valid pointer.
    done(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) }.into())
}

//! Descriptors: taking inherited numbers, placing them, passing them over a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, sendmsg};
use nix::sys::stat::fstat;

use super::done;

/// Which file a descriptor leads to, among those that somebody holds open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Asks the kernel.
    ///
    /// # Errors
    /// As fstat(2).
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let found = fstat(fd)?;
        Ok(Self { device: found.st_dev, inode: found.st_ino })
    }
}

/// Takes ownership of a descriptor that was inherited under an agreed number.
///
/// # Errors
/// The number is not open.
pub(crate) fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) F_GETFD only reads the descriptor table.
    done(unsafe { libc::fcntl(number, libc::F_GETFD) }.into())?;
    // SAFETY: the number is open (just checked) and this program gives each agreed number to exactly one owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Puts a copy of a descriptor under a number, without close-on-exec (dup3(2) would refuse equal numbers).
///
/// # Errors
/// As dup2(2).
pub(crate) fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2(2) replaces `number` in the table; callers own that number by agreement.
    done(unsafe { libc::dup2(fd.as_raw_fd(), number) }.into())
}

/// Moves a descriptor to a number of at least `least`, so that it is out of the way of agreed numbers.
///
/// # Errors
/// As fcntl(2) F_DUPFD.
pub(crate) fn lift(fd: &OwnedFd, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC returns a new descriptor that nobody else owns.
    let number = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
    done(number.into())?;
    // SAFETY: just created, owned here alone.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor between two numbers, both included (close_range(2)).
///
/// # Errors
/// The kernel does not know the call.
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the callers have no owner for descriptors of that range any more; the process is single-threaded.
    done(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })
}

/// Sends one datagram with descriptors beside it (unix(7), SCM_RIGHTS).
///
/// # Errors
/// As sendmsg(2).
pub(crate) fn send(socket: BorrowedFd<'_>, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket, body, fds, MsgFlags::empty())
}

/// As [`send`], where there is room for it at once.
///
/// # Errors
/// As [`send`]; there is no room (EAGAIN).
pub(crate) fn send_at_once(socket: BorrowedFd<'_>, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_with(socket, body, fds, MsgFlags::MSG_DONTWAIT)
}

fn send_with(socket: BorrowedFd<'_>, body: &[u8], fds: &[BorrowedFd<'_>], flags: MsgFlags) -> io::Result<()> {
    let numbers: Vec<RawFd> = fds.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let ancillary = if numbers.is_empty() { &[][..] } else { &rights[..] };
    loop {
        let flags = flags | MsgFlags::MSG_NOSIGNAL;
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(body)], ancillary, flags, None) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for a datagram, which stays, and says how long it is; zero means that the other side is gone.
///
/// # Errors
/// As recv(2).
pub(crate) fn length_of_next(socket: BorrowedFd<'_>) -> io::Result<usize> {
    loop {
        match recv(socket.as_raw_fd(), &mut [0; 1], MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC) {
            Ok(length) => return Ok(length),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The most descriptors beside a datagram: a worker has up to 7, and its control groups up to 2.
const DESCRIPTORS_MAX: usize = 16;

/// Receives one datagram with the descriptors beside it; an empty one means that the other side is gone.
///
/// # Errors
/// As recvmsg(2); a datagram or its descriptors that did not fit are an error.
pub(crate) fn receive(socket: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut body = vec![0; most];
    let mut ancillary = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let (length, fds) = loop {
        let mut parts = [IoSliceMut::new(&mut body)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut ancillary), flags) {
            Ok(message) => message,
            // ECONNRESET: it closed the socket with something unread. That is told once, before what it had sent.
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::ECONNRESET) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut fds = Vec::new();
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = part {
                // SAFETY: recvmsg(2) has just installed these descriptors for this process; nobody else owns them.
                fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
            }
        }
        if message.flags.intersects(MsgFlags::MSG_CTRUNC | MsgFlags::MSG_TRUNC) {
            return Err(io::Error::other("a control message was cut"));
        }
        break (message.bytes, fds);
    };
    body.truncate(length);
    Ok((body, fds))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    use super::*;

    #[test]
    fn what_was_sent_before_the_end_is_received() {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        send(ours.as_fd(), b"an order", &[]).unwrap();
        assert_eq!(length_of_next(theirs.as_fd()).unwrap(), 8);
        send(theirs.as_fd(), b"the reason", &[]).unwrap();
        // It ends without having read the order.
        drop(theirs);
        assert_eq!(receive(ours.as_fd(), 64).unwrap().0, b"the reason");
        assert_eq!(receive(ours.as_fd(), 64).unwrap().0, b"");
    }
}

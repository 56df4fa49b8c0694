//! Network devices (netdevice(7)).

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::done;

/// Switches the loopback device of the calling thread's network namespace on; a new namespace has it switched off.
///
/// # Errors
/// The caller may not administer the namespace.
#[expect(clippy::cast_possible_truncation, reason = "the flag is the lowest bit")]
pub(crate) fn raise_loopback() -> io::Result<()> {
    let any = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: all fields are integers, addresses of plain bytes, or a pointer that no call here reads; zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // SAFETY: both calls take one `ifreq`, which outlives them; the first fills the flags that the second hands back.
    unsafe {
        done(libc::ioctl(any.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request).into())?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        done(libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request).into())
    }
}

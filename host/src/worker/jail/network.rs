//! What a network namespace of its own holds: nothing but the loopback device and one listening socket, through which the
//! host's proxy is reached. The host accepts; nobody inside does, and nothing relays.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use super::{StepError, at};
use crate::sys;
use crate::wire::PROXY_PORT;

/// Makes the socket in the caller's network namespace, which must be new. A socket stays in the namespace that it was made
/// in, whoever accepts from it.
///
/// # Errors
/// The caller may not administer the namespace, or somebody in it has the port already.
pub(crate) fn listen() -> Result<OwnedFd, StepError> {
    at("switch the loopback device on", sys::netdevice::raise_loopback())?;
    at("listen for the proxy", TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))).map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use nix::sched::{CloneFlags, unshare};

    use super::*;

    // A thread can have a namespace of its own, without the rest of the test's process.
    #[test]
    fn the_host_accepts_what_connects_inside() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let (sender, made) = std::sync::mpsc::channel();
        let inside = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let unreachable = TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY_PORT)).unwrap_err();
            assert_eq!(unreachable.raw_os_error(), Some(libc::ENETUNREACH));
            sender.send(listen().unwrap()).unwrap();
            let mut said = String::new();
            TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY_PORT)).unwrap().read_to_string(&mut said).unwrap();
            assert_eq!(listen().unwrap_err().step, "listen for the proxy");
            said
        });
        let listener = TcpListener::from(made.recv().unwrap());
        listener.accept().unwrap().0.write_all(b"from outside").unwrap();
        assert_eq!(inside.join().unwrap(), "from outside");
    }
}

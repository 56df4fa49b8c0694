//! The user's own proxy between this machine and the internet. It is asked for the very address that was judged, never
//! for a name: what a name stands for must not be decided a second time, by somebody else.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::sys::stat::Mode;

use super::dial::{self, Patience};
use crate::policy::{Endpoint, Name, is_public};

/// The largest head of an answer, in bytes.
const HEAD_MAX: usize = 8 * 1024;

/// A stream to the first of some addresses that the proxy can reach. What is not public is not behind it.
///
/// # Errors
/// What was said about the last one.
pub(super) fn tcp(proxy: &Endpoint, addresses: &[SocketAddr], patience: Patience<'_>) -> io::Result<OwnedFd> {
    let public: Vec<&SocketAddr> = addresses.iter().filter(|address| is_public(address.ip())).collect();
    if public.is_empty() {
        return dial::tcp(addresses, patience);
    }
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in public {
        match ask(reach(proxy, patience)?, *address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(io::Error::new(last.kind(), format!("by the proxy {proxy}: {last}")))
}

fn reach(proxy: &Endpoint, patience: Patience<'_>) -> io::Result<OwnedFd> {
    let stream = match proxy {
        Endpoint::Unix(path) => dial::unix(&open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?, patience),
        Endpoint::Tcp { host, port } => {
            let found = match host {
                Name::Address(address) => Ok(vec![*address]),
                Name::Domain(name) => dial::look_up(name, patience),
            };
            let at = |address| SocketAddr::new(address, *port);
            found.and_then(|found| dial::tcp(&found.into_iter().map(at).collect::<Vec<_>>(), patience))
        }
    };
    stream.map_err(|error| io::Error::new(error.kind(), format!("the proxy {proxy} cannot be reached: {error}")))
}

fn ask(stream: OwnedFd, address: SocketAddr, patience: Patience<'_>) -> io::Result<OwnedFd> {
    let mut stream = TcpStream::from(stream);
    stream.write_all(format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let head = answer(&mut stream, patience)?;
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut answer = httparse::Response::new(&mut headers);
    let invalid = |error: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    answer.parse(&head).map_err(invalid)?;
    match answer.code {
        Some(200..=299) => Ok(stream.into()),
        Some(code) => Err(io::Error::other(format!("it answered {code}"))),
        None => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// The head of an answer, and no byte of what follows it.
fn answer(stream: &mut TcpStream, patience: Patience<'_>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        patience.await_ready(&*stream, PollFlags::POLLIN)?;
        let known = head.len();
        head.resize(known + 512, 0);
        let seen = stream.peek(&mut head[known..])?;
        head.truncate(known + seen);
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        if let Some(end) = head.windows(4).position(|part| part == b"\r\n\r\n") {
            head.truncate(end + 4);
        }
        if head.len() > HEAD_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer is too large"));
        }
        stream.read_exact(&mut head[known..])?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    fn soon() -> Patience<'static> {
        Patience { until: Instant::now() + Duration::from_secs(10), stop: None }
    }

    /// A proxy that gives one answer, and what it was asked.
    fn proxy(answer: &'static [u8]) -> (Endpoint, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(head).unwrap()
        });
        (endpoint.parse().unwrap(), asked)
    }

    #[test]
    fn the_judged_address_is_asked_for() {
        let (at, asked) = proxy(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nthe server's own words");
        let stream = tcp(&at, &["93.184.215.14:443".parse().unwrap()], soon()).unwrap();
        let mut said = String::new();
        TcpStream::from(stream).read_to_string(&mut said).unwrap();
        assert_eq!(said, "the server's own words");
        assert_eq!(asked.join().unwrap(), "CONNECT 93.184.215.14:443 HTTP/1.1\r\nHost: 93.184.215.14:443\r\n\r\n");
    }

    #[test]
    fn what_is_not_public_is_not_behind_it() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody: Endpoint = "nobody.invalid:3128".parse().unwrap();
        tcp(&nobody, &[server.local_addr().unwrap()], soon()).unwrap();
        let error = tcp(&nobody, &["[2606:2800::1]:443".parse().unwrap()], soon()).unwrap_err();
        assert!(error.to_string().starts_with("the proxy nobody.invalid:3128 cannot be reached: "), "{error}");
    }

    #[test]
    fn a_refusal_is_no_stream() {
        for (answer, why) in [
            (&b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..], "it answered 407"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "invalid HTTP version"),
            (b"HTTP/1.1 200", "unexpected end of file"),
        ] {
            let (at, _asked) = proxy(answer);
            let error = tcp(&at, &["93.184.215.14:443".parse().unwrap()], soon()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("by the proxy {at}: ")) && error.contains(why), "{error}");
        }
        let (at, _asked) = proxy(&[b'x'; 3 * HEAD_MAX]);
        let error = tcp(&at, &["93.184.215.14:443".parse().unwrap()], soon()).unwrap_err().to_string();
        assert!(error.contains("its answer is too large"), "{error}");
    }
}

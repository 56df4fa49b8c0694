//! Version 5 of SOCKS (RFC 1928), as far as the proxy speaks it: connecting, without authentication.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::http::{Malformed, refuse, tcp_endpoint};
use crate::policy::{Endpoint, Name};

/// The first byte of everything that either side says.
pub(super) const VERSION: u8 = 5;
/// The answer to a greeting: no authentication.
pub(super) const WELCOME: [u8; 2] = [VERSION, 0];
/// The answer to a greeting that offers nothing but ways of authentication.
pub(super) const NO_METHOD: [u8; 2] = [VERSION, 0xff];

const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Connected = 0,
    Failed = 1,
    NotAllowed = 2,
    Unreachable = 4,
    Refused = 5,
    UnknownCommand = 7,
    UnknownAddress = 8,
}

impl Reply {
    /// The answer, with an unspecified address: which of its own the host has used is nobody's business.
    pub(super) fn bytes(self) -> [u8; 10] {
        [VERSION, self as u8, 0, IPV4, 0, 0, 0, 0, 0, 0]
    }
}

/// Whether a greeting offers to go without authentication; `None` where it is not all there.
///
/// # Errors
/// More came than a greeting, before it was answered.
pub(super) fn greeting(bytes: &[u8]) -> Result<Option<bool>, Malformed> {
    let [_, count, methods @ ..] = bytes else { return Ok(None) };
    match methods.len().cmp(&usize::from(*count)) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(methods.contains(&0))),
        std::cmp::Ordering::Greater => refuse("the client did not wait for an answer"),
    }
}

/// The endpoint of a request; `None` where it is not all there.
///
/// # Errors
/// The answer to a request that the proxy does not take, and why.
pub(super) fn request(bytes: &[u8]) -> Result<Option<Endpoint>, (Reply, Malformed)> {
    let fail = |reply, why: &str| Err((reply, Malformed(why.to_owned())));
    let [version, command, reserved, kind, rest @ ..] = bytes else { return Ok(None) };
    if (*version, *reserved) != (VERSION, 0) {
        return fail(Reply::Failed, "this is no request of SOCKS5");
    }
    if *command != CONNECT {
        return fail(Reply::UnknownCommand, "the only command is CONNECT");
    }
    let (host, rest) = match (*kind, rest) {
        (IPV4, _) => (4, rest),
        (IPV6, _) => (16, rest),
        (DOMAIN, [length, rest @ ..]) => (usize::from(*length), rest),
        (DOMAIN, []) => return Ok(None),
        _ => return fail(Reply::UnknownAddress, "the kind of address is not known"),
    };
    let Some((host, &[high, low, ref after @ ..])) = rest.split_at_checked(host) else { return Ok(None) };
    if !after.is_empty() {
        return fail(Reply::Failed, "the client did not wait for an answer");
    }
    let port = u16::from_be_bytes([high, low]);
    match endpoint(*kind, host, port) {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(error) => Err((Reply::Failed, error)),
    }
}

/// By the words of an endpoint, so that every spelling is judged by the one reader of them.
fn endpoint(kind: u8, host: &[u8], port: u16) -> Result<Endpoint, Malformed> {
    let text = match (kind, <[u8; 4]>::try_from(host), <[u8; 16]>::try_from(host)) {
        (IPV4, Ok(octets), _) => Name::Address(Ipv4Addr::from(octets).into()).to_string(),
        (IPV6, _, Ok(octets)) => Name::Address(IpAddr::V6(Ipv6Addr::from(octets))).to_string(),
        _ => String::from_utf8(host.to_vec()).map_err(|_| Malformed("the host is not text".to_owned()))?,
    };
    tcp_endpoint(&format!("{text}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(bytes: &[u8]) -> Result<Option<String>, Reply> {
        for end in 0..bytes.len() {
            // No part of a request is one, and none breaks anything.
            assert!(!matches!(request(&bytes[..end]), Ok(Some(_))), "{bytes:?} {end}");
        }
        request(bytes).map(|endpoint| endpoint.map(|endpoint| endpoint.to_string())).map_err(|(reply, _)| reply)
    }

    fn by_name(name: &[u8]) -> Vec<u8> {
        [&[5, 1, 0, 3, u8::try_from(name.len()).unwrap()], name, &[1, 187]].concat()
    }

    #[test]
    fn greetings_offer_to_go_without_authentication() {
        assert_eq!(greeting(b"\x05"), Ok(None));
        assert_eq!(greeting(b"\x05\x02\x00"), Ok(None));
        assert_eq!(greeting(b"\x05\x02\x02\x00"), Ok(Some(true)));
        assert_eq!(greeting(b"\x05\x01\x02"), Ok(Some(false)));
        assert_eq!(greeting(b"\x05\x00"), Ok(Some(false)));
        assert!(greeting(b"\x05\x01\x00\x05").is_err());
    }

    #[test]
    fn requests_name_an_endpoint() {
        assert_eq!(asked(&[5, 1, 0, 1, 192, 0, 2, 1, 0, 80]), Ok(Some("192.0.2.1:80".to_owned())));
        assert_eq!(asked(&by_name(b"API.example.com.")), Ok(Some("api.example.com:443".to_owned())));
        assert_eq!(asked(&by_name(b"192.0.2.1")), Ok(Some("192.0.2.1:443".to_owned())));
        let mut mapped = [&[5, 1, 0, 4], &Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets()[..], &[0, 80]].concat();
        assert_eq!(asked(&mapped), Ok(Some("127.0.0.1:80".to_owned())));
        mapped[4..20].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        assert_eq!(asked(&mapped), Ok(Some("[::1]:80".to_owned())));
    }

    #[test]
    fn everything_else_is_refused() {
        for (bytes, reply) in [
            (vec![5, 2, 0, 1, 192, 0, 2, 1, 0, 80], Reply::UnknownCommand),
            (vec![5, 3, 0, 1, 192, 0, 2, 1, 0, 80], Reply::UnknownCommand),
            (vec![5, 1, 0, 2, 192, 0, 2, 1, 0, 80], Reply::UnknownAddress),
            (vec![4, 1, 0, 1, 192, 0, 2, 1, 0, 80], Reply::Failed),
            (vec![5, 1, 1, 1, 192, 0, 2, 1, 0, 80], Reply::Failed),
            (vec![5, 1, 0, 1, 192, 0, 2, 1, 0, 0], Reply::Failed),
            ([by_name(b"a.example"), b"GET".to_vec()].concat(), Reply::Failed),
            (by_name(b""), Reply::Failed),
            (by_name(b"a:1"), Reply::Failed),
            (by_name(b"a\0b"), Reply::Failed),
            (by_name(b"a\r\nb"), Reply::Failed),
            (by_name(b"a@b"), Reply::Failed),
            (by_name(b"unix:/run/x"), Reply::Failed),
            (by_name(b"127.1"), Reply::Failed),
            (by_name(b"\xff"), Reply::Failed),
            (by_name(&[b'a'; 255]), Reply::Failed),
        ] {
            // The last byte of some only shows what the first ones were.
            let outcome = request(&bytes).map_err(|(reply, _)| reply);
            assert_eq!(outcome, Err(reply), "{bytes:?}");
        }
    }
}

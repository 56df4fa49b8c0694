//! Where a plugin may connect: the endpoints it asks for, the scopes it was granted, the addresses a name may stand for.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

mod address;
mod scope;
#[cfg(test)]
mod tests;

pub use address::{address_allowed, is_public};
pub use scope::EndpointScope;

/// What fits into the address of a Unix socket, in bytes.
const SOCKET_PATH_MAX: usize = 107;
/// The longest host name of the DNS, in bytes.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A text that is no endpoint or no scope of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EndpointError(String);

/// An endpoint as a plugin asks for it: `unix:/absolute/path`, `host:port` or `[ipv6]:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A TCP port of a host.
    Tcp {
        /// The host.
        host: Name,
        /// The port, from 1.
        port: u16,
    },
}

/// What stands before the port. One host has one spelling: lower case, no dot at the end, addresses in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A host name, in ASCII.
    Domain(String),
    /// An address; one that maps IPv4 into IPv6 is kept as what it maps.
    Address(IpAddr),
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket_path(path).map(Self::Unix);
        }
        let (host, port) = split(text)?;
        let host = match host {
            HostText::Bracketed(inner) => Name::Address(ipv6(inner)?),
            HostText::Plain(host) => name(host)?,
        };
        Ok(Self::Tcp { host, port: self::port(port)? })
    }
}

fn refuse<T>(why: &str) -> Result<T, EndpointError> {
    Err(EndpointError(why.to_owned()))
}

enum HostText<'a> {
    Plain(&'a str),
    Bracketed(&'a str),
}

fn split(text: &str) -> Result<(HostText<'_>, &str), EndpointError> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((inner, port)) = rest.split_once("]:") else {
            return refuse("an IPv6 address is written [ADDRESS]:PORT");
        };
        return Ok((HostText::Bracketed(inner), port));
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => refuse("an IPv6 address is written [ADDRESS]:PORT"),
        Some((host, port)) => Ok((HostText::Plain(host), port)),
        None => refuse("an endpoint is written HOST:PORT or unix:/PATH"),
    }
}

fn port(text: &str) -> Result<u16, EndpointError> {
    // `parse` alone would take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => refuse("a port is a number from 1 to 65535"),
    }
}

fn name(text: &str) -> Result<Name, EndpointError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Name::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        inner && (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() > NAME_MAX || !name.split('.').all(label) {
        return refuse(
            "a host name has labels of letters, digits, `-` and `_`; a foreign script is written in punycode",
        );
    }
    // Resolvers read `127.1`, `0x7f.1` and `2130706433` as addresses.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") {
        return refuse("an IPv4 address is written with four numbers");
    }
    Ok(Name::Domain(name))
}

fn ipv6(text: &str) -> Result<IpAddr, EndpointError> {
    match text.parse::<Ipv6Addr>() {
        Ok(address) => Ok(IpAddr::V6(address).to_canonical()),
        Err(_) => refuse("between the brackets stands an IPv6 address"),
    }
}

fn socket_path(text: &str) -> Result<PathBuf, EndpointError> {
    let Some(inner) = text.strip_prefix('/') else {
        return refuse("the path of a socket starts with `/`");
    };
    if text.len() > SOCKET_PATH_MAX || text.chars().any(char::is_control) {
        return refuse("the path of a socket has at most 107 bytes and no control characters");
    }
    // One socket has one spelling, so that a comparison of texts is one of paths.
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("the path of a socket has no empty part, no `.` and no `..`");
    }
    Ok(PathBuf::from(text))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

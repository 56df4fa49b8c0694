//! Where a plugin may connect: the endpoint it asks for, the scopes it was granted, and the addresses that a name may
//! stand for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;

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

/// A scope of `network`: `unix:/path`, `host:port`, `*.example.com:port`, `10.0.0.0/8:port`, `[fd00::/8]:port`; `*` for
/// any host and for any port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointScope(Scope);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scope {
    Unix(PathBuf),
    Tcp { hosts: Hosts, port: Option<u16> },
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Hosts {
    Any,
    One(Name),
    /// Every name below this one, not itself.
    Under(String),
    Range(IpNet),
}

impl EndpointScope {
    /// Any port of any host on the network. Local sockets and addresses that are not public are not part of it.
    #[must_use]
    pub fn everywhere() -> Self {
        Self(Scope::Tcp { hosts: Hosts::Any, port: None })
    }

    /// Whether a plugin that holds this scope may ask for the endpoint. The address that a name stands for is checked
    /// once it is known, by [`address_allowed`].
    #[must_use]
    pub fn allows(&self, asked: &Endpoint) -> bool {
        match (&self.0, asked) {
            (Scope::Unix(path), Endpoint::Unix(asked)) => path == asked,
            (Scope::Tcp { hosts, port }, Endpoint::Tcp { host, port: asked }) => {
                port.is_none_or(|port| port == *asked) && hosts.hold(host)
            }
            _ => false,
        }
    }

    /// Whether everything that `narrower` lets a plugin reach is within this scope.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        match (&self.0, &narrower.0) {
            (Scope::Unix(path), Scope::Unix(narrower)) => path == narrower,
            (Scope::Tcp { hosts, port }, Scope::Tcp { hosts: narrower, port: asked }) => {
                (port.is_none() || port == asked) && hosts.cover(narrower)
            }
            _ => false,
        }
    }

    /// Whether it says in so many words that this address may be reached on this port.
    fn names(&self, address: IpAddr, asked: u16) -> bool {
        match &self.0 {
            Scope::Tcp { hosts: hosts @ (Hosts::One(Name::Address(_)) | Hosts::Range(_)), port } => {
                port.is_none_or(|port| port == asked) && hosts.hold(&Name::Address(address))
            }
            _ => false,
        }
    }

    /// The path of the socket, for a scope of one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.0 {
            Scope::Unix(path) => Some(path),
            Scope::Tcp { .. } => None,
        }
    }
}

impl Hosts {
    fn hold(&self, name: &Name) -> bool {
        match (self, name) {
            (Self::Any, _) => true,
            (Self::One(one), name) => one == name,
            (Self::Under(parent), Name::Domain(name)) => is_under(name, parent),
            (Self::Range(range), Name::Address(address)) => range.contains(address),
            (Self::Under(_), Name::Address(_)) | (Self::Range(_), Name::Domain(_)) => false,
        }
    }

    fn cover(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            // `*` does not open this machine or private networks; naming them does, and so is more than `*`.
            (Self::Any, Self::One(Name::Domain(name))) => name != "localhost",
            (Self::Any, Self::One(Name::Address(address))) => is_public(*address),
            (Self::Any, Self::Range(_)) => false,
            (Self::Any, Self::Any | Self::Under(_)) => true,
            (Self::Under(parent), Self::Under(narrower)) => narrower == parent || is_under(narrower, parent),
            (Self::Range(range), Self::Range(narrower)) => range.contains(narrower),
            (hosts, Self::One(name)) => hosts.hold(name),
            _ => false,
        }
    }
}

fn is_under(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether an address that the endpoint's name was resolved to, or that it names itself, may be connected to. One that
/// is not public (this machine, a private network, link-local, multicast, reserved, IPv4 mapped into IPv6) must be named:
/// by an address, by a range that holds it, or, where the endpoint is `localhost`, by `localhost` for this machine.
#[must_use]
pub fn address_allowed(scopes: &[EndpointScope], endpoint: &Endpoint, address: IpAddr) -> bool {
    let Endpoint::Tcp { host, port } = endpoint else { return false };
    let is_localhost = matches!(host, Name::Domain(name) if name == "localhost");
    let mut allowing = scopes.iter().filter(|scope| scope.allows(endpoint)).peekable();
    if allowing.peek().is_none() {
        return false;
    }
    let localhost =
        |scope: &EndpointScope| matches!(&scope.0, Scope::Tcp { hosts: Hosts::One(one), .. } if one == host);
    is_public(address)
        || scopes.iter().any(|scope| scope.names(address.to_canonical(), *port))
        || (is_localhost && address.to_canonical().is_loopback() && allowing.any(localhost))
}

/// Whether the address belongs to a host on the internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let reserved = match (first, second, third) {
        (0 | 240..=255, ..) => true,
        // Shared by customers of one provider; benchmarks; assignments of the IETF.
        (100, 64..=127, _) | (198, 18 | 19, _) | (192, 0, 0) => true,
        _ => address.is_documentation(),
    };
    !(reserved || address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match segments {
        // A translator (NAT64) or a relay (6to4) sends these on to the IPv4 address in them.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Documentation; Teredo, which hides an IPv4 address as well.
        [0x2001, 0xdb8 | 0, ..] => false,
        // Only this eighth of the address space is given out to hosts on the internet.
        [first, ..] => first & 0xe000 == 0x2000,
    }
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

impl FromStr for EndpointScope {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.contains('*') {
                return refuse("a socket is named by its whole path, without `*`");
            }
            return Ok(Self(Scope::Unix(socket_path(path)?)));
        }
        let (host, port) = split(text)?;
        let hosts = match host {
            HostText::Plain("*") => Hosts::Any,
            HostText::Plain(host) => match host.strip_prefix("*.") {
                Some(parent) => match name(parent)? {
                    Name::Domain(parent) => Hosts::Under(parent),
                    Name::Address(_) => return refuse("`*.` stands before a host name"),
                },
                None if host.contains('/') => range(host)?,
                None => Hosts::One(name(host)?),
            },
            HostText::Bracketed(inner) if inner.contains('/') => range(inner)?,
            HostText::Bracketed(inner) => Hosts::One(Name::Address(ipv6(inner)?)),
        };
        let port = if port == "*" { None } else { Some(self::port(port)?) };
        Ok(Self(Scope::Tcp { hosts, port }))
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

fn range(text: &str) -> Result<Hosts, EndpointError> {
    let Ok(range) = text.parse::<IpNet>() else {
        return refuse("a range of addresses is written ADDRESS/BITS, in brackets for IPv6");
    };
    if range.trunc() != range {
        return refuse(&format!("this range is written {}", range.trunc()));
    }
    if range.addr().to_canonical() != range.addr() {
        return refuse("a range of IPv4 addresses is written as one");
    }
    let single = range.prefix_len() == range.max_prefix_len();
    Ok(if single { Hosts::One(Name::Address(range.addr())) } else { Hosts::Range(range) })
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

impl fmt::Display for EndpointScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hosts, port) = match &self.0 {
            Scope::Unix(path) => return write!(f, "unix:{}", path.display()),
            Scope::Tcp { hosts, port } => (hosts, port),
        };
        match hosts {
            Hosts::Any => f.write_str("*")?,
            Hosts::One(name) => write!(f, "{name}")?,
            Hosts::Under(parent) => write!(f, "*.{parent}")?,
            Hosts::Range(range @ IpNet::V4(_)) => write!(f, "{range}")?,
            Hosts::Range(range @ IpNet::V6(_)) => write!(f, "[{range}]")?,
        }
        match port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> EndpointScope {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    // covers: A53, A54
    #[test]
    fn endpoints_are_read_strictly() {
        for (text, canonical) in [
            ("unix:/var/run/docker.sock", "unix:/var/run/docker.sock"),
            ("localhost:80", "localhost:80"),
            ("API.Example.COM.:443", "api.example.com:443"),
            ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
            ("my_host:65535", "my_host:65535"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
        ] {
            assert_eq!(endpoint(text).to_string(), canonical, "{text}");
            assert_eq!(endpoint(canonical), endpoint(text), "{text}");
        }
        let long_host = format!("{}:80", "a.".repeat(40_000));
        let long_path = format!("unix:/{}", "a".repeat(107));
        for text in [
            "",
            ":80",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+80",
            "host: 80",
            "host:80 ",
            "host:http",
            "user@host:80",
            "user:word@host:80",
            "http://host:80",
            "host:80/path",
            "a..b:80",
            ".a:80",
            "a..:80",
            ".:80",
            "-a:80",
            "a-:80",
            "bücher.example:80",
            "ｌocalhost:80",
            "ho\0st:80",
            "host\r\nX: y:80",
            "127.1:80",
            "0x7f.1:80",
            "0x7f000001:80",
            "2130706433:80",
            "0177.0.0.1:80",
            "1.2.3.4.5:80",
            "::1:80",
            "[::1]",
            "[::1%eth0]:80",
            "[127.0.0.1]:80",
            "*:80",
            "host:*",
            "10.0.0.0/8:80",
            "unix:",
            "unix:docker.sock",
            "unix:@abstract",
            "unix:/run/../run/docker.sock",
            "unix:/run/./a",
            "unix:/run//a",
            "unix:/run/",
            "unix:/a\0b",
            "unix:/a\nb",
            &long_host,
            &long_path,
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn scopes_are_read_strictly() {
        for (text, canonical) in [
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("HOST:80", "host:80"),
            ("*.Example.com:443", "*.example.com:443"),
            ("*:443", "*:443"),
            ("host:*", "host:*"),
            ("10.0.0.0/8:5432", "10.0.0.0/8:5432"),
            ("10.0.0.1/32:1", "10.0.0.1:1"),
            ("[fd00::/8]:*", "[fd00::/8]:*"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(scope(text).to_string(), canonical, "{text}");
            assert_eq!(scope(canonical), scope(text), "{text}");
        }
        for text in [
            "*",
            "",
            "host",
            "*:0",
            "a*:80",
            "a.*.b:80",
            "*.*:80",
            "**:80",
            "*.10.0.0.1:80",
            "*example.com:80",
            "10.0.0.1/8:80",
            "10.0.0.0/33:80",
            "fd00::/8:80",
            "[::ffff:10.0.0.0/104]:80",
            "host/8:80",
            "unix:/run/*",
            "https://host:443",
        ] {
            assert!(text.parse::<EndpointScope>().is_err(), "{text:?}");
        }
    }

    // covers: A49, A53
    #[test]
    fn a_scope_allows_exactly_what_it_names() {
        for (held, asked, allowed) in [
            ("allowed.com:443", "allowed.com:443", true),
            ("allowed.com:443", "ALLOWED.COM.:443", true),
            ("allowed.com:443", "allowed.com:80", false),
            ("allowed.com:443", "evil-allowed.com:443", false),
            ("allowed.com:443", "allowed.com.evil.com:443", false),
            ("allowed.com:443", "sub.allowed.com:443", false),
            ("allowed.com:*", "allowed.com:1", true),
            ("*.allowed.com:443", "sub.allowed.com:443", true),
            ("*.allowed.com:443", "a.b.allowed.com:443", true),
            ("*.allowed.com:443", "allowed.com:443", false),
            ("*.allowed.com:443", "evilallowed.com:443", false),
            ("*:443", "any.example:443", true),
            ("*:443", "any.example:80", false),
            ("10.0.0.0/8:80", "10.255.0.1:80", true),
            ("10.0.0.0/8:80", "11.0.0.1:80", false),
            ("10.0.0.0/8:80", "db.internal:80", false),
            ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
            ("127.0.0.1:80", "localhost:80", false),
            ("unix:/run/app.sock", "unix:/run/app.sock", true),
            ("unix:/run/app.sock", "unix:/run/app.sock.d/x", false),
            ("*:*", "unix:/run/app.sock", false),
        ] {
            assert_eq!(scope(held).allows(&endpoint(asked)), allowed, "{held} {asked}");
        }
    }

    #[test]
    fn a_scope_covers_what_is_no_more_than_itself() {
        for (wide, narrow, covered) in [
            ("*:*", "a.example:80", true),
            ("*:80", "a.example:80", true),
            ("*:80", "a.example:*", false),
            ("*:*", "*.example.com:443", true),
            ("*:*", "8.8.8.8:53", true),
            ("*:*", "localhost:80", false),
            ("*:*", "127.0.0.1:80", false),
            ("*:*", "10.0.0.0/8:80", false),
            ("*:*", "unix:/run/app.sock", false),
            ("*.b.c:1", "*.a.b.c:1", true),
            ("*.b.c:1", "a.b.c:1", true),
            ("*.b.c:1", "*.b.c:1", true),
            ("*.b.c:1", "b.c:1", false),
            ("*.b.c:1", "*.xb.c:1", false),
            ("a.b.c:1", "*.b.c:1", false),
            ("10.0.0.0/8:1", "10.2.0.0/16:1", true),
            ("10.0.0.0/8:1", "10.2.0.1:1", true),
            ("10.2.0.0/16:1", "10.0.0.0/8:1", false),
            ("host:*", "host:1", true),
            ("host:1", "host:*", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/a/b", false),
        ] {
            assert_eq!(scope(wide).covers(&scope(narrow)), covered, "{wide} {narrow}");
        }
    }

    // covers: A50
    #[test]
    fn addresses_that_are_not_public_must_be_named() {
        let check = |scopes: &[&str], asked: &str, address: &str, allowed: bool| {
            let held: Vec<EndpointScope> = scopes.iter().map(|text| scope(text)).collect();
            let name = format!("{scopes:?} {asked} {address}");
            assert_eq!(address_allowed(&held, &endpoint(asked), address.parse().unwrap()), allowed, "{name}");
        };
        check(&["api.example.com:80"], "api.example.com:80", "93.184.216.34", true);
        check(&["api.example.com:80"], "api.example.com:80", "2606:2800:220:1::1", true);
        check(&["api.example.com:80"], "other.example:80", "93.184.216.34", false);
        for inside in [
            "127.0.0.1",
            "127.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:93.184.216.34",
            "fe80::1",
            "fc00::1",
            "fdff::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
        ] {
            for held in [["api.example.com:80"], ["*:80"], ["*.example.com:80"], ["api.example.com:*"]] {
                check(&held, "api.example.com:80", inside, false);
            }
        }
        check(&["*:80"], "127.0.0.1:80", "127.0.0.1", false);
        check(&["*:80"], "localhost:80", "127.0.0.1", false);
        check(&["localhost:80"], "localhost:80", "127.0.0.1", true);
        check(&["localhost:80"], "localhost:80", "::1", true);
        check(&["localhost:80"], "localhost:80", "10.0.0.1", false);
        check(&["localhost:80", "api.example.com:80"], "api.example.com:80", "127.0.0.1", false);
        check(&["127.0.0.1:80"], "127.0.0.1:80", "127.0.0.1", true);
        check(&["10.0.0.0/8:5432"], "10.1.2.3:5432", "10.1.2.3", true);
        check(&["db.lan:5432", "10.0.0.0/8:5432"], "db.lan:5432", "10.1.2.3", true);
        check(&["db.lan:5432", "10.0.0.0/8:80"], "db.lan:5432", "10.1.2.3", false);
        check(&["10.0.0.0/8:5432"], "db.lan:5432", "10.1.2.3", false);
        check(&["unix:/a"], "unix:/a", "93.184.216.34", false);
    }
}

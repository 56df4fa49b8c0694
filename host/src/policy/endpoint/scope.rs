//! Scopes of `network`: which endpoints one holds, and which narrower scopes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;

use super::address::is_public;
use super::{Endpoint, EndpointError, HostText, Name, ipv6, name, refuse, socket_path, split};

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
    /// once it is known, by [`address_allowed`](crate::policy::address_allowed).
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

    /// What is within this scope and within another one, where that is a scope.
    #[must_use]
    pub fn both(&self, other: &Self) -> Option<Self> {
        match (&self.0, &other.0) {
            (Scope::Tcp { hosts, port }, Scope::Tcp { hosts: others, port: asked }) => {
                let hosts = if hosts.cover(others) { others } else { others.cover(hosts).then_some(hosts)? };
                let is_same = port.is_none() || asked.is_none() || port == asked;
                is_same.then(|| Self(Scope::Tcp { hosts: hosts.clone(), port: port.or(*asked) }))
            }
            _ => (self == other).then(|| self.clone()),
        }
    }

    /// Whether it says in so many words that this address may be reached on this port.
    pub(super) fn names_address(&self, address: IpAddr, asked: u16) -> bool {
        match &self.0 {
            Scope::Tcp { hosts: hosts @ (Hosts::One(Name::Address(_)) | Hosts::Range(_)), port } => {
                port.is_none_or(|port| port == asked) && hosts.hold(&Name::Address(address))
            }
            _ => false,
        }
    }

    /// Whether it says so of this machine by its name.
    pub(super) fn names_localhost(&self) -> bool {
        matches!(&self.0, Scope::Tcp { hosts: Hosts::One(Name::Domain(name)), .. } if name == "localhost")
    }

    /// The path of the socket, for a scope of one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.0 {
            Scope::Unix(path) => Some(path),
            Scope::Tcp { .. } => None,
        }
    }

    /// The one port, for a scope of one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Scope::Unix(_) => None,
            Scope::Tcp { port, .. } => *port,
        }
    }

    /// Why it is wider than anything a user can look over, if so.
    #[must_use]
    pub fn breadth(&self) -> Option<&'static str> {
        match &self.0 {
            Scope::Tcp { hosts: Hosts::Any, .. } => Some("its scope leaves nothing out"),
            Scope::Tcp { hosts: Hosts::Range(range), .. } if range.prefix_len() == 0 => {
                Some("its scope leaves nothing out")
            }
            Scope::Tcp { hosts: Hosts::Under(_), .. } => Some("it is open to every host below that name"),
            Scope::Tcp { hosts, port: None } if hosts.hold_this_machine() => {
                Some("it reaches every service of this machine")
            }
            Scope::Tcp { .. } | Scope::Unix(_) => None,
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

    /// Whether it names this machine. An unspecified address is connected to as this machine.
    fn hold_this_machine(&self) -> bool {
        let addresses: [IpAddr; 4] = [
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::LOCALHOST.into(),
            Ipv6Addr::UNSPECIFIED.into(),
        ];
        match self {
            Self::One(Name::Domain(name)) => name == "localhost",
            Self::One(Name::Address(address)) => address.is_loopback() || address.is_unspecified(),
            hosts => addresses.into_iter().any(|address| hosts.hold(&Name::Address(address))),
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
        let port = if port == "*" { None } else { Some(super::port(port)?) };
        Ok(Self(Scope::Tcp { hosts, port }))
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

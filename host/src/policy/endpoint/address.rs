//! Addresses: what a name was resolved to must not lead back into this machine or a private network unasked.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Endpoint, EndpointScope, Name};

/// Whether an address that the endpoint's name was resolved to, or that it names itself, may be connected to. One that
/// is not public (this machine, a private network, link-local, multicast, reserved, IPv4 mapped into IPv6) must be named:
/// by an address, by a range that holds it, or, where the endpoint is `localhost`, by `localhost` for this machine.
#[must_use]
pub fn address_allowed(scopes: &[EndpointScope], endpoint: &Endpoint, address: IpAddr) -> bool {
    let Endpoint::Tcp { host, port } = endpoint else { return false };
    let mut allowing = scopes.iter().filter(|scope| scope.allows(endpoint)).peekable();
    if allowing.peek().is_none() {
        return false;
    }
    let is_localhost = matches!(host, Name::Domain(name) if name == "localhost");
    let canonical = address.to_canonical();
    is_public(address)
        || scopes.iter().any(|scope| scope.names_address(canonical, *port))
        || (is_localhost && canonical.is_loopback() && allowing.any(EndpointScope::names_localhost))
}

/// Whether the address belongs to a host on the internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
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

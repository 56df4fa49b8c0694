//! What is added for programs that make their own sockets, in a network namespace where nothing but the host's proxy can be
//! reached: streams of TCP, and connecting them. Where `connect` leads is the namespace's affair, since a filter cannot read
//! addresses; so these calls are never let through where a stream of the machine's own network arrives.
//!
//! Not here: bind(2), listen(2) and accept(2), by which one program could pose as the proxy to another.

use super::rules::{Action, Check, Group, calls};
use super::sockets::WRITTEN_OPTIONS;

/// Added where the launcher listens for the proxy.
pub(super) const NETWORK: &[Group] = &[
    Group {
        name: "streams of the own network",
        reason: "the way to the proxy is a stream; datagrams, raw sockets and other families are code of the kernel that \
                 nobody needs",
        action: Action::Check(Check::TcpSocket),
        calls: calls![SYS_socket],
    },
    Group {
        name: "connecting",
        reason: "the namespace holds the loopback device and one listening socket, which is the host's",
        action: Action::Allow,
        calls: calls![SYS_connect SYS_getsockname SYS_getpeername SYS_recvmsg],
    },
    Group {
        name: "settings of own streams",
        reason: "as for streams that the host has connected",
        action: Action::Check(Check::SocketOption(WRITTEN_OPTIONS)),
        calls: calls![SYS_setsockopt],
    },
];

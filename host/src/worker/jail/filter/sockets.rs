//! What is added for workers that receive streams which the host has connected, and which options of a stream may be read
//! or set. A TCP stream of the host stands in the machine's own network: whatever could point it elsewhere stays closed.
//!
//! Not here, because their addresses and control messages lie behind pointers, which a filter cannot read: sendmsg(2) and
//! sendmmsg(2), which could also pass descriptors on. std, tokio and hyper write streams by sendto(2), write(2) and
//! writev(2). Nor are socket(2), connect(2), bind(2), listen(2) and accept(2): connect(2) to `AF_UNSPEC` would free a
//! stream from its other end.

use super::rules::{Action, Check, Group, calls};

/// Added where streams of the host arrive.
pub(super) const SOCKETS: &[Group] = &[
    Group {
        name: "receiving",
        reason: "descriptors come beside a message; one that somebody at the other end of a granted socket passes is part \
                 of what was granted",
        action: Action::Allow,
        calls: calls![SYS_recvmsg],
    },
    Group {
        name: "addresses",
        reason: "clients name both ends of a stream in their errors",
        action: Action::Allow,
        calls: calls![SYS_getsockname SYS_getpeername],
    },
    Group {
        name: "settings of streams",
        reason: "delays, keep-alive, timeouts and buffer sizes; nothing that filters, redirects, binds or stacks a protocol",
        action: Action::Check(Check::SocketOption(WRITTEN_OPTIONS)),
        calls: calls![SYS_setsockopt],
    },
];

/// Options that may be read.
pub(super) const READ_OPTIONS: &[(u32, &[u32])] = &[
    (
        libc::SOL_SOCKET as u32,
        &[
            libc::SO_ERROR as u32,
            libc::SO_TYPE as u32,
            libc::SO_DOMAIN as u32,
            libc::SO_PROTOCOL as u32,
            libc::SO_ACCEPTCONN as u32,
            libc::SO_REUSEADDR as u32,
            libc::SO_KEEPALIVE as u32,
            libc::SO_LINGER as u32,
            libc::SO_RCVBUF as u32,
            libc::SO_SNDBUF as u32,
            libc::SO_RCVTIMEO as u32,
            libc::SO_SNDTIMEO as u32,
        ],
    ),
    (libc::IPPROTO_TCP as u32, TCP_OPTIONS),
];

/// Options that may be set.
pub(super) const WRITTEN_OPTIONS: &[(u32, &[u32])] = &[
    (
        libc::SOL_SOCKET as u32,
        &[
            libc::SO_KEEPALIVE as u32,
            libc::SO_LINGER as u32,
            libc::SO_RCVBUF as u32,
            libc::SO_SNDBUF as u32,
            libc::SO_RCVTIMEO as u32,
            libc::SO_SNDTIMEO as u32,
        ],
    ),
    (libc::IPPROTO_TCP as u32, TCP_OPTIONS),
];

/// tcp(7).
const TCP_OPTIONS: &[u32] = &[
    libc::TCP_NODELAY as u32,
    libc::TCP_KEEPIDLE as u32,
    libc::TCP_KEEPINTVL as u32,
    libc::TCP_KEEPCNT as u32,
    libc::TCP_QUICKACK as u32,
    libc::TCP_USER_TIMEOUT as u32,
];

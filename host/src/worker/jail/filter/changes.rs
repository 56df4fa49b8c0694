//! What is added for workers that may change files in granted directories. Where is decided by the mounts and by Landlock;
//! but Landlock knows nothing of modes and times, so these take a file that is open already.

use super::rules::{Action, Check, Group, calls};

/// Set-user-id and set-group-id: on the machine a plugin's program would run as its owner, for everybody.
const SET_IDS: u32 = 0o6000;

/// Added where a directory is writable.
pub(super) const CHANGES: &[Group] = &[
    Group {
        name: "sizes and names",
        reason: "editors and version control empty files by name and link them",
        action: Action::Allow,
        calls: calls![SYS_truncate SYS_link SYS_linkat],
    },
    Group {
        name: "modes",
        reason: "a copy gets the mode of what was copied, but never another's identity",
        action: Action::Check(Check::NoBits(1, SET_IDS)),
        calls: calls![SYS_fchmod],
    },
    Group {
        name: "times",
        reason: "build tools compare and set times; a path could lead to what is not open",
        action: Action::Check(Check::Null(1)),
        calls: calls![SYS_utimensat],
    },
];

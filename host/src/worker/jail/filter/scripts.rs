//! What is added for workers whose place an interpreter takes: one exec, and for a shell its processes.

use super::rules::{Action, Check, Group, calls};

/// Added for every script.
pub(super) const SCRIPTS: &[Group] = &[
    Group {
        name: "the one exec",
        reason: "the launcher lets the first one go on, which is the worker's own, and refuses all others",
        action: Action::Notify,
        calls: calls![SYS_execve],
    },
    Group {
        name: "start of an interpreter",
        reason: "the C library sets its thread pointer",
        action: Action::Check(Check::ThreadPointer),
        calls: calls![SYS_arch_prctl],
    },
];

/// Added where the interpreter is a shell: it makes a process for each subshell and each part of a pipe.
pub(super) const PROCESSES: &[Group] = &[
    Group {
        name: "subshells",
        reason: "no namespace, and nobody else's child; RLIMIT_NPROC counts them",
        action: Action::Check(Check::NoSpaces),
        calls: calls![SYS_clone],
    },
    Group {
        name: "ends of subshells",
        reason: "a pid namespace of their own holds nobody else",
        action: Action::Allow,
        calls: calls![SYS_fork SYS_vfork SYS_wait4 SYS_waitid SYS_kill SYS_setpgid SYS_setsid],
    },
];

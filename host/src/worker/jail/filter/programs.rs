//! What is added, and what is replaced of the base, for programs of the system and whatever they start. They are honest as
//! a rule and expect an ordinary machine; what they get at is decided by their namespaces, Landlock and the limits.
//!
//! Not here: a socket of any kind, execveat(2), which runs what has no name, and whatever the base refuses to plugins.

use super::rules::{Action, Check, Group, SET_IDS, calls};

/// Added where programs are run; a call that the base lists as well is decided here.
pub(super) const PROGRAMS: &[Group] = &[
    Group {
        name: "starting programs",
        reason: "which files can be executed, Landlock and the mounts decide",
        action: Action::Allow,
        calls: calls![SYS_execve SYS_fork SYS_vfork SYS_wait4 SYS_waitid],
    },
    Group {
        name: "new processes and threads",
        reason: "no namespace, and nobody else's child; RLIMIT_NPROC counts them",
        action: Action::Check(Check::NoSpaces),
        calls: calls![SYS_clone],
    },
    Group {
        name: "start of a program",
        reason: "the C library sets its thread pointer",
        action: Action::Check(Check::ThreadPointer),
        calls: calls![SYS_arch_prctl],
    },
    Group {
        name: "other processes of the same run",
        reason: "a pid namespace of their own holds nobody else",
        action: Action::Allow,
        calls: calls![
            SYS_kill SYS_tkill SYS_setpgid SYS_setsid SYS_getpriority SYS_sched_getscheduler SYS_sched_getparam
        ],
    },
    Group {
        name: "alarms",
        reason: "timers that signal the own process",
        action: Action::Allow,
        calls: calls![
            SYS_alarm SYS_setitimer SYS_getitimer SYS_timer_create SYS_timer_settime SYS_timer_gettime
            SYS_timer_getoverrun SYS_timer_delete
        ],
    },
    Group {
        name: "copies",
        reason: "from one open file to another",
        action: Action::Allow,
        calls: calls![SYS_sendfile SYS_copy_file_range],
    },
    Group {
        name: "modes by path",
        reason: "of own files and of those that may be changed: every other mount is read-only or somebody else's; never \
                 another's identity",
        action: Action::Check(Check::NoBits(1, SET_IDS)),
        calls: calls![SYS_chmod],
    },
    Group {
        name: "modes by path from a directory",
        reason: "the same",
        action: Action::Check(Check::NoBits(2, SET_IDS)),
        calls: calls![SYS_fchmodat],
    },
    Group {
        name: "extended attributes",
        reason: "programs take this for a file system without them",
        action: Action::Errno(libc::ENOTSUP),
        calls: calls![
            SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_setxattr
            SYS_lsetxattr SYS_fsetxattr SYS_removexattr SYS_lremovexattr SYS_fremovexattr
        ],
    },
];

//! Which system calls every plugin may make: groups with a reason each. Everything that no group names is refused with EPERM.
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants of the kernel's interface, each smaller than its field"
)]

use super::sockets::READ_OPTIONS;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Allow,
    /// It fails with this `errno`; the plugin lives.
    Errno(i32),
    /// The launcher learns of it and ends the worker.
    Notify,
    /// Its arguments decide.
    Check(Check),
}

/// Rules on arguments; each is compiled by the parent module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// clone(2): threads only; no new namespace and no new process.
    ThreadOnly,
    /// clone(2): threads and processes; no new namespace, and no child of another process.
    NoSpaces,
    /// arch_prctl(2): setting the thread pointer, and the questions of the dynamic loader.
    ThreadPointer,
    /// mmap(2): executable memory comes from read-only file mappings alone, and no memory escapes RLIMIT_DATA.
    CountedMemory,
    /// The low word of an argument must be one of these.
    OneOf(u8, &'static [u32]),
    /// The low word of an argument has none of these bits.
    NoBits(u8, u32),
    /// open(2), by the places of its flags and its mode: a new file is neither set-user-id nor set-group-id.
    PlainFile { flags: u8, mode: u8 },
    /// A pointer that points nowhere.
    Null(u8),
    /// fcntl(2): locks are granted without a lock, and the commands listed pass.
    OwnDescriptor,
    /// prlimit64(2): reading the own limits.
    ReadOwnLimit,
    /// socketpair(2): a pair of Unix streams.
    UnixStreamPair,
    /// socket(2): a stream of TCP, over IPv4 or IPv6.
    TcpSocket,
    /// sendto(2): no address of its own, and no flag but these.
    ConnectedSend(u32),
    /// getsockopt(2) and setsockopt(2): these names of these levels.
    SocketOption(&'static [(u32, &'static [u32])]),
    /// prctl(2): the options listed, and giving up dumpability.
    HarmlessPrctl,
}

/// Calls that share an action and a reason.
#[cfg_attr(not(test), expect(dead_code, reason = "name and reason are for readers; the tests demand them"))]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    pub(super) action: Action,
    /// Names begin with `SYS_`.
    pub(super) calls: &'static [(&'static str, libc::c_long)],
}

macro_rules! calls {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}
pub(super) use calls;

/// A number above this one is newer than this table: the answer is ENOSYS, as from an older kernel, so that libraries
/// fall back.
pub(super) const NEWEST_KNOWN: u32 = 450;

/// fcntl(2) commands: no F_SETOWN, F_SETSIG, F_NOTIFY, which send signals elsewhere, and no leases.
pub(super) const FCNTL: &[u32] = &[
    libc::F_DUPFD as u32,
    libc::F_DUPFD_CLOEXEC as u32,
    libc::F_GETFD as u32,
    libc::F_SETFD as u32,
    libc::F_GETFL as u32,
    libc::F_SETFL as u32,
    libc::F_GETLK as u32,
    libc::F_OFD_GETLK as u32,
    libc::F_GETPIPE_SZ as u32,
    libc::F_GET_SEALS as u32,
];

/// ioctl(2) requests: asking about size and terminal. TIOCSTI, TIOCLINUX and their kind would type into the caller's
/// shell.
const IOCTL: &[u32] = &[
    libc::FIONREAD as u32,
    libc::FIONBIO as u32,
    libc::FIOCLEX as u32,
    libc::FIONCLEX as u32,
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
];

/// sendto(2) flags.
const SEND_FLAGS: u32 = (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_MORE | libc::MSG_EOR).cast_unsigned();

/// Set-user-id and set-group-id: on the machine a plugin's program would run as its owner, for everybody.
pub(super) const SET_IDS: u32 = 0o6000;

/// personality(2): the usual one, and the question.
const PERSONALITY: &[u32] = &[0, 0xffff_ffff];

/// What every plugin may call.
pub(super) const BASE: &[Group] = &[
    Group {
        name: "memory",
        reason: "the allocator and the dynamic loader",
        action: Action::Allow,
        calls: calls![SYS_brk SYS_munmap SYS_mremap SYS_madvise SYS_mincore SYS_msync SYS_membarrier],
    },
    Group {
        name: "code",
        reason: "only read-only file mappings may be executable, and every writable mount is noexec; shared anonymous, \
                 growing and huge mappings are outside RLIMIT_DATA",
        action: Action::Check(Check::CountedMemory),
        calls: calls![SYS_mmap],
    },
    Group {
        name: "protection",
        reason: "relocation and guard pages need mprotect; nothing needs to turn data into code",
        action: Action::Check(Check::NoBits(2, libc::PROT_EXEC as u32)),
        calls: calls![SYS_mprotect SYS_pkey_mprotect],
    },
    Group {
        name: "threads",
        reason: "std::thread, parking and run-times",
        action: Action::Allow,
        calls: calls![
            SYS_futex SYS_futex_waitv SYS_set_robust_list SYS_rseq SYS_set_tid_address SYS_exit
            SYS_exit_group SYS_sched_yield SYS_sched_getaffinity SYS_gettid SYS_getpid SYS_getppid SYS_tgkill SYS_getcpu
        ],
    },
    Group {
        name: "new threads",
        reason: "a process or a namespace is what the flags make of clone; only a thread passes",
        action: Action::Check(Check::ThreadOnly),
        calls: calls![SYS_clone],
    },
    Group {
        name: "signals",
        reason: "handlers of the plugin's own process",
        action: Action::Allow,
        calls: calls![
            SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending SYS_rt_sigsuspend
            SYS_rt_sigtimedwait SYS_sigaltstack SYS_pause SYS_restart_syscall SYS_signalfd4
        ],
    },
    Group {
        name: "time",
        reason: "clocks, sleeping and timers of the own process",
        action: Action::Allow,
        calls: calls![
            SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_nanosleep SYS_gettimeofday SYS_time SYS_times
            SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime
        ],
    },
    Group {
        name: "descriptors",
        reason: "reading, writing and waiting on what is open",
        action: Action::Allow,
        calls: calls![
            SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_lseek SYS_close
            SYS_close_range SYS_dup SYS_dup2 SYS_dup3 SYS_pipe2 SYS_pipe SYS_eventfd2 SYS_poll SYS_ppoll SYS_select
            SYS_pselect6 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_wait SYS_epoll_pwait SYS_epoll_pwait2
        ],
    },
    Group {
        name: "streams",
        reason: "the pair of streams that run-times wake themselves with",
        action: Action::Allow,
        calls: calls![SYS_recvfrom SYS_shutdown],
    },
    Group {
        name: "sending",
        reason: "a stream has its other end already; MSG_FASTOPEN would connect it to another one, and MSG_OOB is code of \
                 the kernel that nobody needs and that was broken into before",
        action: Action::Check(Check::ConnectedSend(SEND_FLAGS)),
        calls: calls![SYS_sendto],
    },
    Group {
        name: "questions about streams",
        reason: "errors, timeouts and sizes; not who stands at the other end, nor a handle on that process",
        action: Action::Check(Check::SocketOption(READ_OPTIONS)),
        calls: calls![SYS_getsockopt],
    },
    Group {
        name: "stream pairs",
        reason: "no socket of any other kind can be made",
        action: Action::Check(Check::UnixStreamPair),
        calls: calls![SYS_socketpair],
    },
    Group {
        name: "descriptor flags",
        reason: "the commands that send signals to other processes are left out; a record lock would stand on the \
                 machine's own /dev/null and be seen by everybody, and inside one process it never excludes anything",
        action: Action::Check(Check::OwnDescriptor),
        calls: calls![SYS_fcntl],
    },
    Group {
        name: "device requests",
        reason: "a short list of questions beats a long list of dangers",
        action: Action::Check(Check::OneOf(1, IOCTL)),
        calls: calls![SYS_ioctl],
    },
    Group {
        name: "files",
        reason: "the scratch directory; the mount namespace and Landlock decide where",
        action: Action::Allow,
        calls: calls![
            SYS_stat SYS_fstat SYS_lstat SYS_newfstatat SYS_statx SYS_access
            SYS_faccessat SYS_faccessat2 SYS_readlink SYS_readlinkat SYS_getdents64 SYS_getcwd SYS_chdir SYS_fchdir
            SYS_mkdir SYS_mkdirat SYS_rmdir SYS_unlink SYS_unlinkat SYS_rename SYS_renameat SYS_ftruncate
            SYS_fallocate SYS_fsync SYS_fdatasync SYS_statfs SYS_fstatfs SYS_umask SYS_fadvise64
        ],
    },
    Group {
        name: "renaming with flags",
        reason: "RENAME_WHITEOUT leaves a character device behind, which needs no privilege to make",
        action: Action::Check(Check::NoBits(4, libc::RENAME_WHITEOUT)),
        calls: calls![SYS_renameat2],
    },
    Group {
        name: "opening",
        reason: "a file that is set-user-id from its creation on waits, still empty, for root to fill it",
        action: Action::Check(Check::PlainFile { flags: 1, mode: 2 }),
        calls: calls![SYS_open],
    },
    Group {
        name: "opening from a directory",
        reason: "as above",
        action: Action::Check(Check::PlainFile { flags: 2, mode: 3 }),
        calls: calls![SYS_openat],
    },
    Group {
        name: "creating",
        reason: "as above",
        action: Action::Check(Check::NoBits(1, SET_IDS)),
        calls: calls![SYS_creat],
    },
    Group {
        name: "opening by a record",
        reason: "the mode lies behind a pointer; libraries fall back to openat",
        action: Action::Errno(libc::ENOSYS),
        calls: calls![SYS_openat2],
    },
    Group {
        name: "file locks",
        reason: "a lock on the machine's own /dev/null would stop its other programs and talk to other plugins",
        action: Action::Errno(libc::ENOLCK),
        calls: calls![SYS_flock],
    },
    Group {
        name: "questions",
        reason: "who and where am I",
        action: Action::Allow,
        calls: calls![
            SYS_uname SYS_sysinfo SYS_getrandom SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getresuid
            SYS_getresgid SYS_getgroups SYS_getpgrp SYS_getpgid SYS_getsid SYS_getrlimit SYS_getrusage SYS_capget
        ],
    },
    Group {
        name: "own limits",
        reason: "reading limits; a raised one would be no limit",
        action: Action::Check(Check::ReadOwnLimit),
        calls: calls![SYS_prlimit64],
    },
    Group {
        name: "process options",
        reason: "thread names and questions; options that loosen the sandbox are refused",
        action: Action::Check(Check::HarmlessPrctl),
        calls: calls![SYS_prctl],
    },
    Group {
        name: "personality",
        reason: "libraries ask; other values turn off address randomization",
        action: Action::Check(Check::OneOf(0, PERSONALITY)),
        calls: calls![SYS_personality],
    },
    Group {
        name: "probed",
        reason: "libraries try these and fall back when the kernel does not know them",
        action: Action::Errno(libc::ENOSYS),
        calls: calls![
            SYS_clone3 SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_fsopen SYS_fsconfig SYS_fsmount
            SYS_fspick SYS_open_tree SYS_move_mount SYS_mount_setattr
        ],
    },
    Group {
        name: "attacks",
        reason: "no honest plugin asks; the worker is ended and the call is named",
        action: Action::Notify,
        calls: calls![
            SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_process_madvise SYS_kcmp SYS_pidfd_getfd SYS_bpf
            SYS_kexec_load SYS_kexec_file_load SYS_init_module SYS_finit_module SYS_delete_module SYS_mount SYS_umount2
            SYS_pivot_root SYS_chroot SYS_setns SYS_swapon SYS_swapoff SYS_reboot SYS_iopl SYS_ioperm SYS_modify_ldt
            SYS_open_by_handle_at SYS_name_to_handle_at SYS_quotactl SYS_quotactl_fd SYS_acct SYS_settimeofday
            SYS_clock_settime SYS_adjtimex SYS_clock_adjtime SYS_add_key SYS_request_key SYS_keyctl SYS_vmsplice
            SYS_lookup_dcookie SYS_nfsservctl SYS_uselib SYS_ustat SYS_vhangup SYS_fanotify_init SYS_perf_event_open
            SYS_userfaultfd SYS_memfd_secret SYS_syslog SYS_sethostname SYS_setdomainname
        ],
    },
];

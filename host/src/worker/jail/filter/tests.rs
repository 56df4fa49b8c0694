//! Runs compiled filters in a small interpreter, so that every rule is checked without installing anything.

use super::*;

/// What the kernel would answer to a call.
fn run(program: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> u32 {
    let word = |offset: u32| -> u32 {
        match offset {
            NUMBER_AT => number,
            ARCH_AT => arch,
            other => {
                let at = usize::try_from(other - ARGS_AT).unwrap();
                let bytes: Vec<u8> = args.iter().flat_map(|arg| arg.to_le_bytes()).collect();
                u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
            }
        }
    };
    let (mut at, mut value) = (0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let branch = |taken: bool| usize::from(if taken { jt } else { jf });
        at += 1;
        match code {
            LOAD => value = word(k),
            RETURN => return k,
            EQUAL => at += branch(value == k),
            AT_LEAST => at += branch(value >= k),
            HAS_BIT => at += branch(value & k != 0),
            JUMP => at += usize::try_from(k).unwrap(),
            _ => value &= k,
        }
    }
}

fn answer(number: libc::c_long, args: [u64; 6]) -> u32 {
    run(&compile(Profile::default()), ARCH, u32::try_from(number).unwrap(), args)
}

/// As [`answer`], where streams of the host arrive.
fn answer_with_sockets(number: libc::c_long, args: [u64; 6]) -> u32 {
    run(&compile(SOCKETS_TOO), ARCH, u32::try_from(number).unwrap(), args)
}

const NOTHING: Profile = Profile {
    sockets: false,
    changes: false,
    programs: false,
    learns: false,
    network: false,
    script: false,
    forks: false,
};
const SOCKETS_TOO: Profile = Profile { sockets: true, ..NOTHING };
/// All that a plugin can have.
const EVERYTHING: Profile = Profile { changes: true, ..SOCKETS_TOO };
/// As much as there is where the workers make their own sockets.
const NETWORK_TOO: Profile = Profile { changes: true, network: true, ..NOTHING };
const PROGRAM: Profile = Profile { changes: true, programs: true, ..NOTHING };
/// All that a program can have.
const PROGRAM_TOO: Profile = Profile { network: true, ..PROGRAM };

const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

#[test]
fn every_listed_call_has_its_groups_action() {
    for (profile, group) in [EVERYTHING, NETWORK_TOO].iter().flat_map(|p| p.groups().map(move |group| (p, group))) {
        assert!(!group.reason.is_empty(), "{} needs a reason", group.name);
        for (name, number) in group.calls {
            let expected = match group.action {
                Action::Check(_) => continue,
                plain => verdict(plain),
            };
            let answer = run(&compile(*profile), ARCH, u32::try_from(*number).unwrap(), [0; 6]);
            assert_eq!(answer, expected, "{name} in {}", group.name);
        }
    }
}

#[test]
fn what_is_recorded_waits_and_what_is_refused_stays_refused() {
    for profile in [NOTHING, EVERYTHING, PROGRAM_TOO] {
        let (plain, learning) = (compile(profile), compile(Profile { learns: true, ..profile }));
        let mut waiting = 0;
        for (number, args) in (0..600).flat_map(|number| [(number, [0; 6]), (number, [0xffff_ffff_ffff_ffff; 6])]) {
            let (before, after) = (run(&plain, ARCH, number, args), run(&learning, ARCH, number, args));
            if before == libc::SECCOMP_RET_ALLOW && recorded_paths(number.into()).is_some() {
                assert_eq!(after, libc::SECCOMP_RET_USER_NOTIF, "{number}");
                waiting += 1;
            } else {
                assert_eq!(after, before, "{number}");
            }
        }
        assert!(waiting > 20, "{waiting}");
    }
}

#[test]
fn no_call_is_listed_twice() {
    for profile in [EVERYTHING, NETWORK_TOO] {
        let mut seen = std::collections::BTreeSet::new();
        for (name, number) in profile.groups().flat_map(|group| group.calls) {
            assert!(seen.insert(number), "{name} is in two groups");
        }
    }
}

#[test]
fn programs_have_what_is_added_for_them_and_what_it_replaces() {
    let base: std::collections::BTreeSet<_> =
        BASE.iter().flat_map(|group| group.calls).map(|(name, _)| *name).collect();
    let mut replaced = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let program = compile(PROGRAM);
    for group in PROGRAMS {
        assert!(!group.reason.is_empty(), "{} needs a reason", group.name);
        for (name, number) in group.calls {
            assert!(seen.insert(name), "{name} is in two groups");
            replaced.extend(base.contains(name).then_some(*name));
            if !matches!(group.action, Action::Check(_)) {
                let answer = run(&program, ARCH, u32::try_from(*number).unwrap(), [0; 6]);
                assert_eq!(answer, verdict(group.action), "{name} in {}", group.name);
            }
        }
    }
    assert_eq!(replaced, ["SYS_clone"]);
}

#[test]
fn a_script_has_one_exec_and_only_a_shell_has_processes() {
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let fork = [bits(libc::SIGCHLD), 0, 0, 0, 0, 0];
    let script = Profile { script: true, ..NOTHING };
    let shell = Profile { forks: true, ..script };
    let granted = Profile { changes: true, programs: true, ..shell };
    let notify = libc::SECCOMP_RET_USER_NOTIF;
    for (profile, exec, forks) in [
        (NOTHING, REFUSED, false),
        (script, notify, false),
        (shell, notify, true),
        (granted, libc::SECCOMP_RET_ALLOW, true),
    ] {
        let program = compile(profile);
        let answer = |number: libc::c_long, args| run(&program, ARCH, u32::try_from(number).unwrap(), args);
        assert_eq!(answer(libc::SYS_execve, [0; 6]), exec, "{profile:?}");
        assert_eq!(answer(libc::SYS_execveat, [0; 6]), REFUSED, "{profile:?}");
        let expected = if forks { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(answer(libc::SYS_clone, fork), expected, "{profile:?}");
        assert_eq!(answer(libc::SYS_clone, [bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0]), REFUSED, "{profile:?}");
        assert_eq!(answer(libc::SYS_socket, [2, 1, 0, 0, 0, 0]), REFUSED, "{profile:?}");
    }
}

#[test]
fn programs_make_processes_and_no_namespaces() {
    let program = compile(PROGRAM);
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let child = bits(libc::SIGCHLD);
    for (name, number, args, passes) in [
        ("fork", libc::SYS_clone, [child, 0, 0, 0, 0, 0], true),
        ("spawn", libc::SYS_clone, [child | bits(libc::CLONE_VM | libc::CLONE_VFORK), 0, 0, 0, 0, 0], true),
        ("thread", libc::SYS_clone, [bits(libc::CLONE_VM | libc::CLONE_THREAD), 0, 0, 0, 0, 0], true),
        ("user namespace", libc::SYS_clone, [child | bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0], false),
        ("net namespace", libc::SYS_clone, [child | bits(libc::CLONE_NEWNET), 0, 0, 0, 0, 0], false),
        ("another's child", libc::SYS_clone, [child | bits(libc::CLONE_PARENT), 0, 0, 0, 0, 0], false),
        ("execve", libc::SYS_execve, [0x1000; 6], true),
        ("execveat", libc::SYS_execveat, [3, 0x1000, 0, 0, 0x1000, 0], false),
        ("memfd_create", libc::SYS_memfd_create, [0x1000, 0, 0, 0, 0, 0], false),
        ("thread pointer", libc::SYS_arch_prctl, [0x1002, 0x1000, 0, 0, 0, 0], true),
        ("cpuid faults", libc::SYS_arch_prctl, [0x1012, 0, 0, 0, 0, 0], false),
        ("mode", libc::SYS_chmod, [0x1000, 0o755, 0, 0, 0, 0], true),
        ("set-user-id", libc::SYS_chmod, [0x1000, 0o4755, 0, 0, 0, 0], false),
        ("set-group-id from a directory", libc::SYS_fchmodat, [3, 0x1000, 0o2755, 0, 0, 0], false),
        ("set-user-id of an open file", libc::SYS_fchmod, [3, 0o4755, 0, 0, 0, 0], false),
        ("owner", libc::SYS_chown, [0x1000, 0, 0, 0, 0, 0], false),
        ("symbolic link", libc::SYS_symlink, [0x1000, 0x1000, 0, 0, 0, 0], false),
        ("device", libc::SYS_mknod, [0x1000, 0, 0, 0, 0, 0], false),
        ("rename", libc::SYS_renameat2, [0, 0, 0, 0, libc::RENAME_NOREPLACE as u64, 0], true),
        ("whiteout", libc::SYS_renameat2, [0, 0, 0, 0, libc::RENAME_WHITEOUT as u64, 0], false),
        ("whiteout, high bit", libc::SYS_renameat2, [0, 0, 0, 0, 1 << 40 | libc::RENAME_WHITEOUT as u64, 0], false),
        ("socket", libc::SYS_socket, [2, 1, 0, 0, 0, 0], false),
        ("jit", libc::SYS_mprotect, [0, 4096, bits(libc::PROT_READ | libc::PROT_EXEC), 0, 0, 0], false),
        ("unshare", libc::SYS_unshare, [0; 6], false),
    ] {
        let expected = if passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(run(&program, ARCH, u32::try_from(number).unwrap(), args), expected, "{name}");
    }
    assert_eq!(run(&program, ARCH, u32::try_from(libc::SYS_ptrace).unwrap(), [0; 6]), libc::SECCOMP_RET_USER_NOTIF);
}

#[test]
fn what_nobody_lists_is_refused() {
    for (number, expected) in [
        (libc::SYS_socket, REFUSED),
        (libc::SYS_execve, REFUSED),
        (libc::SYS_fork, REFUSED),
        (libc::SYS_memfd_create, REFUSED),
        (libc::SYS_unshare, REFUSED),
        (libc::SYS_kill, REFUSED),
        (451, UNKNOWN),
        (600, UNKNOWN),
        (0x3fff_ffff, UNKNOWN),
    ] {
        assert_eq!(answer(number, [0; 6]), expected, "{number}");
    }
}

/// With any arguments: a call whose arguments are looked at counts as well.
#[test]
fn few_calls_pass_without_a_permission() {
    let may_pass = |group: &&Group| matches!(group.action, Action::Allow | Action::Check(_));
    let count: usize = Profile::default().groups().filter(may_pass).map(|group| group.calls.len()).sum();
    assert!(count <= 130, "{count} calls may pass without a permission");
}

// A23, A24: another architecture's entry and the x32 numbers never reach the table.
#[test]
fn foreign_entries_are_killed() {
    let kill = libc::SECCOMP_RET_KILL_PROCESS;
    let base = compile(Profile::default());
    assert_eq!(run(&base, 0x4000_0003, 3, [0; 6]), kill);
    assert_eq!(run(&base, ARCH, X32, [0; 6]), kill);
    assert_eq!(run(&base, ARCH, X32 + 1, [0; 6]), kill);
    assert_eq!(run(&base, ARCH, u32::MAX, [0; 6]), kill);
}

#[test]
fn arguments_decide() {
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let thread = bits(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_FS);
    let (read, write, exec) = (bits(libc::PROT_READ), bits(libc::PROT_WRITE), bits(libc::PROT_EXEC));
    let anonymous = bits(libc::MAP_ANONYMOUS | libc::MAP_PRIVATE);
    let high = 1_u64 << 40;
    let cases: &[(&str, libc::c_long, [u64; 6], bool)] = &[
        ("thread", libc::SYS_clone, [thread, 0, 0, 0, 0, 0], true),
        ("fork", libc::SYS_clone, [bits(libc::SIGCHLD), 0, 0, 0, 0, 0], false),
        ("vfork", libc::SYS_clone, [bits(libc::CLONE_VM | libc::CLONE_VFORK), 0, 0, 0, 0, 0], false),
        ("thread in a user namespace", libc::SYS_clone, [thread | bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0], false),
        ("thread in a pid namespace", libc::SYS_clone, [thread | bits(libc::CLONE_NEWPID), 0, 0, 0, 0, 0], false),
        ("data", libc::SYS_mmap, [0, 4096, read | write, anonymous, 0, 0], true),
        ("library text", libc::SYS_mmap, [0, 4096, read | exec, bits(libc::MAP_PRIVATE), 3, 0], true),
        ("scratch file", libc::SYS_mmap, [0, 4096, read | write, bits(libc::MAP_SHARED), 3, 0], true),
        ("thread stack", libc::SYS_mmap, [0, 4096, 0, anonymous | bits(libc::MAP_STACK), 0, 0], true),
        (
            "shared memory",
            libc::SYS_mmap,
            [0, 4096, read | write, bits(libc::MAP_ANONYMOUS | libc::MAP_SHARED), 0, 0],
            false,
        ),
        ("growing memory", libc::SYS_mmap, [0, 4096, read | write, anonymous | bits(libc::MAP_GROWSDOWN), 0, 0], false),
        ("huge pages", libc::SYS_mmap, [0, 4096, read | write, anonymous | bits(libc::MAP_HUGETLB), 0, 0], false),
        ("huge file pages", libc::SYS_mmap, [0, 4096, read, bits(libc::MAP_PRIVATE | libc::MAP_HUGETLB), 3, 0], false),
        ("anonymous code", libc::SYS_mmap, [0, 4096, read | exec, anonymous, 0, 0], false),
        ("writable code", libc::SYS_mmap, [0, 4096, read | write | exec, bits(libc::MAP_PRIVATE), 3, 0], false),
        ("relro", libc::SYS_mprotect, [0, 4096, read, 0, 0, 0], true),
        ("jit", libc::SYS_mprotect, [0, 4096, read | exec, 0, 0, 0], false),
        ("jit with a high bit", libc::SYS_mprotect, [0, 4096, high | exec, 0, 0, 0], false),
        ("TIOCGWINSZ", libc::SYS_ioctl, [1, libc::TIOCGWINSZ, 0, 0, 0, 0], true),
        ("FIONREAD", libc::SYS_ioctl, [1, libc::FIONREAD, 0, 0, 0, 0], true),
        ("TIOCSTI", libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], false),
        ("TIOCSTI with a high bit", libc::SYS_ioctl, [0, libc::TIOCSTI | high, 0, 0, 0, 0], false),
        ("F_GETFL", libc::SYS_fcntl, [1, bits(libc::F_GETFL), 0, 0, 0, 0], true),
        ("F_SETOWN", libc::SYS_fcntl, [1, bits(libc::F_SETOWN), 1, 0, 0, 0], false),
        ("F_OFD_SETLK", libc::SYS_fcntl, [1, bits(libc::F_OFD_SETLK), 1, 0, 0, 0], false),
        ("getrlimit", libc::SYS_prlimit64, [0, 7, 0, 4096, 0, 0], true),
        ("setrlimit", libc::SYS_prlimit64, [0, 7, 4096, 0, 0, 0], false),
        ("setrlimit behind 4 GiB", libc::SYS_prlimit64, [0, 7, high, 0, 0, 0], false),
        ("another's limit", libc::SYS_prlimit64, [5, 7, 0, 4096, 0, 0], false),
        ("stream pair", libc::SYS_socketpair, [1, 1 | bits(libc::SOCK_CLOEXEC), 0, 0, 0, 0], true),
        ("datagram pair", libc::SYS_socketpair, [1, 2, 0, 0, 0, 0], false),
        ("netlink pair", libc::SYS_socketpair, [16, 1, 0, 0, 0, 0], false),
        ("thread name", libc::SYS_prctl, [bits(libc::PR_SET_NAME), 0, 0, 0, 0, 0], true),
        ("give up dumpability", libc::SYS_prctl, [bits(libc::PR_SET_DUMPABLE), 0, 0, 0, 0, 0], true),
        ("become dumpable", libc::SYS_prctl, [bits(libc::PR_SET_DUMPABLE), 1, 0, 0, 0, 0], false),
        ("own filter", libc::SYS_prctl, [bits(libc::PR_SET_SECCOMP), 2, 0, 0, 0, 0], false),
        ("survive the parent", libc::SYS_prctl, [bits(libc::PR_SET_PDEATHSIG), 0, 0, 0, 0, 0], false),
        ("plain personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0], true),
        ("no randomization", libc::SYS_personality, [0x004_0000, 0, 0, 0, 0, 0], false),
    ];
    for (name, number, args, passes) in cases {
        let expected = if *passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(answer(*number, *args), expected, "{name}");
    }
}

type Call = (libc::c_long, [u64; 6]);

/// Each call with whether the base alone lets it pass, and whether it passes where streams of the host arrive.
#[test]
fn streams_keep_their_other_end() {
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let (high, socket, tcp) = (1_u64 << 40, bits(libc::SOL_SOCKET), bits(libc::IPPROTO_TCP));
    let get = |level: u64, name: i32| (libc::SYS_getsockopt, [3, level, bits(name), 0x1000, 0x1000, 0]);
    let set = |level: u64, name: i32| (libc::SYS_setsockopt, [3, level, bits(name), 0x1000, 4, 0]);
    let send = |flags: i32, address: u64| (libc::SYS_sendto, [3, 0x1000, 1, bits(flags), address, 16]);
    let cases: &[(&str, Call, bool, bool)] = &[
        ("send", send(libc::MSG_NOSIGNAL, 0), true, true),
        ("send elsewhere", send(libc::MSG_NOSIGNAL, 0x1000), false, false),
        ("send elsewhere, the address above 4 GiB", send(libc::MSG_NOSIGNAL, high), false, false),
        ("send and connect", send(libc::MSG_FASTOPEN, 0), false, false),
        ("send and connect elsewhere", send(libc::MSG_FASTOPEN, 0x1000), false, false),
        ("send out of band", send(libc::MSG_OOB, 0), false, false),
        ("receive", (libc::SYS_recvfrom, [3, 0x1000, 1, 0, 0, 0]), true, true),
        ("receive descriptors", (libc::SYS_recvmsg, [3, 0x1000, 0, 0, 0, 0]), false, true),
        ("send descriptors", (libc::SYS_sendmsg, [3, 0x1000, 0, 0, 0, 0]), false, false),
        ("send many", (libc::SYS_sendmmsg, [3, 0x1000, 1, 0, 0, 0]), false, false),
        ("receive many", (libc::SYS_recvmmsg, [3, 0x1000, 1, 0, 0, 0]), false, false),
        ("socket", (libc::SYS_socket, [2, 1, 0, 0, 0, 0]), false, false),
        ("connect", (libc::SYS_connect, [3, 0x1000, 16, 0, 0, 0]), false, false),
        ("bind", (libc::SYS_bind, [3, 0x1000, 16, 0, 0, 0]), false, false),
        ("listen", (libc::SYS_listen, [3, 1, 0, 0, 0, 0]), false, false),
        ("accept", (libc::SYS_accept4, [3, 0, 0, 0, 0, 0]), false, false),
        ("peer's name", (libc::SYS_getpeername, [3, 0x1000, 0x1000, 0, 0, 0]), false, true),
        ("last error", get(socket, libc::SO_ERROR), true, true),
        ("last error with a high bit", get(socket | high, libc::SO_ERROR), true, true),
        ("peer's process", get(socket, libc::SO_PEERPIDFD), false, false),
        ("peer's ids", get(socket, libc::SO_PEERCRED), false, false),
        ("filter", get(socket, libc::SO_GET_FILTER), false, false),
        ("no delay?", get(tcp, libc::TCP_NODELAY), true, true),
        ("repair queue", get(tcp, libc::TCP_REPAIR), false, false),
        ("no delay", set(tcp, libc::TCP_NODELAY), false, true),
        ("keep-alive", set(socket, libc::SO_KEEPALIVE), false, true),
        ("filter", set(socket, libc::SO_ATTACH_FILTER), false, false),
        ("BPF", set(socket, libc::SO_ATTACH_BPF), false, false),
        ("filter with a high bit", set(socket | high, libc::SO_ATTACH_FILTER), false, false),
        ("device", set(socket, libc::SO_BINDTODEVICE), false, false),
        ("mark", set(socket, libc::SO_MARK), false, false),
        ("stacked protocol", set(tcp, libc::TCP_ULP), false, false),
        ("repair", set(tcp, libc::TCP_REPAIR), false, false),
        ("fast open", set(tcp, libc::TCP_FASTOPEN_CONNECT), false, false),
        ("IP options", set(bits(libc::IPPROTO_IP), libc::IP_OPTIONS), false, false),
        ("the name of another level", set(bits(libc::IPPROTO_IP), libc::TCP_NODELAY), false, false),
        ("level 0", set(0, 0), false, false),
    ];
    let verdict = |passes: bool| if passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
    for (name, (number, args), alone, sockets) in cases {
        assert_eq!(answer(*number, *args), verdict(*alone), "{name}");
        assert_eq!(answer_with_sockets(*number, *args), verdict(*sockets), "{name}, where streams arrive");
    }
}

// A42, A47
#[test]
fn own_sockets_are_streams_of_tcp() {
    let network = compile(NETWORK_TOO);
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let (inet, inet6, stream, tcp) =
        (bits(libc::AF_INET), bits(libc::AF_INET6), bits(libc::SOCK_STREAM), bits(libc::IPPROTO_TCP));
    let flags = bits(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    let socket = |domain, kind, protocol| (libc::SYS_socket, [domain, kind, protocol, 0, 0, 0]);
    for (name, (number, args), passes) in [
        ("stream", socket(inet, stream, 0), true),
        ("stream of TCP", socket(inet6, stream | flags, tcp), true),
        ("datagram", socket(inet, bits(libc::SOCK_DGRAM) | flags, 0), false),
        ("raw", socket(inet, bits(libc::SOCK_RAW), 0), false),
        ("sequence of packets", socket(inet, bits(libc::SOCK_SEQPACKET), 0), false),
        ("MPTCP", socket(inet, stream, bits(libc::IPPROTO_MPTCP)), false),
        ("SCTP", socket(inet, stream, bits(libc::IPPROTO_SCTP)), false),
        ("Unix", socket(bits(libc::AF_UNIX), stream, 0), false),
        ("netlink", socket(bits(libc::AF_NETLINK), stream, 0), false),
        ("VSOCK", socket(bits(libc::AF_VSOCK), stream, 0), false),
        ("connect", (libc::SYS_connect, [3, 0x1000, 16, 0, 0, 0]), true),
        ("bind", (libc::SYS_bind, [3, 0x1000, 16, 0, 0, 0]), false),
        ("listen", (libc::SYS_listen, [3, 1, 0, 0, 0, 0]), false),
        ("accept", (libc::SYS_accept4, [3, 0, 0, 0, 0, 0]), false),
        ("send descriptors", (libc::SYS_sendmsg, [3, 0x1000, 0, 0, 0, 0]), false),
        ("stacked protocol", (libc::SYS_setsockopt, [3, tcp, bits(libc::TCP_ULP), 0x1000, 4, 0]), false),
        ("no delay", (libc::SYS_setsockopt, [3, tcp, bits(libc::TCP_NODELAY), 0x1000, 4, 0]), true),
    ] {
        let expected = if passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(run(&network, ARCH, u32::try_from(number).unwrap(), args), expected, "{name}");
    }
}

#[test]
fn streams_of_the_host_and_own_sockets_never_meet() {
    use crate::wire::{Layers, Level, LoadBy, Programs, Rlimits};
    for (receives_descriptors, listens, network) in
        [(false, false, false), (true, false, false), (false, true, true), (true, true, false)]
    {
        let spec = WorkerSpec { rlimits: Rlimits::NATIVE, receives_descriptors, reads_input: false };
        let (layers, load_by, scratch, directories) = (Layers::ALL, LoadBy::Copy, "/tmp", Vec::new());
        let (level, learns) = (Level::Full, false);
        let (programs, interpreter) = (Programs::None, None);
        let common = Common { layers, level, load_by, scratch, directories, programs, interpreter, listens, learns };
        assert_eq!(Profile::of(&spec, &common).network, network, "{receives_descriptors} {listens}");
    }
}

#[test]
fn changes_give_nobody_an_identity_and_name_no_path() {
    let profile = compile(Profile { changes: true, ..NOTHING });
    let high = 1_u64 << 40;
    for (name, number, args, passes) in [
        ("truncate", libc::SYS_truncate, [0x1000, 0, 0, 0, 0, 0], true),
        ("mode of an open file", libc::SYS_fchmod, [3, 0o755, 0, 0, 0, 0], true),
        ("set-user-id", libc::SYS_fchmod, [3, 0o4755, 0, 0, 0, 0], false),
        ("set-group-id with a high bit", libc::SYS_fchmod, [3, high | 0o2755, 0, 0, 0, 0], false),
        ("mode by path", libc::SYS_chmod, [0x1000, 0o755, 0, 0, 0, 0], false),
        ("mode by path from a directory", libc::SYS_fchmodat, [3, 0x1000, 0o755, 0, 0, 0], false),
        ("times of an open file", libc::SYS_utimensat, [3, 0, 0x1000, 0, 0, 0], true),
        ("times by path", libc::SYS_utimensat, [3, 0x1000, 0x1000, 0, 0, 0], false),
        ("times by path above 4 GiB", libc::SYS_utimensat, [3, high, 0x1000, 0, 0, 0], false),
        ("owner of an open file", libc::SYS_fchown, [3, 0, 0, 0, 0, 0], false),
        ("symbolic link", libc::SYS_symlink, [0x1000, 0x1000, 0, 0, 0, 0], false),
    ] {
        let expected = if passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(run(&profile, ARCH, u32::try_from(number).unwrap(), args), expected, "{name}");
        assert_eq!(answer(number, args), REFUSED, "{name}, without a writable directory");
    }
}

#[test]
fn no_file_is_made_that_runs_as_its_owner() {
    let flags = |flags: libc::c_int| u64::from(flags.cast_unsigned());
    let (make, unnamed, read) = (flags(libc::O_CREAT | libc::O_WRONLY), flags(libc::O_TMPFILE | libc::O_RDWR), 0);
    let directory = flags(libc::O_DIRECTORY | libc::O_CLOEXEC);
    for (name, number, args, passes) in [
        ("new", libc::SYS_open, [0x1000, make, 0o755, 0, 0, 0], true),
        ("sticky", libc::SYS_open, [0x1000, make, 0o1755, 0, 0, 0], true),
        ("set-user-id", libc::SYS_open, [0x1000, make, 0o4755, 0, 0, 0], false),
        ("set-group-id", libc::SYS_open, [0x1000, make, 0o2755, 0, 0, 0], false),
        ("without a name", libc::SYS_open, [0x1000, unnamed, 0o4755, 0, 0, 0], false),
        ("there already, whatever the third word is", libc::SYS_open, [0x1000, read, 0o7777, 0, 0, 0], true),
        ("a directory, whatever the third word is", libc::SYS_open, [0x1000, directory, 0o7777, 0, 0, 0], true),
        ("new from a directory", libc::SYS_openat, [3, 0x1000, make, 0o644, 0, 0], true),
        ("set-user-id from a directory", libc::SYS_openat, [3, 0x1000, make, 0o4644, 0, 0], false),
        ("unnamed from a directory", libc::SYS_openat, [3, 0x1000, unnamed, 0o4644, 0, 0], false),
        ("there already, from a directory", libc::SYS_openat, [3, 0x1000, read, 0o7777, 0, 0], true),
        ("new, the old way", libc::SYS_creat, [0x1000, 0o644, 0, 0, 0, 0], true),
        ("set-user-id, the old way", libc::SYS_creat, [0x1000, 0o4644, 0, 0, 0, 0], false),
    ] {
        let expected = if passes { libc::SECCOMP_RET_ALLOW } else { REFUSED };
        assert_eq!(answer(number, args), expected, "{name}");
    }
    assert_eq!(answer(libc::SYS_openat2, [0; 6]), UNKNOWN);
}

// A56: a lock on a device file of the machine is a channel to other plugins and stops other programs.
#[test]
fn no_lock_is_taken_outside() {
    let granted = libc::SECCOMP_RET_ERRNO;
    for command in [libc::F_SETLK, libc::F_SETLKW] {
        assert_eq!(answer(libc::SYS_fcntl, [1, u64::from(command.cast_unsigned()), 0, 0, 0, 0]), granted);
    }
    assert_eq!(answer(libc::SYS_flock, [1, 2, 0, 0, 0, 0]), libc::SECCOMP_RET_ERRNO | libc::ENOLCK.cast_unsigned());
}

#[test]
fn the_program_is_short() {
    for (profile, most) in
        [(NOTHING, 345), (SOCKETS_TOO, 370), (EVERYTHING, 375), (NETWORK_TOO, 390), (PROGRAM_TOO, 400)]
    {
        let program = compile(profile);
        assert!(program.len() < most, "{profile:?}: {} instructions", program.len());
    }
}

#[test]
fn calls_have_names() {
    assert_eq!(call_name(i32::try_from(libc::SYS_ptrace).unwrap()), "ptrace");
    assert_eq!(call_name(9999), "system call 9999");
}

//! Compiles the rules on arguments.

use super::rules::{Action, Check, FCNTL, SET_IDS};
use super::{EPERM, EQUAL, HAS_BIT, Instruction, MASK, RETURN, high_word, jump, low_word, statement, verdict};

/// prctl(2) options that loosen nothing.
const PRCTL: &[u32] = &[
    libc::PR_SET_NAME as u32,
    libc::PR_GET_NAME as u32,
    libc::PR_GET_DUMPABLE as u32,
    libc::PR_GET_NO_NEW_PRIVS as u32,
    libc::PR_GET_SECCOMP as u32,
    libc::PR_GET_PDEATHSIG as u32,
    libc::PR_CAPBSET_READ as u32,
    libc::PR_GET_TIMERSLACK as u32,
    libc::PR_SET_TIMERSLACK as u32,
];

/// clone(2) flags that make more than a thread or a process of the same namespaces.
const SPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE
    | libc::CLONE_PARENT
    | libc::CLONE_PIDFD)
    .cast_unsigned();

/// arch_prctl(2) of asm/prctl.h: ARCH_SET_FS and ARCH_GET_FS, and ARCH_CET_STATUS, which the dynamic loader asks for.
const ARCH_PRCTL: &[u32] = &[0x1002, 0x1003, 0x3001];

/// Blocks that end in a verdict; each is entered at its first instruction.
pub(super) fn checked(check: Check) -> Vec<Instruction> {
    let allow = statement(RETURN, verdict(Action::Allow));
    let refuse = statement(RETURN, verdict(EPERM));
    let bits = |flags: i32| flags.cast_unsigned();
    match check {
        Check::ThreadOnly => thread_only(),
        Check::NoSpaces => vec![low_word(0), jump(HAS_BIT, SPACES, 0, 1), refuse, allow],
        Check::ThreadPointer => one_of(0, ARCH_PRCTL),
        Check::CountedMemory => counted_memory(),
        Check::OneOf(argument, values) => one_of(argument, values),
        Check::NoBits(argument, bits) => vec![low_word(argument), jump(HAS_BIT, bits, 0, 1), refuse, allow],
        Check::PlainFile { flags, mode } => vec![
            low_word(flags),
            // Without these the mode is not looked at, and may be anything.
            jump(HAS_BIT, bits(libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)), 0, 3),
            low_word(mode),
            jump(HAS_BIT, SET_IDS, 0, 1),
            refuse,
            allow,
        ],
        Check::Null(argument) => {
            vec![low_word(argument), jump(EQUAL, 0, 0, 3), high_word(argument), jump(EQUAL, 0, 0, 1), allow, refuse]
        }
        Check::OwnDescriptor => own_descriptor(),
        Check::ReadOwnLimit => vec![
            low_word(0),
            jump(EQUAL, 0, 0, 5),
            low_word(2),
            jump(EQUAL, 0, 0, 3),
            high_word(2),
            jump(EQUAL, 0, 0, 1),
            allow,
            refuse,
        ],
        Check::UnixStreamPair => vec![
            low_word(0),
            jump(EQUAL, bits(libc::AF_UNIX), 0, 4),
            low_word(1),
            // SOCK_NONBLOCK and SOCK_CLOEXEC may stand beside the type.
            statement(MASK, 0xf),
            jump(EQUAL, bits(libc::SOCK_STREAM), 0, 1),
            allow,
            refuse,
        ],
        Check::TcpSocket => tcp_socket(),
        Check::ConnectedSend(flags) => connected_send(flags),
        Check::SocketOption(levels) => socket_option(levels),
        Check::HarmlessPrctl => {
            let mut program = vec![
                low_word(0),
                jump(EQUAL, bits(libc::PR_SET_DUMPABLE), 0, 3),
                low_word(1),
                jump(EQUAL, 0, 0, 1),
                allow,
            ];
            program.extend(one_of(0, PRCTL));
            program
        }
    }
}

/// socket(2) of a stream of TCP.
fn tcp_socket() -> Vec<Instruction> {
    let bits = |flags: i32| flags.cast_unsigned();
    vec![
        low_word(0),
        jump(EQUAL, bits(libc::AF_INET), 1, 0),
        jump(EQUAL, bits(libc::AF_INET6), 0, 7),
        low_word(1),
        // SOCK_NONBLOCK and SOCK_CLOEXEC may stand beside the type.
        statement(MASK, 0xf),
        jump(EQUAL, bits(libc::SOCK_STREAM), 0, 4),
        low_word(2),
        jump(EQUAL, 0, 1, 0),
        jump(EQUAL, bits(libc::IPPROTO_TCP), 0, 1),
        statement(RETURN, verdict(Action::Allow)),
        statement(RETURN, verdict(EPERM)),
    ]
}

/// fcntl(2) of the own descriptors.
fn own_descriptor() -> Vec<Instruction> {
    let bits = |flags: i32| flags.cast_unsigned();
    let mut program = vec![
        low_word(1),
        jump(EQUAL, bits(libc::F_SETLK), 1, 0),
        jump(EQUAL, bits(libc::F_SETLKW), 0, 1),
        statement(RETURN, verdict(Action::Errno(0))),
    ];
    program.extend(one_of(1, FCNTL));
    program
}

/// clone(2) of a thread: no new namespace and no new process.
fn thread_only() -> Vec<Instruction> {
    let bits = |flags: i32| flags.cast_unsigned();
    let thread = bits(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND);
    vec![
        low_word(0),
        jump(HAS_BIT, SPACES, 3, 0),
        statement(MASK, thread),
        jump(EQUAL, thread, 0, 1),
        statement(RETURN, verdict(Action::Allow)),
        statement(RETURN, verdict(EPERM)),
    ]
}

/// mmap(2) without mappings that RLIMIT_DATA does not count and without code that could be written.
fn counted_memory() -> Vec<Instruction> {
    let allow = statement(RETURN, verdict(Action::Allow));
    let refuse = statement(RETURN, verdict(EPERM));
    let bits = |flags: i32| flags.cast_unsigned();
    let uncounted = bits(libc::MAP_GROWSDOWN | libc::MAP_HUGETLB);
    // MAP_SHARED is also a bit of MAP_SHARED_VALIDATE.
    let (shared, anonymous) = (bits(libc::MAP_SHARED), bits(libc::MAP_ANONYMOUS));
    vec![
        low_word(3),
        jump(HAS_BIT, uncounted, 7, 0),
        jump(HAS_BIT, anonymous, 0, 1),
        jump(HAS_BIT, shared, 5, 0),
        low_word(2),
        jump(HAS_BIT, bits(libc::PROT_EXEC), 0, 4),
        jump(HAS_BIT, bits(libc::PROT_WRITE), 2, 0),
        low_word(3),
        jump(HAS_BIT, anonymous, 0, 1),
        refuse,
        allow,
    ]
}

/// sendto(2) without an address, whose flags are among these.
fn connected_send(flags: u32) -> Vec<Instruction> {
    vec![
        low_word(4),
        jump(EQUAL, 0, 0, 5),
        high_word(4),
        jump(EQUAL, 0, 0, 3),
        low_word(3),
        jump(HAS_BIT, !flags, 1, 0),
        statement(RETURN, verdict(Action::Allow)),
        statement(RETURN, verdict(EPERM)),
    ]
}

/// The level is the second argument, the name the third; each level is followed by its own names.
fn socket_option(levels: &[(u32, &[u32])]) -> Vec<Instruction> {
    let mut program = vec![low_word(1)];
    for (level, names) in levels {
        let names = one_of(2, names);
        // Past the names, the level is still what was loaded.
        program.push(jump(EQUAL, *level, 0, u8::try_from(names.len()).unwrap_or(u8::MAX)));
        program.extend(names);
    }
    program.push(statement(RETURN, verdict(EPERM)));
    program
}

fn one_of(argument: u8, values: &[u32]) -> Vec<Instruction> {
    let mut program = vec![low_word(argument)];
    for (left, value) in (1..=values.len()).rev().zip(values) {
        program.push(jump(EQUAL, *value, u8::try_from(left).unwrap_or(u8::MAX), 0));
    }
    program.push(statement(RETURN, verdict(EPERM)));
    program.push(statement(RETURN, verdict(Action::Allow)));
    program
}

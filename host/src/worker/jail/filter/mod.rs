//! Compiles the rules into a classic BPF program: a search tree over ranges of numbers, so that a call costs a few
//! comparisons and the program is short enough to install in tens of microseconds.
//!
//! Sources: seccomp(2), bpf in linux/filter.h. 32-bit arguments are compared by their low word alone: a rule over all 64
//! bits would be stepped round by setting a high bit.
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants of the kernel's interface, each smaller than its field"
)]

mod rules;

use rules::{Action, BASE, Check, FCNTL, Group, NEWEST_KNOWN};

use crate::sys::seccomp::Instruction;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("the system call filter is written for x86_64; another architecture needs its own table");

/// `AUDIT_ARCH_X86_64` of linux/audit.h.
const ARCH: u32 = 0xc000_003e;
/// Numbers from here on are the x32 interface's: the same calls under other numbers.
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const ARGS_AT: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const HAS_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;

const EPERM: Action = Action::Errno(libc::EPERM);

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

/// The program for a plugin without permissions.
pub(crate) fn base() -> Vec<Instruction> {
    compile(BASE)
}

/// The name of a call, or its number where no group lists it.
pub(crate) fn call_name(number: i32) -> String {
    rules::name_of(number).map_or_else(|| format!("system call {number}"), str::to_owned)
}

fn compile(groups: &[Group]) -> Vec<Instruction> {
    let mut program = vec![
        statement(LOAD, ARCH_AT),
        jump(EQUAL, ARCH, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER_AT),
        jump(AT_LEAST, X32, 0, 1),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    program.extend(tree(&ranges(groups)));
    program
}

/// Neighbouring numbers with one action, by their first number.
fn ranges(groups: &[Group]) -> Vec<(u32, Action)> {
    let mut actions = vec![EPERM; usize::try_from(NEWEST_KNOWN).unwrap_or_default() + 1];
    for group in groups {
        for (_, number) in group.calls {
            if let Some(action) = usize::try_from(*number).ok().and_then(|number| actions.get_mut(number)) {
                *action = group.action;
            }
        }
    }
    actions.push(Action::Errno(libc::ENOSYS));
    let mut ranges: Vec<(u32, Action)> = Vec::new();
    for (number, action) in (0..).zip(actions) {
        if ranges.last().is_none_or(|(_, last)| *last != action) {
            ranges.push((number, action));
        }
    }
    ranges
}

fn tree(ranges: &[(u32, Action)]) -> Vec<Instruction> {
    if let [(_, action)] = ranges {
        return leaf(*action);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let below = tree(low);
    let above = tree(high);
    // A conditional jump reaches 255 instructions; a longer way goes through an unconditional one.
    let mut program = match u8::try_from(below.len()) {
        Ok(distance) => vec![jump(AT_LEAST, high[0].0, distance, 0)],
        Err(_) => {
            vec![jump(AT_LEAST, high[0].0, 0, 1), statement(JUMP, u32::try_from(below.len()).unwrap_or(u32::MAX))]
        }
    };
    program.extend(below);
    program.extend(above);
    program
}

fn leaf(action: Action) -> Vec<Instruction> {
    match action {
        Action::Check(check) => checked(check),
        plain => vec![statement(RETURN, verdict(plain))],
    }
}

fn verdict(action: Action) -> u32 {
    match action {
        Action::Allow => libc::SECCOMP_RET_ALLOW,
        Action::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
        Action::Notify => libc::SECCOMP_RET_USER_NOTIF,
        Action::Check(_) => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

/// Blocks that end in a verdict; each is entered at its first instruction.
fn checked(check: Check) -> Vec<Instruction> {
    let allow = statement(RETURN, verdict(Action::Allow));
    let refuse = statement(RETURN, verdict(EPERM));
    let bits = |flags: i32| flags.cast_unsigned();
    match check {
        Check::ThreadOnly => {
            let thread = bits(libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND);
            let spaces = bits(
                libc::CLONE_NEWNS
                    | libc::CLONE_NEWCGROUP
                    | libc::CLONE_NEWUTS
                    | libc::CLONE_NEWIPC
                    | libc::CLONE_NEWUSER
                    | libc::CLONE_NEWPID
                    | libc::CLONE_NEWNET
                    | libc::CLONE_PTRACE
                    | libc::CLONE_PARENT
                    | libc::CLONE_PIDFD,
            );
            let mask = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
            vec![
                low_word(0),
                jump(HAS_BIT, spaces, 3, 0),
                statement(mask, thread),
                jump(EQUAL, thread, 0, 1),
                allow,
                refuse,
            ]
        }
        Check::CountedMemory => counted_memory(),
        Check::NeverExecutable => {
            vec![low_word(2), jump(HAS_BIT, bits(libc::PROT_EXEC), 0, 1), refuse, allow]
        }
        Check::OneOf(argument, values) => one_of(argument, values),
        Check::OwnDescriptor => {
            let granted = statement(RETURN, verdict(Action::Errno(0)));
            let mut program = vec![
                low_word(1),
                jump(EQUAL, bits(libc::F_SETLK), 1, 0),
                jump(EQUAL, bits(libc::F_SETLKW), 0, 1),
                granted,
            ];
            program.extend(one_of(1, FCNTL));
            program
        }
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
            statement((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0xf),
            jump(EQUAL, bits(libc::SOCK_STREAM), 0, 1),
            allow,
            refuse,
        ],
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

fn one_of(argument: u8, values: &[u32]) -> Vec<Instruction> {
    let mut program = vec![low_word(argument)];
    for (left, value) in (1..=values.len()).rev().zip(values) {
        program.push(jump(EQUAL, *value, u8::try_from(left).unwrap_or(u8::MAX), 0));
    }
    program.push(statement(RETURN, verdict(EPERM)));
    program.push(statement(RETURN, verdict(Action::Allow)));
    program
}

fn low_word(argument: u8) -> Instruction {
    statement(LOAD, ARGS_AT + u32::from(argument) * 8)
}

fn high_word(argument: u8) -> Instruction {
    statement(LOAD, ARGS_AT + u32::from(argument) * 8 + 4)
}

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests;

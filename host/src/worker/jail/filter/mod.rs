//! Compiles the rules into a classic BPF program: a search tree over ranges of numbers, so that a call costs a few
//! comparisons and the program is short enough to install in tens of microseconds: each instruction takes 0.15.
//!
//! Sources: seccomp(2), bpf in linux/filter.h. 32-bit arguments are compared by their low word alone: a rule over all 64
//! bits would be stepped round by setting a high bit.
#![expect(
    clippy::cast_possible_truncation,
    reason = "constants of the kernel's interface, each smaller than its field"
)]

mod changes;
mod checks;
mod network;
mod programs;
mod rules;
mod sockets;

use changes::CHANGES;
use checks::checked;
use network::NETWORK;
use programs::PROGRAMS;
use rules::{Action, BASE, Group, NEWEST_KNOWN};
use sockets::SOCKETS;

use super::Common;
use crate::sys::seccomp::Instruction;
use crate::wire::{WorkerSpec, recorded_paths};

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
const MASK: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;

/// How many ranges one block compares: each of its conditional jumps, which reach 255 instructions, reaches every leaf.
const BLOCK: usize = 120;

const EPERM: Action = Action::Errno(libc::EPERM);

/// Which groups of rules stand in a worker's filter. The base always does. A later group decides what an earlier one lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Profile {
    /// Streams that the host has connected may arrive.
    sockets: bool,
    /// A directory of the user is writable, or programs are run.
    changes: bool,
    /// It runs programs of the system and no plugin.
    programs: bool,
    /// The calls by which files are reached wait until they are recorded.
    learns: bool,
    /// It makes sockets of its own, in a network namespace that holds nothing but the way to the proxy.
    network: bool,
}

impl Profile {
    /// What a worker needs.
    pub(crate) fn of(spec: &WorkerSpec, common: &Common) -> Self {
        let programs = common.programs.are_run();
        let changes = programs || common.directories.iter().any(|directory| directory.writable);
        // Never both: a stream of the machine's own network could be pointed elsewhere by connect(2).
        let network = common.listens && !spec.receives_descriptors;
        Self { sockets: spec.receives_descriptors, changes, programs, learns: common.learns, network }
    }

    fn groups(self) -> impl Iterator<Item = &'static Group> {
        let sockets = if self.sockets { SOCKETS } else { &[] };
        let changes = if self.changes { CHANGES } else { &[] };
        let programs = if self.programs { PROGRAMS } else { &[] };
        let network = if self.network { NETWORK } else { &[] };
        BASE.iter().chain(sockets).chain(changes).chain(programs).chain(network)
    }
}

/// The program of a profile.
pub(crate) fn compile(profile: Profile) -> Vec<Instruction> {
    let mut program = vec![
        statement(LOAD, ARCH_AT),
        jump(EQUAL, ARCH, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER_AT),
        jump(AT_LEAST, X32, 0, 1),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    program.extend(tree(&ranges(profile)));
    program
}

/// The name of a call, or its number where no group lists it.
pub(crate) fn call_name(number: i32) -> String {
    let added = SOCKETS.iter().chain(CHANGES).chain(PROGRAMS).chain(NETWORK);
    let mut calls = BASE.iter().chain(added).flat_map(|group| group.calls);
    let listed = calls.find(|(_, listed)| *listed == libc::c_long::from(number));
    listed.map_or_else(|| format!("system call {number}"), |(name, _)| name.trim_start_matches("SYS_").to_owned())
}

/// What a filter says to a call, and whether one that passes waits until it is recorded.
type Verdict = (Action, bool);

/// Neighbouring numbers with one verdict, by their first number.
fn ranges(profile: Profile) -> Vec<(u32, Verdict)> {
    let mut actions = vec![(EPERM, false); usize::try_from(NEWEST_KNOWN).unwrap_or_default() + 1];
    for group in profile.groups() {
        for (_, number) in group.calls {
            if let Some(action) = usize::try_from(*number).ok().and_then(|number| actions.get_mut(number)) {
                *action = (group.action, profile.learns && recorded_paths(*number).is_some());
            }
        }
    }
    actions.push((Action::Errno(libc::ENOSYS), false));
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for (number, action) in (0..).zip(actions) {
        if ranges.last().is_none_or(|(_, last)| *last != action) {
            ranges.push((number, action));
        }
    }
    ranges
}

fn tree(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    if ranges.len() <= BLOCK {
        return block(ranges);
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

/// Comparisons, then each action once, however many ranges lead to it, then the rules on arguments.
fn block(ranges: &[(u32, Verdict)]) -> Vec<Instruction> {
    let mut actions: Vec<Verdict> = Vec::new();
    for (_, action) in ranges {
        if !actions.contains(action) {
            actions.push(*action);
        }
    }
    let mut program = Vec::new();
    let comparisons = ranges.len() - 1;
    let leaf = |wanted| comparisons + actions.iter().position(|action| *action == wanted).unwrap_or_default();
    compare(ranges, &leaf, &mut program);
    let mut rules = Vec::new();
    for (left, action) in (0..actions.len()).rev().zip(&actions) {
        program.push(match action {
            // The rules begin after the leaves that are left.
            (Action::Check(_), _) => statement(JUMP, u32::try_from(left + rules.len()).unwrap_or(u32::MAX)),
            (plain, is_recorded) => recorded(statement(RETURN, verdict(*plain)), *is_recorded),
        });
        if let (Action::Check(check), is_recorded) = action {
            rules.extend(checked(*check).into_iter().map(|one| recorded(one, *is_recorded)));
        }
    }
    program.extend(rules);
    program
}

/// What lets a call pass lets it wait instead. A recorder lets no call through that is refused.
fn recorded(one: Instruction, is_recorded: bool) -> Instruction {
    let passes = one.code == RETURN && one.k == libc::SECCOMP_RET_ALLOW;
    if passes && is_recorded { statement(RETURN, libc::SECCOMP_RET_USER_NOTIF) } else { one }
}

/// A tree of comparisons, the smaller numbers' first, that ends at the places that `leaf` gives.
fn compare(ranges: &[(u32, Verdict)], leaf: &impl Fn(Verdict) -> usize, program: &mut Vec<Instruction>) {
    if ranges.len() < 2 {
        return;
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let at = program.len();
    let way = |part: &[(u32, Verdict)], next: usize| {
        let to = if let [(_, action)] = part { leaf(*action) } else { next };
        u8::try_from(to - at - 1).unwrap_or(u8::MAX)
    };
    program.push(jump(AT_LEAST, high[0].0, way(high, at + low.len()), way(low, at + 1)));
    compare(low, leaf, program);
    compare(high, leaf, program);
}

fn verdict(action: Action) -> u32 {
    match action {
        Action::Allow => libc::SECCOMP_RET_ALLOW,
        Action::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
        Action::Notify => libc::SECCOMP_RET_USER_NOTIF,
        Action::Check(_) => libc::SECCOMP_RET_KILL_PROCESS,
    }
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

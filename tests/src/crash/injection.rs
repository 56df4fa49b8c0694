//! A kill and every error at every point of an operation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde_json::Value;

use super::operation::{Kit, Operation};
use super::oracle::{Ended, Oracle};
use super::place::Place;
use super::power::{Loss, losses};
use super::syscall::Change;
use super::tracer::{Call, Inject, Traced, run};
use super::tree::Tree;

/// What a system call that changes something can answer, besides that it worked.
pub const ERRORS: [Errno; 6] = [Errno::ENOSPC, Errno::EDQUOT, Errno::EIO, Errno::EROFS, Errno::EACCES, Errno::EINTR];

/// The number of workers; each traces one program at a time.
const WORKERS: usize = 2;

/// What was found about one operation.
#[derive(Debug, Default)]
pub struct Finding {
    /// The points that were killed at.
    pub kills: usize,
    /// The errors that were injected.
    pub errors: usize,
    /// The disks that a loss of power could leave.
    pub losses: usize,
    /// How many different disks the oracle judged.
    pub states: usize,
    /// What does not hold.
    pub faults: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// Which points are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A kill before each call.
    Kills,
    /// Each error at each call.
    Errors,
    /// Each error at every second call, beginning with the first or the second: two users share the work.
    HalfOfErrors(usize),
}

impl Choice {
    fn fails(self, at: usize) -> bool {
        match self {
            Self::Kills => false,
            Self::Errors => true,
            Self::HalfOfErrors(first) => at % 2 == first,
        }
    }
}

/// Takes each operation apart, by some workers at once.
#[must_use]
pub fn all(operations: &[&'static Operation], kit: &Kit, choice: Choice) -> BTreeMap<&'static str, Finding> {
    each(operations, |operation| one(operation, kit, choice))
}

/// Applies something to each operation, by some workers at once.
pub fn each<T: Send>(
    operations: &[&'static Operation],
    act: impl Fn(&'static Operation) -> T + Sync,
) -> BTreeMap<&'static str, T> {
    let (todo, found) = (Mutex::new(operations.iter()), Mutex::new(BTreeMap::new()));
    let next = || todo.lock().expect("no worker panics").next().copied();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(operation) = next() {
                    let one = act(operation);
                    found.lock().expect("no worker panics").insert(operation.name, one);
                }
            });
        }
    });
    found.into_inner().expect("no worker panics")
}

fn one(operation: &Operation, kit: &Kit, choice: Choice) -> Finding {
    let start = Instant::now();
    let before = operation.place(kit);
    let mut oracle = Oracle::new(operation, kit, &before);
    let mut finding = Finding::default();
    let watched = traced(&before.copy(), &oracle, Inject::Nothing);
    if let Some(fault) = stray(&watched) {
        finding.faults.push(format!("{}: {fault}", operation.name));
    }
    let points = watched.points();
    for at in 0..points {
        if choice == Choice::Kills {
            finding.kills += 1;
            let fault = killed(&before, &mut oracle, at);
            finding.faults.extend(fault.err().map(|fault| format!("{}: {fault}", operation.name)));
        }
        for errno in ERRORS.into_iter().filter(|_| choice.fails(at)) {
            finding.errors += 1;
            let fault = failed(&before, &mut oracle, at, errno);
            finding.faults.extend(fault.err().map(|fault| format!("{}: {fault}", operation.name)));
        }
    }
    finding.states = oracle.states();
    finding.took = start.elapsed();
    finding
}

fn traced(place: &Place, oracle: &Oracle<'_>, inject: Inject) -> Traced {
    run(place.traced(oracle.words()), place.path(), inject)
}

/// A change that has no business in this run, or that nobody could judge.
fn stray(run: &Traced) -> Option<String> {
    let unknown = run.calls.iter().find(|call| matches!(call.change, Change::Other { .. }));
    let unknown = unknown.map(|call| format!("{}: the model of a power loss does not know this call", call.shown()));
    let outside = || (!run.outside.is_empty()).then(|| format!("changes outside: {:?}", run.outside));
    unknown.or_else(outside)
}

fn killed(before: &Place, oracle: &mut Oracle<'_>, at: usize) -> Result<(), String> {
    let place = before.copy();
    let run = traced(&place, oracle, Inject::Kill(at));
    // The numbers of points of two runs can differ by chance, above all in a database.
    if run.points() <= at {
        return Err(format!("there is no point {at} in this run"));
    }
    let shown = run.point(at).shown();
    let ended = Ended { code: None, out: &run.out };
    oracle.judge(&place, &ended).map_err(|fault| format!("killed before {at}, {shown}: {fault}"))
}

fn failed(before: &Place, oracle: &mut Oracle<'_>, at: usize, errno: Errno) -> Result<(), String> {
    let place = before.copy();
    let run = traced(&place, oracle, Inject::Fail(at, errno));
    if run.points() <= at {
        return Err(format!("there is no point {at} in this run"));
    }
    let at_point = format!("{errno} from {at}, {}", run.point(at).shown());
    if let Some(fault) = stray(&run) {
        return Err(format!("{at_point}: {fault}"));
    }
    if run.code != 0 {
        explained(&run, errno).map_err(|fault| format!("{at_point}: {fault}"))?;
    }
    retried(&run, at).map_err(|fault| format!("{at_point}: {fault}"))?;
    let ended = Ended { code: Some(run.code), out: &run.out };
    oracle.judge(&place, &ended).map_err(|fault| format!("{at_point}: {fault} (exit code {})", run.code))
}

/// One error, which says what failed, on what and why.
fn explained(run: &Traced, errno: Errno) -> Result<(), String> {
    let lines: Vec<Value> = run.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let errors: Vec<&Value> = lines.iter().filter(|line| line["code"].is_string()).collect();
    let [error] = errors.as_slice() else {
        return Err(format!("{} errors were reported: {}", errors.len(), run.err));
    };
    let message = error["message"].as_str().unwrap_or_default();
    let reason = std::io::Error::from(errno).to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    // SQLite has words of its own for what it could not do.
    let says_why = message.contains(reason) || message.contains("plugins.db");
    // A path as it was typed may be a bare name; and what fails for its folder fails for the file.
    let named = |call: &Call| {
        let file = call.change.path().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        message.contains(file.trim_start_matches('.').trim_end_matches(".tmp"))
    };
    let says_what = message.contains('/') || run.calls.iter().any(named);
    if error["exit"] == run.code && says_what && says_why {
        return Ok(());
    }
    Err(format!("the error names not all of step, object and reason `{reason}`: {error}"))
}

/// What was not made durable once is not asked for again: the kernel may have dropped it and would then report success.
fn retried(run: &Traced, at: usize) -> Result<(), String> {
    let Change::Sync { inode, .. } = run.point(at).change else { return Ok(()) };
    let points = run.calls.iter().filter(|call| call.is_point());
    let again =
        points.skip(at + 1).find(|call| matches!(call.change, Change::Sync { inode: other, .. } if other == inode));
    again.map_or(Ok(()), |call| Err(format!("{} once more after it failed", call.shown())))
}

/// Judges every disk that an operation can leave when the power goes.
#[must_use]
pub fn power_losses(operation: &Operation, kit: &Kit) -> Finding {
    let start = Instant::now();
    let before = operation.place(kit);
    let mut oracle = Oracle::new(operation, kit, &before);
    let place = before.copy();
    let run = traced(&place, &oracle, Inject::Nothing);
    let mut finding = Finding::default();
    finding.faults.extend(stray(&run));
    for loss in losses(&Tree::read(before.path()), place.path(), &run.calls) {
        finding.losses += 1;
        let fault = survived(&before, &mut oracle, &loss).err();
        finding.faults.extend(fault.map(|fault| format!("{}: {}: {fault}", operation.name, loss.shown)));
    }
    finding.states = oracle.states();
    finding.took = start.elapsed();
    finding
}

fn survived(before: &Place, oracle: &mut Oracle<'_>, loss: &Loss) -> Result<(), String> {
    let out = if loss.said { "success" } else { "" };
    oracle.judge(&before.holding(&loss.tree), &Ended { code: None, out })
}

/// As [`power_losses`], with each sync taken out of the record, one at a time, as if the program had forgotten it: what was to be
/// synced, and the first fault that the oracle finds.
#[must_use]
pub fn forgotten_syncs(operation: &Operation, kit: &Kit) -> Vec<(Call, Option<String>)> {
    let before = operation.place(kit);
    let mut oracle = Oracle::new(operation, kit, &before);
    let place = before.copy();
    let run = traced(&place, &oracle, Inject::Nothing);
    let tree = Tree::read(before.path());
    let mut found = Vec::new();
    for (at, call) in run.calls.iter().enumerate().filter(|(_, call)| call.change.is_sync()) {
        let mut calls = run.calls.clone();
        calls.remove(at);
        let losses = losses(&tree, place.path(), &calls);
        found.push((call.clone(), losses.iter().find_map(|loss| survived(&before, &mut oracle, loss).err())));
    }
    found
}

/// Lets each sync fail once, one in each run; gives what was to be synced, and how the run ended.
#[must_use]
pub fn failing_syncs(operation: &Operation, kit: &Kit) -> Vec<(Call, Traced)> {
    let before = operation.place(kit);
    let words = operation.words(kit);
    let go = |inject| {
        let place = before.copy();
        run(place.traced(&words), place.path(), inject)
    };
    let watched = go(Inject::Nothing);
    let points = watched.calls.into_iter().filter(Call::is_point).enumerate();
    let syncs = points.filter(|(_, call)| call.change.is_sync());
    syncs.map(|(at, call)| (call, go(Inject::Fail(at, Errno::EIO)))).collect()
}

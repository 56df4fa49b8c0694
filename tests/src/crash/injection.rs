//! A kill and every error at every point of an operation.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde_json::Value;

use super::operation::Operation;
use super::oracle::Ended;
use super::place::Place;
use super::points;
use super::power::{Loss, losses};
use super::subject::Subject;
use super::syscall::Change;
use super::tracer::{Call, Inject, Traced};
use crate::run::User;

/// What a system call that changes something can answer, besides that it worked.
pub const ERRORS: [Errno; 6] = [Errno::ENOSPC, Errno::EDQUOT, Errno::EIO, Errno::EROFS, Errno::EACCES, Errno::EINTR];

/// The number of workers; each traces one program at a time. One more than most machines of a CI have processors: a worker
/// waits now and then.
const WORKERS: usize = 3;

/// An operation and who does it.
pub type Job = (&'static Operation, User);

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

/// Takes an operation apart.
#[must_use]
pub fn one((operation, user): Job, choice: Choice) -> Finding {
    let start = Instant::now();
    let subject = Subject::of(operation, user);
    let mut finding = Finding::default();
    let (_, watched) = subject.watched();
    if let Some(fault) = stray(watched) {
        finding.faults.push(format!("{}: {fault}", operation.name));
    }
    for at in 0..watched.points() {
        if choice == Choice::Kills {
            finding.kills += 1;
            let fault = killed(subject, at);
            finding.faults.extend(fault.err().map(|fault| format!("{}: {fault}", operation.name)));
        }
        for errno in ERRORS.into_iter().filter(|_| choice.fails(at)) {
            finding.errors += 1;
            let fault = failed(subject, at, errno);
            finding.faults.extend(fault.err().map(|fault| format!("{}: {fault}", operation.name)));
        }
    }
    finding.states = subject.oracle.states();
    finding.took = start.elapsed();
    finding
}

/// Applies something to each job, by some workers at once, in the order of the jobs' names and users. Jobs with many points
/// come first, so that no worker is left alone with a long one.
pub fn each<T: Send>(mut jobs: Vec<Job>, act: impl Fn(Job) -> T + Sync) -> Vec<(Job, T)> {
    jobs.sort_by_key(|(operation, _)| Reverse(points::of(operation.name)));
    let (todo, found) = (Mutex::new(jobs.into_iter()), Mutex::new(Vec::new()));
    let next = || todo.lock().expect("no worker panics").next();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(job) = next() {
                    let one = act(job);
                    found.lock().expect("no worker panics").push((job, one));
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no worker panics");
    found.sort_by_key(|((operation, user), _)| (*user, operation.name));
    found
}

/// A change that has no business in this run, or that nobody could judge.
fn stray(run: &Traced) -> Option<String> {
    let unknown = run.calls.iter().find(|call| matches!(call.change, Change::Other { .. }));
    let unknown = unknown.map(|call| format!("{}: the model of a power loss does not know this call", call.shown()));
    let outside = || (!run.outside.is_empty()).then(|| format!("changes outside: {:?}", run.outside));
    unknown.or_else(outside)
}

fn killed(subject: &Subject, at: usize) -> Result<(), String> {
    let place = subject.place();
    let run = subject.traced(&place, Inject::Kill(at));
    // The numbers of points of two runs can differ by chance, above all in a database.
    if run.points() <= at {
        return Err(format!("there is no point {at} in this run"));
    }
    let shown = run.point(at).shown();
    let ended = Ended { code: None, out: &run.out };
    subject.oracle.judge(&place, &ended).map_err(|fault| format!("killed before {at}, {shown}: {fault}"))
}

fn failed(subject: &Subject, at: usize, errno: Errno) -> Result<(), String> {
    let place = subject.place();
    let run = subject.traced(&place, Inject::Fail(at, errno));
    if run.points() <= at {
        return Err(format!("there is no point {at} in this run"));
    }
    let at_point = format!("{errno} from {at}, {}", run.point(at).shown());
    if let Some(fault) = stray(&run) {
        return Err(format!("{at_point}: {fault}"));
    }
    if run.code != 0 {
        explained(subject.operation, &run, errno).map_err(|fault| format!("{at_point}: {fault}"))?;
    }
    // Of several changes, each syncs the folders that it changed itself; the one that failed was reported.
    if !subject.operation.reports {
        retried(&run, at).map_err(|fault| format!("{at_point}: {fault}"))?;
    }
    let ended = Ended { code: Some(run.code), out: &run.out };
    let judged = subject.oracle.judge(&place, &ended);
    judged.map_err(|fault| format!("{at_point}: {fault} (exit code {})", run.code))
}

/// One error, which says what failed, on what and why.
fn explained(operation: &Operation, run: &Traced, errno: Errno) -> Result<(), String> {
    let lines: Vec<Value> = run.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let errors: Vec<&Value> = lines.iter().filter(|line| line["code"].is_string()).collect();
    let [error] = errors.as_slice() else {
        return Err(format!("{} errors were reported: {}", errors.len(), run.err));
    };
    let message = error["message"].as_str().unwrap_or_default();
    let reason = std::io::Error::from(errno).to_string();
    let reason = reason.split(" (os error").next().unwrap_or_default();
    if operation.reports && run.out.contains(reason) && error["exit"] == run.code {
        return Ok(());
    }
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
pub fn power_losses((operation, user): Job) -> Finding {
    let start = Instant::now();
    let subject = Subject::of(operation, user);
    let (folder, run) = subject.watched();
    let mut finding = Finding::default();
    finding.faults.extend(stray(run));
    for loss in losses(subject.before(), folder, &run.calls) {
        finding.losses += 1;
        let fault = survived(subject, &loss).err();
        finding.faults.extend(fault.map(|fault| format!("{}: {}: {fault}", operation.name, loss.shown)));
    }
    finding.states = subject.oracle.states();
    finding.took = start.elapsed();
    finding
}

fn survived(subject: &Subject, loss: &Loss) -> Result<(), String> {
    let ended = Ended { code: None, out: if loss.said { "success" } else { "" } };
    subject.oracle.judge_disk(&loss.tree, &ended, || Place::holding(&loss.tree, subject.user))
}

/// As [`power_losses`], with each sync taken out of the record, one at a time, as if the program had forgotten it: what was to be
/// synced, and the first fault that the oracle finds.
#[must_use]
pub fn forgotten_syncs((operation, user): Job) -> Vec<(Call, Option<String>)> {
    let subject = Subject::of(operation, user);
    let (folder, run) = subject.watched();
    let mut found = Vec::new();
    for (at, call) in run.calls.iter().enumerate().filter(|(_, call)| call.change.is_sync()) {
        let mut calls = run.calls.clone();
        calls.remove(at);
        let losses = losses(subject.before(), folder, &calls);
        found.push((call.clone(), losses.iter().find_map(|loss| survived(subject, loss).err())));
    }
    found
}

/// Lets each sync fail once, one in each run; gives what was to be synced, and how the run ended.
#[must_use]
pub fn failing_syncs((operation, user): Job) -> Vec<(Call, Traced)> {
    let subject = Subject::of(operation, user);
    let (_, watched) = subject.watched();
    let points = watched.calls.iter().filter(|call| call.is_point()).enumerate();
    let syncs = points.filter(|(_, call)| call.change.is_sync());
    syncs.map(|(at, call)| (call.clone(), subject.traced(&subject.place(), Inject::Fail(at, Errno::EIO)))).collect()
}

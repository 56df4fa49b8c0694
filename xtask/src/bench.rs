//! `cargo xtask bench`: each row measures ours and a reference in turn, in one run, so that both see the same machine.

#[cfg(feature = "attack-controls")]
mod layers;
mod output;
mod product;
pub(crate) mod sandbox;
mod scripts;
mod stats;
mod store;
mod verify;

use std::time::Duration;

use anyhow::{Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::{Pid, geteuid};

use crate::flags::Bench;
use crate::project::Project;
use crate::{cmd, ui};
use stats::{Measured, Rounds, taken};

/// Something that is measured: one call is one sample.
pub(crate) type Work = Box<dyn FnMut() -> Result<()>>;

/// For rows that leave nothing behind.
pub(crate) fn nothing() -> Work {
    Box::new(|| Ok(()))
}

/// A row before it is measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What both sides do, in a few words.
    pub(crate) about: String,
    pub(crate) ours: Work,
    pub(crate) reference: Work,
    /// Run after each of our samples and not measured.
    pub(crate) settle: Work,
    /// The largest ratio of the medians that passes.
    pub(crate) target: f64,
    /// How many samples each side gets.
    pub(crate) rounds: usize,
}

/// Prepares a row.
type Prepare = fn(&Project) -> Result<Row>;

/// Rows by name, beside those of single layers; a row is prepared only when it is measured. New rows are added here.
const ROWS: &[(&str, Prepare)] = &[
    ("verify-library", verify::library),
    ("verify-package", verify::package),
    ("transport-64", sandbox::transport_small),
    ("transport-1k", sandbox::transport_large),
    ("hook-640", sandbox::hook),
    ("hook-256k", sandbox::hook_output),
    ("output-1m", output::million),
    ("python-hook", scripts::python_hook),
    ("python-fresh", scripts::python_fresh),
    ("start-all", sandbox::start_all),
    ("start-unprepared", sandbox::start_unprepared),
    ("start-programs", sandbox::start_programs),
    ("launcher", sandbox::start_launcher),
    ("cold-start", sandbox::cold),
    ("whole-command", sandbox::whole_command),
    ("store-list", store::list),
    ("store-install", store::install),
    ("store-run", store::run),
    ("store-system-run", store::system_run),
];

/// The most that the median of a row may be, in microseconds, whatever the reference takes.
const BUDGETS: &[(&str, u64)] = &[("start-all", 350), ("start-programs", 1000), ("cold-start", 1500)];

/// Rows that only root can prepare; everybody else measures the others.
const OF_ROOT: &[&str] = &["store-system-run"];

/// Rows that are measured on all processors: what they do at the same time is a part of what is measured.
const SPREAD: &[&str] = &["whole-command"];

/// Measures and prints.
///
/// # Errors
/// A row cannot be measured, or is over its target.
pub(crate) fn run(project: &Project, flags: &Bench) -> Result<()> {
    if cfg!(any(debug_assertions, not(feature = "attack-controls"))) {
        return again_optimized(project, flags);
    }
    let all = sched_getaffinity(Pid::from_raw(0))?;
    // Both sides on one processor: a wake-up across processors costs four times as much and would hide everything else.
    let mut one = CpuSet::new();
    one.set(0)?;
    let wanted = |name: &str| flags.rows.is_empty() || flags.rows.iter().any(|part| name.contains(part.as_str()));
    let mut results = Vec::new();
    for (name, prepare) in rows().filter(|(name, _)| wanted(name)) {
        if OF_ROOT.contains(name) && !geteuid().is_root() {
            ui::warn(format!("{name} is left out: only root can measure it"));
            continue;
        }
        let processors = if SPREAD.contains(name) { &all } else { &one };
        sched_setaffinity(Pid::from_raw(0), processors)?;
        let mut row = prepare(project)?;
        debug_assert_eq!(row.name, *name);
        results.push(measure(&mut row)?);
    }
    if results.is_empty() {
        let names: Vec<&str> = rows().map(|(name, _)| *name).collect();
        bail!("no such row; there are {}", names.join(", "));
    }
    if flags.json {
        let rows: Vec<_> = results.iter().map(Measured::to_json).collect();
        ui::say(serde_json::Value::from(rows));
    } else {
        ui::say(stats::table(&results));
    }
    match results.iter().filter(|result| !result.passes()).count() {
        0 => Ok(()),
        over => bail!("{over} of {} rows are over their target", results.len()),
    }
}

fn rows() -> impl Iterator<Item = &'static (&'static str, Prepare)> {
    #[cfg(feature = "attack-controls")]
    let layers = layers::ROWS;
    #[cfg(not(feature = "attack-controls"))]
    let layers = &[];
    ROWS.iter().chain(layers)
}

/// Numbers of a debug build mean nothing: the same verb, built for speed, and so that single layers can be measured. In a
/// target folder of its own: nothing that is shipped shares this choice of features.
fn again_optimized(project: &Project, flags: &Bench) -> Result<()> {
    let mut command = cmd::cargo();
    command.args(["run", "--quiet", "--locked", "--release", "--package", "xtask", "--features", "attack-controls"]);
    command.arg("--target-dir").arg(project.target.join("attack-controls")).args(["--", "bench"]);
    command.args(flags.json.then_some("--json")).args(&flags.rows).current_dir(&project.root);
    cmd::run(&mut command)
}

/// One tenth of the rounds warm up; then ours and the reference take turns, and who goes first changes every round.
fn measure(row: &mut Row) -> Result<Measured> {
    for _ in 0..row.rounds.div_ceil(10) {
        (row.ours)()?;
        (row.settle)()?;
        (row.reference)()?;
    }
    let mut rounds = Rounds::default();
    for round in 0..row.rounds {
        let (ours, reference);
        if round % 2 == 0 {
            ours = taken(&mut row.ours)?;
            (row.settle)()?;
            reference = taken(&mut row.reference)?;
        } else {
            reference = taken(&mut row.reference)?;
            ours = taken(&mut row.ours)?;
            (row.settle)()?;
        }
        rounds.add(ours, reference);
    }
    let budget = BUDGETS.iter().find(|(name, _)| *name == row.name);
    Ok(Measured::new(row, &rounds, budget.map(|(_, micros)| Duration::from_micros(*micros))))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn the_two_sides_take_turns() {
        let log = Rc::new(RefCell::new(String::new()));
        let side = |letter: char| {
            let log = Rc::clone(&log);
            Box::new(move || {
                log.borrow_mut().push(letter);
                Ok(())
            }) as Work
        };
        let (ours, reference) = (side('a'), side('b'));
        let mut row =
            Row { name: "x", about: String::new(), ours, reference, settle: nothing(), target: 1.0, rounds: 4 };
        measure(&mut row).unwrap();
        assert_eq!(*log.borrow(), "ababbaabba");
    }

    #[test]
    fn a_slower_side_is_over() {
        let sleep = |millis| {
            Box::new(move || {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            }) as Work
        };
        let mut row = Row {
            name: "x",
            about: String::new(),
            ours: sleep(6),
            reference: sleep(2),
            settle: nothing(),
            target: 1.5,
            rounds: 5,
        };
        assert!(!measure(&mut row).unwrap().passes());
        row.target = 30.0;
        assert!(measure(&mut row).unwrap().passes());
        row.ours = Box::new(|| bail!("broken"));
        assert!(measure(&mut row).is_err());
    }
}

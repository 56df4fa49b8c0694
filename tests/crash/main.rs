//! Nothing that stops a change of the store half-way leaves more than the old or the new one: kills, errors of the disk, lost
//! power, signals. Each case of the list is a test here, as root and as a plain user.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use migraine_tests::crash::injection::{self, Choice, Finding};
use migraine_tests::crash::operation::{self, Kit};
use migraine_tests::crash::points;
use migraine_tests::kernel;
use migraine_tests::run::User;

/// Past the test harness, which keeps what passing tests print to itself.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// Each test keeps all processors busy by itself.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints what was found and fails where something does not hold.
fn report(what: &str, user: User, start: Instant, findings: &BTreeMap<&'static str, Finding>) {
    for (name, finding) in findings {
        let Finding { kills, errors, states, took, .. } = finding;
        say!("{name:20} as {user}: {kills:3} kills, {errors:4} errors, {states:3} disks, {:5.1} s", took.as_secs_f64());
    }
    let total = |count: fn(&Finding) -> usize| findings.values().map(count).sum::<usize>();
    let (kills, errors) = (total(|finding| finding.kills), total(|finding| finding.errors));
    say!("{what} as {user}: {kills} kills, {errors} errors in {:.1} s", start.elapsed().as_secs_f64());
    let faults: Vec<&String> = findings.values().flat_map(|finding| &finding.faults).collect();
    let shown: Vec<&str> = faults.iter().take(20).map(|fault| fault.as_str()).collect();
    assert!(faults.is_empty(), "{} faults as {user}:\n{}", faults.len(), shown.join("\n"));
}

fn take_apart(what: &str, is_meant: fn(&str) -> bool, choice: Choice) {
    let _alone = alone();
    let chosen: Vec<_> = operation::chosen().into_iter().filter(|operation| is_meant(operation.name)).collect();
    for &user in kernel::users() {
        let start = Instant::now();
        let findings = injection::all(&chosen, &Kit::new(user), choice);
        report(what, user, start, &findings);
        if choice.kills {
            points::check(&findings.iter().map(|(name, finding)| (*name, finding.kills)).collect());
        }
    }
}

fn is_install(name: &str) -> bool {
    name.starts_with("install")
}

// covers: A144
#[test]
fn a144_an_install_is_killed_before_each_call() {
    take_apart("kills of installs", is_install, Choice { kills: true, errors: false });
}

// covers: A145
#[test]
fn a145_any_other_change_is_killed_before_each_call() {
    take_apart("kills of changes", |name| !is_install(name), Choice { kills: true, errors: false });
}

// covers: A146
#[test]
fn a146_each_call_fails_with_each_error() {
    take_apart("errors", |_| true, Choice { kills: false, errors: true });
}

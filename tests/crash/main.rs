//! Nothing that stops a change of the store half-way leaves more than the old or the new one: kills, errors of the disk, lost
//! power, signals. Each case of the list is a test here, as root and as a plain user.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test says that it cannot go on")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use migraine_tests::crash::blackout::{self, Moment};
use migraine_tests::crash::injection::{self, Choice, Finding, Job};
use migraine_tests::crash::operation::{self, Operation};
use migraine_tests::crash::subject::Subject;
use migraine_tests::crash::syscall::Change;
use migraine_tests::crash::tracer::{Call, Traced};
use migraine_tests::crash::{Ended, ignored, interrupts, kills as storm_of_kills, points};
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
fn report(what: &str, start: Instant, findings: &[(Job, Finding)]) {
    for ((operation, user), finding) in findings {
        let Finding { kills, errors, losses, states, took, .. } = finding;
        say!(
            "{:20} as {user}: {kills:3} kills, {errors:4} errors, {losses:4} losses, {states:3} disks, {:5.1} s",
            operation.name,
            took.as_secs_f64()
        );
    }
    let total = |count: fn(&Finding) -> usize| findings.iter().map(|(_, finding)| count(finding)).sum::<usize>();
    let (kills, errors) = (total(|finding| finding.kills), total(|finding| finding.errors));
    let losses = total(|finding| finding.losses);
    say!("{what}: {kills} kills, {errors} errors, {losses} losses in {:.1} s", start.elapsed().as_secs_f64());
    let of = |(job, finding): &(Job, Finding)| {
        let user = job.1;
        finding.faults.iter().map(move |fault| format!("as {user}: {fault}")).collect::<Vec<_>>()
    };
    let faults: Vec<String> = findings.iter().flat_map(of).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
}

/// Each of some operations as each user.
fn jobs(operations: &[&'static Operation]) -> Vec<Job> {
    let users = kernel::users().iter();
    users.flat_map(|&user| operations.iter().map(move |&operation| (operation, user))).collect()
}

/// The number of a user among those that there are.
fn number(user: User) -> usize {
    kernel::users().iter().position(|&other| other == user).unwrap()
}

/// Whether every user meets every error at every point, and not half of them each.
fn is_full() -> bool {
    std::env::var_os("MIGRAINE_CRASH_FULL").is_some()
}

fn take_apart(what: &str, is_meant: fn(&str) -> bool, choice: fn(User) -> Choice) {
    let (_alone, start) = (alone(), Instant::now());
    let chosen: Vec<_> = operation::chosen().into_iter().filter(|operation| is_meant(operation.name)).collect();
    let findings = injection::each(jobs(&chosen), |job| injection::one(job, choice(job.1)));
    report(what, start, &findings);
    for &user in kernel::users() {
        if choice(user) == Choice::Kills {
            let own = findings.iter().filter(|(job, _)| job.1 == user);
            points::check(&own.map(|(job, finding)| (job.0.name, finding.kills)).collect());
        }
    }
}

fn is_install(name: &str) -> bool {
    name.starts_with("install")
}

// covers: A144
#[test]
fn a144_an_install_is_killed_before_each_call() {
    take_apart("kills of installs", is_install, |_| Choice::Kills);
}

// covers: A145
#[test]
fn a145_any_other_change_is_killed_before_each_call() {
    take_apart("kills of changes", |name| !is_install(name), |_| Choice::Kills);
}

// covers: A146
#[test]
fn a146_each_call_fails_with_each_error() {
    let shared = kernel::users().len() == 2 && !is_full();
    let choice = if shared { |user| Choice::HalfOfErrors(number(user)) } else { |_| Choice::Errors };
    take_apart("errors", |_| true, choice);
}

/// Whether a sync may fail unheard: of what only makes a removal from a full disk possible; of the name of SQLite's log; and of
/// the database itself once its log is durable, which is all that a commit needs.
fn is_best_effort(synced: &Path, run: &Traced) -> bool {
    let is_database = synced.parent().is_some_and(|folder| folder.ends_with("home/data"));
    let is_durable_log = |call: &Call| {
        let is_log = call.change.path().is_some_and(|path| path.to_string_lossy().ends_with("-wal"));
        is_log && call.change.is_sync() && call.result == Some(0)
    };
    let is_committed = is_database && run.calls.iter().any(is_durable_log);
    is_committed || synced.ends_with("home/reserve") || synced.ends_with("home/data")
}

/// How a run ended. All that it did would be megabytes.
fn brief(run: &Traced) -> String {
    let said = format!("{}{}", run.out, run.err);
    let shown: String = said.chars().take(2000).collect();
    format!("ended with {} after {} calls: {shown}", run.code, run.calls.len())
}

// covers: A147
#[test]
fn a147_an_fsync_that_failed_is_reported_and_not_tried_again() {
    let (_alone, start) = (alone(), Instant::now());
    let found = injection::each(jobs(&operation::chosen()), injection::failing_syncs);
    let mut syncs = 0;
    for ((operation, user), runs) in &found {
        for (call, run) in runs {
            syncs += 1;
            let what = format!("{} as {user}: {}", operation.name, call.shown());
            let failed = run.calls.iter().position(|call| call.result == Some(-i64::from(nix::libc::EIO)));
            let (call, later) = run.calls[failed.unwrap()..].split_first().unwrap();
            let Change::Sync { inode, path } = &call.change else { panic!("{what}: {} is no sync", call.shown()) };
            let is_same = |call: &&Call| matches!(&call.change, Change::Sync { inode: other, .. } if other == inode);
            // Of several changes, each syncs the folders that it changed itself.
            assert!(operation.reports || later.iter().all(|call| !is_same(&call)), "{what}: tried again");
            // A tree that cannot be mended is put in its place anew as a whole.
            let is_new = |call: &Call| match &call.change {
                Change::Rename { to, .. } | Change::Exchange { to, .. } => path.starts_with(to),
                _ => false,
            };
            let is_replaced = operation.mends && later.iter().any(is_new);
            if !is_best_effort(path, run) && !is_replaced {
                // A report can be right of what was done before the sync that failed.
                let said = if operation.reports { run.code == 0 } else { !run.out.is_empty() };
                let told = format!("{}{}", run.out, run.err);
                assert!(run.code != 0 && !said, "{what}: {}", brief(run));
                let told: String = told.split_whitespace().collect();
                let is_code = told.contains("\"code\":\"io\"");
                assert!(is_code || operation.reports && told.contains("\"reason\":\"io:"), "{what}: {}", brief(run));
            }
        }
    }
    say!("{syncs} syncs that fail once in {:.1} s", start.elapsed().as_secs_f64());
    let enough = 100 * kernel::users().len();
    assert!(syncs > enough || operation::chosen().len() < operation::OPERATIONS.len(), "only {syncs} syncs");
}

// covers: A148
#[test]
fn a148_no_loss_of_power_leaves_another_state() {
    let (_alone, start) = (alone(), Instant::now());
    let (chosen, users) = (operation::chosen(), kernel::users().len());
    // Each user does every second operation, where not everything is to be done.
    let is_own = |&(operation, user): &Job| {
        let at = chosen.iter().position(|known| known.name == operation.name).unwrap();
        is_full() || at % users == number(user)
    };
    let own = jobs(&chosen).into_iter().filter(is_own).collect();
    let findings = injection::each(own, injection::power_losses);
    let losses: usize = findings.iter().map(|(_, finding)| finding.losses).sum();
    report("losses of power", start, &findings);
    assert!(losses > 2000 || chosen.len() < operation::OPERATIONS.len(), "only {losses} disks");
}

// covers: A148
#[test]
fn a148_an_ext4_that_loses_its_power_holds_the_old_or_the_new_state() {
    let (_alone, start) = (alone(), Instant::now());
    if let Err(why) = blackout::check() {
        // The model of a disk, above, is all that shows it then.
        return kernel::skip("an ext4 that is cut off from its disk", &why);
    }
    let (chosen, users) = (operation::chosen(), kernel::users().len());
    let is_own = |&(operation, user): &Job| {
        let at = chosen.iter().position(|known| known.name == operation.name).unwrap();
        is_full() || at % users == number(user)
    };
    let own = jobs(&chosen).into_iter().filter(is_own).collect();
    let found = injection::each(own, |job| {
        let whole = blackout::blackout(job, Moment::End, None)?;
        // In the middle, where it can be anywhere: before the commit, and after it.
        let parts: &[f64] = if is_full() { &[0.2, 0.4, 0.6, 0.8] } else { &[0.5] };
        let moments = parts.iter().map(|part| Moment::After(whole.mul_f64(*part)));
        moments.map(|moment| blackout::blackout(job, moment, None)).try_for_each(|outcome| outcome.map(drop))
    });
    let faults: Vec<&String> = found.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
    say!("{} operations on an ext4 that lost its power, in {:.1} s", found.len(), start.elapsed().as_secs_f64());
    assert!(faults.is_empty(), "{} faults:\n{faults:?}", faults.len());
    // It is worth something: a program that syncs nothing says that it succeeded, and has not.
    let folder = tempfile::tempdir().unwrap();
    let job = (operation::named("install-package"), kernel::users()[0]);
    let fault = blackout::blackout(job, Moment::End, Some(&blackout::careless(folder.path()))).unwrap_err();
    assert!(fault.contains("success was reported"), "{fault}");
}

/// How often something random is tried: few times by the test command.
fn rounds() -> u32 {
    std::env::var("MIGRAINE_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30)
}

#[test]
fn installers_are_killed_at_any_moment() {
    let _alone = alone();
    for &user in kernel::users() {
        for installers in [1, 2, 8] {
            let start = Instant::now();
            let killed = storm_of_kills(user, installers, rounds());
            let (rounds, took) = (rounds(), start.elapsed().as_secs_f64());
            say!("{rounds} rounds of {installers} installers as {user}, {killed} killed in {took:.1} s");
            assert!(killed > 0, "nobody was killed in time");
        }
    }
}

// covers: A156
#[test]
fn a156_a_signal_at_any_moment_ends_the_run_and_nothing_else() {
    let _alone = alone();
    let operations = operation::OPERATIONS
        .iter()
        .filter(|operation| ["install-package", "upgrade", "uninstall", "grant"].contains(&operation.name));
    let (operations, start): (Vec<_>, _) = (operations.collect(), Instant::now());
    let found = injection::each(jobs(&operations), |job| interrupts(job, rounds()));
    let ended: usize = found.iter().map(|(_, one)| one.ended).sum();
    let finished: usize = found.iter().map(|(_, one)| one.finished).sum();
    let took = start.elapsed().as_secs_f64();
    say!("{} signals: {ended} ended the run, {finished} did not in {took:.1} s", ended + finished);
    assert!(ended > 0 && finished > 0, "{found:?}");
}

// covers: A156
#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let _alone = alone();
    for job in jobs(&[operation::named("install-package")]) {
        ignored(job);
    }
}

/// The model is worth something: without a sync that the protocol needs, it builds a disk that the oracle refuses.
#[test]
fn a_forgotten_sync_is_found() {
    let _alone = alone();
    let found = injection::forgotten_syncs((operation::named("install-package"), kernel::users()[0]));
    let mut needed =
        BTreeMap::from([("/state.", 0), ("/index", 0), (".so", 0), ("/files", 0), ("/store", 0), ("/home", 0)]);
    for (call, fault) in &found {
        let path = call.change.path().unwrap().to_string_lossy().into_owned();
        say!("without {}: {}", call.shown(), fault.as_deref().unwrap_or("nothing").lines().next().unwrap_or_default());
        for (part, count) in &mut needed {
            let is_part = path.ends_with(*part) || (*part == "/state." && path.contains(part));
            *count += usize::from(is_part && fault.is_some());
        }
    }
    let missed: Vec<_> = needed.iter().filter(|(_, count)| **count == 0).collect();
    assert!(missed.is_empty(), "no fault without a sync of {missed:?}");
}

/// What is done to a home, and what the oracle must say.
type Case<'a> = (&'a dyn Fn(&Path), &'a str);

/// What the oracle is worth: each of these is a store that no crash may leave.
#[test]
fn the_oracle_finds_what_is_wrong() {
    let subject = Subject::of(operation::named("upgrade"), kernel::users()[0]);
    let judge = |spoil: &dyn Fn(&Path), code: Option<i32>| {
        let place = subject.place();
        spoil(&place.home());
        subject.oracle.judge(&place, &Ended { code, out: "" })
    };
    let edit = |home: &Path, name: &str, content: &[u8]| {
        let path = home.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path, content).unwrap();
    };
    let tree = |home: &Path| fs::read_dir(home.join("store")).unwrap().next().unwrap().unwrap().path();
    let cases: [Case<'_>; 7] = [
        (&|home| edit(home, "state", b""), "neither the old nor the new state"),
        (&|home| edit(home, "state", b"{}\n"), "neither the old nor the new state"),
        (&|home| edit(&tree(home), "index", b"x"), "does not verify"),
        (&|home| fs::rename(tree(home), home.join("elsewhere")).unwrap(), "does not verify"),
        (&|home| fs::remove_dir_all(home.join("keys")).unwrap(), "neither the old nor the new state"),
        (&|home| fs::write(home.with_file_name("work").join("dropped"), "").unwrap(), "neither the old nor the new"),
        (&|home| fs::write(home.join("dropped"), "").unwrap(), "not what an undisturbed run leaves"),
    ];
    for (spoil, fault) in cases {
        let found = judge(spoil, None).expect_err(fault);
        assert!(found.contains(fault), "{fault}: {found}");
    }
    judge(&|_| {}, None).unwrap();
    // The old state is no good end of a run that said that it had succeeded.
    assert!(judge(&|_| {}, Some(0)).unwrap_err().contains("success was reported"));
}

//! Every system call number by itself: the set that passes is written down for each profile of the filter, and changes
//! only on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{self, Attack, Stops};
use migraine_tests::home::Home;
use migraine_tests::kernel;
use migraine_tests::package::remade;
use migraine_tests::run::User;
use serde_json::json;

/// Numbers that reach the kernel from a plugin without permissions, one a line.
const GOLDEN: &str = include_str!("sweep.txt");
/// Numbers that reach it besides from a plugin to which the host passes streams.
const WITH_STREAMS: &str = include_str!("sweep-streams.txt");
/// Numbers that reach it besides from a plugin with a directory that it may change; fchmod cannot be told from a refusal,
/// since descriptor 0 belongs to nobody here.
const WITH_CHANGES: &str = include_str!("sweep-changes.txt");
/// Numbers that reach it besides from a program of the system.
const OF_PROGRAMS: &str = include_str!("sweep-programs.txt");
/// Numbers that reach it besides from a program of a plugin that holds `network`; socket and setsockopt cannot be told from
/// a refusal, since all of their arguments are 0 here.
const WITH_NETWORK: &str = include_str!("sweep-network.txt");
const NUMBERS: u64 = 600;
/// uretprobe and uprobe: newer kernels answer them before any filter, with a signal unless a probe of the kernel's own
/// stands there.
const UNFILTERED: [u64; 2] = [335, 336];

#[test]
fn a025_only_listed_numbers_reach_the_kernel() {
    check(&[GOLDEN], &[]);
}

// One that is not listed, in place of all: without the filter some would end the machine.
#[test]
fn a025_a_number_that_is_not_listed_is_refused() {
    attack::check(25, &[Attack::new("syscall", &["41"]).by(Stops::Filters).answer(&["EPERM"])]);
}

#[test]
fn a025_streams_open_only_what_they_need() {
    check(&[GOLDEN, WITH_STREAMS], &["--connects"]);
}

#[test]
fn a025_a_writable_directory_opens_only_what_it_needs() {
    check(&[GOLDEN, WITH_CHANGES], &["--write", "/var/tmp"]);
}

// A25, for programs of the system
#[test]
fn programs_have_only_what_is_listed() {
    check_programs(&[], &[GOLDEN, WITH_CHANGES, OF_PROGRAMS]);
}

// A25, for programs that reach the network through the proxy
#[test]
fn programs_with_network_have_only_what_is_listed() {
    check_programs(&["network=localhost:1"], &[GOLDEN, WITH_CHANGES, OF_PROGRAMS, WITH_NETWORK]);
}

fn check_programs(more: &[&str], lists: &[&str]) {
    if !Path::new("/usr/bin/perl").exists() {
        return kernel::skip("the calls of programs", "there is no perl");
    }
    let folder = tempfile::tempdir().expect("make a directory");
    let folder = folder.path().canonicalize().expect("a directory is there");
    let directory = format!("filesystem=write:{}", folder.display());
    let home = Home::new();
    let permissions = [&["exec=perl", &directory], more].concat();
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    let mut line =
        vec!["plugin", "install", parcel.typed(), "--yes", "--grant", "filesystem", "--grant", "filesystem+exec"];
    line.extend(more.iter().flat_map(|permission| ["--grant", permission, "--grant", "filesystem+network"]));
    home.ok(&line);
    let script = SWEEP.replace("END", &NUMBERS.to_string());
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    // A call that no plugin may make ends the whole run; the next one goes on after it.
    while let Some(next) = found.last_key_value().map_or(Some(0), |(last, _)| (last + 1 < NUMBERS).then_some(last + 1))
    {
        let script = script.replace("FIRST", &next.to_string());
        let words =
            ["plugin", "run", "reach", "exec", "perl", "--", "-e", &script, folder.to_str().expect("a path is text")];
        let done = home.run(words);
        assert!(done.code == 0 || done.err.contains("which no plugin may make"), "{done:?}");
        let list = fs::read_to_string(folder.join("list")).expect("read the list");
        // The end comes a moment after the call that led to it: the next one may have begun, and is tried again.
        let whole = list.lines().count() - usize::from(done.code != 0 && list.lines().count() > 1);
        let lines = list.lines().take(whole).map(|line| line.split_once(' ').expect("two words"));
        found.extend(lines.map(|(number, how)| (number.parse::<u64>().expect("a number"), how.to_owned())));
    }
    let passed = found.into_iter().filter(|(_, how)| how == "passed").map(|(number, _)| number);
    compare(lists, passed.collect(), "a program");
}

/// Makes each call in a process of its own, and writes down what became of it.
const SWEEP: &str = r#"
    open(LIST, ">", "$ARGV[0]/list");
    select(LIST);
    $| = 1;
    for $number (FIRST .. END - 1) {
        print "$number made\n";
        if (!($child = fork())) {
            alarm(1);
            $refused = syscall($number, 0, 0, 0, 0, 0, 0) == -1 && ($! == 1 || $! == 38);
            exit($refused ? 7 : 0);
        }
        waitpid($child, 0);
        print "$number ", ($? == 7 << 8 ? "refused" : "passed"), "\n";
    }
"#;

fn check(lists: &[&str], options: &[&str]) {
    for &user in kernel::users() {
        compare(lists, sweep(user, options), &format!("{user:?}"));
    }
}

fn compare(lists: &[&str], mut passed: BTreeSet<u64>, who: &str) {
    let lines = lists.iter().flat_map(|list| list.lines());
    let expected: BTreeSet<u64> = lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    passed.retain(|number| !UNFILTERED.contains(number));
    let more: Vec<_> = passed.difference(&expected).collect();
    let fewer: Vec<_> = expected.difference(&passed).collect();
    assert!(more.is_empty() && fewer.is_empty(), "as {who}: passes and is not listed {more:?}, and back {fewer:?}");
}

/// Numbers whose outcome differs from what the filter answers by itself: EPERM, ENOSYS, or the end of the worker.
fn sweep(user: User, options: &[&str]) -> BTreeSet<u64> {
    let times = NUMBERS.to_string();
    let arena = Arena::new(On::All, user).with(options).with(&["--repeat", &times, "--wall", "150"]);
    let outcome = arena.run("syscall", &["{}"]);
    let mut passed = BTreeSet::new();
    let mut current = None;
    for line in outcome.out.lines() {
        if let Some(number) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            current = number.parse().ok();
            continue;
        }
        if line.starts_with("drift of") {
            break;
        }
        let refused = ["refused EPERM", "refused ENOSYS", "sandbox_violation:"].iter().any(|word| line.contains(word));
        if let (Some(number), false) = (current, refused) {
            passed.insert(number);
        }
    }
    passed
}

//! Every system call number by itself: the set that passes is written down for each profile of the filter, and changes
//! only on purpose.

use std::collections::BTreeSet;

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;
use migraine_tests::run::User;

/// Numbers that reach the kernel from a plugin without permissions, one a line.
const GOLDEN: &str = include_str!("sweep.txt");
/// Numbers that reach it besides from a plugin to which the host passes streams.
const WITH_STREAMS: &str = include_str!("sweep-streams.txt");
/// Numbers that reach it besides from a plugin with a directory that it may change; fchmod cannot be told from a refusal,
/// since descriptor 0 belongs to nobody here.
const WITH_CHANGES: &str = include_str!("sweep-changes.txt");
const NUMBERS: u64 = 600;
/// uretprobe and uprobe: newer kernels answer them before any filter, with a signal unless a probe of the kernel's own
/// stands there.
const UNFILTERED: [u64; 2] = [335, 336];

// A25
#[test]
fn only_listed_numbers_reach_the_kernel() {
    check(&[GOLDEN], &[]);
}

// A25
#[test]
fn streams_open_only_what_they_need() {
    check(&[GOLDEN, WITH_STREAMS], &["--connects"]);
}

// A25
#[test]
fn a_writable_directory_opens_only_what_it_needs() {
    check(&[GOLDEN, WITH_CHANGES], &["--write", "/var/tmp"]);
}

fn check(lists: &[&str], options: &[&str]) {
    let lines = lists.iter().flat_map(|list| list.lines());
    let expected: BTreeSet<u64> = lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    for &user in kernel::users() {
        let mut passed = sweep(user, options);
        passed.retain(|number| !UNFILTERED.contains(number));
        let more: Vec<_> = passed.difference(&expected).collect();
        let fewer: Vec<_> = expected.difference(&passed).collect();
        assert!(
            more.is_empty() && fewer.is_empty(),
            "as {user:?}: passes and is not listed {more:?}, and back {fewer:?}"
        );
    }
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

//! What this process and others hold, counted through procfs.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

pub(super) fn children() -> Vec<String> {
    children_of("self")
}

/// The one launcher, once what started it is collected.
pub(super) fn launchers() -> Vec<String> {
    let start = Instant::now();
    loop {
        let found = children();
        if found.len() <= 1 || start.elapsed() > Duration::from_secs(1) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Children of all threads of a process.
pub(super) fn children_of(pid: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Open descriptors and resident memory in KiB.
pub(super) fn size_of(pid: &str) -> (i64, i64) {
    (count(&format!("/proc/{pid}/fd")), memory_of(pid, "VmRSS:"))
}

pub(super) fn count(directory: &str) -> i64 {
    fs::read_dir(directory).map_or(0, |entries| i64::try_from(entries.count()).unwrap_or(0))
}

pub(super) fn memory(field: &str) -> i64 {
    memory_of("self", field)
}

pub(super) fn memory_of(pid: &str, field: &str) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Control groups that this process made.
pub(super) fn own_groups() -> usize {
    migraine_tests::kernel::groups().iter().filter(|group| group.pid == std::process::id()).count()
}

/// Processes that live a second later, ended then, and ended ones that nobody had waited for.
pub(super) fn left_behind() -> (usize, usize) {
    // The sandbox may collect its children from a thread of its own: taken first, they would look like forgotten ones.
    wait_for(|| children().is_empty());
    let mut zombies = 0;
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {
        zombies += 1;
    }
    let alive = children();
    for pid in alive.iter().filter_map(|pid| pid.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    (alive.len(), zombies)
}

/// Waits until something holds, at most the second that everything may take to end.
pub(super) fn wait_for(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() && start.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! What a process and all below it use, as procfs and their clocks say (proc_pid_stat(5)).

use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::sys;

/// More processes than any run may have: a list that changes while it is read must end.
const FAMILY_MAX: usize = 1024;

/// Private memory of all, in bytes.
pub(super) fn resident(first: i32, of: impl Fn(i32) -> Option<u64>) -> u64 {
    members(first).into_iter().filter_map(of).fold(0, u64::saturating_add)
}

/// CPU time of all, and of those that ended and were waited for.
pub(super) fn cpu(first: i32) -> Option<Duration> {
    let used = |pid| Some(sys::clock::cpu_time(pid).ok()? + of_ended_children(pid)?);
    Some(members(first).into_iter().filter_map(used).fold(Duration::ZERO, Duration::saturating_add))
}

/// A process and all below it. A child whose parent ended moves up to the first one, so none gets out.
pub(super) fn members(first: i32) -> Vec<i32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(pid) = found.get(next).filter(|_| next < FAMILY_MAX) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn of_ended_children(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; cutime and cstime are the 14th and 15th words after it.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let ticks: u64 = words.next()?.parse::<u64>().ok()? + words.next()?.parse::<u64>().ok()?;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(Duration::from_millis(ticks.saturating_mul(1000) / u64::try_from(per_second).ok()?.max(1)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    /// A shell that has printed a line, and its number.
    fn started(script: &str) -> (Child, i32) {
        let mut command = Command::new("sh");
        let child = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, pid)
    }

    fn end(mut child: Child) {
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_family_is_counted_with_those_that_ended() {
        let spin = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'";
        let (child, pid) = started(&format!("{spin}; echo; read line"));
        assert!(cpu(pid).unwrap() > sys::clock::cpu_time(pid).unwrap() + Duration::from_millis(20));
        end(child);
    }

    #[test]
    fn grandchildren_are_found() {
        let (child, pid) = started("sh -c 'sleep 100 & echo; wait' & read line");
        let found = members(pid);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(resident(pid, |_| Some(2)), 6);
        for pid in &found[1..] {
            kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
        }
        end(child);
    }
}

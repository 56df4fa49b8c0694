//! What a process and all below it use, as procfs and their clocks say (proc_pid_stat(5)).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::sys;

/// More processes than any worker may have: a list that changes while it is read must end.
const FAMILY_MAX: usize = 1024;

/// Where procfs is mounted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Procfs(&'static str);

impl Procfs {
    /// Where it always is.
    pub(crate) const USUAL: Self = Self("/proc");
    /// In the working directory.
    pub(crate) const HERE: Self = Self(".");

    /// A process and all below it. A child whose parent ended moves up to the first one, so none gets out. Where there is
    /// no procfs, it is the process alone.
    pub(crate) fn members(self, first: i32) -> Vec<i32> {
        let mut found = vec![first];
        let mut next = 0;
        while let Some(pid) = found.get(next).filter(|_| next < FAMILY_MAX) {
            found.extend(self.children(*pid));
            next += 1;
        }
        found
    }

    /// The children of all threads of a process.
    fn children(self, pid: i32) -> Vec<i32> {
        let threads = fs::read_dir(format!("{}/{pid}/task", self.0)).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
    }

    fn sample(self, pid: i32) -> Option<Sample> {
        let own = sys::clock::cpu_time(pid).ok()?;
        let (started, waited_for) = self.read_stat(pid).unwrap_or_default();
        Some(Sample { started, own, waited_for })
    }

    fn read_stat(self, pid: i32) -> Option<(u64, Duration)> {
        let stat = fs::read_to_string(format!("{}/{pid}/stat", self.0)).ok()?;
        // The name stands in parentheses and may hold anything; the state after it is field 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let (cutime, cstime, started) = (field(16)?, field(17)?, field(22)?);
        let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?.max(1);
        Some((started, Duration::from_millis((cutime + cstime).saturating_mul(1000) / per_second)))
    }
}

/// When a process started, in clock ticks since the machine did.
pub(crate) fn started(pid: i32) -> Option<u64> {
    Procfs::USUAL.read_stat(pid).map(|(started, _)| started)
}

/// A process and all below it.
pub(crate) fn members(first: i32) -> Vec<i32> {
    Procfs::USUAL.members(first)
}

/// CPU time of a family, counted over several looks: what was used stays used, however its processes end.
#[derive(Debug)]
pub(crate) struct Tally {
    procfs: Procfs,
    /// Each process of the last look by its number and its start, with what it had used itself.
    own: BTreeMap<(i32, u64), Duration>,
    /// What processes had used when they were last seen.
    gone: Duration,
    most: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self::by(Procfs::USUAL)
    }
}

impl Tally {
    /// Nothing so far.
    pub(crate) fn by(procfs: Procfs) -> Self {
        Self { procfs, own: BTreeMap::new(), gone: Duration::ZERO, most: Duration::ZERO }
    }

    /// What the family has used by now; nothing of a first process that is gone.
    ///
    /// Two sums are made, and neither is ever too much. The kernel adds the time of a process to its parent's count of
    /// children when the parent waits for it, which is exact, and never where the parent ignores SIGCHLD (times(2)): what
    /// was seen of each before it ended covers that. Parents are read before their children, so that the time of one
    /// that ends meanwhile is missed by this look and not counted twice.
    pub(crate) fn look(&mut self, members: &[i32]) -> Option<Duration> {
        let mut now = BTreeMap::new();
        let mut by_waits = Duration::ZERO;
        for (place, pid) in members.iter().enumerate() {
            match self.procfs.sample(*pid) {
                Some(Sample { started, own, waited_for }) => {
                    by_waits += own + waited_for;
                    now.insert((*pid, started), own);
                }
                None if place == 0 => return None,
                None => {}
            }
        }
        for (&(pid, started), &seen) in &self.own {
            if now.contains_key(&(pid, started)) {
                continue;
            }
            // It may only have changed its parent while the list was made.
            match self.procfs.sample(pid).filter(|sample| sample.started == started) {
                Some(sample) => _ = now.insert((pid, started), sample.own),
                None => self.gone += seen,
            }
        }
        self.own = now;
        let by_looks = self.own.values().fold(self.gone, |sum, own| sum + *own);
        self.most = self.most.max(by_waits).max(by_looks);
        Some(self.most)
    }

    /// As [`Tally::look`] at the first process and those that it has waited for: one file instead of several for each.
    pub(crate) fn look_at_first(&mut self, first: i32) -> Option<Duration> {
        let Sample { own, waited_for, .. } = self.procfs.sample(first)?;
        self.most = self.most.max(own + waited_for);
        Some(self.most)
    }

    /// What was seen so far.
    pub(crate) fn most(&self) -> Duration {
        self.most
    }
}

/// One process at one moment.
struct Sample {
    /// In clock ticks since the machine did; 0 where procfs cannot be read.
    started: u64,
    /// CPU time of its threads.
    own: Duration,
    /// Of all below it that ended and were waited for.
    waited_for: Duration,
}

/// Resident memory of a family, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Private memory of all, swapped out or not. What two processes share since a fork counts twice.
    pub(crate) private: u64,
    /// The most that was resident at once, as far as is known.
    pub(crate) peak: u64,
}

impl Memory {
    /// What all of them hold now; nothing of a first process that is gone (proc_pid_status(5)).
    pub(crate) fn of(members: &[i32]) -> Option<Self> {
        let (mut private, mut resident, mut files, mut alone) = (0_u64, 0_u64, 0_u64, 0);
        for (place, pid) in members.iter().enumerate() {
            let status = status(*pid).unwrap_or_default();
            let kib = |name: &str| kib(&status, name);
            let Some(anonymous) = kib(ANONYMOUS) else {
                // A process that has ended holds nothing any more.
                if place == 0 {
                    return None;
                }
                continue;
            };
            resident += anonymous;
            private += anonymous.saturating_add(kib("VmSwap:").unwrap_or_default());
            // The same pages of the same files as a rule.
            files = files.max(kib("VmRSS:").unwrap_or_default().saturating_sub(anonymous));
            alone = alone.max(kib("VmHWM:").unwrap_or_default());
        }
        let peak = resident.saturating_add(files).max(alone);
        Some(Self { private: private.saturating_mul(1024), peak: peak.saturating_mul(1024) })
    }
}

const ANONYMOUS: &str = "RssAnon:";

/// The status of a process whose first thread may have ended: the others hold its memory on.
fn status(pid: i32) -> Option<String> {
    let holds_memory = |text: &String| kib(text, ANONYMOUS).is_some();
    if let Some(text) = fs::read_to_string(format!("/proc/{pid}/status")).ok().filter(holds_memory) {
        return Some(text);
    }
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    threads.find_map(|thread| fs::read_to_string(thread.path().join("status")).ok().filter(holds_memory))
}

/// Private memory of all, in bytes, of which what several share counts once. It costs the kernel a walk over all of it.
/// Of a process that cannot be read so, it is what [`Memory`] says.
pub(crate) fn private_exactly(members: &[i32]) -> u64 {
    let mut counted: Vec<i32> = Vec::new();
    let mut sum = 0_u64;
    for pid in members {
        // Between vfork(2) and execve(2) a child runs in the memory of its parent.
        if counted.iter().any(|other| sys::process::share_memory(*other, *pid)) {
            continue;
        }
        counted.push(*pid);
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
        let shared = rollup.as_deref().and_then(|text| Some(kib(text, "Pss_Anon:")? + kib(text, "SwapPss:")?));
        let bytes = shared.map(|kib| kib.saturating_mul(1024));
        sum = sum.saturating_add(bytes.or_else(|| Some(Memory::of(&[*pid])?.private)).unwrap_or_default());
    }
    sum
}

/// A number of KiB by the name of its line.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
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

    /// A shell that computes for at least 20 ms.
    const SPIN: &str = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'";

    #[test]
    fn a_family_is_counted_with_those_that_ended() {
        let (child, pid) = started(&format!("{SPIN}; echo; read line"));
        let own = sys::clock::cpu_time(pid).unwrap();
        let more = own + Duration::from_millis(20);
        assert!(Tally::default().look(&members(pid)).unwrap() > more);
        assert!(Tally::default().look_at_first(pid).unwrap() > more);
        end(child);
    }

    // The kernel forgets what such a child has used.
    #[test]
    fn what_nobody_waits_for_is_counted_as_it_was_seen() {
        let script = "$SIG{CHLD} = 'IGNORE'; $| = 1; \
            if (!fork) { 1 while times < 0.3; print qq(x\\n); sleep 100 } <STDIN>";
        let mut perl = Command::new("perl");
        let mut child = perl.args(["-e", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let (mut tally, found) = (Tally::default(), members(pid));
        let before = tally.look(&found).unwrap();
        assert!(found.len() == 2 && before >= Duration::from_millis(290), "{found:?} {before:?}");
        kill(Pid::from_raw(found[1]), Signal::SIGKILL).unwrap();
        while members(pid).len() == 2 {
            std::thread::yield_now();
        }
        assert!(Tally::default().look(&[pid]).unwrap() < Duration::from_millis(200), "the kernel has not forgotten");
        // Twice: it is added to what is gone once.
        tally.look(&[pid]);
        let after = tally.look(&[pid]).unwrap();
        assert!((before..before + Duration::from_millis(100)).contains(&after), "{before:?} {after:?}");
        end(child);
    }

    // While its parent ends, a child can be missing from every list.
    #[test]
    fn one_that_is_not_in_the_list_has_not_ended() {
        let (child, pid) =
            started(&format!("{SPIN}; sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read x'"));
        let (mut tally, found) = (Tally::default(), members(pid));
        let with = tally.look(&found).unwrap();
        for _ in 0..3 {
            assert!(tally.look(&[pid]).unwrap() < with + Duration::from_millis(10));
        }
        end(child);
    }

    #[test]
    fn grandchildren_are_found() {
        let (child, pid) = started("sh -c 'sleep 100 & echo; wait' & read line");
        let found = members(pid);
        assert_eq!(found.len(), 3, "{found:?}");
        for pid in &found[1..] {
            kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
        }
        end(child);
    }

    const MIB: u64 = 1 << 20;

    /// A Python with 32 MiB and what it does then; it has said that it is done.
    fn python(then: &str) -> (Child, i32) {
        let script = format!("import os, sys, ctypes\ndata = bytearray(b'x') * (32 << 20)\n{then}");
        let mut python = Command::new("python3");
        let child = python.args(["-I", "-S", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        (child, pid)
    }

    #[test]
    fn memory_of_all_is_one_sum() {
        // The child writes its half anew: 16 MiB are shared, and as much again is its own.
        let (child, pid) = python(
            "if not os.fork():\n    data[:16 << 20] = bytes(16 << 20)\n    print(flush=True)\n\
             sys.stdin.read()",
        );
        let found = members(pid);
        assert_eq!(found.len(), 2);
        let each = Memory::of(&found).unwrap();
        assert!(each.private > 64 * MIB && each.peak > 64 * MIB && each.peak < 128 * MIB, "{each:?}");
        let all = private_exactly(&found);
        assert!((48 * MIB..62 * MIB).contains(&all), "{all}");
        end(child);
    }

    #[test]
    fn a_child_that_borrows_its_parents_memory_holds_none() {
        let (mut child, pid) = python(
            "libc = ctypes.CDLL(None)\nprint(flush=True)\n\
             libc.syscall(58) or (sys.stdin.read(), os._exit(0))",
        );
        let mut found = members(pid);
        while found.len() < 2 {
            found = members(pid);
        }
        assert!(sys::process::share_memory(found[0], found[1]));
        let (each, all) = (Memory::of(&found).unwrap(), private_exactly(&found));
        assert!(each.private > 64 * MIB && all < 60 * MIB, "{each:?} {all}");
        drop(child.stdin.take());
        kill(Pid::from_raw(found[1]), Signal::SIGKILL).unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_whose_first_thread_ended_is_no_less() {
        let (mut child, pid) = python(
            "import threading\n\
             threading.Thread(target=lambda: (print(flush=True), sys.stdin.read())).start()\n\
             ctypes.CDLL(None).syscall(60, 0)",
        );
        while fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains(ANONYMOUS) {
            std::thread::yield_now();
        }
        assert!(Memory::of(&[pid]).unwrap().private > 32 * MIB);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

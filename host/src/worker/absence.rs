//! While the host is silent, the launcher looks at CPU time: a host that is stopped (Ctrl-Z) looks at nothing, and its
//! workers go on. Everything else that the host looks at waits for it, or is limited by the kernel as well.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::unistd::{chdir, fchdir};

use crate::family::{Procfs, Tally};
use crate::wire::CPU_WINDOW;

/// How long the host says nothing before it counts as stopped; it speaks once a second.
const SILENCE: Duration = Duration::from_secs(3);
/// What a worker may use before the host has said how much.
const ALLOWANCE: Duration = Duration::from_secs(10);

/// The launcher's view of the host.
pub(super) struct Absence {
    heard: Instant,
    /// CPU time of each worker in each [`CPU_WINDOW`].
    allowance: Duration,
    windows: BTreeMap<u32, Window>,
    /// procfs, where the root does not show it.
    procfs: Option<OwnedFd>,
}

/// What a worker had used when its window began.
struct Window {
    base: Duration,
    since: Instant,
    /// Of all of its processes.
    tally: Tally,
}

impl Absence {
    /// How often to look.
    pub(super) const TICK: Duration = Duration::from_secs(1);

    pub(super) fn new(procfs: Option<OwnedFd>) -> Self {
        Self { heard: Instant::now(), allowance: ALLOWANCE, windows: BTreeMap::new(), procfs }
    }

    /// The host said something.
    pub(super) fn end(&mut self) {
        self.heard = Instant::now();
        self.windows.clear();
    }

    /// The host said what workers may use.
    pub(super) fn allow(&mut self, cpu: Duration) {
        self.allowance = cpu;
    }

    /// Looks at a worker; the limit that it is over.
    pub(super) fn look(&mut self, worker: u32, pid: i32) -> Option<Duration> {
        let now = Instant::now();
        if now.duration_since(self.heard) < SILENCE {
            return None;
        }
        let Some(procfs) = &self.procfs else { return self.look_by(Procfs::USUAL, worker, pid, now) };
        // Files in it have no other path. There is one thread, which makes no worker meanwhile.
        fchdir(procfs).ok()?;
        let over = self.look_by(Procfs::HERE, worker, pid, now);
        let _ = chdir("/");
        over
    }

    fn look_by(&mut self, procfs: Procfs, worker: u32, pid: i32, now: Instant) -> Option<Duration> {
        // Whatever it is: this is done once a second, and only while the host is stopped.
        let all = procfs.members(pid);
        let Some(window) = self.windows.get_mut(&worker) else {
            // What was used before is not known to belong to the call that runs: a worker gets the whole again.
            let mut tally = Tally::by(procfs);
            let base = tally.look(&all)?;
            self.windows.insert(worker, Window { base, since: now, tally });
            return None;
        };
        let cpu = window.tally.look(&all)?;
        if now.duration_since(window.since) >= CPU_WINDOW {
            (window.base, window.since) = (cpu, now);
        }
        (cpu.saturating_sub(window.base) >= self.allowance).then_some(self.allowance)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys;

    #[test]
    fn only_a_silent_host_is_stood_in_for() {
        // Of its own: what is seen of this process's children depends on the tests beside this one.
        let mut busy = Command::new("sh").args(["-c", "ulimit -t 5; while :; do :; done"]).spawn().unwrap();
        let pid = i32::try_from(busy.id()).unwrap();
        let mut absence = Absence::new(None);
        absence.allow(Duration::from_millis(30));
        let wait_and_look = |absence: &mut Absence| {
            absence.look(1, pid);
            let end = sys::clock::cpu_time(pid).unwrap() + Duration::from_millis(40);
            while sys::clock::cpu_time(pid).unwrap() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            absence.look(1, pid)
        };
        assert_eq!(wait_and_look(&mut absence), None);
        absence.heard -= SILENCE;
        assert_eq!(wait_and_look(&mut absence), Some(Duration::from_millis(30)));
        absence.windows.get_mut(&1).unwrap().since -= CPU_WINDOW;
        assert_eq!(absence.look(1, pid), None, "a new window");
        absence.end();
        assert_eq!(wait_and_look(&mut absence), None);
        busy.kill().unwrap();
        busy.wait().unwrap();
    }
}

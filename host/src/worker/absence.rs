//! While the host is silent, the launcher looks at CPU time: a host that is stopped (Ctrl-Z) looks at nothing, and its
//! workers go on. Everything else that the host looks at waits for it, or is limited by the kernel as well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::sys;
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
    /// What each worker had used when its window began.
    windows: BTreeMap<u32, (Duration, Instant)>,
}

impl Absence {
    /// How often to look.
    pub(super) const TICK: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self { heard: Instant::now(), allowance: ALLOWANCE, windows: BTreeMap::new() }
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
        let cpu = sys::clock::cpu_time(pid).ok()?;
        // What was used before is not known to belong to the call that runs: a worker gets the whole again.
        let (base, since) = self.windows.entry(worker).or_insert((cpu, now));
        if now.duration_since(*since) >= CPU_WINDOW {
            (*base, *since) = (cpu, now);
        }
        (cpu.saturating_sub(*base) >= self.allowance).then_some(self.allowance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_silent_host_is_stood_in_for() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut absence = Absence::new();
        absence.allow(Duration::from_millis(30));
        let spin_and_look = |absence: &mut Absence| {
            absence.look(1, own);
            let end = sys::clock::cpu_time(own).unwrap() + Duration::from_millis(40);
            while sys::clock::cpu_time(own).unwrap() < end {}
            absence.look(1, own)
        };
        assert_eq!(spin_and_look(&mut absence), None);
        absence.heard -= SILENCE;
        assert_eq!(spin_and_look(&mut absence), Some(Duration::from_millis(30)));
        absence.windows.get_mut(&1).unwrap().1 -= CPU_WINDOW;
        assert_eq!(absence.look(1, own), None, "a new window");
        absence.end();
        assert_eq!(spin_and_look(&mut absence), None);
    }
}

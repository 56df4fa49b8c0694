//! What a worker has used of its CPU time: in the call that runs, and while none did.

use std::time::{Duration, Instant};

use crate::wire::CPU_WINDOW;

/// While nobody calls it, a worker may use the CPU time of one call in each such window, however many calls it answers
/// meanwhile.
const IDLE_WINDOW: Duration = Duration::from_secs(60);

/// One look at a worker.
pub(super) struct Seen {
    /// The number of the call that runs, or ran last.
    pub(super) call: u32,
    /// Whether it runs.
    pub(super) is_called: bool,
    /// CPU time since the worker began.
    pub(super) cpu: Duration,
    /// When.
    pub(super) now: Instant,
}

/// What looks have shown so far.
pub(super) struct Used {
    last: Seen,
    /// What had been used when the current call, or the window in it, was first looked at.
    base: Duration,
    since: Instant,
    /// What was used between looks that had no call between them, in this window.
    idle: Duration,
    idle_since: Instant,
    /// When its memory was looked at, which costs more.
    pub(super) looked_at_memory: Instant,
}

impl Used {
    pub(super) fn new(now: Instant) -> Self {
        let last = Seen { call: 0, is_called: true, cpu: Duration::ZERO, now };
        Self { last, base: Duration::ZERO, since: now, idle: Duration::ZERO, idle_since: now, looked_at_memory: now }
    }

    /// Whether nothing but rest was seen since the last look.
    pub(super) fn is_rest(&self, call: u32, is_called: bool) -> bool {
        !is_called && self.last.call == call
    }

    /// As if the window of a call were over.
    #[cfg(test)]
    pub(super) fn begin_anew(&mut self) {
        self.since -= CPU_WINDOW;
    }

    /// Adds a look; whether the worker has used up the CPU time that a call may use.
    pub(super) fn is_over(&mut self, seen: Seen, limit: Duration) -> bool {
        let Seen { call, is_called, cpu, now } = seen;
        if self.last.call != call || now.duration_since(self.since) >= CPU_WINDOW {
            // The first look at this call: what it used before is less than one tick per thread.
            (self.base, self.since) = (cpu, now);
        }
        if now.duration_since(self.idle_since) >= IDLE_WINDOW {
            (self.idle, self.idle_since) = (Duration::ZERO, now);
        }
        if self.is_rest(call, is_called) && !self.last.is_called {
            self.idle += cpu.saturating_sub(self.last.cpu);
        }
        self.last = seen;
        match is_called {
            true => cpu.saturating_sub(self.base) >= limit,
            false => self.idle > limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 20 ms; each worker computes all the time.
    struct Looks {
        used: Used,
        begin: Instant,
        at: Duration,
        limit: Duration,
    }

    impl Looks {
        fn new(limit: u64) -> Self {
            let begin = Instant::now();
            Self { used: Used::new(begin), begin, at: Duration::ZERO, limit: Duration::from_millis(limit) }
        }

        fn look(&mut self, call: u32, is_called: bool) -> bool {
            self.at += Duration::from_millis(20);
            let seen = Seen { call, is_called, cpu: self.at, now: self.begin + self.at };
            self.used.is_over(seen, self.limit)
        }
    }

    #[test]
    fn a_call_has_its_own_time() {
        let mut looks = Looks::new(1000);
        for call in 1..100 {
            assert!((0..40).all(|_| !looks.look(call, true)), "{call}");
        }
        assert!((0..60).any(|_| looks.look(100, true)));
    }

    #[test]
    fn what_is_used_between_calls_is_one_sum() {
        let mut looks = Looks::new(1000);
        // Calls that begin again and again make it no less.
        let ended = (1..100).find(|&call| (0..10).any(|tick| looks.look(call, tick == 0)));
        assert_eq!(ended, Some(7), "eight of ten ticks are between calls");
    }

    #[test]
    fn a_quick_series_of_calls_is_no_rest() {
        let mut looks = Looks::new(1000);
        assert!((1..1000).all(|call| !looks.look(call, false)));
    }

    #[test]
    fn a_little_between_calls_is_forgotten() {
        let mut looks = Looks::new(1000);
        for call in 1..10 {
            assert!((0..40).all(|_| !looks.look(call, false)), "{call}");
            looks.at += Duration::from_secs(61);
        }
    }
}

//! The clock of deadlines: it stands still while this process is stopped (SIGSTOP, Ctrl-Z), and while the machine sleeps.
//!
//! The kernel's own clocks do the second alone (CLOCK_MONOTONIC, which [`Instant`] reads). The first is noticed here: as
//! long as a call runs, the attendant looks at the clock every few milliseconds, so two looks that lie far apart had a
//! stop between them. Where no call runs nobody looks, and nothing is measured either.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Looks that lie further apart than this had a stop between them. A busy machine lets a thread wait for less.
const STOP: Duration = Duration::from_millis(500);

static CLOCK: Mutex<Clock> = Mutex::new(Clock { last: None, passed: Duration::ZERO });

#[derive(Debug)]
struct Clock {
    last: Option<Instant>,
    /// What has passed until then, stops left out.
    passed: Duration,
}

impl Clock {
    fn look(&mut self, now: Instant) -> Duration {
        let gap = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if gap < STOP {
            self.passed += gap;
        }
        self.last = Some(now);
        self.passed
    }
}

/// The time on this clock. Every look also keeps it going.
#[must_use]
pub fn now() -> Duration {
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // Read under the lock: looks are in order.
    clock.look(Instant::now())
}

/// A time on this clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline after a time from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(now().saturating_add(time))
    }

    /// What is left until then.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_sub(now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_left_out() {
        let start = Instant::now();
        let mut clock = Clock { last: None, passed: Duration::ZERO };
        let mut look = |millis| clock.look(start + Duration::from_millis(millis)).as_millis();
        assert_eq!(look(10_000), 0, "nobody looked before");
        assert_eq!((look(10_020), look(10_400)), (20, 400));
        assert_eq!(look(3_610_400), 400, "an hour of it was stopped");
        assert_eq!((look(3_610_420), look(3_610_410), look(3_610_430)), (420, 420, 440));
    }
}

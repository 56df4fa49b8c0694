//! Numbers for moments that nobody chose.

use std::time::Duration;

/// A generator (xorshift64*). The seed is printed with a fault, so that the same moments can be tried again.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// Seeded by `MIGRAINE_CRASH_SEED`, or else by the operating system.
    pub(super) fn new() -> (Self, u64) {
        use std::hash::{BuildHasher as _, Hasher as _};
        let given = std::env::var("MIGRAINE_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = given.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish()) | 1;
        (Self(seed), seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A moment before the end of a span.
    pub(super) fn within(&mut self, span: Duration) -> Duration {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.next() % micros)
    }

    /// One of some.
    pub(super) fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        let count = u64::try_from(some.len()).unwrap_or(1);
        some[usize::try_from(self.next() % count).unwrap_or(0)]
    }
}

//! Samples, their percentiles, and the table of results.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Row, Work};

/// Measures one call.
pub(super) fn taken(work: &mut Work) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// How many parts the rounds of a row are divided into, and how many of them count.
const PARTS: usize = 10;
const COUNTED: usize = 3;

/// Times of both sides, in the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Rounds(Vec<(Duration, Duration)>);

impl Rounds {
    pub(super) fn add(&mut self, ours: Duration, reference: Duration) {
        self.0.push((ours, reference));
    }

    /// Both sides of those parts of the run in which the reference was quickest, each side sorted: what else the machine
    /// did meanwhile does not count, and our own times have no say in what does.
    fn quiet(&self) -> [Vec<Duration>; 2] {
        let mut parts: Vec<_> = self.0.chunks(self.0.len().div_ceil(PARTS).max(1)).collect();
        parts.sort_by_key(|part| percentile(&sorted(part.iter().map(|(_, reference)| *reference)), 50));
        let quiet = || parts.iter().take(COUNTED).copied().flatten();
        [sorted(quiet().map(|(ours, _)| *ours)), sorted(quiet().map(|(_, reference)| *reference))]
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times
}

/// The smallest of sorted samples that at least `percent` of all are not larger than; zero without samples.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// A row after it was measured.
#[derive(Debug)]
pub(super) struct Measured {
    name: &'static str,
    about: String,
    ours: [Duration; 2],
    reference: [Duration; 2],
    target: f64,
    budget: Option<Duration>,
}

impl Measured {
    pub(super) fn new(row: &Row, rounds: &Rounds, budget: Option<Duration>) -> Self {
        let [ours, reference] = rounds.quiet().map(|sorted| [percentile(&sorted, 50), percentile(&sorted, 99)]);
        Self { name: row.name, about: row.about.clone(), ours, reference, target: row.target, budget }
    }

    fn ratio(&self) -> f64 {
        self.ours[0].as_secs_f64() / self.reference[0].as_secs_f64()
    }

    /// Whether the ratio is within the target, and our median within the budget; a ratio that could not be computed is not.
    pub(super) fn passes(&self) -> bool {
        self.ratio() <= self.target && self.budget.is_none_or(|budget| self.ours[0] <= budget)
    }

    fn verdict(&self) -> &'static str {
        if self.passes() { "pass" } else { "over" }
    }

    /// Times are in microseconds.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "about": self.about,
            "ours_p50_us": micros(self.ours[0]),
            "ours_p99_us": micros(self.ours[1]),
            "reference_p50_us": micros(self.reference[0]),
            "reference_p99_us": micros(self.reference[1]),
            "ratio": self.ratio(),
            "target": self.target,
            "budget_us": self.budget.map(micros),
            "verdict": self.verdict(),
        })
    }
}

/// All results as text.
pub(super) fn table(results: &[Measured]) -> String {
    let mut text = format!(
        "{:18} {:>11} {:>11} {:>11} {:>11} {:>6} {:>7}  verdict",
        "row", "ours p50", "ref p50", "ours p99", "ref p99", "ratio", "target"
    );
    for result in results {
        let [ours, ours_99, reference, reference_99] =
            [result.ours[0], result.ours[1], result.reference[0], result.reference[1]].map(micros);
        let budget = result.budget.map(|budget| format!(" (at most {} us)", budget.as_micros())).unwrap_or_default();
        let _ = write!(
            text,
            "\n{:18} {ours:8.1} us {reference:8.1} us {ours_99:8.1} us {reference_99:8.1} us {:6.2} {:7.2}  {}{budget}\n    {}",
            result.name,
            result.ratio(),
            result.target,
            result.verdict(),
            result.about
        );
    }
    text
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let check = |count: u64, percent: usize, expected: u64| {
            let samples = sorted((1..=count).rev().map(Duration::from_micros));
            assert_eq!(percentile(&samples, percent), Duration::from_micros(expected), "{percent} of {count}");
        };
        check(0, 50, 0);
        check(1, 99, 1);
        check(100, 50, 50);
        check(100, 99, 99);
        check(1000, 99, 990);
        check(3, 50, 2);
    }

    #[test]
    fn only_the_quietest_parts_count() {
        let mut rounds = Rounds::default();
        for round in 0..100 {
            // In seven of ten parts something else runs; what is ours is slow in a quiet part as well.
            let (ours, reference) = if round < 70 { (90, 50) } else { (30 + round, 20) };
            rounds.add(Duration::from_micros(ours), Duration::from_micros(reference));
        }
        let [ours, reference] = rounds.quiet();
        assert_eq!((ours.len(), reference.len()), (30, 30));
        assert_eq!(reference.last(), Some(&Duration::from_micros(20)));
        assert_eq!(ours.last(), Some(&Duration::from_micros(129)));
        assert_eq!(Rounds::default().quiet(), [Vec::new(), Vec::new()]);
    }

    #[test]
    fn a_result_is_written_with_its_verdict() {
        let times = |micros| [Duration::from_micros(micros); 2];
        let mut result = Measured {
            name: "row",
            about: "a, b".to_owned(),
            ours: times(30),
            reference: times(20),
            target: 1.5,
            budget: None,
        };
        assert_eq!(result.to_json()["verdict"], "pass");
        result.budget = Some(Duration::from_micros(29));
        assert!(!result.passes(), "quicker than the reference, and too slow all the same");
        assert!(table(&[result]).contains("over (at most 29 us)"));
        let about = String::new();
        result = Measured { name: "row", about, ours: times(31), reference: times(20), target: 1.5, budget: None };
        assert_eq!(result.to_json()["verdict"], "over");
        result.reference = times(0);
        assert!(!result.passes());
        result.ours = times(0);
        assert!(!result.passes(), "no ratio is no pass");
    }
}

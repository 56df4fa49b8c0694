//! Samples, their percentiles, and the table of results.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::{Row, Work};

/// Times of one side.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    /// Measures one call.
    pub(super) fn take(&mut self, work: &mut Work) -> Result<()> {
        let start = Instant::now();
        work()?;
        self.0.push(start.elapsed());
        Ok(())
    }

    /// The smallest sample that at least `percent` of all are not larger than; zero without samples.
    fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// A row after it was measured.
#[derive(Debug)]
pub(super) struct Measured {
    name: &'static str,
    about: String,
    ours: [Duration; 2],
    reference: [Duration; 2],
    target: f64,
}

impl Measured {
    pub(super) fn new(row: &Row, mut ours: Samples, mut reference: Samples) -> Self {
        let percentiles = |samples: &mut Samples| [samples.percentile(50), samples.percentile(99)];
        let (ours, reference) = (percentiles(&mut ours), percentiles(&mut reference));
        Self { name: row.name, about: row.about.clone(), ours, reference, target: row.target }
    }

    fn ratio(&self) -> f64 {
        self.ours[0].as_secs_f64() / self.reference[0].as_secs_f64()
    }

    /// Whether the ratio is within the target; one that could not be computed is not.
    pub(super) fn passes(&self) -> bool {
        self.ratio() <= self.target
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
        let _ = write!(
            text,
            "\n{:18} {ours:8.1} us {reference:8.1} us {ours_99:8.1} us {reference_99:8.1} us {:6.2} {:7.2}  {}\n    {}",
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
            let mut samples = Samples((1..=count).rev().map(Duration::from_micros).collect());
            assert_eq!(samples.percentile(percent), Duration::from_micros(expected), "{percent} of {count}");
        };
        check(0, 50, 0);
        check(1, 99, 1);
        check(100, 50, 50);
        check(100, 99, 99);
        check(1000, 99, 990);
        check(3, 50, 2);
    }

    #[test]
    fn a_result_is_written_with_its_verdict() {
        let times = |micros| [Duration::from_micros(micros); 2];
        let mut result =
            Measured { name: "row", about: "a, b".to_owned(), ours: times(30), reference: times(20), target: 1.5 };
        assert_eq!(result.to_json()["verdict"], "pass");
        assert!(table(&[result]).contains("pass"));
        result = Measured { name: "row", about: String::new(), ours: times(31), reference: times(20), target: 1.5 };
        assert_eq!(result.to_json()["verdict"], "over");
        result.reference = times(0);
        assert!(!result.passes());
        result.ours = times(0);
        assert!(!result.passes(), "no ratio is no pass");
    }
}

//! The end of a test run: what passed, how long it took, and cargo's own closing lines once more.

use std::fmt::Write as _;
use std::time::Duration;

/// Lines that cargo's test harness ends each test program with.
const CLOSING: &str = "test result: ";

/// What has run so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<(String, bool, Duration)>,
    closing: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, name: String, passed: bool, time: Duration, closing: Vec<String>) {
        self.checks.push((name, passed, time));
        self.closing.extend(closing);
    }

    pub(super) fn failed(&self) -> usize {
        self.checks.iter().filter(|(_, passed, _)| !passed).count()
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        if !self.closing.is_empty() {
            let _ = writeln!(text, "\n== closing lines of cargo test");
            for line in &self.closing {
                let _ = writeln!(text, "{line}");
            }
            let [passed, failed, ignored] = totals(&self.closing);
            let _ = writeln!(text, "in all: {passed} passed; {failed} failed; {ignored} ignored");
        }
        let _ = writeln!(text, "\n== checks");
        for (name, passed, time) in &self.checks {
            let verdict = if *passed { "ok" } else { "FAILED" };
            let _ = writeln!(text, "{verdict:6} {:8.1} s  {name}", time.as_secs_f64());
        }
        let total: Duration = self.checks.iter().map(|(_, _, time)| *time).sum();
        let _ = write!(text, "{:6} {:8.1} s  in all", "", total.as_secs_f64());
        text
    }
}

/// The closing lines in cargo's output; those of programs without any test are left out.
pub(super) fn closing_lines(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| line.starts_with(CLOSING));
    lines
        .filter(|line| count(line, "passed") + count(line, "failed") + count(line, "ignored") > 0)
        .map(str::to_owned)
        .collect()
}

fn totals(lines: &[String]) -> [u64; 3] {
    ["passed", "failed", "ignored"].map(|word| lines.iter().map(|line| count(line, word)).sum())
}

/// The number before a word of a closing line.
fn count(line: &str, word: &str) -> u64 {
    let parts = line.split(['.', ';']).map(str::trim);
    parts.filter_map(|part| part.strip_suffix(word)?.trim().parse::<u64>().ok()).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_kept_and_added_up() {
        let output = "running 3 tests\ntest a ... ok\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 40 passed; 7 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        let lines = closing_lines(output);
        assert_eq!(lines.len(), 2);
        assert_eq!(totals(&lines), [42, 7, 1]);
    }

    #[test]
    fn the_report_names_what_failed() {
        let mut report = Report::default();
        report.add("fmt".to_owned(), true, Duration::from_millis(1500), Vec::new());
        report.add("tests".to_owned(), false, Duration::from_secs(2), vec!["test result: x".to_owned()]);
        assert_eq!(report.failed(), 1);
        let text = report.render();
        for part in ["ok          1.5 s  fmt", "FAILED      2.0 s  tests", "3.5 s  in all", "test result: x"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

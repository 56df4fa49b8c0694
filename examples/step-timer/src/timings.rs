//! What is remembered of each command, and how it is kept in the plugin's state.

use std::time::Duration;

use migraine_plugin_api::{Host, PluginError};
use serde::{Deserialize, Serialize};

/// The key of the state that holds everything: one read and one write for a command.
const KEY: &str = "timings";
/// The longest label in characters; with [`Timings::record`]'s limit on rows the value stays below the host's 64 KiB.
const LABEL_MAX: usize = 64;

/// The figures of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The command as written in the workflow.
    pub(crate) command: String,
    /// How often it ran.
    pub(crate) runs: u64,
    /// How long it took the last time, in milliseconds.
    pub(crate) last_ms: u64,
    /// How long it took in all, in milliseconds.
    pub(crate) total_ms: u64,
}

impl Row {
    /// The mean of all runs, in milliseconds.
    pub(crate) fn mean_ms(&self) -> u64 {
        self.total_ms / self.runs.max(1)
    }
}

/// All rows, the one that ran last at the end.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Timings(Vec<Row>);

impl Timings {
    /// Reads the state.
    ///
    /// # Errors
    /// The host cannot read it, or it is not of this plugin's form; `reset` helps then.
    pub(crate) fn load(host: &Host) -> Result<Self, PluginError> {
        let Some(bytes) = host.state_get(KEY)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|error| {
            PluginError::failed(format!("the remembered times cannot be read: {error}"))
                .with_help("forget them with: migraine plugin run step-timer reset")
        })
    }

    /// Writes the state.
    ///
    /// # Errors
    /// The host cannot write it.
    pub(crate) fn store(&self, host: &Host) -> Result<(), PluginError> {
        host.state_put(KEY, &serde_json::to_vec(self)?)
    }

    /// Removes the state.
    ///
    /// # Errors
    /// The host cannot write it.
    pub(crate) fn remove(host: &Host) -> Result<(), PluginError> {
        host.state_delete(KEY)
    }

    /// Adds one run; of more than `keep` commands those that ran longest ago are forgotten.
    pub(crate) fn record(&mut self, label: &str, took: Duration, keep: usize) {
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let known = self.0.iter().position(|row| row.command == label).map(|index| self.0.remove(index));
        let mut row = known.unwrap_or_else(|| Row { command: label.to_owned(), runs: 0, last_ms: 0, total_ms: 0 });
        row.runs = row.runs.saturating_add(1);
        row.last_ms = took;
        row.total_ms = row.total_ms.saturating_add(took);
        self.0.push(row);
        self.0.drain(..self.0.len().saturating_sub(keep));
    }

    /// The rows, longest total first.
    pub(crate) fn by_total(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.0.iter().collect();
        rows.sort_by(|a, b| b.total_ms.cmp(&a.total_ms).then_with(|| a.command.cmp(&b.command)));
        rows
    }

    /// The same as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let row = |row: &Row| {
            serde_json::json!({
                "command": row.command,
                "runs": row.runs,
                "last_ms": row.last_ms,
                "mean_ms": row.mean_ms(),
                "total_ms": row.total_ms,
            })
        };
        self.by_total().into_iter().map(row).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name of a row: the first line of the command as it is written. What is substituted into it stays out, so that runs
/// with other variables count together and no value of a variable is kept.
pub(crate) fn label(original: &str) -> String {
    let mut lines = original.trim().lines();
    let first = lines.next().unwrap_or_default().trim_end();
    let clean = first.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut label: String = clean.clone().take(LABEL_MAX).collect();
    if clean.count() > LABEL_MAX || lines.next().is_some() {
        label.push('…');
    }
    label
}

/// A duration for people.
pub(crate) fn show(took: Duration) -> String {
    // Rounded first, so that 59 999 ms is not shown as 60.00 s.
    let hundredths = took.as_millis().saturating_add(5) / 10;
    if took.as_millis() < 1000 {
        format!("{} ms", took.as_millis())
    } else if hundredths < 6000 {
        format!("{}.{:02} s", hundredths / 100, hundredths % 100)
    } else {
        let seconds = took.as_millis().saturating_add(500) / 1000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if hours == 0 { format!("{minutes} m {seconds:02} s") } else { format!("{hours} h {minutes:02} m") }
    }
}

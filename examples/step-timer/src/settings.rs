//! The configuration, checked once at the start.

use std::time::Duration;

use migraine_plugin_api::{ErrorKind, Host, PluginError};
use serde_json::Value;

/// The most rows whose longest form fits under one key of the state: 150 of at most 380 bytes.
const KEEP_MAX: u64 = 150;

/// What the user set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// A command that takes longer is called slow; `None` for never.
    slow_after: Option<Duration>,
    /// Whether commands that are not slow are left unsaid.
    pub(crate) only_slow: bool,
    /// How many commands are remembered.
    pub(crate) keep: usize,
}

impl Settings {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A value is of the wrong type or out of its range; the message names the key and the range.
    pub(crate) fn read(host: &Host) -> Result<Self, PluginError> {
        let slow_after = number(host, "slow_after_ms", 0..=86_400_000)?;
        let keep = number(host, "keep", 1..=KEEP_MAX)?;
        let only_slow = match host.config().get("only_slow") {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => return Err(wrong("only_slow", other, "true or false")),
        };
        Ok(Self {
            slow_after: (slow_after > 0).then(|| Duration::from_millis(slow_after)),
            only_slow,
            keep: usize::try_from(keep).unwrap_or(1),
        })
    }

    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        self.slow_after.is_some_and(|limit| took > limit)
    }
}

fn number(host: &Host, key: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, PluginError> {
    let value = host.config().get(key).unwrap_or(&Value::Null);
    let found = value.as_u64().filter(|number| range.contains(number));
    found.ok_or_else(|| wrong(key, value, &format!("a whole number from {} to {}", range.start(), range.end())))
}

fn wrong(key: &str, value: &Value, wanted: &str) -> PluginError {
    PluginError::new(ErrorKind::Invalid, format!("the configuration key `{key}` is {value}, not {wanted}"))
        .with_help(format!("set it with: migraine plugin config step-timer set {key} VALUE"))
}

//! Moments: whole seconds, UTC, with one spelling; and whether what a clock says can be. What time it is comes in as an
//! argument.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::TrustError;
use crate::package::index::is_time;

/// No program of these sources was built earlier.
const BUILT_AFTER: &str = "2026-01-01T00:00:00Z";
/// How far a clock may be behind what was recorded before: two clocks of one user, or one that was set by hand.
const BEHIND_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Timestamp);

impl Time {
    /// So many days later; the end of time where there is no such moment.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let later =
            SignedDuration::try_from_hours(days.saturating_mul(24)).and_then(|more| self.0.checked_add(more).ok());
        Self(later.unwrap_or(Timestamp::MAX))
    }

    /// Whole days that have passed since another moment; negative when it lies ahead.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_hours() / 24
    }
}

impl FromStr for Time {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = is_time(text).then(|| text.parse().ok()).flatten();
        time.map(Self).ok_or_else(|| TrustError::Malformed {
            object: format!("`{}`", text.chars().take(80).collect::<String>()),
            what: "time",
            reason: "a time is written like 2026-01-02T03:04:05Z".to_owned(),
        })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Something that happened here before, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub time: Time,
    /// What, for people: it goes on with "was recorded on".
    pub what: String,
}

/// The moment that keys are judged at: now, but never before what was recorded, so that a clock that is set back makes no
/// key valid again.
///
/// # Errors
/// The clock is behind the sources of this program, or more than a day behind something that was recorded.
pub fn plausible(now: Time, seen: impl IntoIterator<Item = Seen>) -> Result<Time, TrustError> {
    let built = BUILT_AFTER.parse().map(|time| Seen { time, what: "the source of this program".to_owned() })?;
    let last = seen.into_iter().chain([built]).max_by_key(|seen| seen.time);
    match last {
        Some(Seen { time, what }) if time.0.duration_since(now.0) > BEHIND_MAX => {
            Err(TrustError::ClockImplausible { now, seen: time, what })
        }
        Some(Seen { time, .. }) => Ok(now.max(time)),
        None => Ok(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Code, Coded as _};

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn days_are_counted() {
        let start = time("2026-01-02T03:04:05Z");
        assert_eq!(start.plus_days(30).to_string(), "2026-02-01T03:04:05Z");
        assert_eq!(start.plus_days(30).days_since(start), 30);
        assert_eq!(start.days_since(start.plus_days(2)), -2);
        assert!(start.plus_days(i64::MAX) > start);
        for bad in ["", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05.5Z", "2026-02-30T00:00:00Z"] {
            assert_eq!(bad.parse::<Time>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
        }
    }

    // A118
    #[test]
    fn a_clock_does_not_go_back() {
        let seen = |text: &str| [Seen { time: time(text), what: "plugin x".to_owned() }];
        let now = time("2026-06-01T00:00:00Z");
        assert_eq!(plausible(now, []).unwrap(), now);
        assert_eq!(plausible(now, seen("2026-05-01T00:00:00Z")).unwrap(), now);
        assert_eq!(plausible(now, seen("2026-06-01T20:00:00Z")).unwrap(), time("2026-06-01T20:00:00Z"));
        let error = plausible(now, seen("2026-06-02T00:00:01Z")).unwrap_err();
        assert!(error.code() == Code::ClockImplausible && error.to_string().contains("plugin x"), "{error}");
        assert_eq!(plausible(time("1970-01-01T00:00:00Z"), []).unwrap_err().code(), Code::ClockImplausible);
    }
}

//! How long a call may take. `None` is no limit: the call ends by itself, or when the user ends it.

use std::time::Duration;

use migraine_plugin_api::Timeout;

/// The wall clock of a call for which nobody said anything.
const DEFAULT: Duration = Duration::from_secs(30);

/// The wall clock of a command: what the user gave for this run, else what the command was granted, else the default.
#[must_use]
pub fn of_command(given: Option<Timeout>, granted: Option<Timeout>) -> Option<Duration> {
    given.or(granted).map_or(Some(DEFAULT), duration)
}

/// The wall clock of a hook: what the user gave for this run, else the default. A hook that runs a command which was
/// granted more than that has the command's; one that was granted less is not cut short for it.
#[must_use]
pub fn of_hook(given: Option<Timeout>, granted: Option<Timeout>) -> Option<Duration> {
    match (given, granted) {
        (Some(given), _) => duration(given),
        (None, Some(granted)) => duration(granted).map(|granted| granted.max(DEFAULT)),
        (None, None) => Some(DEFAULT),
    }
}

fn duration(timeout: Timeout) -> Option<Duration> {
    match timeout {
        Timeout::Seconds(seconds) => Some(Duration::from_secs(seconds.into())),
        Timeout::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_then_the_grant_then_the_default() {
        let seconds = |seconds| Some(Timeout::Seconds(seconds));
        let wall = |seconds| Some(Duration::from_secs(seconds));
        let none = Some(Timeout::None);
        for (given, granted, command, hook) in [
            (None, None, wall(30), wall(30)),
            (None, seconds(5), wall(5), wall(30)),
            (None, seconds(600), wall(600), wall(600)),
            (None, none, None, None),
            (seconds(1), none, wall(1), wall(1)),
            (none, seconds(5), None, None),
            (seconds(u32::MAX), None, wall(u32::MAX.into()), wall(u32::MAX.into())),
        ] {
            assert_eq!((of_command(given, granted), of_hook(given, granted)), (command, hook), "{given:?} {granted:?}");
        }
    }
}

//! How long a call may take. `None` is no limit: the call ends by itself, or when the user ends it.

use std::time::Duration;

use migraine_plugin_api::Timeout;

use crate::policy::wall;
use crate::wire::{WALL, WALL_SECONDS};

/// The wall clock of a command that was typed.
#[must_use]
pub fn of_command(chosen: Option<Timeout>, granted: Option<Timeout>, cap: Option<Duration>) -> Option<Duration> {
    wall(granted, WALL, cap, chosen)
}

/// The wall clock of a command that an event leads to: that of a hook, or what the command was granted where that is
/// more. One that was granted less is not cut short for it: the workflow waits for a hook's time anyway.
#[must_use]
pub fn of_bound(chosen: Option<Timeout>, granted: Option<Timeout>, cap: Option<Duration>) -> Option<Duration> {
    wall(granted.map(|granted| granted.max(Timeout::Seconds(WALL_SECONDS))), WALL, cap, chosen)
}

/// The wall clock of a hook's handler, which has a cap of its own.
#[must_use]
pub fn of_handler(chosen: Option<Timeout>, cap: Option<Duration>) -> Option<Duration> {
    wall(None, WALL, cap, chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_has_its_own_time_or_its_commands() {
        let (seconds, wall) = (Timeout::Seconds, |seconds: u32| Some(Duration::from_secs(seconds.into())));
        for (chosen, granted, cap, command, bound) in [
            (None, None, None, wall(30), wall(30)),
            (None, Some(seconds(5)), None, wall(5), wall(30)),
            (None, Some(seconds(600)), None, wall(600), wall(600)),
            (None, Some(Timeout::None), None, None, None),
            (None, Some(Timeout::None), Some(60), wall(60), wall(60)),
            (None, Some(seconds(5)), Some(10), wall(5), wall(10)),
            (Some(seconds(1)), Some(Timeout::None), None, wall(1), wall(1)),
            (Some(Timeout::None), Some(seconds(5)), Some(60), wall(60), wall(60)),
            (Some(seconds(u32::MAX)), None, None, wall(u32::MAX), wall(u32::MAX)),
        ] {
            let cap = cap.map(Duration::from_secs);
            let found = (of_command(chosen, granted, cap), of_bound(chosen, granted, cap));
            assert_eq!(found, (command, bound), "{chosen:?} {granted:?} {cap:?}");
        }
        let cap = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!((of_handler(None, None), of_handler(Some(Timeout::None), None)), (wall(30), None));
        assert_eq!((of_handler(None, cap(5)), of_handler(Some(Timeout::None), cap(60))), (wall(5), wall(60)));
    }
}

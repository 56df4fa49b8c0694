//! How long a call of a command may take.

use std::time::Duration;

use migraine_plugin_api::Timeout;

/// The wall clock of one call; `None` is no limit. What the user typed for this call (`chosen`) counts before what the
/// plugin asked for and was granted (`asked`), and that before the default. The cap of the policy files holds over all
/// of them, the user's own words included: whoever wrote the file has the last word.
#[must_use]
pub fn wall(
    asked: Option<Timeout>,
    default: Duration,
    cap: Option<Duration>,
    chosen: Option<Timeout>,
) -> Option<Duration> {
    let wanted = match chosen.or(asked) {
        Some(Timeout::None) => None,
        Some(Timeout::Seconds(seconds)) => Some(Duration::from_secs(u64::from(seconds))),
        None => Some(default),
    };
    match (wanted, cap) {
        (Some(wanted), Some(cap)) => Some(wanted.min(cap)),
        (wanted, cap) => wanted.or(cap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_word_counts_before_the_plugins_and_the_cap_before_both() {
        let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        let asked = |asked: Option<u32>| match asked {
            None => None,
            Some(0) => Some(Timeout::None),
            Some(seconds) => Some(Timeout::Seconds(seconds)),
        };
        for (asks, cap, chosen, expected) in [
            (None, None, None, Some(30)),
            (Some(600), None, None, Some(600)),
            (Some(5), None, None, Some(5)),
            (Some(0), None, None, None),
            (Some(0), Some(60), None, Some(60)),
            (Some(600), Some(60), None, Some(60)),
            (None, Some(10), None, Some(10)),
            (None, Some(60), None, Some(30)),
            (Some(0), None, Some(7), Some(7)),
            (Some(5), None, Some(600), Some(600)),
            (Some(5), Some(60), Some(600), Some(60)),
            (None, Some(60), Some(7), Some(7)),
            (Some(5), None, Some(0), None),
            (Some(5), Some(60), Some(0), Some(60)),
        ] {
            let found = wall(asked(asks), Duration::from_secs(30), seconds(cap), asked(chosen));
            assert_eq!(found, seconds(expected), "asks {asks:?} cap {cap:?} chosen {chosen:?}");
        }
    }
}

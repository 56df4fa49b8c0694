//! The policy file: limits that a user or an administrator puts on every plugin. It can only lower them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

/// What a `policy.yaml` says. A key that is not known is an error: a limit that is not understood must not be taken for
/// one that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    /// The most wall clock of a command, in seconds.
    command_wall: Option<NonZeroU32>,
}

impl PolicyFile {
    /// The largest file that is read, in bytes.
    pub const MAX: usize = 64 << 10;

    /// Reads the text of a file; one without a word sets no limit.
    ///
    /// # Errors
    /// It is no YAML of the known keys; the text names the key and the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read: Option<Self> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        Ok(read.unwrap_or_default())
    }

    /// What holds where both do.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let walls = [self.limits.command_wall, other.limits.command_wall];
        Self { limits: Limits { command_wall: walls.into_iter().flatten().min() } }
    }

    /// The most wall clock of a command, if it is limited.
    #[must_use]
    pub fn command_wall(&self) -> Option<Duration> {
        self.limits.command_wall.map(|seconds| Duration::from_secs(u64::from(seconds.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_strictly() {
        for (text, wall) in [
            ("", Some(None)),
            ("# nothing\n", Some(None)),
            ("{}", Some(None)),
            ("limits: {}", Some(None)),
            ("limits:\n  command_wall: 60\n", Some(Some(60))),
            ("{\"limits\":{\"command_wall\":1}}", Some(Some(1))),
            ("limits:\n  command_wal: 60\n", None),
            ("limit:\n  command_wall: 60\n", None),
            ("limits:\n  command_wall: 0\n", None),
            ("limits:\n  command_wall: -1\n", None),
            ("limits:\n  command_wall: 1.5\n", None),
            ("limits:\n  command_wall: none\n", None),
            ("limits:\n  command_wall: 4294967296\n", None),
            ("limits:\n  command_wall: 1\n  command_wall: 2\n", None),
            ("limits: {}\nlimits: {}\n", None),
            ("---\n{}\n---\n{}\n", None),
            ("[]", None),
            ("60", None),
            ("limits: [", None),
        ] {
            let found = PolicyFile::parse(text).map(|file| file.command_wall().map(|wall| wall.as_secs()));
            assert_eq!(found.clone().ok(), wall, "{text:?}: {found:?}");
        }
        let error = PolicyFile::parse("limits:\n  command_wal: 60\n").unwrap_err();
        assert!(error.contains("`command_wal`") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_smaller_limit_holds() {
        let file = |text: &str| PolicyFile::parse(text).unwrap();
        let (small, large) = (file("limits: {command_wall: 5}"), file("limits: {command_wall: 50}"));
        for (one, other, expected) in [
            (small, large, small),
            (large, small, small),
            (PolicyFile::default(), large, large),
            (large, PolicyFile::default(), large),
        ] {
            assert_eq!(one.with(other), expected);
        }
    }
}

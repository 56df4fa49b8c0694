//! API versions, each named after what it brought, and how two of them are compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of the plugin API. A plugin loads on every host of the same major version whose minor version is at least
/// its own; an older host refuses it in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Changes when a plugin built before can no longer load.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

/// The first frozen interface: hooks, commands, shutdown, one generic call each way.
pub const FIRST: ApiVersion = ApiVersion { major: 1, minor: 0 };

/// The version this crate implements.
pub const API_VERSION: ApiVersion = FIRST;

impl ApiVersion {
    /// Whether a plugin of version `self` can run on a host that offers `host`.
    #[must_use]
    pub fn runs_on(self, host: Self) -> bool {
        self.major == host.major && self.minor <= host.minor
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that is not an API version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseVersionError(String);

impl fmt::Display for ParseVersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an API version; it is written MAJOR.MINOR, for example {API_VERSION}",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for ParseVersionError {}

impl FromStr for ApiVersion {
    type Err = ParseVersionError;

    /// Accepts `MAJOR.MINOR` and, for manifests written by hand, `MAJOR.MINOR.PATCH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseVersionError(text.to_owned());
        let mut parts = text.split('.').map(|part| {
            let canonical = part == "0" || !part.starts_with('0');
            if canonical && part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse::<u32>().ok() } else { None }
        });
        let (major, minor) = (parts.next().flatten(), parts.next().flatten());
        let patch_is_fine = match parts.next() {
            None => true,
            Some(patch) => patch.is_some() && parts.next().is_none(),
        };
        match (major, minor) {
            (Some(major), Some(minor)) if patch_is_fine => Ok(Self { major, minor }),
            _ => Err(refuse()),
        }
    }
}

impl Serialize for ApiVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_parse_and_compare() {
        for (text, expected) in [("1.0", Some((1, 0))), ("1.0.0", Some((1, 0))), ("2.13", Some((2, 13)))] {
            let parsed = text.parse::<ApiVersion>().ok().map(|v| (v.major, v.minor));
            assert_eq!(parsed, expected, "{text}");
        }
        for text in ["", "1", "1.", "1.x", "01.0", "1.0.0.0", "-1.0", "+1.0", "1.0.x"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
        let old = ApiVersion { major: 1, minor: 0 };
        let new = ApiVersion { major: 1, minor: 3 };
        assert!(old.runs_on(new));
        assert!(!new.runs_on(old));
        assert!(!ApiVersion { major: 2, minor: 0 }.runs_on(new));
    }
}

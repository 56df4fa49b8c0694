//! The limits that a policy file can put on every plugin.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::size::{self, show_size};

/// The smallest size that can be a limit, in bytes: less is a unit that was forgotten.
const SIZE_MIN: u64 = 64 << 10;
/// The longest time, in seconds: some 68 years.
const SECONDS_MAX: u64 = i32::MAX as u64;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident by $reader:literal;)*) => {
        /// The most that any plugin gets of something; `None` is what each gets anyway. None is ever more than that.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitCaps {
            $($(#[$doc])* #[serde(deserialize_with = $reader)] pub $name: Option<u64>,)*
        }

        impl LimitCaps {
            /// The keys.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($name),)*];

            /// What holds where both do: of two limits the smaller.
            #[must_use]
            pub fn with(self, other: Self) -> Self {
                Self { $($name: [self.$name, other.$name].into_iter().flatten().min(),)* }
            }
        }
    };
}

limits! {
    /// Memory of one plugin, in bytes.
    memory by "size";
    /// CPU time of a call, in seconds of each 30 s.
    cpu by "seconds";
    /// Wall clock of a command, in seconds.
    command_wall by "seconds";
    /// Wall clock of a hook's handler, in seconds.
    hook_wall by "seconds";
    /// Open files.
    descriptors by "count";
    /// Processes and threads.
    processes by "count";
    /// The largest file that can be written, in bytes.
    file_size by "size";
    /// The scratch directory, in bytes.
    scratch by "size";
    /// Files in the scratch directory.
    scratch_files by "count";
    /// What a command writes to its caller in one call, in bytes.
    command_output by "size";
    /// What is printed past the interface in one call, in bytes.
    output by "size";
    /// Log lines of one call, in bytes.
    log by "size";
    /// Requests to the host in one call, log lines included.
    host_calls by "count";
    /// Connections of one call, and of one program that is run.
    connections by "count";
    /// Connections of one program at a time.
    proxy_open by "count";
    /// Bytes over all connections of one program.
    proxy_bytes by "size";
    /// How long a connection of a program may be silent, in seconds.
    proxy_idle by "seconds";
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Size { least: SIZE_MIN, most: u64::MAX }).map(Some)
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Whole { most: u64::from(u32::MAX) }).map(Some)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Whole { most: SECONDS_MAX }).map(Some)
}

/// A whole number from 1.
struct Whole {
    most: u64,
}

impl Visitor<'_> for Whole {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 1 to {}", self.most)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        let is_within = (1..=self.most).contains(&number);
        if is_within { Ok(number) } else { Err(E::invalid_value(Unexpected::Unsigned(number), &self)) }
    }
}

/// A size in bytes, as a number or as a text with a unit. Checked where it is read: then the error names the key.
pub(super) struct Size {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Visitor<'_> for Size {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a size such as 64 MiB, at least {}", show_size(self.least))?;
        if self.most == u64::MAX { Ok(()) } else { write!(f, " and at most {}", show_size(self.most)) }
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
        let is_within = (self.least..=self.most).contains(&bytes);
        if is_within { Ok(bytes) } else { Err(E::invalid_value(Unexpected::Unsigned(bytes), &self)) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        size::parse(text).map_err(E::custom).and_then(|bytes| self.visit_u64(bytes))
    }
}

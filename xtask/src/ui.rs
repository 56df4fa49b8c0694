//! The only place of xtask that prints.

use std::fmt::Display;
use std::io::Write as _;

/// A line on standard output. A reader that went away is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on standard error.
pub(crate) fn warn(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

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

/// An error and its causes in one line; a cause that the text before it ends with is not said twice.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        said if said.ends_with(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow!("no such file").context("cannot open x: no such file").context("cannot package");
        assert_eq!(chain(&error), "cannot package: cannot open x: no such file");
    }
}

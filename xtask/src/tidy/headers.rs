//! Every Rust file says in its first line what it is for.

use super::Finding;
use super::source::Source;

pub(super) fn check(source: &Source) -> Option<Finding> {
    let first = source.text.lines().next().unwrap_or("");
    let says_something = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    (!says_something).then(|| {
        Finding::new(source, 1, "header", "start the file with `//!` and what it is for, in one to three lines")
    })
}

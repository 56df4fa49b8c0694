//! The listed attacks, and those whose control this kind of machine cannot run.

use std::collections::BTreeMap;

/// One case a line: number, who it is made as, title, what stops it.
const CASES: &str = include_str!("../sandbox/cases.txt");
/// One exception a line: case, ability that kernels may lack, reason.
const EXCEPTIONS: &str = include_str!("../sandbox/exceptions.txt");
/// How many exceptions there may be.
pub const EXCEPTIONS_MAX: usize = 5;

/// A listed attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Whether it is made as root too, not as a plain user alone.
    pub as_root: bool,
    /// What it does.
    pub title: &'static str,
    /// What stops it.
    pub stopped_by: &'static str,
}

/// All listed cases by number.
///
/// # Panics
/// A line has another form, or a number stands twice.
#[must_use]
pub fn all() -> BTreeMap<u16, Case> {
    let mut cases = BTreeMap::new();
    for line in CASES.lines() {
        let [number, who, title, stopped_by] = columns(line);
        assert!(["both", "plain"].contains(&who), "{line}");
        let case = Case { as_root: who == "both", title, stopped_by };
        assert!(cases.insert(self::number(number), case).is_none(), "{line} stands twice");
    }
    cases
}

/// The cases and abilities without which a control cannot run.
///
/// # Panics
/// A line has another form, or there are too many.
#[must_use]
pub fn exceptions() -> Vec<(u16, &'static str)> {
    let listed = EXCEPTIONS.lines().map(|line| {
        let [case, ability, _reason] = columns(line);
        (number(case), ability)
    });
    let listed: Vec<_> = listed.collect();
    assert!(listed.len() <= EXCEPTIONS_MAX, "{} exceptions, at most {EXCEPTIONS_MAX}", listed.len());
    listed
}

fn columns<const N: usize>(line: &'static str) -> [&'static str; N] {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    columns.try_into().unwrap_or_else(|_| panic!("`{line}` has another number of columns than {N}"))
}

/// `A012` or `a012_...`.
fn number(name: &str) -> u16 {
    of_test(&name.to_lowercase()).unwrap_or_else(|| panic!("`{name}` is no case"))
}

/// The case that a test's name begins with, if it begins with one.
#[must_use]
pub fn of_test(name: &str) -> Option<u16> {
    let digits = name.strip_prefix('a')?.get(..3)?;
    let ends = name.get(4..).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    if ends { digits.parse().ok() } else { None }
}

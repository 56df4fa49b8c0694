//! How many points each operation has: a list that is checked in, so that no test can lose some unseen.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// One operation a line: name and number of calls that change something.
const POINTS: &str = "crash/points.txt";

/// Compares what was counted with the list; with `MIGRAINE_CRASH_BLESS` set, writes it instead.
///
/// # Panics
/// An operation has fewer points than listed, or is not listed.
pub fn check(counted: &BTreeMap<&'static str, usize>) {
    let path = path();
    let mut listed = read();
    if std::env::var_os("MIGRAINE_CRASH_BLESS").is_some() {
        listed.extend(counted.iter().map(|(name, points)| ((*name).to_owned(), *points)));
        let text: String = listed.iter().map(|(name, points)| format!("{name} {points}\n")).collect();
        fs::write(path, text).expect("write the list of points");
        return;
    }
    let faults = faults(&listed, counted);
    let advice = "if calls went for a good reason, write the list anew: cargo xtask crash-test --bless";
    assert!(faults.is_empty(), "{}\n{advice}", faults.join("\n"));
}

/// How many points an operation has by that list; 0 where it is not listed.
pub(super) fn of(name: &str) -> usize {
    static LISTED: LazyLock<BTreeMap<String, usize>> = LazyLock::new(read);
    LISTED.get(name).copied().unwrap_or_default()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(POINTS)
}

fn read() -> BTreeMap<String, usize> {
    listed(&fs::read_to_string(path()).expect("read the list of points"))
}

fn listed(text: &str) -> BTreeMap<String, usize> {
    let line = |line: &str| {
        let (name, points) = line.split_once(' ')?;
        Some((name.to_owned(), points.parse().ok()?))
    };
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("`{text}` is no line of points"))).collect()
}

fn faults(listed: &BTreeMap<String, usize>, counted: &BTreeMap<&'static str, usize>) -> Vec<String> {
    let fault = |(name, counted): (&&'static str, &usize)| match listed.get(*name) {
        None => Some(format!("{name} has {counted} points and is not listed")),
        Some(listed) if counted < listed => Some(format!("{name} has {counted} points, {listed} are listed")),
        Some(_) => None,
    };
    counted.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_points_are_a_fault_and_more_are_none() {
        let listed = listed("install 40\nupgrade 50\n");
        assert!(faults(&listed, &BTreeMap::from([("install", 40), ("upgrade", 51)])).is_empty());
        let faults = faults(&listed, &BTreeMap::from([("install", 39), ("rollback", 7)]));
        assert_eq!(faults, ["install has 39 points, 40 are listed", "rollback has 7 points and is not listed"]);
    }
}

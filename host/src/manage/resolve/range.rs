//! Ranges of versions as sets: what `semver` matches is always within the set that stands for it. A set may hold more,
//! pre-releases that no comparator names; the caller leaves those out one by one.

use pubgrub::Ranges;
use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// The set of a range.
pub(super) fn of(range: &VersionReq) -> Ranges<Version> {
    range.comparators.iter().map(of_one).fold(Ranges::full(), |all, one| all.intersection(&one))
}

fn of_one(one: &Comparator) -> Ranges<Version> {
    let least = Version { pre: one.pre.clone(), ..version(one.major, one.minor.unwrap_or(0), one.patch.unwrap_or(0)) };
    let from = |end: Option<Version>| {
        let end = end.map_or_else(Ranges::full, Ranges::strictly_lower_than);
        Ranges::higher_than(least.clone()).intersection(&end)
    };
    match (one.op, one.minor, one.patch) {
        (Op::Exact, Some(_), Some(_)) => Ranges::higher_than(least.clone()).intersection(&beyond(&least).complement()),
        (Op::Exact | Op::Wildcard, ..) => from(after(one)),
        (Op::Greater, Some(_), Some(_)) => beyond(&least),
        (Op::Greater, ..) => after(one).map_or_else(Ranges::empty, Ranges::higher_than),
        (Op::GreaterEq, ..) => Ranges::higher_than(least),
        (Op::Less, ..) => Ranges::strictly_lower_than(least),
        (Op::LessEq, Some(_), Some(_)) => beyond(&least).complement(),
        (Op::LessEq, ..) => after(one).map_or_else(Ranges::full, Ranges::strictly_lower_than),
        (Op::Tilde, Some(minor), _) => from(minor.checked_add(1).map(|minor| version(one.major, minor, 0))),
        (Op::Tilde, None, _) => from(after(one)),
        (Op::Caret, ..) => from(caret_end(one)),
        // An operator of a later `semver`: the caller asks `semver` itself about each version.
        _ => Ranges::full(),
    }
}

/// The first version after all that begin with the given numbers.
fn after(one: &Comparator) -> Option<Version> {
    match one.minor {
        None => one.major.checked_add(1).map(|major| version(major, 0, 0)),
        Some(minor) => minor.checked_add(1).map(|minor| version(one.major, minor, 0)),
    }
}

/// The first version that may break what was promised: the leftmost number that is not zero counts.
fn caret_end(one: &Comparator) -> Option<Version> {
    match (one.major, one.minor, one.patch) {
        (0, Some(0), Some(patch)) => patch.checked_add(1).map(|patch| version(0, 0, patch)),
        (0, Some(minor), _) => minor.checked_add(1).map(|minor| version(0, minor, 0)),
        (major, ..) => major.checked_add(1).map(|major| version(major, 0, 0)),
    }
}

fn version(major: u64, minor: u64, patch: u64) -> Version {
    Version::new(major, minor, patch)
}

/// The least version after this one and all its builds, which `semver` takes for the same version.
fn beyond(version: &Version) -> Ranges<Version> {
    let next = if version.pre.is_empty() {
        let patch = version.patch.checked_add(1);
        patch.map(|patch| Version { pre: lowest(""), ..Version::new(version.major, version.minor, patch) })
    } else {
        Some(Version { pre: lowest(version.pre.as_str()), ..version.clone() })
    };
    next.map_or_else(Ranges::empty, Ranges::higher_than)
}

/// The first pre-release after the given one; of all of a version, for an empty text.
fn lowest(pre: &str) -> Prerelease {
    let text = if pre.is_empty() { "0".to_owned() } else { format!("{pre}.0") };
    Prerelease::new(&text).unwrap_or(Prerelease::EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_whatever_the_range_matches() {
        let numbers = [0, 1, 2, 3, 10, u64::MAX];
        let pres = ["", "-0", "-alpha", "-rc.1", "-rc.1.0", "+7", "-rc.1+7"];
        let mut versions = Vec::new();
        for (major, minor) in numbers.iter().flat_map(|major| numbers.map(|minor| (major, minor))) {
            for (patch, pre) in numbers.iter().flat_map(|patch| pres.map(|pre| (patch, pre))) {
                versions.push(format!("{major}.{minor}.{patch}{pre}").parse::<Version>().unwrap());
            }
        }
        let parts = ["0", "1", "2", "1.0", "1.2", "0.0", "0.1", "1.2.3", "0.0.3", "0.1.2", "1.2.3-rc.1", "1.0.0-0"];
        let mut ranges: Vec<String> = ["", "=", ">", ">=", "<", "<=", "~", "^"]
            .iter()
            .flat_map(|operator| parts.iter().map(move |part| format!("{operator}{part}")))
            .collect();
        ranges.extend(
            ["*", "1.*", "1.2.*", ">=1.2, <2", ">1.0.0-0, <=1.2.3", "^18446744073709551615"].map(str::to_owned),
        );
        for text in ranges {
            let range: VersionReq = text.parse().unwrap();
            let set = of(&range);
            for version in &versions {
                // What the set holds beyond it are pre-releases alone, which the caller asks about.
                match (range.matches(version), set.contains(version)) {
                    (true, false) => panic!("{text} matches {version}"),
                    (false, true) => assert!(!version.pre.is_empty(), "{text} does not match {version}"),
                    _ => {}
                }
            }
        }
    }
}

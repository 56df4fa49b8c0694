//! Names that a person could take for another one: whoever types `dockermanager` or copies it from somewhere may mean the
//! `docker-manager` that is installed.

use std::path::PathBuf;

use super::ManageError;
use crate::ids::PluginName;
use crate::store::State;
use crate::trust::{KeySet, Scope, TrustedKey};

/// The shortest name of which one letter more, less or otherwise is a slip: shorter ones are all alike.
const SLIP_MIN: usize = 6;
/// The same where a name is only offered, which refuses nothing.
const OFFERED_MIN: usize = 3;
/// The shortest part of a name that says something.
const PART_MIN: usize = 3;

/// Refuses the name of something new that looks like one that is known: of an installed plugin, or one that a key is
/// trusted for by name. `meant` is a name of which the user said that it is meant.
pub(super) fn check(
    name: &PluginName,
    meant: Option<&PluginName>,
    state: &State,
    keys: &KeySet,
) -> Result<(), ManageError> {
    // What one key says of another makes no name known: it could name the very one that looks like another.
    let is_named = || keys.iter().any(|key| key.by_user().scope.contains(&Scope::of(name)));
    if meant == Some(name) || state.has(name) || is_named() {
        return Ok(());
    }
    let scopes = keys.iter().flat_map(TrustedKey::names).filter_map(|scope| scope.to_string().parse().ok());
    let scopes: Vec<PluginName> = scopes.filter(|scope| scope != name).collect();
    match state.names().chain(&scopes).find(|known| is_alike(known.as_str(), name.as_str())) {
        Some(known) => Err(ManageError::Lookalike { name: name.clone(), known: known.clone() }),
        None => Ok(()),
    }
}

/// What to say of a word that is no file, and cannot be a name either.
pub(super) fn no_name(word: &str, state: &State, folder: PathBuf) -> ManageError {
    let similar = state.names().find(|known| may_mean(known.as_str(), word)).cloned();
    ManageError::NoName { word: word.to_owned(), similar, folder }
}

/// The most names that are offered.
const SIMILAR_MAX: usize = 5;

/// Which of these names a person may mean who wrote another one: slips, and names of which one is a part of the other.
pub(super) fn similar(name: &PluginName, known: impl Iterator<Item = PluginName>) -> Vec<PluginName> {
    let (wrote, known) =
        (name.as_str(), known.filter(|known| known != name).collect::<std::collections::BTreeSet<_>>());
    let has_part = |whole: &str, part: &str| part.len() >= PART_MIN && whole.contains(part);
    let fits = |known: &PluginName| {
        let known = known.as_str();
        may_mean(known, wrote) || has_part(known, wrote) || has_part(wrote, known)
    };
    known.into_iter().filter(fits).take(SIMILAR_MAX).collect()
}

/// Whether a person could take two different names for the same.
fn is_alike(one: &str, other: &str) -> bool {
    one != other && (skeleton(one).eq(skeleton(other)) || is_slip(one, other, SLIP_MIN))
}

/// Whether a person who wrote one name may have meant the other one.
fn may_mean(one: &str, other: &str) -> bool {
    is_alike(one, other) || one != other && is_slip(one, other, OFFERED_MIN)
}

/// What the eye keeps of a name: no case, no separators, and one of the letters and digits that look the same.
fn skeleton(name: &str) -> impl Iterator<Item = char> {
    let looks = |c: char| match c {
        'а' => 'a',
        'с' => 'c',
        'е' => 'e',
        'і' | 'l' | '1' => 'i',
        'о' | '0' => 'o',
        'р' => 'p',
        'ѕ' => 's',
        'х' => 'x',
        'у' => 'y',
        other => other,
    };
    name.chars().flat_map(char::to_lowercase).filter(|c| !matches!(c, '-' | '_' | '.')).map(looks)
}

/// Whether one letter is missing, too much or another one, or two have changed places. Digits count things: `web-1` and
/// `web-2` are no slip.
fn is_slip(one: &str, other: &str, shortest: usize) -> bool {
    let (one_len, other_len) = (one.chars().count(), other.chars().count());
    if one_len.min(other_len) < shortest || one_len.abs_diff(other_len) > 1 {
        return false;
    }
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let same = short.iter().zip(&long).take_while(|(one, other)| one == other).count();
    let (short, long) = (&short[same..], &long[same..]);
    let letters = |changed: &[char]| changed.iter().all(|c| !c.is_ascii_digit());
    match (short, long) {
        ([a, rest @ ..], [b, more @ ..]) if rest == more => letters(&[*a, *b]),
        ([a, b, rest @ ..], [c, d, more @ ..]) if (a, b) == (d, c) && rest == more => letters(&[*a, *b]),
        (rest, [a, more @ ..]) if rest == more => letters(&[*a]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: A169
    #[test]
    fn slips_and_tricks_are_alike_and_families_are_not() {
        for other in [
            "dockermanager",
            "docker--manager",
            "d0cker-manager",
            "docker_manager",
            "Docker-Manager",
            "dоcker-manager",
            "docker-manger",
            "docker-managers",
            "docker-manaegr",
            "docker-nanager",
            "ocker-manager",
        ] {
            assert!(is_alike("docker-manager", other) && is_alike(other, "docker-manager"), "{other}");
        }
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<PluginName>>();
        let known = names(&["docker-manager", "docker-logs", "web", "dm"]);
        for (wrote, expected) in [
            ("docker", &["docker-logs", "docker-manager"][..]),
            ("docker-manger", &["docker-manager"]),
            ("webserver", &["web"]),
            ("docker-manager", &[]),
            ("d", &[]),
            // Too short to be refused, and a slip all the same.
            ("wbe", &["web"]),
            ("dn", &[]),
        ] {
            assert_eq!(similar(&wrote.parse().unwrap(), known.iter().cloned()), names(expected), "{wrote}");
        }
        for (one, other) in [
            ("docker-manager", "docker-manager"),
            ("docker-manager", "docker-logs"),
            ("demo", "memo"),
            ("one", "once"),
            ("plugin-1", "plugin-2"),
            ("plugin-1", "plugin-12"),
            ("web-server", "web-server-2"),
            ("aaaaaa", "bbaaaa"),
            ("log-processor", "logs-processors"),
        ] {
            assert!(!is_alike(one, other), "{one} {other}");
        }
    }
}

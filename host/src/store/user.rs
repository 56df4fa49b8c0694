//! Who uses this program, as far as the machine tells.

use std::path::PathBuf;

use nix::unistd::{User, geteuid};

/// The user's home directories, the one that `~` means first: the one that the environment names, and the one of the
/// password database (passwd(5)). Both hold what no plugin may have: whoever changes the variable for one command has keys
/// in the other one still. A relative path in either names no directory.
#[must_use]
pub fn user_homes() -> Vec<PathBuf> {
    let named = std::env::var_os("HOME").map(PathBuf::from);
    let listed = User::from_uid(geteuid()).ok().flatten().map(|user| user.dir);
    homes(named, listed)
}

fn homes(named: Option<PathBuf>, listed: Option<PathBuf>) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = named.into_iter().chain(listed).filter(|path| path.is_absolute()).collect();
    homes.dedup();
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_homes_count_and_only_absolute_ones() {
        let shown = |named: Option<&str>, listed: Option<&str>| {
            let found = homes(named.map(PathBuf::from), listed.map(PathBuf::from));
            found.iter().map(|home| home.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(Some("/tmp/other"), Some("/people/ann")), "/tmp/other /people/ann");
        assert_eq!(shown(Some("/people/ann"), Some("/people/ann")), "/people/ann");
        assert_eq!(shown(Some("people"), Some("/people/ann")), "/people/ann");
        assert_eq!(shown(Some(""), None), "");
        assert_eq!(shown(None, Some("/people/ann")), "/people/ann");
    }
}

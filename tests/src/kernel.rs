//! What this machine can do, and what happens when it cannot: a loud skip, or a failure where everything is enforced.
#![allow(clippy::print_stderr, reason = "a skip must be seen")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::arena::{Arena, On};
use crate::run::User;

/// Whether a skip is a failure.
#[must_use]
pub fn enforced() -> bool {
    std::env::var("MIGRAINE_TEST_ENFORCE").is_ok_and(|value| value == "full")
}

/// Says that something cannot be tested here.
///
/// # Panics
/// Where everything is enforced.
pub fn skip(what: &str, why: &str) {
    assert!(!enforced(), "cannot test {what}: {why}; MIGRAINE_TEST_ENFORCE=full makes this a failure");
    eprintln!("SKIPPED: {what}: {why}");
}

/// A control group that a run of the product made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Who made it.
    pub pid: u32,
    /// Where it stands.
    pub path: PathBuf,
}

/// The control groups that stand below this process's own. Those of the kernel's first version have a hierarchy for each
/// controller, usually mounted under its name.
#[must_use]
pub fn groups() -> Vec<Group> {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let places = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controller, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        Some(Path::new("/sys/fs/cgroup").join(controller).join(path))
    });
    let entries = places.flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
    let groups = entries.filter_map(|entry| {
        let name = entry.file_name();
        let pid = name.to_str()?.strip_prefix("migraine-")?.split('-').nth(1)?.parse().ok()?;
        Some(Group { pid, path: entry.path() })
    });
    groups.collect()
}

/// Whether runs as this user stand in control groups; a loud skip where they do not.
#[must_use]
pub fn has_groups(user: User) -> bool {
    let outcome = Arena::new(On::All, user).with(&["--limited-by"]).run("quiet", &[]);
    let grouped = outcome.out.contains("grouped: true");
    if !grouped {
        // Nowhere does this need to be: the limits of setrlimit(2) hold in any case.
        eprintln!("SKIPPED: control groups as {user:?}: {}", outcome.out.trim());
    }
    grouped
}

/// The users that the suites run programs as: root where the caller is root, and a plain user. Those for whom this machine
/// cannot build the sandbox are left out, loudly.
///
/// # Panics
/// Where everything is enforced and one is left out.
#[must_use]
pub fn users() -> &'static [User] {
    static USERS: OnceLock<Vec<User>> = OnceLock::new();
    USERS.get_or_init(|| {
        let mut users = vec![User::Plain];
        if nix::unistd::geteuid().is_root() {
            users.insert(0, User::Root);
        } else {
            skip("the suites as root", "this is not root");
        }
        users.retain(|user| {
            let outcome = Arena::new(On::All, *user).run_unchecked("quiet", &[]);
            let missing = outcome.last().starts_with("sandbox_unavailable:");
            if missing {
                skip(&format!("the sandbox as {user:?}"), outcome.last());
            }
            !missing
        });
        users
    })
}

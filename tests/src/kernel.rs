//! What this machine can do, and what happens when it cannot: a loud skip, or a failure where everything is enforced.
#![allow(clippy::print_stderr, reason = "a skip must be seen")]

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

//! What this machine can do, and what happens when it cannot: a loud skip, or a failure where everything is enforced.
#![allow(clippy::print_stderr, reason = "a skip must be seen")]

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

/// The users that the suites can run programs as: root needs root, the plain user needs root or is the caller.
#[must_use]
pub fn users() -> &'static [User] {
    if nix::unistd::geteuid().is_root() {
        return &[User::Root, User::Plain];
    }
    skip("the suites as root", "this is not root");
    &[User::Plain]
}

//! The programs that the checks need, and how the missing ones are installed.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{cmd, ui};

/// `(what shows that it is there, the Debian package that brings it)`.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "gcc"),
    // libFuzzer is built from its sources.
    ("c++", "g++"),
    ("/usr/include/stdio.h", "libc6-dev"),
    ("openssl", "openssl"),
    ("strace", "strace"),
    ("bwrap", "bubblewrap"),
    ("setpriv", "util-linux"),
    ("ip", "iproute2"),
    // Other clients and daemons of the machine are not what the tests know.
    ("/usr/sbin/dockerd", "docker.io"),
    ("python3", "python3"),
    ("curl", "curl"),
    ("perl", "perl-base"),
    ("git", "git"),
];

/// `(cargo's verb, the rustup component that brings it)`.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// What `cargo install` is told: a new version is tried by hand first.
const CARGO_DENY: &str = "0.20.2";

/// Installs what is missing, where this user may.
///
/// # Errors
/// Something is missing and cannot be installed; the message says what and how.
pub(super) fn install() -> Result<()> {
    let components: Vec<&str> = COMPONENTS.iter().filter(|(verb, _)| !has_verb(verb)).map(|(_, name)| *name).collect();
    if !components.is_empty() {
        let mut rustup = Command::new("rustup");
        rustup.args(["component", "add"]).args(&components);
        cmd::run(&mut rustup).with_context(|| format!("{} missing", components.join(" and ")))?;
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let missing = missing(|program| is_there(program, &search));
    if missing.is_empty() {
        ui::say("every program is there");
        return Ok(());
    }
    let command = format!("apt-get install -y {}", missing.join(" "));
    if !is_root() {
        bail!("missing: {}; as root, run `{command}`", missing.join(", "));
    }
    if !is_there("apt-get", &search) {
        bail!("missing: {}; there is no apt-get, so use this system's own installer", missing.join(", "));
    }
    ui::say(format!("$ apt-get update && {command}"));
    cmd::run(apt().arg("update"))?;
    let _quiet = Quiet::new(Path::new(SERVICE_POLICY))?;
    cmd::run(apt().args(["install", "-y", "--no-install-recommends"]).args(&missing))
}

/// What Debian's packages ask before they start their services: 101 means no.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this lives, no package starts a service: the tests need a Docker daemon's program, not the machine's daemon.
struct Quiet<'a>(Option<&'a Path>);

impl<'a> Quiet<'a> {
    /// A machine that has a policy keeps it.
    fn new(policy: &'a Path) -> Result<Self> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o755).open(policy);
        match made {
            Ok(mut file) => {
                let quiet = Self(Some(policy));
                file.write_all(b"#!/bin/sh\nexit 101\n")
                    .with_context(|| format!("cannot write {}", policy.display()))?;
                Ok(quiet)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self(None)),
            Err(error) => Err(error).with_context(|| format!("cannot make {}", policy.display())),
        }
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        if let Some(policy) = self.0
            && let Err(error) = fs::remove_file(policy)
        {
            ui::warn(format!("cannot remove {}: {error}; services will not start", policy.display()));
        }
    }
}

/// Makes sure that cargo-deny is there.
///
/// # Errors
/// It is not, and cannot be built.
pub(super) fn cargo_deny() -> Result<()> {
    if has_verb("deny") {
        return Ok(());
    }
    let mut command = cmd::cargo();
    command.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked"]);
    ui::say(format!("$ cargo install cargo-deny --version {CARGO_DENY} --locked"));
    // Lints of this workspace's environment are not for somebody else's code.
    cmd::run(command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WRAPPER"))
}

fn missing(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PROGRAMS.iter().filter(|(sign, _)| !is_there(sign)).map(|(_, package)| *package).collect()
}

fn is_there(sign: &str, search: &std::ffi::OsStr) -> bool {
    if sign.starts_with('/') {
        return Path::new(sign).exists();
    }
    std::env::split_paths(search).any(|folder| folder.join(sign).is_file())
}

fn has_verb(verb: &str) -> bool {
    cmd::answers(cmd::cargo().arg(verb))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

/// The owner of our own /proc entry is the effective user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stay_quiet_only_while_packages_are_installed() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy-rc.d");
        let quiet = Quiet::new(&policy).unwrap();
        assert_eq!(Command::new(&policy).status().unwrap().code(), Some(101));
        drop(quiet);
        assert!(!policy.exists());
        fs::write(&policy, "own").unwrap();
        drop(Quiet::new(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "own");
    }

    #[test]
    fn only_what_is_missing_is_named() {
        assert!(missing(|_| true).is_empty());
        assert_eq!(missing(|sign| sign != "strace" && sign != "bwrap"), ["strace", "bubblewrap"]);
        assert!(is_there("/proc/self/status", "".as_ref()));
        assert!(!is_there("sh", "".as_ref()));
        assert!(is_there("sh", "/nowhere:/usr/bin:/bin".as_ref()));
    }
}

//! The self-check: attributes are asked for, and forbidden acts are tried, before the plugin is near. Nothing here reads
//! /proc: what it shows could be another's.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::{Common, StepError, at};
use crate::sys;
use crate::wire::{Directory, Layers};

/// A name that nobody uses.
const PROBE: &str = ".migraine-probe";

/// Whether something is there that every machine has and no grant leads to.
fn sees_ungranted(common: &Common) -> bool {
    let granted = |path: &Path| {
        let shows = |directory: &Directory| directory.path.starts_with(path) || path.starts_with(&directory.path);
        common.directories.iter().any(shows) || common.programs.lie_in(path)
    };
    let everywhere: &[&str] = if common.programs.are_run() {
        &["/etc/passwd", "/etc/group", "/sys", "/var"]
    } else {
        &["/etc", "/usr", "/sys"]
    };
    everywhere.iter().map(Path::new).any(|path| !granted(path) && fs::symlink_metadata(path).is_ok())
}

/// Tries to run what was written to the scratch directory, which the working directory is.
fn can_run_own() -> io::Result<bool> {
    File::create_new(PROBE)?.set_permissions(fs::Permissions::from_mode(0o700))?;
    let is_started = Command::new(Path::new(".").join(PROBE)).spawn().is_ok();
    fs::remove_file(PROBE)?;
    Ok(is_started)
}

/// Tries to make a file; one that was there is left alone.
fn can_create(path: &Path) -> bool {
    let is_made = File::create_new(path).is_ok();
    if is_made {
        let _ = fs::remove_file(path);
    }
    is_made
}

/// Tries what must fail and returns the names of what was tried.
///
/// # Errors
/// Something that must fail did not, or an attribute is not as it must be.
pub(super) fn probe(layers: &Layers, common: &Common) -> Result<Vec<String>, StepError> {
    let directories = &common.directories;
    let mut tried = Vec::new();
    let mut must = |name: &'static str, holds: bool| {
        tried.push(name.to_owned());
        let outcome = if holds { Ok(()) } else { Err(io::Error::other("the sandbox does not hold")) };
        at(name, outcome)
    };
    let (no_new_privileges, seccomp, dumpable) = at("read attributes", sys::privileges::attributes())?;
    if layers.privileges {
        must("no capability is left", at("read capabilities", sys::privileges::has_no_capabilities())?)?;
        must("no new privileges", no_new_privileges == 1)?;
        must("not dumpable", dumpable == 0)?;
    }
    if layers.namespaces {
        must("not user id 0", !nix::unistd::getuid().is_root() && !nix::unistd::geteuid().is_root())?;
        must("pid 1 of an own namespace", std::process::id() == 1)?;
        must("the host's files do not exist", !sees_ungranted(common))?;
    }
    if layers.namespaces || layers.landlock {
        must("the root cannot be listed or written", File::create("/probe").is_err())?;
    }
    if (layers.namespaces || layers.landlock) && directories.iter().any(|directory| !directory.writable) {
        let refuse = |directory: &Directory| directory.writable || !can_create(&directory.path.join(PROBE));
        must("a directory to read refuses changes", directories.iter().all(refuse))?;
    }
    if layers.landlock {
        must("nothing outside the scratch can be read", fs::read_dir("/").is_err())?;
    }
    if common.programs.are_run() {
        must("nothing that was written can be run", !at("write a file", can_run_own())?)?;
    }
    if layers.seccomp {
        must("system calls are filtered", seccomp == 2)?;
        must("no socket can be made", std::net::UdpSocket::bind("127.0.0.1:0").is_err())?;
        must("no namespace can be made", nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).is_err())?;
        if !common.programs.are_run() {
            must("no program can be started", Command::new("/proc/self/exe").spawn().is_err())?;
        }
    }
    Ok(tried)
}

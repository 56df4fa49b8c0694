//! The parts in which the sandbox is built, and which part each step of launcher and worker belongs to.

use serde::Serialize;

/// The step of a worker that tries whether it is sealed.
pub(super) const SELF_CHECK: &str = "the sandbox's self-check";

/// The step in which the launcher waits for a worker.
pub(super) const AWAITED: &str = "wait for the seal";

/// A part of the building, in the order in which they follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The launcher is started.
    Start,
    /// It leaves user id 0.
    Drop,
    /// It enters namespaces of its own.
    Namespaces,
    /// It mounts a root.
    Mount,
    /// It leaves the machine's tree for that root.
    Pivot,
    /// It mounts procfs, which decides how workers open their code.
    Procfs,
    /// A worker is made, with mounts of its own.
    Worker,
    /// The worker enters a user namespace of its own.
    Nested,
    /// It limits what it can use.
    Limits,
    /// It gives up what it could do.
    Privileges,
    /// It restricts itself with Landlock.
    Landlock,
    /// It installs the system call filter, and the launcher fetches the listener.
    Seccomp,
    /// It tries what must be refused.
    Check,
    /// Scripts and granted programs run, each in a sandbox of its own, and try the same.
    Engines,
}

impl Stage {
    /// Every part, in order.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Drop,
        Self::Namespaces,
        Self::Mount,
        Self::Pivot,
        Self::Procfs,
        Self::Worker,
        Self::Nested,
        Self::Limits,
        Self::Privileges,
        Self::Landlock,
        Self::Seccomp,
        Self::Check,
        Self::Engines,
    ];

    /// What it does, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Start => "start the launcher",
            Self::Drop => "leave user id 0",
            Self::Namespaces => "enter new namespaces",
            Self::Mount => "mount a private root",
            Self::Pivot => "leave the machine's tree",
            Self::Procfs => "load code through procfs",
            Self::Worker => "make a worker",
            Self::Nested => "nest a user namespace",
            Self::Limits => "limit resources",
            Self::Privileges => "give up privileges",
            Self::Landlock => "restrict with Landlock",
            Self::Seccomp => "filter system calls",
            Self::Check => "try what is forbidden",
            Self::Engines => "run scripts and programs",
        }
    }

    /// The part that a step belongs to.
    pub(super) fn of(step: &str) -> Option<Self> {
        let found = match step {
            "expect the ends of workers" | "preload the system's libraries" => Self::Start,
            "drop user id 0" | "become dumpable" => Self::Drop,
            "unshare namespaces" | "deny setgroups" | "write uid_map" | "write gid_map" => Self::Namespaces,
            "clone into the pid namespace" | "name the machine" => Self::Namespaces,
            "enter the network namespace" => Self::Namespaces,
            "switch the loopback device on" | "listen for the proxy" => Self::Namespaces,
            "make a pipe" | "clone into a namespace for an id map" | "write an id map" => Self::Namespaces,
            "collect the namespace's process" | "open a namespace" => Self::Namespaces,
            "make mounts private" | "mount the root" | "make the root's directories" => Self::Mount,
            "make the root's devices" | "bind the root's devices" => Self::Mount,
            "open the root" | "make a mount point" | "show the system's programs" => Self::Mount,
            "show the interpreter" => Self::Mount,
            "read the system's links" | "make the system's links" => Self::Mount,
            "enter the root" | "pivot the root" | "detach the host's tree" | "make the root read-only" => Self::Pivot,
            "mount procfs" | "hide procfs" => Self::Procfs,
            "open a pidfd" | "report to the host" | "setsid" => Self::Worker,
            "take the worker's descriptors" | "make the worker's report socket" | "clone the worker" => Self::Worker,
            "arrange descriptors" | "close other descriptors" | AWAITED => Self::Worker,
            "report to the launcher" | "wait for the launcher" | "release the worker" => Self::Worker,
            "mount the scratch" | "enter the scratch" | "bind the descriptors" | "cover procfs" => Self::Worker,
            "open the code" | "measure the code" | "mount the code" | "copy the code" => Self::Worker,
            "make the code read-only" | "read the code" | "make the code's directories" => Self::Worker,
            "unshare the worker's user namespace" => Self::Nested,
            "drop capabilities" | "set parent death signal" | "set no new privileges" => Self::Privileges,
            "restrict with Landlock" => Self::Landlock,
            "install seccomp filter" | "fetch the filter's listener" => Self::Seccomp,
            "give up dumpability" | "read attributes" | "read capabilities" | "read limits" => Self::Check,
            SELF_CHECK => Self::Check,
            limit if limit.starts_with("limit ") => Self::Limits,
            _ => return None,
        };
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, texts: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                sources(&entry.path(), texts);
            } else {
                texts.push(fs::read_to_string(entry.path()).unwrap());
            }
        }
    }

    #[test]
    fn every_step_of_the_worker_belongs_to_a_part() {
        let mut texts = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/worker"), &mut texts);
        let call = regex::Regex::new(r#"\bat\(\s*"([^"]+)""#).unwrap();
        let steps: Vec<&str> =
            texts.iter().flat_map(|text| call.captures_iter(text).map(|found| found.extract::<1>().1[0])).collect();
        assert!(steps.len() > 30, "{steps:?}");
        for step in steps {
            assert!(Stage::of(step).is_some(), "`{step}` belongs to no part");
        }
    }

    #[test]
    fn the_parts_are_in_order() {
        assert!(Stage::ALL.is_sorted());
        assert_eq!(Stage::of("limit data"), Some(Stage::Limits));
        assert_eq!(Stage::of("dance"), None);
    }
}

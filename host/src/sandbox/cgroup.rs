//! A control group for each worker (cgroups(7)), where this user may make one: what all its processes use together is
//! limited, scratch and kernel memory included, where `RLIMIT_DATA` sees one process and a part of its memory.
//!
//! After the first, a group is made ahead, by the attendant, so that the start of a worker does not wait for it. The worker
//! joins it by itself, before it is sealed: moving another process takes a lock that every fork on the machine waits for.
//! A group is removed with its worker; those of a program that was killed are removed by the next one, since their names
//! say whose they were.

mod place;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::getpid;

use place::{Place, Version};

use crate::family::started;
use crate::wire::Rlimits;

/// What limits the memory and the processes of a worker, besides setrlimit(2), which always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedBy {
    /// A group of cgroup version 2.
    CgroupV2,
    /// Groups of cgroup version 1.
    CgroupV1,
    /// Nothing else: memory is limited for each process alone.
    Rlimits,
}

impl fmt::Display for LimitedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "a control group (cgroup version 2)",
            Self::CgroupV1 => "control groups (cgroup version 1)",
            Self::Rlimits => "RLIMIT_DATA, for each process alone",
        })
    }
}

/// Directories that could not be removed yet: a process was still on its way out.
type Left = Arc<Mutex<Vec<PathBuf>>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The groups of one launcher's workers.
pub(super) struct Groups {
    state: Mutex<State>,
    left: Left,
}

enum State {
    /// Nobody has looked yet.
    Unknown,
    /// This user may make none.
    Unavailable,
    Available {
        place: Place,
        owner: Owner,
        /// The next worker's.
        ready: Option<Group>,
        /// Whether it was looked for groups of programs that are gone beside this process's own group as well.
        collected: bool,
    },
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Unknown), left: Left::default() }
    }

    /// Makes the next worker's group, unless it stands; removes what could not be removed before.
    pub(super) fn prepare(&self) {
        let mut state = locked(&self.state);
        self.sweep();
        if let State::Available { place, owner, ready: ready @ None, collected } = &mut *state {
            *ready = Group::make(place, owner, &Rlimits::NATIVE, &self.left).ok();
            // Not before the first worker runs: there may be many.
            if !std::mem::replace(collected, true) {
                collect_beside(place, owner);
            }
        }
    }

    /// A group with these limits, if one can be made.
    pub(super) fn take(&self, limits: &Rlimits) -> Option<Group> {
        let mut state = locked(&self.state);
        self.find(&mut state);
        let State::Available { place, owner, ready, .. } = &mut *state else { return None };
        let group = match ready.take() {
            Some(group) if group.limits == *limits => Ok(group),
            Some(group) => group.limit(limits).or_else(|_| Group::make(place, owner, limits, &self.left)),
            None => Group::make(place, owner, limits, &self.left),
        };
        // It cannot be made only beyond some limit of the machine: the worker starts without.
        group.ok()
    }

    /// Makes no more, and removes the spare one: workers cannot join, or the program ends.
    pub(super) fn give_up(&self) {
        *locked(&self.state) = State::Unavailable;
    }

    /// What is in force for the next worker.
    pub(super) fn limited_by(&self) -> LimitedBy {
        let mut state = locked(&self.state);
        self.find(&mut state);
        match &*state {
            State::Available { place: Place { version: Version::V2, .. }, .. } => LimitedBy::CgroupV2,
            State::Available { .. } => LimitedBy::CgroupV1,
            State::Unknown | State::Unavailable => LimitedBy::Rlimits,
        }
    }

    /// Finds the place of groups, if nobody has looked yet, and removes there what other programs left behind.
    fn find(&self, state: &mut State) {
        if !matches!(state, State::Unknown) {
            return;
        }
        *state = State::Unavailable;
        let Some(owner) = Owner::this() else { return };
        for place in place::candidates() {
            // Only a group that was really made and limited shows that it can be.
            if let Ok(group) = Group::make(&place, &owner, &Rlimits::NATIVE, &self.left) {
                collect_stale(&place, &owner);
                *state = State::Available { place, owner, ready: Some(group), collected: false };
                return;
            }
        }
    }

    /// Tries again to remove what was busy.
    fn sweep(&self) {
        locked(&self.left).retain(|directory| fs::remove_dir(directory).is_err());
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // The spare one first: what cannot be removed ends up in the list.
        *locked(&self.state) = State::Unavailable;
        self.sweep();
    }
}

/// Who made a group, as its name says: the process, when it started, and the namespace in which the number is its.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    namespace: u64,
    pid: i32,
    started: u64,
}

/// All groups of a program have numbers of their own, whichever launcher they belong to.
static NUMBER: AtomicU64 = AtomicU64::new(1);

impl Owner {
    fn this() -> Option<Self> {
        let link = fs::read_link("/proc/self/ns/pid").ok()?;
        let namespace = link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()?;
        let pid = getpid().as_raw();
        Some(Self { namespace, pid, started: started(pid)? })
    }

    fn name(&self) -> String {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        format!("migraine-{}-{}-{}-{number}", self.namespace, self.pid, self.started)
    }

    fn of(name: &str) -> Option<Self> {
        let mut numbers = name.strip_prefix("migraine-")?.split('-').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let (namespace, pid, started) = (next()?, next()?, next()?);
        Some(Self { namespace, pid: i32::try_from(pid).ok()?, started })
    }

    /// Whether it is known to be gone; of another namespace nothing is known.
    fn is_gone(&self, this: &Self) -> bool {
        self.namespace == this.namespace && started(self.pid) != Some(self.started)
    }
}

/// Removes the groups of programs that are gone; one that still holds a process stays.
fn collect_stale(place: &Place, this: &Owner) {
    for parent in &place.parents {
        collect_in(parent, this);
    }
}

/// As [`collect_stale`], beside this process's own group: each login has one of its own.
fn collect_beside(place: &Place, this: &Owner) {
    for parent in &place.parents {
        // The root of a hierarchy lies beside other hierarchies, not groups.
        let above = parent.parent().filter(|above| above.join("cgroup.procs").exists());
        for beside in above.map(groups_in).unwrap_or_default().iter().filter(|beside| *beside != parent) {
            collect_in(beside, this);
        }
    }
}

fn collect_in(directory: &Path, this: &Owner) {
    for group in groups_in(directory) {
        let owner = group.file_name().and_then(|name| Owner::of(name.to_str()?));
        if owner.is_some_and(|owner| owner.is_gone(this)) {
            let _ = fs::remove_dir(group);
        }
    }
}

/// The groups directly below one; its other files are the kernel's.
fn groups_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// One worker's group; removed when it is dropped, after its processes.
pub(super) struct Group {
    version: Version,
    limits: Rlimits,
    /// Memory first. Version 1 may have a second one, for processes.
    directories: Vec<PathBuf>,
    doors: Vec<File>,
    left: Left,
}

impl Group {
    fn make(place: &Place, owner: &Owner, limits: &Rlimits, left: &Left) -> io::Result<Self> {
        let name = owner.name();
        let mut group = Self {
            version: place.version,
            limits: *limits,
            directories: Vec::new(),
            doors: Vec::new(),
            left: Arc::clone(left),
        };
        for parent in &place.parents {
            let directory = parent.join(&name);
            fs::create_dir(&directory)?;
            // Before anything else can fail: from here on it is removed again.
            group.directories.push(directory.clone());
            group.doors.push(OpenOptions::new().write(true).open(directory.join(place.version.door()))?);
        }
        group.limit(limits)
    }

    fn limit(mut self, limits: &Rlimits) -> io::Result<Self> {
        let is_raised = limits.data > self.limits.data;
        self.limits = *limits;
        let [memory, swap] = self.version.memory();
        // Version 1 counts memory and swap together, and that limit is at no time the smaller one. Absent where the kernel
        // does not count swap.
        let most = if self.version == Version::V1 { limits.data } else { 0 };
        let mut order = [(memory, limits.data), (swap, most)];
        if is_raised {
            order.reverse();
        }
        for (file, value) in order {
            match self.set(file, value) {
                Err(error) if file == memory || error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.set("pids.max", limits.threads) {
            // Processes are counted elsewhere, or not at all.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(self),
        }
    }

    fn set(&self, file: &str, value: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.path(file))?.write_all(value.to_string().as_bytes())
    }

    fn path(&self, file: &str) -> PathBuf {
        let directory = if file.starts_with("pids.") { self.directories.last() } else { self.directories.first() };
        directory.map_or_else(PathBuf::new, |directory| directory.join(file))
    }

    /// Where a process writes `0` to join: one descriptor for each hierarchy.
    pub(super) fn doors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.doors.iter().map(|door| door.as_fd())
    }

    /// What the kernel counts of its memory.
    pub(super) fn memory_events(&self) -> MemoryEvents {
        MemoryEvents(self.path(self.version.events()))
    }

    /// Whether the kernel ended a process of it since there was no memory left.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        self.memory_events().has_oom_kill()
    }

    /// How often a process or thread was refused.
    pub(super) fn refused_processes(&self) -> u64 {
        self.count("pids.events", "max")
    }

    fn count(&self, file: &str, name: &str) -> u64 {
        count(&self.path(file), name)
    }
}

/// The file in which the kernel counts what happened to a group's memory; it outlives the group, and then counts nothing.
pub(super) struct MemoryEvents(PathBuf);

impl MemoryEvents {
    /// Whether the kernel ended a process of the group since there was no memory left.
    pub(super) fn has_oom_kill(&self) -> bool {
        count(&self.0, "oom_kill") > 0
    }
}

/// A number in a file of [`counted`] ones; 0 when it is not there.
fn count(file: &Path, name: &str) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| counted(&text, name)).unwrap_or_default()
}

/// A number in lines of `NAME NUMBER`.
fn counted(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in self.directories.drain(..) {
            if fs::remove_dir(&directory).is_err() {
                locked(&self.left).push(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests;

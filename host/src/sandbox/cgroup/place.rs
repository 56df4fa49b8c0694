//! Where this process may make groups: below its own, so that the limits of whoever started it hold as well.

use std::fs;
use std::path::{Path, PathBuf};

/// Which interface the kernel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Version {
    /// The file through which a process joins. In version 1, writing to this one takes no lock of the whole machine.
    pub(super) fn door(self) -> &'static str {
        match self {
            Self::V1 => "tasks",
            Self::V2 => "cgroup.procs",
        }
    }

    /// The files that limit memory, and swap.
    pub(super) fn memory(self) -> [&'static str; 2] {
        match self {
            Self::V1 => ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
            Self::V2 => ["memory.max", "memory.swap.max"],
        }
    }

    /// The file that counts `oom_kill`.
    pub(super) fn events(self) -> &'static str {
        match self {
            Self::V1 => "memory.oom_control",
            Self::V2 => "memory.events",
        }
    }
}

/// Where groups may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    /// Memory first. Version 1 may have a second one, for processes.
    pub(super) parents: Vec<PathBuf>,
}

/// Places to try, best first. Whether this user may write there shows when it is tried.
pub(super) fn candidates() -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let controllers =
        |directory: &Path| fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    find(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), controllers)
}

/// `controllers` reads what children of a group of version 2 are limited by.
fn find(mounts: &str, own: &str, controllers: impl Fn(&Path) -> String) -> Vec<Place> {
    let has = |list: &str, controller: &str| list.split([',', ' ', '\n']).any(|word| word == controller);
    let mut places = Vec::new();
    if let Some((mount, own)) = own_group(mounts, own, "cgroup2", "") {
        // A group that holds processes cannot limit children (cgroups(7), no internal processes): the nearest that can.
        let able = own.ancestors().take_while(|above| above.starts_with(&mount));
        let able = able.filter(|above| has(&controllers(above), "memory"));
        places.extend(able.map(|above| Place { version: Version::V2, parents: vec![above.to_owned()] }));
    }
    if let Some((_, memory)) = own_group(mounts, own, "cgroup", "memory") {
        let processes = own_group(mounts, own, "cgroup", "pids").map(|(_, own)| own);
        let is_shared = processes.as_ref() == Some(&memory);
        let parents = [memory].into_iter().chain(processes.filter(|_| !is_shared)).collect();
        places.push(Place { version: Version::V1, parents });
    }
    places
}

/// The mount point of a hierarchy and this process's own group in it.
pub(super) fn own_group(mounts: &str, own: &str, kind: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let names = |list: &str| controller.is_empty() || list.split(',').any(|name| name == controller);
    // As proc_pid_mountinfo(5): …, root, mount point, options, …, -, kind, source, options of the file system.
    let (root, mount) = mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let (front, back): (Vec<_>, Vec<_>) = (front.split(' ').collect(), back.split(' ').collect());
        let is_it = back.first() == Some(&kind) && names(back.get(2)?);
        is_it.then_some((*front.get(3)?, *front.get(4)?))
    })?;
    // As proc_pid_cgroup(5): number, controllers, path.
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let list = parts.next()?;
        let is_it = if controller.is_empty() { list.is_empty() } else { names(list) };
        parts.next().filter(|_| is_it)
    })?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some((mount.into(), Path::new(mount).join(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const V2: &str = "40 30 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn place(version: Version, parents: &[&str]) -> Place {
        Place { version, parents: parents.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn version_1_has_a_hierarchy_for_each_controller() {
        let own = "8:pids:/\n4:memory:/session/one\n0::/\n";
        let places = find(V1, own, |_| String::new());
        assert_eq!(places, [place(Version::V1, &["/sys/fs/cgroup/memory/session/one", "/sys/fs/cgroup/pids"])]);
        assert_eq!(find(V1, "8:pids:/\n0::/\n", |_| String::new()), [], "no group of its own");
    }

    #[test]
    fn version_2_needs_a_group_that_limits_its_children() {
        let own = "0::/user.slice/user@1000.service/app.slice/shell.scope\n";
        let able = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            if name == "shell.scope" { String::new() } else { "cpu memory pids\n".to_owned() }
        };
        let places = find(V2, own, able);
        assert_eq!(places.len(), 4);
        let nearest = "/sys/fs/cgroup/user.slice/user@1000.service/app.slice";
        assert_eq!(places[..1], [place(Version::V2, &[nearest])]);
        assert_eq!(find(V2, own, |_| "cpu io\n".to_owned()), []);
        assert_eq!(find("", "", able), [], "no cgroups at all");
    }

    // Inside a container the mount shows a part of the hierarchy.
    #[test]
    fn a_mount_may_show_a_part() {
        let mounts = "31 30 0:27 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let places = find(mounts, "4:memory:/docker/abc/inner\n", |_| String::new());
        assert_eq!(places, [place(Version::V1, &["/sys/fs/cgroup/memory/inner"])]);
        assert_eq!(find(mounts, "4:memory:/elsewhere\n", |_| String::new()), []);
    }
}

//! What plugins see of the machine while they are learned: each directory that could be granted, and nothing of the rest.

use std::fs;
use std::path::{Path, PathBuf};

use crate::policy::{Access, DirectoryScope, Places, Policy, opened, refused_root};
use crate::wire::Directory;

/// How many directories are shown at most: the launcher holds a descriptor of each for a moment.
const SHOWN_MAX: usize = 300;

/// What is shown to be read only: a mistake there costs the whole machine.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/boot"];

/// The outermost directories that can be granted and read, and are not taken away by the policy.
pub(super) fn shown(places: &Places, policy: &Policy) -> Vec<Directory> {
    let mut found = Vec::new();
    open(Path::new("/"), places, &mut found);
    let scope = |access, path: &Path| DirectoryScope { access, directory: Some(path.to_owned()) }.permission().ok();
    let all = found.iter().flat_map(|shown| {
        let write = if shown.writable { scope(Access::Write, &shown.path) } else { None };
        [scope(Access::Read, &shown.path), write]
    });
    let all: Vec<_> = all.flatten().collect();
    let left = opened(&policy.in_force(&all).0).into_iter();
    let mut left: Vec<Directory> = left
        .filter_map(|scope| Some(Directory { path: scope.directory?, writable: scope.access == Access::Write }))
        .collect();
    left.truncate(SHOWN_MAX);
    left
}

fn open(path: &Path, places: &Places, found: &mut Vec<Directory>) {
    if refused_root(path, places).is_none() {
        if fs::read_dir(path).is_ok() {
            let writable = !SYSTEM.iter().any(|system| path.starts_with(system));
            found.push(Directory { path: path.to_owned(), writable });
        }
    } else if holds_more(path, places) {
        for inner in inside(path) {
            open(&inner, places, found);
        }
    }
}

/// Whether a directory is refused for what is somewhere in it, and not for what it is.
fn holds_more(path: &Path, places: &Places) -> bool {
    let holds = |place: &Path| place.starts_with(path);
    path == Path::new("/")
        || places.homes.iter().any(|home| holds(home))
        || (places.store != path && holds(&places.store))
}

/// The directories in a directory, in order; links are none.
fn inside(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<PathBuf> = directories.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_can_be_granted_is_shown_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for inner in ["home/project/src", "home/.ssh", "home/.gnupg", "home/store/plugins", "srv/data"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        fs::write(root.join("home/file"), "").unwrap();
        std::os::unix::fs::symlink("../srv", root.join("home/link")).unwrap();
        let places = Places { homes: vec![root.join("home")], store: root.join("home/store") };
        let mut found = Vec::new();
        open(&root, &places, &mut found);
        let paths: Vec<_> = found.iter().map(|shown| shown.path.strip_prefix(&root).unwrap().to_owned()).collect();
        assert_eq!(paths, [Path::new("home/project"), Path::new("srv")]);
        assert!(found.iter().all(|shown| shown.writable));

        let all = shown(&places, &Policy::default());
        assert!(all.iter().all(|shown| refused_root(&shown.path, &places).is_none()));
        assert!(all.iter().any(|shown| shown.path == Path::new("/usr") && !shown.writable), "{all:?}");
        assert!(all.iter().all(|shown| !shown.path.starts_with("/proc")), "{all:?}");
    }
}

//! From the calls with which files are reached to the fewest directories that must be granted for them.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::policy::{Access, DirectoryScope, Places, opened, refused_root};
use crate::wire::{DIRECTORIES_MAX, Directory, FileUse};

/// What every plugin has: devices, its scratch directory among them. Nothing is to be learned about the rest of it.
const EVERYWHERE: [&str; 2] = ["/dev", "/proc"];
/// Links on the way of one path (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Which directories must be granted. What is noted is judged at once: later, a call may have changed what it finds.
#[derive(Debug, Default)]
pub(super) struct Needs {
    scopes: BTreeSet<DirectoryScope>,
    /// Directories that are looked at: they must be there, and are where one in them is granted.
    looked: BTreeSet<PathBuf>,
    refused: BTreeSet<String>,
}

/// A path without links, and the directories that hold those on the way.
struct Place {
    real: PathBuf,
    links: Vec<PathBuf>,
}

impl Needs {
    /// Notes a call. What leads nowhere now would lead nowhere with any grant.
    pub(super) fn note(&mut self, path: &Path, file_use: FileUse, flags: i32, shown: &[Directory], places: &Places) {
        let follows = match file_use {
            FileUse::Look | FileUse::Run => true,
            FileUse::Open { .. } => flags & libc::O_NOFOLLOW == 0,
            FileUse::LookAtLink | FileUse::MakeDirectory | FileUse::Make | FileUse::Change => false,
        };
        let Some(Place { real, links }) = resolve(path, follows) else { return };
        if EVERYWHERE.iter().any(|own| real.starts_with(own)) {
            return;
        }
        let Some(need) = need(&real, file_use, flags) else { return };
        if let Some(why) = need.refused(path, shown, places) {
            self.refused.extend(why);
            return;
        }
        let is_shown = |directory: &PathBuf| shown.iter().any(|shown| directory.starts_with(&shown.path));
        self.scopes.extend(links.into_iter().filter(is_shown).map(|link| scope(Access::Read, link)));
        match need {
            Need::Look(directory) => drop(self.looked.insert(directory)),
            Need::Access(access, directory) => drop(self.scopes.insert(scope(access, directory))),
        }
    }

    /// What was tried and cannot be granted, in words.
    pub(super) fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.iter()
    }

    /// The fewest directories, and no more than a plugin can have.
    pub(super) fn smallest(&self, places: &Places) -> Vec<DirectoryScope> {
        let mut scopes = reduced(&self.scopes.iter().cloned().collect::<Vec<_>>());
        // The innermost first: where one is granted, those that it lies in are there as well.
        for looked in self.looked.iter().rev() {
            let related = |scope: &DirectoryScope| {
                let directory = scope.directory.as_deref();
                directory.is_some_and(|directory| directory.starts_with(looked) || looked.starts_with(directory))
            };
            if !scopes.iter().any(related) {
                scopes.push(scope(Access::Read, looked.clone()));
            }
        }
        while scopes.len() > DIRECTORIES_MAX {
            match joined(&scopes, places) {
                Some(fewer) => scopes = fewer,
                None => break,
            }
        }
        scopes.sort();
        scopes
    }
}

/// What one call needs.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Look(PathBuf),
    Access(Access, PathBuf),
}

impl Need {
    /// Why it cannot be granted, where it cannot; with words where the user should know.
    fn refused(&self, path: &Path, shown: &[Directory], places: &Places) -> Option<Option<String>> {
        let (access, directory) = match self {
            Self::Look(directory) => (Access::Read, directory),
            Self::Access(access, directory) => (*access, directory),
        };
        let said = |why: &str| {
            let verb = if access == Access::Write { "change" } else { "read" };
            matches!(self, Self::Access(..)).then(|| format!("{verb} {}: {why}", path.display()))
        };
        if let Some(why) = refused_root(directory, places) {
            return Some(said(why));
        }
        match shown.iter().find(|shown| directory.starts_with(&shown.path)) {
            None => Some(said("its directory cannot be shown to plugins")),
            Some(shown) if access == Access::Write && !shown.writable => {
                Some(said("a directory of the system is not changed while permissions are learned"))
            }
            Some(_) => None,
        }
    }
}

fn need(real: &Path, file_use: FileUse, flags: i32) -> Option<Need> {
    let holder = real.parent().unwrap_or(real).to_owned();
    let exists = fs::symlink_metadata(real).is_ok();
    let is_directory = real.is_dir();
    let look = || if is_directory { Need::Look(real.to_owned()) } else { Need::Access(Access::Read, holder.clone()) };
    let change = || Need::Access(Access::Write, holder.clone());
    match file_use {
        FileUse::Look | FileUse::LookAtLink | FileUse::Run => exists.then(look),
        FileUse::MakeDirectory if exists => Some(look()),
        FileUse::MakeDirectory | FileUse::Make => Some(change()),
        FileUse::Change => exists.then(change),
        FileUse::Open { .. } if flags & libc::O_TMPFILE == libc::O_TMPFILE => {
            is_directory.then(|| Need::Access(Access::Write, real.to_owned()))
        }
        FileUse::Open { .. } if flags & libc::O_PATH != 0 => exists.then(look),
        FileUse::Open { .. } if flags & libc::O_CREAT != 0 => Some(change()),
        FileUse::Open { .. } if flags & (libc::O_ACCMODE | libc::O_TRUNC) != libc::O_RDONLY => exists.then(change),
        FileUse::Open { .. } if is_directory => Some(Need::Access(Access::Read, real.to_owned())),
        FileUse::Open { .. } => exists.then(look),
    }
}

/// Follows the links of a path as the kernel does. `None` where its directory is not there.
fn resolve(path: &Path, follows: bool) -> Option<Place> {
    let mut place = Place { real: PathBuf::from("/"), links: Vec::new() };
    let mut rest = parts(path);
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            place.real.pop();
            continue;
        }
        let next = place.real.join(&part);
        match fs::read_link(&next) {
            Ok(target) if follows || !rest.is_empty() => {
                place.links.push(place.real.clone());
                if place.links.len() > LINKS_MAX {
                    return None;
                }
                if target.is_absolute() {
                    place.real = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            _ if !rest.is_empty() && !next.is_dir() => return None,
            _ => place.real = next,
        }
    }
    Some(place)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |part: Component<'_>| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(named).collect()
}

fn scope(access: Access, directory: PathBuf) -> DirectoryScope {
    DirectoryScope { access, directory: Some(directory) }
}

/// Without what lies in another one with the same right.
fn reduced(scopes: &[DirectoryScope]) -> Vec<DirectoryScope> {
    opened(&scopes.iter().filter_map(|scope| scope.permission().ok()).collect::<Vec<_>>())
}

/// One fewer: the two that lie nearest to each other become the directory that holds both. `None` where nobody may have it.
fn joined(scopes: &[DirectoryScope], places: &Places) -> Option<Vec<DirectoryScope>> {
    let pairs = scopes.iter().enumerate().flat_map(|(at, one)| scopes[at + 1..].iter().map(move |other| (one, other)));
    let holders = pairs.filter_map(|(one, other)| {
        let (first, second) = (one.directory.as_deref()?, other.directory.as_deref()?);
        let holder = first.ancestors().find(|holder| second.starts_with(holder))?;
        Some(scope(one.access.max(other.access), holder.to_owned()))
    });
    let allowed =
        |holder: &DirectoryScope| holder.directory.as_deref().is_some_and(|d| refused_root(d, places).is_none());
    let depth = |holder: &DirectoryScope| holder.directory.as_ref().map(|directory| directory.components().count());
    let nearest = holders.filter(allowed).max_by_key(depth)?;
    let fewer = reduced(&scopes.iter().cloned().chain([nearest]).collect::<Vec<_>>());
    (fewer.len() < scopes.len()).then_some(fewer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree {
        _folder: tempfile::TempDir,
        root: PathBuf,
        shown: Vec<Directory>,
        places: Places,
        needs: Needs,
    }

    fn tree() -> Tree {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for inner in ["data/inner", "other", "system", "home/.ssh"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        for file in ["data/file", "data/inner/file", "other/file", "system/file", "home/.ssh/key"] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink("../other/file", root.join("data/link")).unwrap();
        let writable = |name: &str| Directory { path: root.join(name), writable: name != "system" };
        let shown = ["data", "other", "system"].map(writable).to_vec();
        let places = Places { homes: vec![root.join("home")], store: root.join("store") };
        Tree { _folder: folder, root, shown, places, needs: Needs::default() }
    }

    const OPEN: FileUse = FileUse::Open { flags: 2 };

    impl Tree {
        fn note(&mut self, path: &str, file_use: FileUse, flags: i32) -> &mut Self {
            self.needs.note(&self.root.join(path), file_use, flags, &self.shown, &self.places);
            self
        }

        #[track_caller]
        fn learns(&mut self, expected: &[&str]) {
            let name = |scope: DirectoryScope| {
                let text = scope.permission().unwrap().to_string();
                text.replace("filesystem=", "").replace(&format!("{}/", self.root.display()), "")
            };
            let found: Vec<String> = self.needs.smallest(&self.places).into_iter().map(name).collect();
            assert_eq!(found, expected);
            self.needs = Needs::default();
        }
    }

    #[test]
    fn each_call_needs_what_it_does() {
        let mut tree = tree();
        let (read, write) = (libc::O_RDONLY | libc::O_CLOEXEC, libc::O_WRONLY);
        tree.note("data/file", OPEN, read).learns(&["read:data"]);
        tree.note("data/inner", OPEN, read | libc::O_DIRECTORY).learns(&["read:data/inner"]);
        tree.note("data/file", OPEN, write).learns(&["write:data"]);
        tree.note("data/new", OPEN, write | libc::O_CREAT).learns(&["write:data"]);
        tree.note("data/new", OPEN, read).note("data/new", FileUse::Change, 0).learns(&[]);
        tree.note("data/none/new", FileUse::MakeDirectory, 0).learns(&[]);
        tree.note("data/new", FileUse::MakeDirectory, 0).learns(&["write:data"]);
        tree.note("data/inner", FileUse::MakeDirectory, 0).learns(&["read:data/inner"]);
        tree.note("data/file", FileUse::Look, 0).learns(&["read:data"]);
        tree.note("data/inner/../file", FileUse::Change, 0).learns(&["write:data"]);
        tree.note("data", OPEN, libc::O_TMPFILE | libc::O_RDWR).learns(&["write:data"]);
        // A link must be there as well as what it leads to.
        tree.note("data/link", OPEN, read).learns(&["read:data", "read:other"]);
        tree.note("data/link", FileUse::LookAtLink, 0).learns(&["read:data"]);
        tree.needs.note(Path::new("/dev/null"), OPEN, write, &tree.shown, &tree.places);
        tree.learns(&[]);
    }

    #[test]
    fn what_is_covered_is_left_out() {
        let mut tree = tree();
        tree.note("data/file", OPEN, 0).note("data/inner/file", OPEN, 0).learns(&["read:data"]);
        tree.note("data/file", OPEN, 0)
            .note("data/inner/new", FileUse::Make, 0)
            .learns(&["read:data", "write:data/inner"]);
        // What holds a granted directory is there, and so is what lies in one.
        tree.note("data/inner/file", OPEN, 0).note("data", FileUse::Look, 0).learns(&["read:data/inner"]);
        tree.note("data/inner", FileUse::Look, 0).note("data", FileUse::Look, 0).learns(&["read:data/inner"]);
    }

    #[test]
    fn what_nobody_may_have_is_told() {
        let mut tree = tree();
        tree.note("home/.ssh/key", OPEN, 0).note("home/.ssh", FileUse::Look, 0).note("system/new", FileUse::Make, 0);
        let refused: Vec<&String> = tree.needs.refused().collect();
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].starts_with("change ") && refused[0].contains("of the system"), "{refused:?}");
        assert!(refused[1].starts_with("read ") && refused[1].ends_with("keys are kept there"), "{refused:?}");
        tree.learns(&[]);
    }

    #[test]
    fn there_are_no_more_than_a_plugin_can_have() {
        let mut tree = tree();
        for number in 0..=DIRECTORIES_MAX {
            let inner = format!("data/{}/{number}", number % 2);
            fs::create_dir_all(tree.root.join(&inner)).unwrap();
            tree.note(&inner, OPEN, libc::O_DIRECTORY);
        }
        let found = tree.needs.smallest(&tree.places);
        assert!(found.len() <= DIRECTORIES_MAX, "{found:?}");
        assert!(
            found.iter().all(|scope| scope.directory.as_deref().is_some_and(|d| d.starts_with(tree.root.join("data"))))
        );
    }
}

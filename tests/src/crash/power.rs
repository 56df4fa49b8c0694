//! What the disk can hold after the power went, for every moment of a run: a model of a file system, after ALICE (Pillai et al.,
//! OSDI 2014) and CrashMonkey (Mohan et al., OSDI 2018), fed with the recorded system calls.
//!
//! # What is durable
//!
//! The content, size and mode of a file once it was synced after the change. A name once its folder was synced after the change;
//! a renamed name is in its old place or in its new one, never in both and never in none, until its new folder was synced. Syncing
//! a file says nothing about its name, and syncing a folder nothing about the files in it. That is less than any file system of
//! Linux promises, so what holds here holds there.
//!
//! # What is built
//!
//! The power goes before each sync, and after the last call; what is pending then grows from one sync to the next, so that every
//! moment in between is among the choices. Of n pending changes of names, each subset is taken where n is at most 4; else none,
//! all, each beginning, and all and none but one. Together with each of these, files with pending changes have none of them, all,
//! zeros in place of what was written, or the first half; and each file alone has none while the others have all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::syscall::Change;
use super::tracer::Call;
use super::tree::{Content as Bytes, Node as Kept, Tree};

/// Of more pending changes of names than this, not each subset is built.
const SUBSETS_MAX: usize = 4;
/// The folder itself.
const ROOT: usize = 0;
/// Bits that the umask of the tests takes.
const UMASK: u32 = 0o022;

/// The disks that were built, each with whether success was printed before.
type Seen = BTreeSet<(bool, Vec<(String, Held)>)>;

/// A disk that the power left.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) tree: Tree,
    /// Whether success was printed before.
    pub(super) said: bool,
    /// When, and what was lost.
    pub(super) shown: String,
}

/// Every disk that a run can leave when the power goes, each once.
pub(super) fn losses(before: &Tree, folder: &Path, calls: &[Call]) -> Vec<Loss> {
    let mut disk = Disk::new(before);
    let (mut losses, mut seen, mut said) = (Vec::new(), BTreeSet::new(), false);
    let done = |call: &&Call| call.result.is_some_and(|result| result >= 0);
    for call in calls.iter().filter(done) {
        if call.change.is_sync() {
            disk.collect(&format!("before {}", call.shown()), said, &mut seen, &mut losses);
        }
        said |= call.change == Change::Said;
        disk.apply(folder, &call.change);
    }
    disk.collect("at the end", said, &mut seen, &mut losses);
    losses
}

/// A file or folder.
#[derive(Debug)]
struct Node {
    is_folder: bool,
    mode: u32,
    data: Arc<Bytes>,
    pending: Vec<Content>,
    /// How often pending changes became durable.
    version: usize,
}

/// A change of a file that was not synced yet.
#[derive(Debug)]
enum Content {
    Write(usize, Vec<u8>),
    Size(usize),
    Mode(u32),
}

type Name = (usize, String);

/// A change of names that was not synced yet.
#[derive(Debug)]
struct Naming {
    /// The folder whose sync makes it durable.
    folder: usize,
    removes: Option<Name>,
    adds: Option<(Name, usize)>,
    /// What changed places with that.
    exchanges: Option<(Name, usize)>,
}

/// What becomes of the pending changes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Lost,
    Kept,
    Zeros,
    Half,
    /// That of this number is lost, the others are kept.
    LostAlone(usize),
}

struct Disk {
    nodes: Vec<Node>,
    /// As the running program sees it.
    names: BTreeMap<Name, usize>,
    /// What is durable.
    durable: BTreeMap<Name, usize>,
    pending: Vec<Naming>,
    /// Files that were built already: most disks share most of theirs.
    built: BTreeMap<Held, Kept>,
}

/// Tells what a file holds, without building it: which one, how often and how much of it was changed, and what became of that.
type Held = (usize, usize, usize, Fate);

impl Disk {
    fn new(before: &Tree) -> Self {
        let root = Node::new(true, 0o755, Bytes::new(Vec::new()));
        let (nodes, pending) = (vec![root], Vec::new());
        let (names, durable) = (BTreeMap::new(), BTreeMap::new());
        let mut disk = Self { nodes, names, durable, pending, built: BTreeMap::new() };
        for (path, kept) in before.nodes() {
            let (folder, name) = disk.place(Path::new(path)).expect("a folder comes before what is in it");
            let data = kept.content.clone().unwrap_or_else(|| Bytes::new(Vec::new()));
            disk.nodes.push(Node::new(kept.content.is_none(), kept.mode, data));
            disk.names.insert((folder, name), disk.nodes.len() - 1);
        }
        disk.durable.clone_from(&disk.names);
        disk
    }

    /// The folder of a path and the name in it; `None` where there is no such folder.
    fn place(&self, path: &Path) -> Option<Name> {
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some((self.find(path.parent()?)?, name))
    }

    fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(ROOT, |node, name| self.names.get(&(node, name.to_string_lossy().into_owned())).copied())
    }

    fn apply(&mut self, folder: &Path, change: &Change) {
        let Some(path) = change.path().and_then(|path| path.strip_prefix(folder).ok()) else { return };
        match change {
            Change::Open { creates, truncates, mode, .. } => {
                if *creates {
                    self.make(path, false, *mode);
                } else if *truncates {
                    self.change(path, Content::Size(0));
                }
            }
            Change::Mkdir { mode, .. } => self.make(path, true, *mode),
            Change::Write { offset, data, .. } => {
                self.change(path, Content::Write(usize::try_from(*offset).unwrap_or(usize::MAX), data.clone()));
            }
            Change::Truncate { size, .. } => {
                self.change(path, Content::Size(usize::try_from(*size).unwrap_or(usize::MAX)));
            }
            Change::Chmod { mode, .. } => self.change(path, Content::Mode(*mode)),
            Change::Rename { from, .. } => {
                let from = from.strip_prefix(folder).ok().and_then(|from| self.place(from));
                let Some((from, node)) = from.and_then(|from| Some((from.clone(), *self.names.get(&from)?))) else {
                    return;
                };
                self.name(path, Some(from), Some(node));
            }
            Change::Exchange { from, to: _ } => {
                let from = from.strip_prefix(folder).ok().and_then(|from| self.place(from));
                let names = from.zip(self.place(path));
                let Some((from, to)) = names else { return };
                let (Some(&one), Some(&other)) = (self.names.get(&from), self.names.get(&to)) else { return };
                let naming =
                    Naming { folder: to.0, removes: None, adds: Some((to, one)), exchanges: Some((from, other)) };
                naming.apply(&mut self.names);
                self.pending.push(naming);
            }
            Change::Link { from, .. } => {
                let node = from.strip_prefix(folder).ok().and_then(|from| self.find(from));
                self.name(path, None, node);
            }
            Change::Remove { .. } => {
                let gone = self.place(path);
                self.name(path, gone, None);
            }
            Change::Sync { .. } => self.sync(path),
            Change::Close { .. } | Change::Owner { .. } | Change::Said | Change::Other { .. } => {}
        }
    }

    fn make(&mut self, path: &Path, is_folder: bool, mode: u32) {
        self.nodes.push(Node::new(is_folder, mode & !UMASK, Bytes::new(Vec::new())));
        self.name(path, None, Some(self.nodes.len() - 1));
    }

    fn change(&mut self, path: &Path, content: Content) {
        if let Some(node) = self.find(path) {
            self.nodes[node].pending.push(content);
        }
    }

    /// A change of the names in the folder of a path, and in that of a name that goes.
    fn name(&mut self, path: &Path, removes: Option<Name>, adds: Option<usize>) {
        let Some(place) = self.place(path) else { return };
        let naming = Naming { folder: place.0, removes, adds: adds.map(|node| (place, node)), exchanges: None };
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    fn sync(&mut self, path: &Path) {
        let Some(at) = self.find(path) else { return };
        let node = &mut self.nodes[at];
        node.version += usize::from(!node.pending.is_empty());
        if !node.pending.is_empty() {
            let mut data = node.data.bytes.clone();
            for content in std::mem::take(&mut node.pending) {
                content.apply(&mut data, &mut node.mode);
            }
            node.data = Bytes::new(data);
        }
        let mut pending: Vec<Naming> = Vec::new();
        for naming in std::mem::take(&mut self.pending) {
            if naming.folder != at {
                pending.push(naming);
                continue;
            }
            // What was made under a name that is gone for good cannot appear under it later.
            for earlier in &mut pending {
                let gone = naming.removes.iter().chain(naming.exchanges.as_ref().map(|(name, _)| name));
                earlier.adds.take_if(|(name, _)| gone.clone().any(|gone| gone == name));
            }
            pending
                .retain(|earlier| earlier.adds.is_some() || earlier.removes.is_some() || earlier.exchanges.is_some());
            naming.apply(&mut self.durable);
        }
        self.pending = pending;
    }

    /// Every disk that is possible now and was not before.
    fn collect(&mut self, when: &str, said: bool, seen: &mut Seen, losses: &mut Vec<Loss>) {
        let changed: Vec<usize> = (0..self.nodes.len()).filter(|at| !self.nodes[*at].pending.is_empty()).collect();
        let mut fates = vec![Fate::Lost, Fate::Kept, Fate::Zeros, Fate::Half];
        if changed.len() > 1 {
            fates.extend(changed.iter().map(|at| Fate::LostAlone(*at)));
        }
        for kept in subsets(self.pending.len()) {
            let mut names = self.durable.clone();
            let chosen = self.pending.iter().zip(&kept).filter(|(_, is_kept)| **is_kept);
            chosen.for_each(|(naming, _)| naming.apply(&mut names));
            let reached = reached(&names);
            for fate in &fates {
                let key = reached.iter().map(|(path, node)| (path.clone(), self.held(*node, *fate))).collect();
                if seen.insert((said, key)) {
                    let tree = reached.iter().map(|(path, node)| (path.clone(), self.kept(*node, *fate)));
                    let shown = format!("{when}, names {kept:?}, contents {fate:?}");
                    losses.push(Loss { tree: Tree::of(tree.collect()), said, shown });
                }
            }
        }
    }

    fn held(&self, at: usize, fate: Fate) -> Held {
        let node = &self.nodes[at];
        let fate = if node.pending.is_empty() { Fate::Lost } else { fate.of(at) };
        (at, node.version, node.pending.len(), fate)
    }

    fn kept(&mut self, at: usize, fate: Fate) -> Kept {
        let held = self.held(at, fate);
        let node = &self.nodes[at];
        self.built.entry(held).or_insert_with(|| node.kept(held.3)).clone()
    }
}

impl Node {
    fn new(is_folder: bool, mode: u32, data: Arc<Bytes>) -> Self {
        Self { is_folder, mode, data, pending: Vec::new(), version: 0 }
    }

    fn kept(&self, fate: Fate) -> Kept {
        let changes = match fate {
            Fate::Lost | Fate::LostAlone(_) => &[],
            Fate::Kept | Fate::Zeros => &self.pending[..],
            Fate::Half => &self.pending[..self.pending.len().div_ceil(2)],
        };
        if changes.is_empty() {
            return Kept { mode: self.mode, content: (!self.is_folder).then(|| Arc::clone(&self.data)) };
        }
        let (mut data, mut mode) = (self.data.bytes.clone(), self.mode);
        for (number, change) in changes.iter().enumerate() {
            match (change, fate) {
                (Content::Write(offset, bytes), Fate::Zeros) => write(&mut data, *offset, &vec![0; bytes.len()]),
                (Content::Write(offset, bytes), Fate::Half) if number + 1 == changes.len() => {
                    write(&mut data, *offset, &bytes[..bytes.len() / 2]);
                }
                (change, _) => change.apply(&mut data, &mut mode),
            }
        }
        Kept { mode, content: (!self.is_folder).then(|| Bytes::new(data)) }
    }
}

impl Fate {
    /// What becomes of one file.
    fn of(self, at: usize) -> Self {
        match self {
            Self::LostAlone(lost) if lost == at => Self::Lost,
            Self::LostAlone(_) => Self::Kept,
            fate => fate,
        }
    }
}

impl Content {
    fn apply(&self, data: &mut Vec<u8>, mode: &mut u32) {
        match self {
            Self::Write(offset, bytes) => write(data, *offset, bytes),
            Self::Size(size) => data.resize(*size, 0),
            Self::Mode(new) => *mode = *new,
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<Name, usize>) {
        if let Some(name) = &self.removes {
            names.remove(name);
        }
        for (name, node) in self.adds.iter().chain(&self.exchanges) {
            names.insert(name.clone(), *node);
        }
    }
}

fn write(data: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    data.resize(data.len().max(offset + bytes.len()), 0);
    data[offset..offset + bytes.len()].copy_from_slice(bytes);
}

/// Every path that leads from the root to a node.
fn reached(names: &BTreeMap<Name, usize>) -> BTreeMap<String, usize> {
    let mut paths = BTreeMap::new();
    let mut todo = vec![(String::new(), ROOT)];
    while let Some((path, node)) = todo.pop() {
        for ((_, name), inner) in names.range((node, String::new())..(node + 1, String::new())) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            todo.push((path.clone(), *inner));
            paths.insert(path, *inner);
        }
    }
    paths
}

/// Which of some changes are kept, as the head of this file says.
fn subsets(count: usize) -> BTreeSet<Vec<bool>> {
    if count <= SUBSETS_MAX {
        return (0..1usize << count).map(|bits| (0..count).map(|at| bits >> at & 1 == 1).collect()).collect();
    }
    let beginnings = (0..=count).map(|end| (0..count).map(|at| at < end).collect());
    let alone = |kept: bool| (0..count).map(move |one| (0..count).map(|at| (at == one) == kept).collect());
    beginnings.chain(alone(true)).chain(alone(false)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn done(change: Change) -> Call {
        Call { name: "call", change, result: Some(0) }
    }

    fn replace(syncs: bool) -> Vec<Call> {
        let path = |name: &str| PathBuf::from("/f").join(name);
        let sync = |name: &str| done(Change::Sync { inode: 1, path: path(name) });
        let mut calls = vec![
            done(Change::Open { path: path("new"), creates: true, truncates: false, mode: 0o600 }),
            done(Change::Write { inode: 1, path: path("new"), offset: 0, data: b"new!".to_vec() }),
        ];
        calls.extend(syncs.then(|| sync("new")));
        calls.push(done(Change::Rename { from: path("new"), to: path("state"), replaces: true }));
        calls.push(sync(""));
        calls.push(done(Change::Said));
        calls
    }

    fn states(calls: &[Call]) -> BTreeSet<(bool, Vec<u8>)> {
        let old = Kept { mode: 0o600, content: Some(Bytes::new(b"old".to_vec())) };
        let before = Tree::of(BTreeMap::from([("state".to_owned(), old)]));
        let state = |tree: &Tree| tree.nodes()["state"].content.as_ref().unwrap().bytes.clone();
        losses(&before, Path::new("/f"), calls).iter().map(|loss| (loss.said, state(&loss.tree))).collect()
    }

    #[test]
    fn a_missing_sync_is_seen() {
        let kept = |said: bool, text: &str| (said, text.as_bytes().to_vec());
        assert_eq!(states(&replace(true)), [kept(false, "old"), kept(false, "new!"), kept(true, "new!")].into());
        let torn = states(&replace(false));
        for (said, text) in [(true, ""), (true, "\0\0\0\0"), (true, "ne"), (false, "old"), (true, "new!")] {
            assert!(torn.contains(&kept(said, text)), "{text:?} in {torn:?}");
        }
        // Without the last sync, what was reported need not be there.
        let mut calls = replace(true);
        calls.remove(4);
        assert!(states(&calls).contains(&kept(true, "old")));
    }

    #[test]
    fn what_was_moved_on_stays_away() {
        let path = |name: &str| PathBuf::from("/f").join(name);
        let calls = [
            done(Change::Mkdir { path: path("a"), mode: 0o700 }),
            done(Change::Mkdir { path: path("b"), mode: 0o700 }),
            done(Change::Sync { inode: 1, path: path("") }),
            done(Change::Mkdir { path: path("a/x"), mode: 0o700 }),
            done(Change::Rename { from: path("a/x"), to: path("b/y"), replaces: false }),
            done(Change::Sync { inode: 2, path: path("b") }),
            done(Change::Sync { inode: 3, path: path("a") }),
            done(Change::Said),
        ];
        let losses = losses(&Tree::of(BTreeMap::new()), Path::new("/f"), &calls);
        let names = |tree: &Tree| tree.nodes().keys().cloned().collect::<Vec<_>>();
        assert!(losses.iter().any(|loss| names(&loss.tree) == ["a", "a/x", "b"]));
        assert!(losses.iter().any(|loss| names(&loss.tree) == ["a", "b", "b/y"]));
        assert!(losses.iter().all(|loss| !loss.said || names(&loss.tree) == ["a", "b", "b/y"]));
    }

    #[test]
    fn what_changed_places_is_there_before_and_after() {
        let path = |name: &str| PathBuf::from("/f").join(name);
        let sync = |name: &str| done(Change::Sync { inode: 1, path: path(name) });
        let calls = [
            done(Change::Mkdir { path: path("a"), mode: 0o700 }),
            done(Change::Mkdir { path: path("b"), mode: 0o700 }),
            done(Change::Mkdir { path: path("b/old"), mode: 0o700 }),
            done(Change::Mkdir { path: path("b/old/1"), mode: 0o700 }),
            sync("b/old"),
            sync("b"),
            sync(""),
            done(Change::Mkdir { path: path("a/new"), mode: 0o700 }),
            done(Change::Mkdir { path: path("a/new/2"), mode: 0o700 }),
            sync("a/new"),
            done(Change::Exchange { from: path("a/new"), to: path("b/old") }),
            sync("b"),
            sync("a"),
            done(Change::Said),
        ];
        let losses = losses(&Tree::of(BTreeMap::new()), Path::new("/f"), &calls);
        let names = |tree: &Tree| tree.nodes().keys().cloned().collect::<Vec<_>>().join(" ");
        let seen: BTreeSet<(bool, String)> = losses.iter().map(|loss| (loss.said, names(&loss.tree))).collect();
        assert!(seen.contains(&(true, "a a/new a/new/1 b b/old b/old/2".to_owned())), "{seen:?}");
        assert!(seen.contains(&(false, "a b b/old b/old/1".to_owned())), "{seen:?}");
        let once_there = seen.iter().filter(|(_, names)| names.contains("/1") || names.contains("/2"));
        assert!(once_there.clone().all(|(_, names)| names.contains("b/old")), "{seen:?}");
        assert_eq!(seen.iter().filter(|(said, _)| *said).count(), 1, "{seen:?}");
    }

    #[test]
    fn a_few_changes_are_combined_and_many_sampled() {
        assert_eq!(subsets(4).len(), 16);
        assert_eq!(subsets(10).len(), 11 + 10 + 10 - 2);
    }
}

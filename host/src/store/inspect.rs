//! Looking at every tree, file by file: whether it is what its digest promises, no more and no less, and nobody else's.

use std::collections::BTreeMap;

use super::dir::{Dir, FROZEN_DIR, FROZEN_FILE, Facts, Kind, PRIVATE_DIR};
use super::error::StoreError;
use super::home::{Home, STORE};
use super::root::Root;
use super::state::State;
use super::tree::{FILES, INDEX, SIGNATURE, inner_directories, read_file};
use super::writer::{LEFTOVERS, LOCK_DEADLINE, lock};
use crate::ids::Digest;
use crate::package::{INDEX_MAX, Index, SIGNATURE_LEN, Signature};

/// Something in the store that is not as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where, below the home directory.
    pub path: String,
    /// The tree that it concerns.
    pub tree: Option<Digest>,
    /// What is wrong.
    pub kind: FlawKind,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlawKind {
    /// It is not what was installed, or is gone.
    Damaged(String),
    /// It has so many names, and can be changed through each of them.
    Linked(u64),
    /// Nobody put it there.
    Extra,
    /// Its mode is another one.
    Mode {
        /// The mode that it has.
        found: u32,
        /// The mode that it should have.
        wanted: u32,
    },
    /// No plugin needs it; an interrupted command left it.
    Leftover,
}

/// Everything that was found.
#[derive(Debug)]
pub struct Inspection {
    /// The state, or why it cannot be read.
    pub state: Result<State, StoreError>,
    /// The trees that were read.
    pub present: Vec<Digest>,
    /// How many files were compared.
    pub files: usize,
    /// What is wrong, in the order of paths.
    pub flaws: Vec<Flaw>,
}

impl Flaw {
    /// Whether a file has another name as well, through which it can be changed.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        matches!(self.kind, FlawKind::Linked(_))
    }
}

impl Home {
    /// Reads every byte in the store and changes nothing; nobody else changes anything meanwhile.
    ///
    /// # Errors
    /// Another process holds the lock for too long, or a directory of the store cannot be listed.
    pub fn inspect(&self) -> Result<Inspection, StoreError> {
        if self.root.there()?.is_none() {
            return Ok(Inspection { state: Ok(State::default()), present: Vec::new(), files: 0, flaws: Vec::new() });
        }
        let _lock = lock(self, LOCK_DEADLINE)?;
        let state = self.read_whole();
        let mut found = Inspection { state, present: Vec::new(), files: 0, flaws: Vec::new() };
        found.look_at_leftovers(&self.root)?;
        found.look_at_trees(&self.root)?;
        found.flaws.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }
}

impl Inspection {
    fn note(&mut self, path: String, tree: Option<&Digest>, kind: FlawKind) {
        self.flaws.push(Flaw { path, tree: tree.copied(), kind });
    }

    fn look_at_leftovers(&mut self, root: &Root) -> Result<(), StoreError> {
        for folder in LEFTOVERS {
            let Some(inside) = root.open(folder)? else { continue };
            for name in inside.names()? {
                self.note(format!("{folder}/{}", name.to_string_lossy()), None, FlawKind::Leftover);
            }
        }
        for name in root.names()? {
            let name = name.to_string_lossy();
            if name.starts_with("state.") {
                self.note(name.into_owned(), None, FlawKind::Leftover);
            }
        }
        Ok(())
    }

    fn look_at_trees(&mut self, root: &Root) -> Result<(), StoreError> {
        // Without a state every tree may be one that is needed.
        let needed = self.state.as_ref().ok().map(State::trees).transpose()?;
        let mut missing = needed.clone().unwrap_or_default();
        if let Some(store) = root.open(STORE)? {
            for name in store.names()? {
                let path = format!("{STORE}/{}", name.to_string_lossy());
                match name.to_str().and_then(|name| name.parse::<Digest>().ok()) {
                    Some(digest) if needed.as_ref().is_none_or(|needed| needed.contains(&digest)) => {
                        missing.remove(&digest);
                        self.look_at_tree(&store, &digest, &path);
                    }
                    _ => self.note(path, None, FlawKind::Leftover),
                }
            }
        }
        for digest in missing {
            let gone = FlawKind::Damaged("it is gone".to_owned());
            self.note(format!("{STORE}/{digest}"), Some(&digest), gone);
        }
        Ok(())
    }

    fn look_at_tree(&mut self, store: &Dir, digest: &Digest, path: &str) {
        self.present.push(*digest);
        if let Err(error) = self.compare(store, digest, path) {
            let why = match error {
                StoreError::Integrity { why, .. } => why,
                other => other.to_string(),
            };
            self.note(path.to_owned(), Some(digest), FlawKind::Damaged(why));
        }
    }

    /// An error is one that keeps the rest of the tree from being looked at.
    fn compare(&mut self, store: &Dir, digest: &Digest, path: &str) -> Result<(), StoreError> {
        let damaged = |why: &str| StoreError::Integrity { digest: *digest, why: why.to_owned() };
        let name = digest.to_string();
        let facts = store.facts(&name)?.ok_or_else(|| damaged("it is gone"))?;
        self.compare_facts(&facts, FROZEN_DIR, path, digest);
        let tree = store.open(&name)?.ok_or_else(|| damaged("it is gone"))?;
        let index_text = tree.read(INDEX, INDEX_MAX)?.ok_or_else(|| damaged("its index is missing"))?;
        if Digest::of(&index_text) != *digest {
            return Err(damaged("its index was changed"));
        }
        let index = Index::parse(&index_text).map_err(|error| damaged(&error.to_string()))?;
        let signature = tree.read(SIGNATURE, SIGNATURE_LEN)?;
        if signature.as_deref().is_some_and(|text| Signature::parse(text).is_err()) {
            self.note(format!("{path}/{SIGNATURE}"), Some(digest), FlawKind::Damaged("it was changed".to_owned()));
        }
        self.walk(&tree, "", &expected(&index), (digest, path))?;
        let files = tree.open(FILES)?.ok_or_else(|| damaged("its files are missing"))?;
        for entry in &index.files {
            self.files += 1;
            match read_file(&files, entry, digest) {
                Ok(_) => {}
                Err(StoreError::Integrity { why, .. }) => {
                    let why = why.strip_prefix(&entry.path).unwrap_or(&why).trim_start().to_owned();
                    self.note(format!("{path}/{FILES}/{}", entry.path), Some(digest), FlawKind::Damaged(why));
                }
                // Its mode says the same already.
                Err(StoreError::Insecure { .. }) if self.has_flaw(&format!("{path}/{FILES}/{}", entry.path)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn has_flaw(&self, path: &str) -> bool {
        self.flaws.iter().any(|flaw| flaw.path == path)
    }

    fn walk(&mut self, dir: &Dir, below: &str, expected: &Expected, at: (&Digest, &str)) -> Result<(), StoreError> {
        let (digest, root) = at;
        for name in dir.names()? {
            let inner = format!("{below}{}", name.to_string_lossy());
            let path = format!("{root}/{inner}");
            let Some(facts) = dir.facts(&name)? else { continue };
            match expected.get(&inner) {
                Some(Kind::Directory) if facts.kind == Kind::Directory => {
                    self.compare_facts(&facts, FROZEN_DIR, &path, digest);
                    if let Some(next) = dir.open(&name)? {
                        self.walk(&next, &format!("{inner}/"), expected, at)?;
                    }
                }
                Some(Kind::File) if facts.kind == Kind::File => {
                    self.compare_facts(&facts, FROZEN_FILE, &path, digest);
                    if facts.links != 1 {
                        self.note(path, Some(digest), FlawKind::Linked(facts.links));
                    }
                }
                Some(_) => self.note(path, Some(digest), FlawKind::Damaged("it is of another kind".to_owned())),
                None => self.note(path, Some(digest), FlawKind::Extra),
            }
        }
        Ok(())
    }

    fn compare_facts(&mut self, facts: &Facts, wanted: u32, path: &str, digest: &Digest) {
        if facts.mode != wanted {
            self.note(path.to_owned(), Some(digest), FlawKind::Mode { found: facts.mode, wanted });
        }
    }
}

/// What a tree holds, by path.
type Expected = BTreeMap<String, Kind>;

fn expected(index: &Index) -> Expected {
    let top = [(INDEX, Kind::File), (SIGNATURE, Kind::File), (FILES, Kind::Directory)];
    let top = top.into_iter().map(|(name, kind)| (name.to_owned(), kind));
    let directories = inner_directories(index).into_iter().map(|name| (format!("{FILES}/{name}"), Kind::Directory));
    let files = index.files.iter().map(|entry| (format!("{FILES}/{}", entry.path), Kind::File));
    top.chain(directories).chain(files).collect()
}

/// Gives a tree back the modes that it should have and takes away what does not belong there. Its content is not looked
/// at: nothing of what it should hold is changed.
pub(super) fn mend(store: &Dir, digest: &Digest) -> Result<(), StoreError> {
    let name = digest.to_string();
    store.make_movable(&name)?;
    let Some(tree) = store.open(&name)? else { return Err(StoreError::Gone { digest: *digest }) };
    // One that others could write to would not be read; its digest tells whether they did.
    tree.set_mode_of(INDEX, FROZEN_FILE)?;
    let text = tree.read(INDEX, INDEX_MAX)?.unwrap_or_default();
    let index =
        Index::parse(&text).map_err(|error| StoreError::Integrity { digest: *digest, why: error.to_string() })?;
    mend_below(&tree, "", &expected(&index))
}

fn mend_below(dir: &Dir, below: &str, expected: &Expected) -> Result<(), StoreError> {
    for name in dir.names()? {
        let inner = format!("{below}{}", name.to_string_lossy());
        match (expected.get(&inner), dir.facts(&name)?.map(|facts| facts.kind)) {
            (Some(Kind::Directory), Some(Kind::Directory)) => {
                dir.set_mode_of(&name, PRIVATE_DIR)?;
                if let Some(next) = dir.open(&name)? {
                    mend_below(&next, &format!("{inner}/"), expected)?;
                }
            }
            (Some(Kind::File), Some(Kind::File)) => dir.set_mode_of(&name, FROZEN_FILE)?,
            (Some(_), _) => {}
            (None, _) => dir.remove_all(&name)?,
        }
    }
    dir.freeze()
}

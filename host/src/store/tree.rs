//! Installed trees: written once under a random name, moved into place under their digest, read whole and compared.
//!
//! A tree holds `index`, `index.sig` (unless it is not signed) and `files/`.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use migraine_plugin_api::Manifest;

use super::dir::{Dir, FROZEN_FILE};
use super::error::StoreError;
use crate::controls::{Check, makes};
use crate::ids::{Digest, to_hex};
use crate::package::{
    FileEntry, INDEX_MAX, Index, Package, PackageError, SIGNATURE_LEN, Signature, elf, manifest, scripts,
};
use crate::sys::memory::{Room, Sealed, seal};

pub(super) const INDEX: &str = "index";
pub(super) const SIGNATURE: &str = "index.sig";
pub(super) const FILES: &str = "files";

/// A tree that was read whole and is what its digest promises.
#[derive(Debug, Clone)]
pub struct InstalledTree {
    /// The digest of the index text.
    pub digest: Digest,
    /// The text that was signed.
    pub index_text: Vec<u8>,
    /// The same, read.
    pub index: Index,
    /// To be judged again.
    pub signature: Option<Signature>,
    /// In index order.
    files: Vec<(FileEntry, Content)>,
}

/// The bytes of an installed file.
#[derive(Debug, Clone)]
enum Content {
    Plain(Vec<u8>),
    /// Those of a library: what was compared is what a worker maps, without another copy.
    Sealed(Arc<Sealed>),
}

impl Content {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Sealed(sealed) => sealed,
        }
    }
}

impl InstalledTree {
    /// The bytes of the library; of scripts, those of the manifest.
    #[must_use]
    pub fn library(&self) -> &[u8] {
        self.entry().map(Content::bytes).unwrap_or_default()
    }

    /// The same in a sealed file (memfd_create(2)).
    ///
    /// # Errors
    /// No descriptor or memory is left.
    pub fn sealed_library(&self) -> io::Result<OwnedFd> {
        match self.entry() {
            Some(Content::Sealed(sealed)) => sealed.to_fd(),
            other => seal(other.map(Content::bytes).unwrap_or_default()),
        }
    }

    fn entry(&self) -> Option<&Content> {
        let found = self.files.iter().find(|(entry, _)| entry.path == self.index.entry);
        found.map(|(_, content)| content)
    }

    /// A copy of every file, in index order.
    #[must_use]
    pub fn files(&self) -> Vec<(FileEntry, Vec<u8>)> {
        self.files.iter().map(|(entry, content)| (entry.clone(), content.bytes().to_vec())).collect()
    }

    /// The manifest: what the entry is, or what the library holds. To be called only once the signature was judged.
    ///
    /// # Errors
    /// It is not valid; what was installed was.
    pub fn manifest(&self) -> Result<Manifest, PackageError> {
        if self.index.holds_scripts() {
            return scripts::read_manifest(&self.index.entry, self.library());
        }
        manifest::parse(&elf::inspect(self.library())?.manifest)
    }

    /// Path and content of every file.
    pub fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(entry, content)| (entry.path.as_str(), content.bytes()))
    }
}

/// Writes a tree and moves it into the store. It stays unreferenced, and so without effect, until a commit names it.
/// `go_on` is asked between two files.
pub(super) fn add(
    staging: &Dir,
    store: &Dir,
    package: &Package,
    go_on: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let name = random_name()?;
    let moved = stage(staging, &name, package, go_on).and_then(|tree| publish(staging, &name, store, package, &tree));
    if moved.is_err() {
        // On a full disk the next attempt needs the space; what cannot be removed now, the next writer removes.
        let _ = staging.remove_all(&name);
    }
    moved
}

/// Writes a tree and puts it in the place of a damaged one, which is there. Both are there at any moment, but on a file system
/// that cannot exchange two names.
pub(super) fn replace(
    (staging, trash): (&Dir, &Dir),
    store: &Dir,
    package: &Package,
    go_on: &dyn Fn() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (name, target) = (random_name()?, package.digest.to_string());
    let replaced = stage(staging, &name, package, go_on).and_then(|tree| {
        store.make_movable(&target)?;
        if !staging.exchange(&name, store, &target)? {
            return replace_in_two(staging, trash, &name, store, package, &tree);
        }
        tree.freeze()?;
        store.sync()?;
        staging.sync()
    });
    // Whichever of the two it is by now.
    let removed = staging.remove_all(&name);
    replaced.and(removed)
}

/// Whoever is stopped in between leaves none in that place. The state still names it, so that the next repair puts it there.
fn replace_in_two(
    staging: &Dir,
    trash: &Dir,
    name: &str,
    store: &Dir,
    package: &Package,
    tree: &Dir,
) -> Result<(), StoreError> {
    let (target, aside) = (package.digest.to_string(), random_name()?);
    store.move_new(&target, trash, &aside)?;
    if let Err(error) = publish(staging, name, store, package, tree) {
        // A damaged one is more than none; where the new one is in its place by now, this is refused.
        let _ = trash.move_new(&aside, store, &target);
        return Err(error);
    }
    trash.remove_all(&aside)
}

fn stage(
    staging: &Dir,
    name: &str,
    package: &Package,
    go_on: &dyn Fn() -> Result<(), StoreError>,
) -> Result<Dir, StoreError> {
    let tree = staging.make(name)?;
    tree.write_new(INDEX, &package.index_text, FROZEN_FILE)?;
    if let Some(signature) = &package.signature {
        tree.write_new(SIGNATURE, signature.render().as_bytes(), FROZEN_FILE)?;
    }
    let files = tree.make(FILES)?;
    for (entry, content) in &package.files {
        go_on()?;
        let (directory, name) = entry.path.rsplit_once('/').map_or(("", entry.path.as_str()), |split| split);
        match descend(&files, directory, true)? {
            Some(inner) => inner.write_new(name, content, FROZEN_FILE)?,
            None => files.write_new(name, content, FROZEN_FILE)?,
        }
    }
    // Bottom-up: a directory's names are durable before the directory's own name is.
    for directory in inner_directories(&package.index).iter().rev() {
        if let Some(inner) = descend(&files, directory, false)? {
            inner.freeze()?;
        }
    }
    files.freeze()?;
    tree.sync()?;
    Ok(tree)
}

/// The top stays writable until it is in its place: moving a directory to another parent changes its `..` entry.
fn publish(staging: &Dir, name: &str, store: &Dir, package: &Package, tree: &Dir) -> Result<(), StoreError> {
    let target = package.digest.to_string();
    if staging.move_new(name, store, &target)? {
        tree.freeze()?;
        store.sync()?;
        return staging.sync();
    }
    staging.remove_all(name)?;
    let found = load(store, &package.digest)?;
    if found.signature != package.signature {
        let why = "it is installed already, with another signature".to_owned();
        return Err(StoreError::Integrity { digest: package.digest, why });
    }
    // Whoever wrote it may have been stopped before these.
    if let Some(found) = store.open(&target)? {
        found.freeze()?;
    }
    store.sync()
}

/// Every directory that holds a file, parents first.
pub(super) fn inner_directories(index: &Index) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for file in index.own_files() {
        let mut rest = file.path.as_str();
        while let Some((directory, _)) = rest.rsplit_once('/') {
            found.insert(directory);
            rest = directory;
        }
    }
    found
}

/// The directory of a relative path, one component after the other; `None` for the start itself or a missing one.
fn descend(start: &Dir, path: &str, make: bool) -> Result<Option<Dir>, StoreError> {
    let mut current: Option<Dir> = None;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let parent = current.as_ref().unwrap_or(start);
        current = if make { Some(parent.open_or_make(part)?) } else { parent.open(part)? };
        if current.is_none() {
            return Ok(None);
        }
    }
    Ok(current)
}

/// Reads a tree and compares every byte.
pub(super) fn load(store: &Dir, digest: &Digest) -> Result<InstalledTree, StoreError> {
    load_into(store, digest, None)
}

/// As [`load`]; its library goes to the room that there is for it.
pub(super) fn load_into(store: &Dir, digest: &Digest, mut room: Option<Room>) -> Result<InstalledTree, StoreError> {
    let damaged = |why: String| StoreError::Integrity { digest: *digest, why };
    let tree = store.open(digest.to_string())?.ok_or(StoreError::Gone { digest: *digest })?;
    // A file that outgrew its limit was changed like any other.
    let read = |name: &str, limit| match tree.read(name, limit) {
        Err(StoreError::Io { step: "read", source, .. }) => Err(damaged(format!("{name} was changed: {source}"))),
        read => read,
    };
    let index_text = read(INDEX, INDEX_MAX)?.ok_or_else(|| damaged("its index is missing".to_owned()))?;
    if Digest::of(&index_text) != *digest {
        return Err(damaged("its index was changed".to_owned()));
    }
    let index = Index::parse(&index_text).map_err(|error| damaged(error.to_string()))?;
    let signature = read(SIGNATURE, SIGNATURE_LEN)?;
    let signature = signature
        .map(|text| Signature::parse(&text))
        .transpose()
        .map_err(|error| damaged(format!("its signature was changed: {error}")))?;
    let content = tree.open(FILES)?.ok_or_else(|| damaged("its files are missing".to_owned()))?;
    let is_library = |entry: &FileEntry| entry.path == index.entry && !index.holds_scripts();
    let files = index.own_files().map(|entry| {
        let content = if is_library(entry) {
            let read = |dir: &Dir, name: &str, limit| dir.read_sealed(name, limit, room.take());
            Content::Sealed(Arc::new(compared(&content, entry, digest, read)?))
        } else {
            Content::Plain(read_file(&content, entry, digest)?)
        };
        Ok((entry.clone(), content))
    });
    let files = files.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(InstalledTree { digest: *digest, index_text, index, signature, files })
}

/// Reads a file and compares every byte.
pub(super) fn read_file(content: &Dir, entry: &FileEntry, digest: &Digest) -> Result<Vec<u8>, StoreError> {
    let read = |dir: &Dir, name: &str, limit| {
        let bytes = dir.read(name, limit)?;
        Ok(bytes.map(|bytes| {
            let found = Digest::of(&bytes);
            (bytes, found)
        }))
    };
    compared(content, entry, digest, read)
}

/// `read` gives the bytes and their digest.
fn compared<T: std::ops::Deref<Target = [u8]>>(
    content: &Dir,
    entry: &FileEntry,
    digest: &Digest,
    read: impl FnOnce(&Dir, &str, usize) -> Result<Option<(T, Digest)>, StoreError>,
) -> Result<T, StoreError> {
    let damaged = |what: &str| StoreError::Integrity { digest: *digest, why: format!("{} {what}", entry.path) };
    let (directory, name) = entry.path.rsplit_once('/').map_or(("", entry.path.as_str()), |split| split);
    let inner = descend(content, directory, false)?;
    let parent = match &inner {
        Some(inner) => inner,
        None if directory.is_empty() => content,
        None => return Err(damaged("is missing")),
    };
    let limit = usize::try_from(entry.size).unwrap_or(usize::MAX).saturating_add(1);
    let (bytes, found) = match read(parent, name, limit) {
        Ok(found) => found.ok_or_else(|| damaged("is missing"))?,
        Err(StoreError::Io { step: "read", .. }) => return Err(damaged("was changed")),
        Err(error) => return Err(error),
    };
    let is_changed = u64::try_from(bytes.len()) != Ok(entry.size) || found != entry.digest;
    if is_changed && makes(Check::Digest) {
        return Err(damaged("was changed"));
    }
    Ok(bytes)
}

/// 128 random bits in hexadecimal: nobody else can have made that name before.
pub(super) fn random_name() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        step: "get random bytes for",
        path: "staging".into(),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(to_hex(&bytes))
}

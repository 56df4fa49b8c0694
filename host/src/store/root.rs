//! The home directory itself, which need not exist: whoever only looks finds it empty, and what is written first makes it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::dir::Dir;
use super::error::StoreError;

/// The home directory, open once it is there.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    held: OnceLock<Dir>,
}

impl Root {
    /// Opens it; where there is none, one could be made.
    pub(super) fn open_at(path: &Path) -> Result<Self, StoreError> {
        let root = Self { path: path.to_owned(), held: OnceLock::new() };
        if root.there()?.is_none() {
            Dir::check_parent(path)?;
        }
        Ok(root)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, if it is there by now; from then on it is held.
    pub(super) fn there(&self) -> Result<Option<&Dir>, StoreError> {
        if self.held.get().is_some() {
            return Ok(self.held.get());
        }
        let found = Dir::find_root(&self.path)?;
        Ok(found.map(|found| self.held.get_or_init(|| found)))
    }

    /// The directory, made with mode 0700 when there is none.
    pub(super) fn made(&self) -> Result<&Dir, StoreError> {
        if let Some(held) = self.held.get() {
            return Ok(held);
        }
        let made = Dir::open_root(&self.path)?;
        Ok(self.held.get_or_init(|| made))
    }

    pub(super) fn open(&self, name: impl AsRef<OsStr>) -> Result<Option<Dir>, StoreError> {
        self.there()?.map_or(Ok(None), |root| root.open(name))
    }

    pub(super) fn open_or_make(&self, name: &str) -> Result<Dir, StoreError> {
        self.made()?.open_or_make(name)
    }

    pub(super) fn open_file(&self, name: &str) -> Result<File, StoreError> {
        self.made()?.open_file(name)
    }

    pub(super) fn read(&self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.there()?.map_or(Ok(None), |root| root.read(name, limit))
    }

    pub(super) fn names(&self) -> Result<Vec<OsString>, StoreError> {
        self.there()?.map_or(Ok(Vec::new()), Dir::names)
    }

    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.there().ok()??.size(name)
    }

    pub(super) fn write_new(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), StoreError> {
        self.made()?.write_new(name, bytes, mode)
    }

    pub(super) fn replace(&self, name: &str, target: &str) -> Result<(), StoreError> {
        self.made()?.replace(name, target)
    }

    pub(super) fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        self.there()?.map_or(Ok(()), |root| root.remove_file(name))
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.there()?.map_or(Ok(()), Dir::sync)
    }
}

//! Directories as people and manifests write them, and where they lead: grants name absolute, canonical directories.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use migraine_plugin_api::Permission;

use super::ManageError;
use super::source::recordable;
use crate::policy::{Access, Ask, DirectoryScope, Grant, Places, refused_change, refused_root};
use crate::store::Home;

/// Where this user is, and what of theirs no plugin may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    working: PathBuf,
    places: Places,
}

impl Directories {
    /// Relative directories are below `working`, and `~` is the first of `user_homes`, if one is known.
    #[must_use]
    pub fn new(home: &Home, user_homes: &[PathBuf], working: &Path) -> Self {
        let places =
            Places { homes: user_homes.iter().map(|home| reached(home)).collect(), store: reached(home.path()) };
        Self { working: working.to_owned(), places }
    }

    /// The directory that the user stands in.
    pub(super) fn working(&self) -> &Path {
        &self.working
    }

    /// The directory that a person names.
    ///
    /// # Errors
    /// It does not exist, is no directory, cannot be written down, or is one that no plugin may have.
    pub fn named(&self, access: Access, typed: &Path) -> Result<PathBuf, ManageError> {
        let path = self.working.join(typed);
        let absent = |source| ManageError::NoDirectory { path: path.clone(), source };
        if !std::fs::metadata(&path).map_err(absent)?.is_dir() {
            return Err(absent(io::ErrorKind::NotADirectory.into()));
        }
        self.allowed(access, &path)
    }

    /// Where a directory leads that may not exist yet.
    fn allowed(&self, access: Access, path: &Path) -> Result<PathBuf, ManageError> {
        let leads = reached(path);
        // A link must not hide what is meant, neither from there nor to there.
        for path in [path, &leads] {
            let unchanged = || refused_change(path).filter(|_| access == Access::Write);
            if let Some(why) = refused_root(path, &self.places).or_else(unchanged) {
                return Err(ManageError::Directory { path: path.to_owned(), why: why.to_owned() });
            }
        }
        recordable(leads)
    }

    /// Where each directory leads that a manifest names, by what it writes; `before` is what was consented to earlier.
    pub(super) fn of_manifest(
        &self,
        permissions: &[Permission],
        before: &BTreeMap<String, PathBuf>,
    ) -> Result<BTreeMap<String, PathBuf>, ManageError> {
        let mut found = BTreeMap::new();
        for DirectoryScope { access, directory } in permissions.iter().filter_map(DirectoryScope::of) {
            let Some(written) = directory else { continue };
            let text = written.to_string_lossy().into_owned();
            let leads = match before.get(&text) {
                Some(path) => self.allowed(access, path)?,
                None => self.allowed(access, &self.expanded(&written)?)?,
            };
            found.insert(text, leads);
        }
        Ok(found)
    }

    /// The path with the user's home for `~`, where no shell has done so.
    pub(super) fn expanded(&self, written: &Path) -> Result<PathBuf, ManageError> {
        let Ok(below) = written.strip_prefix("~") else { return Ok(self.working.join(written)) };
        match self.places.homes.first() {
            Some(home) => Ok(home.join(below)),
            None => {
                let why = "the home directory of the user is not known".to_owned();
                Err(ManageError::Directory { path: written.to_owned(), why })
            }
        }
    }

    /// The grants with canonical directories. One that is asked for by name need not exist; any other must.
    pub(super) fn of_grants(&self, grants: &[Grant], asks: &[Ask]) -> Result<Vec<Grant>, ManageError> {
        grants.iter().map(|grant| self.of_grant(grant, asks)).collect()
    }

    /// A grant that is to be taken back: its directory may be gone, or refused by now.
    pub(super) fn of_held(&self, grant: &Grant) -> Result<Grant, ManageError> {
        let Some(DirectoryScope { access, directory: Some(typed) }) = grant.permission().and_then(DirectoryScope::of)
        else {
            return Ok(grant.clone());
        };
        permission(access, reached(&self.working.join(typed))).map(Grant::Permission)
    }

    fn of_grant(&self, grant: &Grant, asks: &[Ask]) -> Result<Grant, ManageError> {
        let Some(scope) = grant.permission().and_then(DirectoryScope::of) else { return Ok(grant.clone()) };
        let Some(typed) = &scope.directory else { return Ok(grant.clone()) };
        let leads = permission(scope.access, self.allowed(scope.access, &self.working.join(typed))?)?;
        if !asks.iter().any(|ask| ask.item.permission() == Some(&leads)) {
            self.named(scope.access, typed)?;
        }
        Ok(Grant::Permission(leads))
    }
}

/// Access to a directory as a permission.
pub(super) fn permission(access: Access, directory: PathBuf) -> Result<Permission, ManageError> {
    let scope = DirectoryScope { access, directory: Some(directory.clone()) };
    scope.permission().map_err(|error| ManageError::Directory { path: directory, why: error.to_string() })
}

/// The path without links, as far as it exists.
fn reached(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => reached(parent).join(name),
        _ => path.to_owned(),
    }
}

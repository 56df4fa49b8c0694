//! Which directories a plugin's grants open on this machine, now.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use migraine_plugin_api::Permission;

use crate::policy::{Access, Places, opened, refused_change, refused_root};
use crate::sandbox::SandboxError;
use crate::store::user_homes;
use crate::wire::{DIRECTORIES_MAX, Directory};

/// What of the user's no plugin may have. Most plugins hold no directory, so it is looked up when the first one does: to ask
/// the password database can take long.
#[derive(Debug)]
pub(super) struct Protected {
    /// None for those that the machine names.
    homes: Option<Vec<PathBuf>>,
    store: PathBuf,
    found: OnceCell<Places>,
}

impl Protected {
    pub(super) fn new(homes: Option<Vec<PathBuf>>, store: &Path) -> Self {
        Self { homes, store: store.to_owned(), found: OnceCell::new() }
    }

    fn places(&self) -> &Places {
        self.found.get_or_init(|| match &self.homes {
            Some(homes) => places(homes, &self.store),
            None => places(&user_homes(), &self.store),
        })
    }
}

/// What no plugin may have of these homes and this store. Links are followed: a place is meant, not one of its names. A home
/// directory that does not exist protects nothing.
pub(super) fn places(user_homes: &[PathBuf], store: &Path) -> Places {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    Places { homes: user_homes.iter().map(|home| real(home)).collect(), store: real(store) }
}

/// The directories that grants open, as [`opened`] has them.
///
/// # Errors
/// A grant names what no plugin may have, which an older state or another home directory can make of it; or there are too
/// many.
pub(super) fn granted(grants: &[Permission], protected: &Protected) -> Result<Vec<Directory>, SandboxError> {
    let mut found = Vec::new();
    for scope in opened(grants) {
        let Some(path) = scope.directory else { continue };
        let unchanged = refused_change(&path).filter(|_| scope.access == Access::Write);
        let refused = refused_root(&path, protected.places())
            .map(|why| format!("no plugin may have it: {why}"))
            .or_else(|| unchanged.map(|why| format!("no plugin may change it: {why}")))
            .or_else(|| {
                let is_full = found.len() == DIRECTORIES_MAX;
                is_full.then(|| format!("one plugin can have {DIRECTORIES_MAX} directories, and this is one more"))
            });
        if let Some(reason) = refused {
            return Err(SandboxError::Directory { directory: path, reason });
        }
        found.push(Directory { path, writable: scope.access == Access::Write });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(grants: &[&str]) -> Result<Vec<(String, bool)>, String> {
        let protected = Protected::new(Some(vec!["/nowhere/alice".into()]), Path::new("/nowhere/store"));
        let grants: Vec<Permission> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let found = granted(&grants, &protected).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|found| (found.path.display().to_string(), found.writable)).collect())
    }

    #[test]
    fn grants_become_directories() {
        let check = |grants: &[&str], expected: &[(&str, bool)]| {
            let expected: Vec<_> = expected.iter().map(|(path, writable)| ((*path).to_owned(), *writable)).collect();
            assert_eq!(shown(grants), Ok(expected), "{grants:?}");
        };
        check(&["filesystem", "filesystem=read:*", "network", "task_read"], &[]);
        check(&["filesystem", "filesystem=read:/srv/b"], &[("/srv/b", false)]);
        // What lies in another one adds nothing, but a right.
        check(&["filesystem=read:/a/b", "filesystem=read:/a"], &[("/a", false)]);
        check(&["filesystem=read:/a/b", "filesystem=write:/a"], &[("/a", true)]);
        check(&["filesystem=read:/a", "filesystem=write:/a"], &[("/a", true)]);
        check(&["filesystem=read:/etc"], &[("/etc", false)]);
        check(&["filesystem=read:/a", "filesystem=write:/a/b"], &[("/a", false), ("/a/b", true)]);
    }

    #[test]
    fn what_no_plugin_may_have_is_named() {
        for (grant, word) in [
            ("filesystem=read:/", "whole file system"),
            ("filesystem=read:/nowhere/alice", "whole home"),
            ("filesystem=read:/nowhere/alice/.ssh/x", "keys"),
            ("filesystem=write:/nowhere/store/plugins", "kept there"),
            ("filesystem=read:/proc/1", "processes"),
            ("filesystem=write:/etc", "may change it: the policy"),
            ("filesystem=write:/etc/migraine", "may change it: the policy"),
        ] {
            let error = shown(&[grant]).unwrap_err();
            assert!(error.contains(word), "{grant}: {error}");
        }
    }

    #[test]
    fn only_so_many_are_given() {
        let texts: Vec<String> = (10..=10 + DIRECTORIES_MAX).map(|n| format!("filesystem=read:/srv/{n}")).collect();
        let grants: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(shown(&grants[1..]).unwrap().len(), DIRECTORIES_MAX);
        assert!(shown(&grants).unwrap_err().contains("`/srv/26`"));
    }
}

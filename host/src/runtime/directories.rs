//! Which directories a plugin's grants open on this machine, now.

use std::path::{Component, Path, PathBuf};

use migraine_plugin_api::Permission;

use crate::policy::{Access, DirectoryScope, Places, refused_root};
use crate::sandbox::SandboxError;
use crate::wire::{DIRECTORIES_MAX, Directory};

/// What paths of a grant are relative to.
#[derive(Debug, Clone)]
pub(super) struct Bases {
    /// For `~`, and what else is protected.
    pub(super) places: Places,
    /// For relative paths.
    pub(super) working_directory: Option<PathBuf>,
}

impl Bases {
    /// Links are followed: a protected place is meant, not one of its names. One that does not exist protects nothing.
    pub(super) fn new(home: Option<&Path>, store: &Path, working_directory: Option<&Path>) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let places = Places { home: home.map(real), store: real(store) };
        Self { places, working_directory: working_directory.map(Path::to_owned) }
    }
}

/// The directories that grants open: absolute, each once, and none that lies in another one with the same right. A grant
/// without a directory opens none by itself.
///
/// # Errors
/// A grant names what no plugin may have, which an older state or another home directory can make of it; or there are too
/// many.
pub(super) fn granted(grants: &[Permission], bases: &Bases) -> Result<Vec<Directory>, SandboxError> {
    let mut scopes = Vec::new();
    for mut scope in grants.iter().filter_map(DirectoryScope::of) {
        let Some(named) = scope.directory.take() else { continue };
        let refuse = |reason: &str| SandboxError::Directory { directory: named.clone(), reason: reason.to_owned() };
        let path = absolute(&named, bases).ok_or_else(|| refuse("nobody knows where it begins"))?;
        if let Some(why) = refused_root(&path, &bases.places) {
            return Err(refuse(&format!("no plugin may have it: {why}")));
        }
        scopes.push(DirectoryScope { directory: Some(path), ..scope });
    }
    scopes.sort();
    scopes.dedup();
    let is_more = |scope: &&DirectoryScope| !scopes.iter().any(|other| other != *scope && other.covers(scope));
    let found: Vec<Directory> = scopes
        .iter()
        .filter(is_more)
        .filter_map(|scope| Some((scope.directory.clone()?, scope.access == Access::Write)))
        .map(|(path, writable)| Directory { path, writable })
        .collect();
    match found.get(DIRECTORIES_MAX) {
        None => Ok(found),
        Some(Directory { path, .. }) => Err(SandboxError::Directory {
            directory: path.clone(),
            reason: format!("one plugin can have {DIRECTORIES_MAX} directories, and this is one more"),
        }),
    }
}

/// The path from `/`, without `.` and `..`. A name that is a link is found out when the directory is opened.
fn absolute(path: &Path, bases: &Bases) -> Option<PathBuf> {
    let whole = match path.strip_prefix("~") {
        Ok(inner) => bases.places.home.as_ref()?.join(inner),
        Err(_) if path.is_absolute() => path.to_owned(),
        Err(_) => bases.working_directory.as_ref()?.join(path),
    };
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain.is_absolute().then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(grants: &[&str]) -> Result<Vec<(String, bool)>, String> {
        let bases = Bases::new(
            Some(Path::new("/nowhere/alice")),
            Path::new("/nowhere/store"),
            Some(Path::new("/nowhere/work")),
        );
        let grants: Vec<Permission> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let found = granted(&grants, &bases).map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|found| (found.path.display().to_string(), found.writable)).collect())
    }

    #[test]
    fn grants_become_absolute_directories() {
        let check = |grants: &[&str], expected: &[(&str, bool)]| {
            let expected: Vec<_> = expected.iter().map(|(path, writable)| ((*path).to_owned(), *writable)).collect();
            assert_eq!(opened(grants), Ok(expected), "{grants:?}");
        };
        check(&["filesystem", "filesystem=read:*", "network", "task_read"], &[]);
        check(&["filesystem=read:/srv/./a/../b/"], &[("/srv/b", false)]);
        check(
            &["filesystem=read:logs", "filesystem=write:./out"],
            &[("/nowhere/work/logs", false), ("/nowhere/work/out", true)],
        );
        check(&["filesystem=read:../data"], &[("/nowhere/data", false)]);
        check(&["filesystem=read:~/notes"], &[("/nowhere/alice/notes", false)]);
        // What lies in another one adds nothing, but a right.
        check(&["filesystem=read:/a/b", "filesystem=read:/a"], &[("/a", false)]);
        check(&["filesystem=read:/a/b", "filesystem=write:/a"], &[("/a", true)]);
        check(&["filesystem=read:/a", "filesystem=write:/a"], &[("/a", true)]);
        check(&["filesystem=read:/a", "filesystem=write:/a/b"], &[("/a", false), ("/a/b", true)]);
    }

    #[test]
    fn what_no_plugin_may_have_is_named() {
        for (grant, word) in [
            ("filesystem=read:/", "whole file system"),
            ("filesystem=read:/srv/../..", "whole file system"),
            ("filesystem=read:~", "whole home"),
            ("filesystem=read:~/.ssh/x", "keys"),
            ("filesystem=write:../store/plugins", "kept there"),
            ("filesystem=read:/proc/1", "processes"),
        ] {
            let error = opened(&[grant]).unwrap_err();
            assert!(error.contains(word), "{grant}: {error}");
        }
    }

    #[test]
    fn only_so_many_are_given() {
        let texts: Vec<String> = (10..=10 + DIRECTORIES_MAX).map(|n| format!("filesystem=read:/srv/{n}")).collect();
        let grants: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(opened(&grants[1..]).unwrap().len(), DIRECTORIES_MAX);
        assert!(opened(&grants).unwrap_err().contains("`/srv/26`"));
    }
}

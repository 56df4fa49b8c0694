//! Where plugins are looked for: folders of this machine, one after the other, and never a network. What is found there is
//! listed until it is installed; it never runs from there.
//!
//! The user's own folder comes first, then that of a trusted project, then the administrator's: a project cannot take the
//! place of what the user has, and the administrator offers what nobody else does.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::list::Warning;
use super::project;
use crate::store::{Home, State};
use crate::text::{safe_line, safe_path};

/// The administrator's folder. Fixed: whoever could name another one would be the administrator.
const SYSTEM: &str = "/usr/local/share/migraine/plugins";

/// The folders that are looked through, in their order, and why another one is not.
#[derive(Default)]
pub(super) struct Folders {
    pub(super) paths: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
    /// The folder of a project that nobody trusted.
    pub(super) untrusted: Option<PathBuf>,
}

impl Folders {
    /// The user's own.
    pub(super) fn own(&self) -> PathBuf {
        self.paths.first().cloned().unwrap_or_default()
    }

    /// Each folder in one line, also those that are not looked through, and why.
    pub(super) fn words(&self) -> Vec<String> {
        let missing = |path: &PathBuf| if path.is_dir() { "" } else { " (there is no such folder)" };
        let paths = self.paths.iter().map(|path| format!("{}{}", safe_path(path), missing(path)));
        let passed =
            self.warnings.iter().map(|Warning { name, message }| format!("not in {}: {message}", safe_line(name)));
        let untrusted = self.untrusted.iter().map(|path| {
            format!("not in {}: it is not trusted; `migraine plugin trust-project` trusts it", safe_path(path))
        });
        paths.chain(passed).chain(untrusted).collect()
    }
}

/// The folders for a user who stands in this directory.
pub(super) fn folders(home: &Home, state: &State, working: Option<&Path>) -> Folders {
    let mut folders = Folders { paths: vec![home.plugins_path()], warnings: Vec::new(), untrusted: None };
    let project = working.and_then(|working| project::trusted(state, working));
    if project.is_none() {
        folders.untrusted = working.and_then(project::folder_of);
    }
    for folder in project.into_iter().chain(system(Path::new(SYSTEM))) {
        match folder {
            Ok(path) => folders.paths.push(path),
            Err(warning) => folders.warnings.push(warning),
        }
    }
    folders
}

/// The administrator's folder, if there is one that nobody else can change.
fn system(path: &Path) -> Option<Result<PathBuf, Warning>> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o022 == 0 {
        return Some(Ok(path.to_owned()));
    }
    let message = "it must be a directory of root's that nobody else can write to".to_owned();
    Some(Err(Warning { name: path.display().to_string(), message }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrators_folder_is_roots_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        assert!(system(&folder.path().join("none")).is_none());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let is_root = nix::unistd::geteuid().is_root();
        assert_eq!(system(folder.path()).unwrap().is_ok(), is_root);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(system(folder.path()).unwrap().is_err());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/usr", &link).unwrap();
        assert!(system(&link).unwrap().is_err());
    }
}

//! Where plugins are looked for: folders of this machine, one after the other, and never a network. What is found there is
//! listed until it is installed; it never runs from there.
//!
//! The user's own folder comes first, then that of a trusted project, then the administrator's: a project cannot take the
//! place of what the user has, and the administrator offers what nobody else does.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ManageError;
use super::list::Warning;
use super::project;
use super::source::{Found, judged, scan};
use crate::ids::PluginName;
use crate::store::{Home, State};
use crate::trust::Keyring;

/// The administrator's folder. Fixed: whoever could name another one would be the administrator.
const SYSTEM: &str = "/usr/local/share/migraine/plugins";

/// The folders that are looked through, in their order, and why another one is not.
pub(super) struct Folders {
    pub(super) paths: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

/// The folders for a user who stands in this directory.
pub(super) fn folders(home: &Home, state: &State, working: Option<&Path>) -> Folders {
    let mut folders = Folders { paths: vec![home.plugins_path()], warnings: Vec::new() };
    let project = working.and_then(|working| project::trusted(state, working));
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

/// The file that a word on the command line means: a path, or else the name of something in one of the folders. The first
/// folder that has it decides, with the newest version in it that could be installed.
pub(super) fn locate(home: &Home, state: &State, word: &Path, working: Option<&Path>) -> Result<PathBuf, ManageError> {
    let name = word.to_str().and_then(|word| word.parse::<PluginName>().ok());
    let Some(name) = name.filter(|_| !word.exists()) else { return Ok(word.to_owned()) };
    let (keys, policy) = (Keyring::load_from(&home.keys_path())?, home.policy()?);
    let is_fine = |opened: &crate::package::Opened| judged(&keys, state, opened, &policy, false, None).is_ok();
    let mut refused = None;
    for folder in folders(home, state, working).paths {
        let named = scan(&folder)?.into_iter().filter_map(|Found { path, opened }| Some((path, opened.ok()?)));
        let named: Vec<_> = named.filter(|(_, opened)| opened.index.name == name).collect();
        let fine = named.iter().filter(|(_, opened)| is_fine(opened));
        if let Some((path, _)) = fine.max_by(|one, other| one.1.index.version.cmp(&other.1.index.version)) {
            return Ok(path.clone());
        }
        // Refused with its reason, where nothing better is found.
        refused = refused.or_else(|| named.into_iter().next().map(|(path, _)| path));
    }
    Ok(refused.unwrap_or_else(|| word.to_owned()))
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

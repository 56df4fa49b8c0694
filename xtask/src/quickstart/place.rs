//! The folders and the environment that the quickstart's commands get.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use super::steps::Step;
use crate::cmd;
use crate::package_plugin::home_of_cargo;
use crate::project::Project;

/// Variables that could lead a program to the user's own folders.
const REMOVED: &[&str] = &["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"];

/// Where the quickstart happens.
pub(super) struct Place {
    /// The clone.
    pub(super) root: PathBuf,
    /// All that it leaves behind, but for builds and packages.
    pub(super) folder: PathBuf,
    /// The packaged plugins.
    pub(super) plugins: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Place {
    /// Makes the folders anew, so that each run starts from nothing.
    pub(super) fn fresh(project: &Project) -> Result<Self> {
        let folder = project.target.join("quickstart");
        remove(&folder)?;
        let (home, user, temporary) = (folder.join("home"), folder.join("user"), folder.join("tmp"));
        for folder in [&user, &temporary] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        let mut path = project.target.join("debug").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut environment = vec![
            ("MIGRAINE_HOME", home.into_os_string()),
            ("HOME", user.into_os_string()),
            ("TMPDIR", temporary.into_os_string()),
            ("CARGO_TARGET_DIR", project.target.clone().into_os_string()),
            // Cargo's caches and toolchains stay where they are, although HOME does not.
            ("CARGO_HOME", home_of_cargo()?.into_os_string()),
            ("PATH", path),
        ];
        let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
        let rustup = rustup.or_else(|| std::env::home_dir().map(|home| home.join(".rustup")));
        environment.extend(rustup.filter(|folder| folder.is_dir()).map(|folder| ("RUSTUP_HOME", folder.into())));
        let plugins = project.target.join("plugins");
        Ok(Self { root: project.root.clone(), folder, plugins, environment })
    }

    /// The variables that matter to somebody who types the commands.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.environment.iter().filter(|(name, _)| matches!(*name, "MIGRAINE_HOME" | "TMPDIR" | "PATH")).map(
            |(name, value)| match (*name, value.to_string_lossy().split_once(':')) {
                ("PATH", Some((first, _))) => ("PATH", format!("{first}:$PATH")),
                _ => (*name, value.to_string_lossy().into_owned()),
            },
        )
    }

    /// A step as a process.
    pub(super) fn command(&self, step: &Step) -> Command {
        let (program, arguments) = step.argv.split_first().map_or(("true", &[][..]), |(first, rest)| (first, rest));
        let mut command = match program {
            "cargo" => cmd::cargo(),
            program => Command::new(program),
        };
        command.args(arguments).current_dir(step.folder.as_deref().unwrap_or(&self.root));
        for name in REMOVED {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A path as it is typed in the root of the clone.
    pub(super) fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Removes a folder tree; what a store made read-only is made writable first.
fn remove(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if !folder.exists() {
        return Ok(());
    }
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(folder).map_err(|error| anyhow!("cannot remove `{}`: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_tree_is_removed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("store/a")).unwrap();
        fs::write(tree.join("store/a/file"), "x").unwrap();
        for path in ["store/a", "store"] {
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(0o555)).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists());
        remove(&tree).unwrap();
    }
}

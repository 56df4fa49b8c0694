//! What cargo says about a workspace: its folders and packages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cmd;

/// A workspace.
pub(crate) struct Project {
    /// The folder of its Cargo.toml.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// Its members.
    pub(crate) packages: Vec<Package>,
}

/// A member.
pub(crate) struct Package {
    pub(crate) name: String,
    /// The folder of its Cargo.toml.
    pub(crate) folder: PathBuf,
    targets: Vec<(String, Vec<String>)>,
}

impl Package {
    /// Whether it builds a C dynamic library, as a plugin does.
    pub(crate) fn has_cdylib(&self) -> bool {
        self.targets.iter().any(|(_, kinds)| kinds.iter().any(|kind| kind == "cdylib"))
    }

    /// The names of its integration tests.
    pub(crate) fn suites(&self) -> Vec<&str> {
        let is_test = |kinds: &[String]| kinds.iter().any(|kind| kind == "test");
        self.targets.iter().filter(|(_, kinds)| is_test(kinds)).map(|(name, _)| name.as_str()).collect()
    }
}

impl Project {
    /// The workspace that xtask belongs to.
    pub(crate) fn here() -> Result<Self> {
        // Cargo sets the variable for what it runs; a clone that was moved is found by it.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Self::around(Path::new(&folder))
    }

    /// The workspace that the crate in a folder belongs to.
    pub(crate) fn around(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let mut command = cmd::cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"]).arg(&manifest);
        let text = cmd::capture(&mut command).with_context(|| format!("no workspace at `{}`", folder.display()))?;
        Self::read(&serde_json::from_str(&text)?).context("cargo metadata has an unknown form")
    }

    fn read(metadata: &Value) -> Option<Self> {
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from);
        let packages = metadata["packages"].as_array()?.iter().map(read_package).collect::<Option<Vec<_>>>()?;
        Some(Self { root: path("workspace_root")?, target: path("target_directory")?, packages })
    }

    /// The member of that name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The example plugins.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Package> {
        let examples = self.root.join("examples");
        self.packages.iter().filter(move |package| package.folder.starts_with(&examples) && package.has_cdylib())
    }
}

fn read_package(package: &Value) -> Option<Package> {
    let text = |key: &str| package[key].as_str().map(str::to_owned);
    let targets = package["targets"].as_array()?.iter().map(read_target).collect::<Option<Vec<_>>>()?;
    let folder = Path::new(package["manifest_path"].as_str()?).parent()?.to_owned();
    Some(Package { name: text("name")?, folder, targets })
}

fn read_target(target: &Value) -> Option<(String, Vec<String>)> {
    let kinds =
        target["kind"].as_array()?.iter().map(|kind| kind.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some((target["name"].as_str()?.to_owned(), kinds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_workspace_is_read() {
        let project = Project::here().unwrap();
        assert!(project.root.join("Cargo.lock").is_file());
        assert!(project.package("migraine-host").is_some_and(|package| !package.has_cdylib()));
        let plugins: Vec<_> = project.plugins().map(|package| package.name.as_str()).collect();
        assert!(plugins.contains(&"hello-world") && plugins.contains(&"step-timer"), "{plugins:?}");
        assert!(Project::around(Path::new("/nowhere")).is_err());
    }
}

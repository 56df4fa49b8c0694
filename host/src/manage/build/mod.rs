//! Builds the crate of a plugin so that its bytes depend on its sources, the compiler and the linker, and not on where they
//! are. Cargo runs the crate's own build scripts and macros: whoever builds a source trusts it as its author does.

mod cargo;
mod texts;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ManageError;
use super::source::read;
use crate::package::UNPACKED_MAX;
use crate::package::target::OWN;
use cargo::{capture, cargo, rustc};

pub use cargo::cargo_home;
pub use texts::texts;

/// The size-tuned profile that every plugin is built with, whatever its workspace says.
const PROFILE: [&str; 6] = [
    "profile.plugin.inherits='release'",
    "profile.plugin.opt-level='s'",
    "profile.plugin.lto='fat'",
    "profile.plugin.codegen-units=1",
    "profile.plugin.debug=false",
    "profile.plugin.strip='symbols'",
];

/// A crate of a plugin.
#[derive(Debug, Clone)]
pub struct Crate {
    /// The name of its package.
    pub name: String,
    /// The folder of its Cargo.toml.
    pub folder: PathBuf,
    /// The identifier that cargo's messages use.
    id: String,
    /// The folder of its workspace.
    workspace: PathBuf,
    /// Where its workspace is built.
    pub target: PathBuf,
}

/// A library as it was built.
#[derive(Debug, Clone)]
pub struct BuiltLibrary {
    /// Where it lies.
    pub path: PathBuf,
    /// The name of its file.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Crate {
    /// The crate in a folder.
    ///
    /// # Errors
    /// There is none, or it builds no library that could be a plugin.
    pub fn find(folder: &Path) -> Result<Self, ManageError> {
        let failed = |reason: &str| ManageError::Build { path: folder.to_owned(), reason: reason.to_owned() };
        let folder = folder.canonicalize().map_err(|source| ManageError::File { path: folder.to_owned(), source })?;
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"]);
        let metadata: Value = serde_json::from_str(&capture(command.arg(folder.join("Cargo.toml")), &folder)?)
            .map_err(|error| failed(&format!("cargo's answer cannot be read: {error}")))?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from);
        let is_here = |package: &&Value| {
            let manifest = package["manifest_path"].as_str().map(Path::new);
            manifest.and_then(Path::parent) == Some(&folder)
        };
        let package = metadata["packages"].as_array().into_iter().flatten().find(is_here);
        let package = package.ok_or_else(|| failed("it is a workspace; name the folder of one of its crates"))?;
        if !builds_cdylib(package) {
            return Err(failed("the crate builds no library; a plugin has `crate-type = [\"cdylib\"]`"));
        }
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        let found = (|| {
            let (workspace, target) = (path("workspace_root")?, path("target_directory")?);
            Some(Self { name: text("name")?, id: text("id")?, folder: folder.clone(), workspace, target })
        })();
        found.ok_or_else(|| failed("cargo's answer is of an unknown form"))
    }

    /// Builds its library for this machine, or for another one whose toolchain is installed.
    ///
    /// It has a build folder of its own: its flags differ from those of every other build, which would otherwise start
    /// anew after each one. The flags of the environment are left out on purpose, or the bytes would depend on them.
    ///
    /// # Errors
    /// Cargo is missing or fails; what it says was shown.
    pub fn build(&self, target: Option<&str>) -> Result<BuiltLibrary, ManageError> {
        let folder = self.target.join("plugin-build");
        let mut command = cargo();
        // `cargo rustc`, for its crate type: a crate that is also an rlib for its tests would be built without LTO, and be
        // more than twice as large.
        command.args(["rustc", "--profile", "plugin", "--lib", "--crate-type", "cdylib"]);
        command.arg("--message-format=json-render-diagnostics");
        command.arg("--manifest-path").arg(self.folder.join("Cargo.toml")).arg("--target-dir").arg(&folder);
        command.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
        command.args(target.filter(|target| *target != OWN.triple).iter().flat_map(|target| ["--target", target]));
        let flags = self.remap_flags(&folder)?.join(&OsString::from("\x1f"));
        command.env("CARGO_ENCODED_RUSTFLAGS", flags).env_remove("RUSTFLAGS");
        let messages = capture(&mut command, &self.folder)?;
        let built = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).find_map(|message: Value| {
            let ours = message["reason"] == "compiler-artifact" && message["package_id"] == self.id.as_str();
            let files = message["filenames"].as_array().filter(|_| ours)?;
            files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".so")).map(PathBuf::from)
        });
        let path = built.ok_or_else(|| ManageError::Build {
            path: self.folder.clone(),
            reason: "cargo built no library of it".to_owned(),
        })?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = read(&path, usize::try_from(UNPACKED_MAX).unwrap_or(usize::MAX))?;
        Ok(BuiltLibrary { path, file_name, bytes })
    }

    /// Every folder of this machine that could end up in the bytes, replaced by a fixed name. Of several that match, the
    /// compiler takes the last one.
    fn remap_flags(&self, build_folder: &Path) -> Result<Vec<OsString>, ManageError> {
        let home = cargo_home().ok_or_else(|| ManageError::Build {
            path: self.folder.clone(),
            reason: "neither CARGO_HOME nor HOME is set".to_owned(),
        })?;
        let sysroot = PathBuf::from(capture(rustc().args(["--print", "sysroot"]), &self.folder)?.trim());
        let version = capture(rustc().arg("-vV"), &self.folder)?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
        let mut pairs = vec![
            (self.workspace.clone(), "/plugin".to_owned()),
            (build_folder.to_owned(), "/build".to_owned()),
            (home.clone(), "/cargo".to_owned()),
        ];
        // The name of a registry's folder holds a hash of where it is fetched from.
        let sources = home.join("registry/src");
        pairs
            .extend(fs::read_dir(&sources).into_iter().flatten().flatten().map(|e| (e.path(), "/registry".to_owned())));
        // With the component rust-src, the standard library's files are found on this machine.
        pairs.push((sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{commit}")));
        let flag = |(from, to): (PathBuf, String)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flag
        };
        Ok(pairs.into_iter().map(flag).collect())
    }
}

/// What compiles here, in rustc's own words.
///
/// # Errors
/// There is no rustc.
pub(super) fn compiler(folder: &Path) -> Result<String, ManageError> {
    Ok(capture(rustc().arg("-V"), folder)?.trim().to_owned())
}

fn builds_cdylib(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    targets.flat_map(|target| target["kind"].as_array().into_iter().flatten()).any(|kind| kind == "cdylib")
}

#[cfg(test)]
mod tests;

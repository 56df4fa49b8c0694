//! Builds a plugin's library so that its bytes depend on its sources and not on where they are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cmd;
use crate::project::{Package, Project};

/// The size-tuned profile, for a crate of another workspace, which does not have it.
const PROFILE: &[&str] = &[
    "profile.plugin.inherits='release'",
    "profile.plugin.opt-level='s'",
    "profile.plugin.lto='fat'",
    "profile.plugin.codegen-units=1",
    "profile.plugin.debug=false",
    "profile.plugin.strip='symbols'",
];

/// Builds the library of a package and gives its path.
///
/// It has a build folder of its own: its flags differ from those of every other build, which would otherwise start
/// anew after each one. The flags of the environment are left out on purpose, or the bytes would depend on them.
pub(super) fn library(project: &Project, package: &Package, has_profile: bool) -> Result<PathBuf> {
    let folder = project.target.join("plugin-build");
    let mut command = cmd::cargo();
    // `cargo rustc`, for its crate type: a crate that is also an rlib for its tests would be built without LTO, and be
    // more than twice as large.
    command.args(["rustc", "--profile", "plugin", "--lib", "--crate-type", "cdylib"]);
    command.arg("--message-format=json-render-diagnostics");
    command.arg("--manifest-path").arg(package.folder.join("Cargo.toml")).arg("--target-dir").arg(&folder);
    if !has_profile {
        command.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    }
    let flags = remap_flags(project, &folder)?;
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\x1f"))).env_remove("RUSTFLAGS");
    let messages = cmd::capture(&mut command)?;
    let built = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).find_map(|message: Value| {
        let ours = message["reason"] == "compiler-artifact" && message["package_id"] == package.id.as_str();
        let files = message["filenames"].as_array().filter(|_| ours)?;
        files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".so")).map(PathBuf::from)
    });
    built.with_context(|| format!("cargo built no library for `{}`", package.name))
}

/// Every folder of this machine that could end up in the bytes, replaced by a fixed name. Of several that match, the
/// compiler takes the last one.
fn remap_flags(project: &Project, build_folder: &Path) -> Result<Vec<OsString>> {
    let cargo_home = cargo_home()?;
    let sysroot = PathBuf::from(cmd::capture(rustc().args(["--print", "sysroot"]))?.trim());
    let mut pairs = vec![
        (project.root.clone(), "/plugin".to_owned()),
        (build_folder.to_owned(), "/build".to_owned()),
        (cargo_home.clone(), "/cargo".to_owned()),
    ];
    // The name of a registry's folder holds a hash of where it is fetched from.
    let sources = cargo_home.join("registry/src");
    for entry in fs::read_dir(&sources).into_iter().flatten().flatten() {
        pairs.push((entry.path(), "/registry".to_owned()));
    }
    // With the component rust-src, the standard library's files are found on this machine.
    pairs.push((sysroot.join("lib/rustlib/src/rust"), format!("/rustc/{}", rustc_commit()?)));
    let flag = |(from, to): (PathBuf, String)| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    };
    Ok(pairs.into_iter().map(flag).collect())
}

/// Where cargo keeps what it downloads.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    own.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("neither CARGO_HOME nor HOME is set")
}

fn rustc() -> std::process::Command {
    std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn rustc_commit() -> Result<String> {
    let version = cmd::capture(rustc().arg("-vV"))?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    Ok(commit.unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"sample\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
        [lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";
    /// Cargo names generated code by its full path, so `file!()` in it is a leak unless it is remapped.
    const SCRIPT: &str = "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
        std::fs::write(out + \"/made.rs\", \"const FILE: &str = file!();\").unwrap();\n}\n";
    const LIBRARY: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
        #[unsafe(no_mangle)]\npub extern \"C\" fn place(at: usize) -> u8 {\n    FILE.as_bytes()[at]\n}\n";

    fn build_in(folder: &Path) -> Vec<u8> {
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("Cargo.toml"), MANIFEST).unwrap();
        fs::write(folder.join("build.rs"), SCRIPT).unwrap();
        fs::write(folder.join("src/lib.rs"), LIBRARY).unwrap();
        cmd::run(
            cmd::cargo().args(["generate-lockfile", "--offline", "--manifest-path"]).arg(folder.join("Cargo.toml")),
        )
        .unwrap();
        let mut project = Project::around(folder).unwrap();
        // Whatever the caller's environment says about the target folder.
        project.target = folder.join("target");
        fs::read(library(&project, &project.packages[0], false).unwrap()).unwrap()
    }

    #[test]
    fn the_bytes_do_not_depend_on_the_folder() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deeper = other.path().join("a much/longer folder");
        let built = build_in(one.path());
        assert!(built == build_in(&deeper), "the libraries differ");
        let holds = |text: &[u8]| built.windows(text.len()).any(|window| window == text);
        assert!(holds(b"/made.rs"), "the library names the file");
        let leaked = one.path().to_str().unwrap().as_bytes();
        assert!(!holds(leaked), "the folder's name is in the library");
    }
}

//! Builds programs and fixtures once per test process and says where they are.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Everything that is built; one call of cargo, so that all share one choice of features.
const PACKAGES: &[&str] = &[
    "migraine-host",
    "migraine-tests",
    "hostile",
    "hooks",
    "no-root",
    "other-abi",
    "no-layout",
    "newer-api",
    "grown",
    "reach",
    "hello-world",
    "step-timer",
    "docker-manager",
];

/// Every program of the product's own build.
const PROGRAMS: &[&str] = &["attend", "migraine", "traced"];

/// The feature without which no layer and no check can be left out, and the programs that are built with it.
const CONTROLS: &str = "attack-controls";
const CONTROLLED: &[&str] = &["arena", "migraine"];

/// The program that runs a plugin command with single layers off.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn arena() -> &'static Path {
    controlled("arena")
}

/// The product built as no product may be: its checks can be left out.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn controlled_migraine() -> &'static Path {
    controlled("migraine")
}

/// The program that runs another one and says what it left behind.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn attend() -> &'static Path {
    find("attend")
}

/// The program that becomes another one, which its parent traces.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn traced() -> &'static Path {
    find("traced")
}

/// The product.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn migraine() -> &'static Path {
    find("migraine")
}

/// The library of a plugin package.
///
/// # Panics
/// It cannot be built, or is not among the packages named here.
#[must_use]
pub fn library(package: &str) -> &'static Path {
    find(&format!("lib{}.so", package.replace('-', "_")))
}

fn find(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    named(BUILT.get_or_init(build), name)
}

fn controlled(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    named(BUILT.get_or_init(build_controlled), name)
}

fn named<'a>(built: &'a BTreeMap<String, PathBuf>, name: &str) -> &'a Path {
    built.get(name).unwrap_or_else(|| panic!("{name} is not among what was built: {:?}", built.keys()))
}

fn build() -> BTreeMap<String, PathBuf> {
    let mut command = cargo_build(PROGRAMS);
    command.arg("--lib").args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    built(command, PROGRAMS)
}

/// By an invocation and in a target folder of their own: what is built for the product must never share a choice of
/// features with these.
fn build_controlled() -> BTreeMap<String, PathBuf> {
    let mut command = cargo_build(CONTROLLED);
    command.args(["-p", "migraine-host", "-p", "migraine-tests"]);
    command.args(["--features", &format!("migraine-host/{CONTROLS},migraine-tests/{CONTROLS}")]);
    // Nobody debugs them, and their dependencies are built a second time.
    command.args(["--config", "profile.dev.debug=false"]);
    command.arg("--target-dir").arg(target().join(CONTROLS));
    built(command, CONTROLLED)
}

/// Where cargo builds: this program lies in `PROFILE/deps` below it.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    own.ancestors().nth(3).expect("a test lies in the target folder").to_owned()
}

fn cargo_build(programs: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--message-format=json"]);
    command.args(programs.iter().flat_map(|program| ["--bin", program]));
    // The tests' own variables are those of one package and would make cargo build others anew.
    let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_")
    });
    for name in foreign {
        command.env_remove(name);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::piped());
    command
}

/// Runs a build and finds the programs and libraries in cargo's messages.
fn built(mut command: Command, programs: &[&str]) -> BTreeMap<String, PathBuf> {
    let output = command.output().expect("run cargo");
    assert!(output.status.success(), "the build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let mut built = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let files = message["filenames"].as_array().into_iter().flatten().chain([&message["executable"]]);
        for path in files.filter_map(serde_json::Value::as_str).map(PathBuf::from) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if programs.contains(&name.as_str()) || name.ends_with(".so") {
                built.insert(name, reachable(&path));
            }
        }
    }
    built
}

/// The file itself where every user can reach it, else a copy below the system's temporary directory.
fn reachable(path: &Path) -> PathBuf {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o5 == 0o5);
    if path.ancestors().all(open) {
        return path.to_owned();
    }
    // Of programs with one name, each has a folder of its own, named after that of its build.
    let build = path.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let copy = kept_folder(&build).join(path.file_name().expect("a file has a name"));
    fs::copy(path, &copy).expect("copy what was built");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("open the copy to everybody");
    copy
}

/// A directory of this name that every user can reach and that is there until this process has ended.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn kept_folder(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("migraine-tests-{}", std::process::id())).join(name);
    clear_stale();
    fs::create_dir_all(&directory).expect("make a directory");
    for path in directory.ancestors().take(2) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open it to everybody");
    }
    directory
}

/// Removes the copies of test processes that have ended: a static is never dropped.
fn clear_stale() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("migraine-tests-").and_then(|pid| pid.parse().ok());
        if owner.is_some_and(|pid: i32| !crate::run::is_running(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

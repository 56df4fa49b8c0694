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

/// Every program.
const PROGRAMS: &[&str] = &["arena", "attend", "migraine"];

/// The program that runs a plugin command with single layers off.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn arena() -> &'static Path {
    find("arena")
}

/// The program that runs another one and says what it left behind.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn attend() -> &'static Path {
    find("attend")
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
    let built = BUILT.get_or_init(build);
    built.get(name).unwrap_or_else(|| panic!("{name} is not among what was built: {:?}", built.keys()))
}

fn build() -> BTreeMap<String, PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--message-format=json", "--lib"]);
    command.args(PROGRAMS.iter().flat_map(|program| ["--bin", program]));
    command.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    // The tests' own variables are those of one package and would make cargo build others anew.
    let foreign = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_BIN_")
    });
    for name in foreign {
        command.env_remove(name);
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::piped()).output().expect("run cargo");
    assert!(output.status.success(), "the build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let mut built = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let files = message["filenames"].as_array().into_iter().flatten().chain([&message["executable"]]);
        for path in files.filter_map(serde_json::Value::as_str).map(PathBuf::from) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if PROGRAMS.contains(&name.as_str()) || name.ends_with(".so") {
                built.insert(name, path);
            }
        }
    }
    for path in built.values_mut() {
        *path = reachable(path);
    }
    built
}

/// The file itself where every user can reach it, else a copy below the system's temporary directory.
fn reachable(path: &Path) -> PathBuf {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o5 == 0o5);
    if path.ancestors().all(open) {
        return path.to_owned();
    }
    let directory = std::env::temp_dir().join(format!("migraine-tests-{}", std::process::id()));
    clear_stale();
    fs::create_dir_all(&directory).expect("make a directory for copies");
    let copy = directory.join(path.file_name().expect("a file has a name"));
    fs::copy(path, &copy).expect("copy what was built");
    for path in [&directory, &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open the copies to everybody");
    }
    copy
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

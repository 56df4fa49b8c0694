//! What was changed after it was signed is refused: every byte of a signature file and of a small package, a spread of
//! a library's bytes, every file of the store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use migraine_tests::home::Home;
use migraine_tests::package::{Parcel, manifest, plugin, remade, tiny, typed};
use serde_json::json;

/// How many threads flip bytes at the same time.
const THREADS: usize = 2;

/// Calls `check` for each position with the file's byte there changed, in homes of its own for each thread.
fn flip_each(original: &Path, beside: &[PathBuf], positions: &[usize], check: impl Fn(&Home, &Path, usize) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let check = &check;
            scope.spawn(move || {
                let home = Home::new();
                for file in beside {
                    fs::copy(file, home.work().join(file.file_name().unwrap())).unwrap();
                }
                let copy = home.work().join(original.file_name().unwrap());
                fs::copy(original, &copy).unwrap();
                let file = fs::File::options().read(true).write(true).open(&copy).unwrap();
                let mut byte = [0];
                for &at in positions.iter().skip(thread).step_by(THREADS) {
                    let offset = u64::try_from(at).unwrap();
                    file.read_exact_at(&mut byte, offset).unwrap();
                    // Another bit each time, so that all eight are tried.
                    file.write_all_at(&[byte[0] ^ (1 << (at % 8))], offset).unwrap();
                    check(&home, &copy, at);
                    file.write_all_at(&byte, offset).unwrap();
                }
                // Unchanged again, it is fine: the refusals were for the change.
                let whole = beside
                    .first()
                    .filter(|file| file.extension().is_some_and(|e| e == "so"))
                    .map_or(copy, |file| home.work().join(file.file_name().unwrap()));
                home.ok(&["plugin", "install", typed(&whole), "--yes"]);
            });
        }
    });
}

fn refused(home: &Home, library: &Path, at: usize) {
    // All that is there before the first install is the keyring.
    let before = home.snapshot();
    let done = home.run(["plugin", "install", typed(library), "--yes"]);
    assert!(matches!(done.code, 3 | 6), "byte {at}: {done:?}");
    assert!(done.out.is_empty() && done.err.starts_with("error["), "byte {at}: {done:?}");
    assert_eq!(home.snapshot(), before, "byte {at}");
}

// covers: A108
#[test]
fn every_byte_of_a_signature_file_counts() {
    let parcel = tiny(&manifest("demo", &json!({"commands": ["go"], "permissions": ["task_read"]})));
    let sidecar = parcel.sidecar();
    let length = fs::read(&sidecar).unwrap().len();
    let positions: Vec<usize> = (0..length).collect();
    let beside = [parcel.library.clone()];
    flip_each(&sidecar, &beside, &positions, |home, copy, at| refused(home, &copy.with_extension(""), at));
}

// covers: A108
#[test]
fn every_byte_of_a_library_counts() {
    let parcel = plugin("hello-world");
    let length = fs::read(&parcel.library).unwrap().len();
    let mut positions: Vec<usize> = (0..400).map(|number| number * (length - 1) / 399).collect();
    positions.extend(0..64);
    positions.sort_unstable();
    positions.dedup();
    assert!(positions.len() >= 400);
    flip_each(&parcel.library, &[parcel.sidecar()], &positions, refused);
}

// covers: A108, A115
#[test]
fn every_byte_of_a_package_counts_or_changes_nothing() {
    let parcel = tiny(&manifest("demo", &json!({"commands": ["go"]})));
    let package = parcel.package();
    let length = fs::read(&package).unwrap().len();
    assert!(length < 8 << 10, "{length} bytes: too many for this test");
    let positions: Vec<usize> = (0..length).collect();
    let accepted = std::sync::atomic::AtomicUsize::new(0);
    flip_each(&package, &[], &positions, |home, copy, at| {
        let before = home.snapshot();
        let done = home.run(["plugin", "install", typed(copy), "--yes"]);
        if done.code != 0 {
            assert!(matches!(done.code, 3 | 6), "byte {at}: {done:?}");
            // A home that had an install keeps its lock and its empty folders.
            assert_eq!(home.snapshot(), before, "byte {at}");
            return;
        }
        accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(installed_files(home), signed_files(&parcel), "byte {at}");
        home.ok(&["plugin", "uninstall", "demo"]);
    });
    let accepted = accepted.into_inner();
    assert!(accepted * 20 < length, "{accepted} of {length} changes went unnoticed");
}

fn signed_files(parcel: &Parcel) -> BTreeMap<String, Vec<u8>> {
    parcel.files().iter().cloned().collect()
}

/// The files of the one tree in the store, without what the store itself adds.
fn installed_files(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let store = home.path().join("store");
    let files =
        home.snapshot().into_iter().filter(|(path, (mode, _))| path.starts_with(&store) && mode & 0o100_000 != 0);
    let named = files.map(|(path, (_, bytes))| (path.file_name().unwrap().to_str().unwrap().to_owned(), bytes));
    named.filter(|(name, _)| name.starts_with("lib") || name == "plugin.json").collect()
}

// covers: A120
#[test]
fn an_installed_file_that_was_changed_does_not_run() {
    let home = Home::new();
    let parcel = plugin("hello-world");
    home.ok(&["plugin", "install", typed(&parcel.package()), "--yes"]);
    home.install(&plugin("hooks"));
    let digest = home.json(&["plugin", "info", "hello-world"])["digest"].as_str().unwrap().to_owned();
    let tree = home.path().join("store").join(digest);
    let all = home.snapshot().into_iter().filter(|(path, (mode, _))| path.starts_with(&tree) && mode & 0o100_000 != 0);
    let files: Vec<PathBuf> = all.map(|(path, _)| path).collect();
    assert_eq!(files.len(), 4, "library, manifest, index, signature: {files:?}");
    for file in &files {
        let good = fs::read(file).unwrap();
        let mut wrong: Vec<Vec<u8>> = [0, good.len() / 2, good.len() - 1].map(|at| changed(&good, at)).to_vec();
        wrong.extend([good[..good.len() - 1].to_vec(), [&good[..], b"x"].concat(), Vec::new()]);
        for bytes in wrong {
            overwrite(file, &bytes);
            let done = home.run(["plugin", "hello-world", "hello"]);
            done.ends(6);
            let is_signature = file.ends_with("index.sig");
            assert!(is_signature || done.err.starts_with("error[integrity]"), "{file:?}: {done:?}");
            home.run(["plugin", "verify", "hello-world"]).ends(6);
            assert_eq!(home.status("hello-world"), "error");
            // The others are not concerned.
            home.ok(&["plugin", "hooks", "settings"]);
        }
        overwrite(file, &good);
        assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
    }
    missing_or_elsewhere(&home, &files[0]);
}

// covers: A120
// The worker of the second plugin is ordered while its bytes are still being read and compared.
#[test]
fn a_changed_plugin_does_not_run_after_another() {
    let home = Home::new();
    let hooks = json!([{"event": "pre-command", "handler": "seen"}]);
    for name in ["first", "second"] {
        home.install(&remade("hooks", &json!({"name": name, "hooks": hooks, "permissions": []})));
    }
    home.write("w.yaml", "steps: [{command: echo done}]");
    let notes = |name: &str| home.ok(&["plugin", name, "notes"]).out.lines().count();
    home.ok(&["run", "./w.yaml"]);
    assert_eq!(["first", "second"].map(notes), [1, 1]);
    let digest = home.json(&["plugin", "info", "second"])["digest"].as_str().unwrap().to_owned();
    let tree = home.path().join("store").join(digest);
    let is_library = |path: &PathBuf| path.starts_with(&tree) && path.extension().is_some_and(|e| e == "so");
    let library = home.snapshot().into_keys().find(is_library).unwrap();
    let good = fs::read(&library).unwrap();
    for at in [good.len() / 3, good.len() - 1] {
        overwrite(&library, &changed(&good, at));
        let done = home.run(["run", "./w.yaml"]);
        assert!(done.err.contains("integrity") && done.err.contains("second"), "{done:?}");
    }
    overwrite(&library, &good);
    assert_eq!(["first", "second"].map(notes), [3, 1], "the second was not called meanwhile");
    home.ok(&["run", "./w.yaml"]);
    assert_eq!(["first", "second"].map(notes), [4, 2]);
}

fn missing_or_elsewhere(home: &Home, file: &Path) {
    let folder = file.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(file, folder.join("moved")).unwrap();
    home.refused(&["plugin", "hello-world", "hello"], "integrity");
    // The very bytes, but by way of a link that can be turned after they were judged.
    std::os::unix::fs::symlink("moved", file).unwrap();
    home.run(["plugin", "hello-world", "hello"]).ends(6);
}

fn changed(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn overwrite(file: &Path, bytes: &[u8]) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o444)).unwrap();
}

#[test]
fn a_damaged_state_is_told_and_nothing_is_removed() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let state = home.path().join("state");
    let good = fs::read(&state).unwrap();
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(&state, &bad).unwrap();
        let before = home.snapshot();
        for line in [&["plugin", "list"][..], &["plugin", "hello-world", "hello"], &["plugin", "refresh"]] {
            let error = home.refused(line, "state_corrupt");
            assert!(error["message"].as_str().unwrap().contains("state"), "byte {at}: {error}");
        }
        assert_eq!(home.snapshot().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "byte {at}");
    }
    fs::write(&state, &good).unwrap();
    home.ok(&["plugin", "hello-world", "hello"]);
}

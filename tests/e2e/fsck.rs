//! `plugin fsck`: what is damaged is found and named, what can be put right is, and nothing is lost in silence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{manifest, plugin, remade, tiny};
use serde_json::{Value, json};

fn tree(home: &Home, name: &str) -> PathBuf {
    let digest = home.json(&["plugin", "info", name])["digest"].as_str().unwrap().to_owned();
    home.path().join("store").join(digest)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Does something in a directory that nobody may write to.
fn inside(directory: &Path, act: impl FnOnce(&Path)) {
    set_mode(directory, 0o700);
    act(directory);
    set_mode(directory, 0o555);
}

/// What is found, the command having ended with this code.
fn findings(home: &Home, repair: bool, code: i32) -> Vec<Value> {
    let line: &[&str] = if repair { &["plugin", "fsck", "--repair"] } else { &["plugin", "fsck"] };
    let done = home.run(["--format", "json"].iter().chain(line));
    done.ends(code);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    report["findings"].as_array().unwrap().clone()
}

fn problems(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["problem"].as_str().unwrap()).collect()
}

#[test]
fn a_store_in_order_has_no_findings() {
    for user in users() {
        let home = Home::of(*user);
        home.ok(&["plugin", "fsck"]).says(&["0 plugins, 0 trees and 0 files checked"]);
        home.install(&plugin("hooks"));
        home.install(&remade("hooks", &json!({"version": "1.1.0"})));
        home.ok(&["plugin", "hooks", "put", "colour", "green"]);
        let before = home.snapshot();
        for repair in [false, true] {
            assert_eq!(findings(&home, repair, 0), Vec::<Value>::new());
        }
        home.ok(&["plugin", "fsck"]).says(&["1 plugin, 2 trees and 2 files checked"]);
        assert_eq!(home.snapshot(), before);
        home.ok(&["plugin", "uninstall", "hooks"]);
        let kept = findings(&home, false, 0);
        assert_eq!(problems(&kept), ["it holds data of hooks, which is not installed"]);
        assert!(kept[0]["help"].as_str().unwrap().ends_with("migraine plugin uninstall hooks --purge"), "{kept:?}");
        findings(&home, true, 0);
        home.install(&remade("hooks", &json!({"version": "1.1.0"})));
        assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n", "no repair removes data");
    }
}

#[test]
fn modes_extra_files_and_leftovers_are_put_right() {
    for user in users() {
        let home = Home::of(*user);
        home.install(&plugin("hooks"));
        let sound = home.snapshot();
        let tree = tree(&home, "hooks");
        inside(&tree.join("files"), |files| {
            fs::write(files.join("extra.so"), "nobody signed this").unwrap();
            fs::create_dir(files.join("more")).unwrap();
            fs::write(files.join("more/deep"), "nor this").unwrap();
        });
        set_mode(&tree.join("files/libhooks.so"), 0o666);
        set_mode(&tree.join("index"), 0o600);
        set_mode(&tree, 0o700);
        fs::create_dir_all(home.path().join("staging/abc/files")).unwrap();
        fs::create_dir_all(home.path().join("store/junk")).unwrap();
        fs::write(home.path().join("state.abc"), "half").unwrap();
        user_owns(&home, *user);
        let found = findings(&home, false, 6);
        let found = problems(&found);
        for expected in [
            "it does not belong there",
            "its mode is 666, not 444",
            "its mode is 600, not 444",
            "its mode is 700, not 555",
            "an interrupted command left it",
        ] {
            assert!(found.contains(&expected), "{expected}: {found:?}");
        }
        assert_eq!(
            found.iter().filter(|problem| **problem == "an interrupted command left it").count(),
            3,
            "{found:?}"
        );
        assert!(home.json(&["plugin", "list"])["plugins"][0]["name"] == "hooks");
        let repaired = findings(&home, true, 0);
        assert!(repaired.iter().all(|finding| finding["repaired"] == true), "{repaired:?}");
        assert_eq!(home.snapshot(), sound);
        home.ok(&["plugin", "hooks", "settings"]);
    }
}

/// What the test wrote as root belongs to the home's user.
fn user_owns(home: &Home, user: migraine_tests::run::User) {
    let mut todo = vec![home.path()];
    while let Some(path) = todo.pop() {
        user.give(&path);
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

#[test]
fn damaged_files_come_back_from_where_the_plugin_came_from() {
    let home = Home::new();
    let parcel = plugin("hooks");
    home.install(&parcel);
    let sound = home.snapshot();
    let tree = tree(&home, "hooks");
    let library = tree.join("files/libhooks.so");
    let alter = || {
        set_mode(&library, 0o600);
        fs::write(&library, "other").unwrap();
        set_mode(&library, 0o444);
    };
    let lose = || inside(&tree.join("files"), |files| fs::remove_file(files.join("libhooks.so")).unwrap());
    let link = || fs::hard_link(&library, home.work().join("second-name")).unwrap();
    let vanish = || {
        set_mode(&tree, 0o700);
        fs::rename(&tree, home.work().join("away")).unwrap();
    };
    let cases: [(&str, &dyn Fn()); 4] = [
        ("was changed", &alter),
        ("is missing", &lose),
        ("it has 2 names, and can be changed through each", &link),
        ("it is gone", &vanish),
    ];
    for (problem, damage) in cases {
        damage();
        let found = findings(&home, false, 6);
        assert_eq!(problems(&found), [problem]);
        assert_eq!((&found[0]["plugin"], &found[0]["code"]), (&json!("hooks"), &json!("integrity")));
        let doctor = home.run(["--format", "json", "doctor"]);
        let report: Value = serde_json::from_str(&doctor.out).unwrap();
        let check =
            report["store"].as_array().unwrap().iter().find(|check| check["what"] == "installed files").unwrap();
        // A second name changes nothing yet.
        let expected = if problem.contains("names") { json!(null) } else { json!("integrity") };
        assert_eq!(check["code"], expected, "{check}");
        assert!(findings(&home, true, 0).iter().all(|finding| finding["repaired"] == true));
        assert_eq!(home.snapshot(), sound, "{problem}");
        home.ok(&["plugin", "hooks", "settings"]);
    }
    // Without its source, nothing is made up.
    alter();
    let installed_from = home.json(&["plugin", "info", "hooks"])["installed_from"].as_str().unwrap().to_owned();
    drop(parcel);
    let before = home.snapshot();
    let left = findings(&home, true, 6);
    assert_eq!((problems(&left), &left[0]["repaired"]), (vec!["was changed"], &json!(false)));
    assert!(left[0]["help"].as_str().unwrap().contains(&installed_from), "{left:?}");
    assert_eq!(home.snapshot(), before);
    assert_eq!(home.json(&["plugin", "list", "--status", "enabled"])["summary"]["total"], 1, "it stays registered");
}

#[test]
fn a_version_before_that_is_lost_is_named() {
    let home = Home::new();
    let old = tiny(&manifest("demo", &json!({})));
    home.ok(&["plugin", "install", old.typed()]);
    let tree = tree(&home, "demo");
    home.ok(&["plugin", "install", tiny(&manifest("demo", &json!({"version": "1.1.0"}))).typed()]);
    drop(old);
    inside(&tree, |tree| fs::remove_file(tree.join("index")).unwrap());
    home.run(["plugin", "fsck"]).ends(6).says(&["its index is missing"]);
    home.ok(&["plugin", "fsck", "--repair"]).says(&["1.0.0 cannot be gone back to any more"]);
    home.ok(&["plugin", "fsck"]).never_says(&["note", "damaged"]);
    home.refused(&["plugin", "rollback", "demo"], "version_missing");
    assert_eq!(home.json(&["plugin", "info", "demo"])["version"], "1.1.0");
}

#[test]
fn a_damaged_state_is_built_anew_from_what_is_signed() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    home.ok(&["plugin", "hooks", "put", "colour", "green"]);
    home.install(&plugin("hello-world"));
    let unsigned = tiny(&manifest("nobodys", &json!({}))).unsigned();
    home.ok(&["plugin", "install", unsigned.typed(), "--allow-unsigned"]);
    let state = home.path().join("state");
    let good = fs::read(&state).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&state, &bad).unwrap();
    home.refused(&["plugin", "list"], "state_corrupt");
    let found = findings(&home, false, 1);
    assert_eq!(found[0]["code"], "state_corrupt");
    assert_eq!(fs::read(&state).unwrap(), bad, "nothing changes without being asked");
    let found = findings(&home, true, 6);
    assert_eq!((&found[0]["path"], &found[0]["repaired"]), (&json!("state"), &json!(true)), "{found:?}");
    let lost = found.iter().find(|finding| finding["code"] == "signature_missing").unwrap();
    assert!(lost["help"].as_str().unwrap().contains("install the plugin again"), "{lost}");
    let kept = found.iter().find(|finding| finding["problem"] == "it holds what the damaged state was").unwrap();
    assert_eq!(fs::read(home.path().join(kept["path"].as_str().unwrap())).unwrap(), bad);
    // Nothing is granted that nobody granted to this state.
    for name in ["hooks", "hello-world"] {
        assert_eq!(
            (home.status(name).as_str(), home.json(&["plugin", "info", name])["grants"].clone()),
            ("installed", json!([]))
        );
        home.ok(&["plugin", "enable", name, "--yes"]);
    }
    assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n");
    home.ok(&["plugin", "fsck"]);
    // What a newer program wrote is not damaged.
    let newer = String::from_utf8_lossy(&good).replacen("\"format\":1", "\"format\":2", 1);
    fs::write(&state, &newer).unwrap();
    home.run(["plugin", "fsck", "--repair"]).ends(1).says(&["a newer program wrote it"]);
    assert_eq!(fs::read_to_string(&state).unwrap(), newer);
}

#[test]
fn what_others_could_write_is_not_believed() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    set_mode(&home.path().join("state"), 0o666);
    home.run(["plugin", "fsck", "--repair"]).ends(6).says(&["others can write to it (mode 666)", "chmod go-w"]);
    set_mode(&home.path().join("state"), 0o600);
    set_mode(&home.path().join("keys"), 0o777);
    let found = findings(&home, true, 6);
    assert_eq!((&found[0]["path"], &found[0]["code"]), (&json!("keys"), &json!("insecure_permissions")));
    set_mode(&home.path().join("keys"), 0o700);
    home.ok(&["plugin", "fsck"]);
}

//! Versions: never back and never changed in silence, one version is kept to go back to, and newer ones are found where a
//! plugin came from.

use std::fs;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, manifest, plugin, remade, tiny};
use serde_json::{Value, json};

use super::dependencies::{needing, put};

/// A plugin of this version, which nobody can call.
fn version(version: &str) -> Parcel {
    tiny(&manifest("demo", &json!({"version": version})))
}

fn install<'a>(parcel: &'a Parcel, more: &[&'a str]) -> Vec<&'a str> {
    [&["plugin", "install", parcel.typed()], more].concat()
}

// covers: A157
#[test]
fn a157_offer_an_older_version_under_a_name_that_means_the_newest() {
    let (old, new) = (version("1.0.0"), version("1.1.0"));
    for user in users() {
        let mut home = Home::of(*user);
        let latest = |from: &Parcel| {
            for (file, name) in [(&from.library, "latest.so"), (&from.sidecar(), "latest.so.sig")] {
                fs::copy(file, home.work().join(name)).unwrap();
            }
        };
        latest(&new);
        home.ok(&["plugin", "install", "latest.so"]);
        latest(&old);
        let before = home.snapshot();
        for more in
            [&["--yes"][..], &["--allow-unsigned"], &["--allow-downgrade", "1.1.0"], &["--allow-reuse", "1.0.0"]]
        {
            home.refused(&[&["plugin", "install", "latest.so"], more].concat(), "version_rollback");
        }
        assert_eq!(home.snapshot(), before);
        home.leave_out("Rollback");
        home.ok(&["plugin", "install", "latest.so"]).says(&["version    1.0.0 (was 1.1.0)"]);
    }
}

// covers: A158
#[test]
fn a158_offer_an_older_version_once_the_newer_one_is_gone() {
    let (old, new, other) = (version("1.0.0"), version("2.0.0"), version("1.5.0"));
    for user in users() {
        let mut home = Home::of(*user);
        home.ok(&install(&new, &[]));
        for purge in [&["plugin", "uninstall", "demo"][..], &["plugin", "uninstall", "demo", "--purge"]] {
            home.ok(purge);
            let error = home.refused(&install(&old, &[]), "version_rollback");
            assert!(error["message"].as_str().unwrap().contains("2.0.0, which was installed before"), "{error}");
            assert!(error["help"].as_str().unwrap().contains("--allow-downgrade 1.0.0"), "{error}");
            // Whoever is asked for one version does not get another.
            home.refused(&install(&other, &["--allow-downgrade", "1.0.0"]), "version_rollback");
            home.ok(&install(&new, &[]));
        }
        home.ok(&["plugin", "uninstall", "demo"]);
        home.leave_out("Rollback");
        home.ok(&install(&old, &[]));
        home.ok(&["plugin", "uninstall", "demo"]);
        home.leave_out("");
        home.ok(&install(&old, &["--allow-downgrade", "1.0.0"]));
        // It was said of that version alone, and the newest is still known.
        home.refused(&install(&other, &[]), "version_rollback");
        home.ok(&["plugin", "uninstall", "demo"]);
        home.ok(&["plugin", "forget", "demo", "--history"]).says(&["newest     2.0.0"]);
        home.ok(&install(&old, &[]));
        home.refused(&["plugin", "forget", "nobody", "--history"], "plugin_not_found");
    }
}

// covers: A171
#[test]
fn a171_give_a_version_another_content() {
    let first = version("1.0.0");
    let second = tiny(&manifest("demo", &json!({"description": "Does other things"})));
    for user in users() {
        let mut home = Home::of(*user);
        home.ok(&install(&first, &[]));
        let before = home.snapshot();
        for parcel in [second.typed().to_owned(), second.package().to_str().unwrap().to_owned()] {
            for more in [&["--yes"][..], &["--allow-downgrade", "1.0.0"], &["--allow-reuse", "1.0.1"]] {
                home.refused(&[&["plugin", "install", &parcel], more].concat(), "version_reused");
            }
        }
        assert_eq!(home.snapshot(), before);
        home.ok(&["plugin", "uninstall", "demo", "--purge"]);
        home.refused(&install(&second, &[]), "version_reused");
        home.leave_out("Reuse");
        home.ok(&install(&second, &[]));
        home.leave_out("");
        // The author says so, and from then on this is what counts.
        home.ok(&install(&first, &["--allow-reuse", "1.0.0"]));
        home.refused(&install(&second, &[]), "version_reused");
        // The same library in a package is the same version.
        home.ok(&["plugin", "install", first.package().to_str().unwrap()]);
    }
}

#[test]
fn what_nobody_signed_can_change_while_it_is_developed() {
    let home = Home::new();
    let first = version("1.0.0").unsigned();
    let second = tiny(&manifest("demo", &json!({"description": "Does other things"}))).unsigned();
    home.ok(&install(&first, &["--allow-unsigned"]));
    // Each time for these very bytes.
    home.refused(&install(&second, &[]), "signature_missing");
    home.ok(&install(&second, &["--allow-unsigned"]));
    // Without a signature, nobody vouches for the number: it blocks no signed version.
    home.ok(&install(&tiny(&manifest("demo", &json!({"version": "9.0.0"}))).unsigned(), &["--allow-unsigned"]));
    home.ok(&["plugin", "uninstall", "demo"]);
    home.ok(&install(&version("1.0.0"), &[]));
    // But an old version does not come back by it.
    home.ok(&install(&version("2.0.0"), &[]));
    home.refused(&install(&first, &["--allow-unsigned"]), "version_rollback");
}

/// A folder with packages, as somebody keeps them.
fn depot(home: &Home, parcels: &[&Parcel]) -> String {
    let folder = home.work().join("depot");
    fs::create_dir_all(&folder).unwrap();
    for parcel in parcels {
        let package = parcel.package();
        fs::copy(&package, folder.join(package.file_name().unwrap())).unwrap();
    }
    folder.join(parcels[0].package().file_name().unwrap()).to_str().unwrap().to_owned()
}

fn outcome<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == name).unwrap()
}

#[test]
fn newer_versions_are_found_where_the_plugin_came_from() {
    let home = Home::new();
    let other = tiny(&manifest("other", &json!({})));
    let first = depot(&home, &[&version("1.0.0"), &other]);
    home.ok(&["plugin", "install", &first]);
    home.install(&other);
    assert_eq!(home.json(&["plugin", "outdated"])["plugins"], json!([]));
    home.ok(&["plugin", "outdated"]).says(&["No newer version of 2 plugins was found"]);
    home.ok(&["plugin", "upgrade", "demo"]).says(&["demo 1.0.0 is the newest: nothing newer in "]);
    let folder = home.path().join("plugins");
    let third = tiny(&manifest("third", &json!({})));
    fs::create_dir_all(&folder).unwrap();
    fs::copy(third.package(), folder.join("third.mgp")).unwrap();
    home.ok(&["plugin", "install", "third"]);
    let said = home.ok(&["plugin", "upgrade", "third"]).out;
    assert_eq!(said.matches(folder.to_str().unwrap()).count(), 1, "{said}");
    home.ok(&["plugin", "uninstall", "third"]);
    fs::remove_file(folder.join("third.mgp")).unwrap();
    depot(&home, &[&version("1.2.0"), &version("1.10.0"), &version("0.9.0")]);
    // What is not signed by a trusted key blocks nothing, whatever number it has.
    let foreign = version("9.0.0").signed(&migraine_tests::package::other_key());
    fs::create_dir_all(home.path().join("plugins")).unwrap();
    for file in [foreign.library.clone(), foreign.sidecar()] {
        fs::copy(&file, home.path().join("plugins").join(file.file_name().unwrap())).unwrap();
    }
    let report = home.json(&["plugin", "outdated"]);
    let found = &report["plugins"];
    assert_eq!((&found[0]["installed"], &found[0]["available"]), (&json!("1.0.0"), &json!("1.10.0")), "{report}");
    assert!(report["warnings"][0]["message"].as_str().unwrap().starts_with("untrusted_key"), "{report}");
    home.ok(&["plugin", "outdated"]).says(&["demo                 1.0.0      1.10.0", "depot/demo-1.10.0.mgp"]);
    let report = home.json(&["plugin", "upgrade", "--all"]);
    assert_eq!(outcome(&report, "demo")["outcome"], "upgraded", "{report}");
    assert_eq!(outcome(&report, "other")["outcome"], "current", "{report}");
    let info = home.json(&["plugin", "info", "demo"]);
    assert_eq!((&info["version"], &info["previous"]), (&json!("1.10.0"), &json!("1.0.0")));
    assert!(info["installed_from"].as_str().unwrap().ends_with("demo-1.10.0.mgp"), "{info}");
    home.refused(&["plugin", "upgrade", "nobody"], "plugin_not_found");
    home.refused(&["plugin", "upgrade"], "usage");
}

// covers: A199
#[test]
fn a199_want_more_with_a_new_version() {
    let modest = json!({"hooks": [], "permissions": ["task_read"]});
    let greedy = json!({"version": "2.0.0", "hooks": [], "permissions": ["task_read", "task_write"]});
    let (modest, greedy) = (remade("hooks", &modest), remade("hooks", &greedy));
    let other = [version("1.0.0"), version("1.1.0")];
    for user in users() {
        let home = Home::of(*user);
        home.ok(&["plugin", "install", &depot(&home, &[&modest]), "--yes"]);
        home.ok(&["plugin", "install", &depot(&home, &[&other[0]])]);
        depot(&home, &[&greedy, &other[1]]);
        let before = home.snapshot();
        let error = home.refused(&["plugin", "upgrade", "hooks"], "consent_required");
        assert!(error["message"].as_str().unwrap().contains("--grant task_write"), "{error}");
        assert_eq!(home.snapshot(), before, "the old version stays as it is");
        home.ok(&["plugin", "hooks", "settings"]);
        // It keeps no other plugin from its upgrade.
        let done = home.run(["plugin", "upgrade", "--all"]);
        done.ends(6).says(&["hooks stays at 1.0.0: consent_required", "version    1.1.0 (was 1.0.0)"]);
        assert_eq!(home.json(&["plugin", "info", "hooks"])["version"], "1.0.0");
        home.ok(&["plugin", "upgrade", "hooks", "--grant", "task_write"]).says(&["version    2.0.0 (was 1.0.0)"]);
        home.ok(&["plugin", "hooks", "settings"]);
        let naive = Home::of(*user);
        let grants = ["--yes", "--grant", "task_write"];
        naive.ok(&[&["plugin", "install", greedy.typed()], &grants[..]].concat());
        assert_eq!(naive.status("hooks"), "enabled", "without a version before, it is simply what it asks for");
    }
}

#[test]
fn the_version_before_is_kept_and_gone_back_to() {
    let home = Home::new();
    let (old, new) = (plugin("hooks"), remade("hooks", &json!({"version": "1.1.0"})));
    home.install(&old);
    home.refused(&["plugin", "rollback", "hooks"], "version_missing");
    home.ok(&["plugin", "hooks", "put", "colour", "green"]);
    home.install(&new);
    home.ok(&["plugin", "config", "hooks", "set", "number", "7"]);
    // Offline: what it came from is gone.
    drop(old);
    let done = home.ok(&["plugin", "rollback", "hooks"]);
    done.says(&["rolled back successfully", "version    1.0.0 (was 1.1.0)", "status     enabled", "plugin pin hooks"]);
    assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n");
    assert_eq!(home.ok(&["plugin", "config", "hooks", "get", "number"]).out, "7\n");
    home.ok(&["plugin", "verify", "hooks"]).says(&["1.0.0 verified"]);
    // No other version may be older.
    home.refused(&["plugin", "install", remade("hooks", &json!({"version": "1.0.5"})).typed()], "version_rollback");
    home.ok(&["plugin", "rollback", "hooks"]).says(&["version    1.1.0 (was 1.0.0)"]);
    home.ok(&["plugin", "disable", "hooks"]);
    home.ok(&["plugin", "rollback", "hooks"]).says(&["status     disabled"]);
    let report = home.json(&["plugin", "rollback", "hooks"]);
    assert_eq!((&report["version"], &report["replaced"]), (&json!("1.1.0"), &json!("1.0.0")));
    // One version is kept, not all.
    home.ok(&install(&remade("hooks", &json!({"version": "1.2.0"})), &["--yes"]));
    assert_eq!(fs::read_dir(home.path().join("store")).unwrap().count(), 2);
    assert_eq!(home.json(&["plugin", "info", "hooks"])["previous"], "1.1.0");
    home.ok(&["plugin", "uninstall", "hooks"]);
    assert_eq!(fs::read_dir(home.path().join("store")).unwrap().count(), 0);
    home.refused(&["plugin", "rollback", "hooks"], "plugin_not_found");
}

// covers: A119
#[test]
fn a_version_that_is_gone_back_to_is_judged_again() {
    let home = Home::new();
    let permissions = |version: &str, permissions: Value| {
        remade("hooks", &json!({"version": version, "hooks": [], "permissions": permissions}))
    };
    home.install(&permissions("1.0.0", json!(["task_read", "task_write"])));
    home.install(&permissions("1.1.0", json!(["task_write"])));
    // What was taken back since is not granted again in silence; what the newer version never asked for is still held.
    home.ok(&["plugin", "revoke", "hooks", "task_write"]);
    home.ok(&["plugin", "rollback", "hooks"]);
    let info = home.json(&["plugin", "info", "hooks"]);
    assert_eq!((&info["status"], &info["grants"]), (&json!("installed"), &json!(["task_read"])), "{info}");
    home.ok(&["plugin", "enable", "hooks", "--yes"]);
    home.ok(&["plugin", "rollback", "hooks"]);
    home.install(&permissions("1.2.0", json!([])));
    let before = home.snapshot();
    let error = home.refused(&["plugin", "rollback", "hooks", "--grant", "network"], "value_invalid");
    assert!(error["message"].as_str().unwrap().contains("network"), "{error}");
    // Damaged, or signed by a key that was revoked since, it is no way back.
    let tree = fs::read_dir(home.path().join("store")).unwrap().map(|tree| tree.unwrap().path());
    let digest = home.json(&["plugin", "info", "hooks"])["digest"].as_str().unwrap().to_owned();
    let tree = tree.into_iter().find(|tree| !tree.ends_with(&digest)).unwrap();
    let library = tree.join("files").join("libhooks.so");
    let good = fs::read(&library).unwrap();
    let write = |bytes: &[u8]| {
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&library, mode(0o600)).unwrap();
        fs::write(&library, bytes).unwrap();
        fs::set_permissions(&library, mode(0o444)).unwrap();
    };
    write(b"other");
    home.refused(&["plugin", "rollback", "hooks"], "integrity");
    write(&good);
    assert_eq!(home.snapshot(), before);
    let key = migraine_tests::package::key().public().fingerprint().to_string();
    home.ok(&["key", "revoke", &key]);
    home.refused(&["plugin", "rollback", "hooks"], "key_revoked");
}

#[test]
fn a_pinned_plugin_stays_where_it_is() {
    let home = Home::new();
    let first = depot(&home, &[&version("1.0.0"), &version("1.1.0"), &version("1.2.0")]);
    home.ok(&["plugin", "install", &first]);
    home.ok(&["plugin", "pin", "demo"]).says(&["pinned to 1.0.0"]);
    home.ok(&["plugin", "info", "demo"]).says(&["pinned       to 1.0.0"]);
    home.ok(&["plugin", "upgrade", "--all"]).says(&["demo 1.0.0 is pinned\n"]);
    assert_eq!(home.json(&["plugin", "outdated"])["plugins"], json!([]));
    home.refused(&install(&version("1.1.0"), &[]), "version_pinned");
    home.ok(&["plugin", "install", &first]);
    // To one version and no further.
    home.ok(&["plugin", "pin", "demo", "1.1.0"]);
    home.refused(&install(&version("1.2.0"), &[]), "version_pinned");
    home.ok(&["plugin", "upgrade", "demo"]).says(&["version    1.1.0 (was 1.0.0)"]);
    home.ok(&["plugin", "upgrade", "demo"]).says(&["demo 1.1.0 is pinned"]);
    home.refused(&["plugin", "rollback", "demo"], "version_pinned");
    home.refused(&["plugin", "pin", "demo", "1.0.0"], "value_invalid");
    home.ok(&["plugin", "pin", "demo", "--off"]).says(&["unpinned"]);
    home.ok(&["plugin", "pin", "demo", "--off"]).says(&["was not pinned"]);
    home.ok(&["plugin", "upgrade", "demo"]).says(&["version    1.2.0 (was 1.1.0)"]);
    home.refused(&["plugin", "pin", "nobody"], "plugin_not_found");
}

/// Plugins that need each other go back together, or the user says that they need not fit.
#[test]
fn going_back_breaks_nothing_that_is_needed() {
    for &user in users() {
        let home = Home::of(user);
        for (version, range) in [("1.0.0", "^1"), ("2.0.0", "^2")] {
            put(&home, "from", &needing("app", version, &[&format!("plugin:base {range}")]), version);
            put(&home, "from", &needing("base", version, &[]), version);
        }
        home.ok(&["plugin", "install", "from/app-1.0.0.so", "--yes"]);
        home.ok(&["plugin", "install", "from/app-2.0.0.so", "--yes"]);
        let before = home.snapshot();
        let error = home.refused(&["plugin", "rollback", "app"], "dependency_missing");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("app 1.0.0 needs `plugin:base ^1`: base is installed in version 2.0.0"), "{message}");
        let error = home.refused(&["plugin", "rollback", "base"], "dependency_in_use");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("app needs `plugin:base ^2`, which base 1.0.0 is not"), "{message}");
        assert!(error["help"].as_str().unwrap().contains("--force"), "{error}");
        assert_eq!(home.snapshot(), before);
        home.ok(&["plugin", "rollback", "base", "--force"]);
        home.refused(&["plugin", "run", "app", "go"], "dependency_missing");
        // Now it fits again, and so does the way back.
        home.ok(&["plugin", "rollback", "app"]);
        assert_eq!((version_of(&home, "app"), version_of(&home, "base")), ("1.0.0".to_owned(), "1.0.0".to_owned()));
        // What is switched off is in nobody's way.
        home.ok(&["plugin", "disable", "app"]);
        home.ok(&["plugin", "rollback", "base"]);
        home.ok(&["plugin", "rollback", "app"]);
        home.ok(&["plugin", "enable", "app"]);
    }
}

fn version_of(home: &Home, name: &str) -> String {
    home.json(&["plugin", "info", name])["version"].as_str().unwrap().to_owned()
}

//! The verbs that change what is installed take the project's lock along, or change nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use migraine_tests::home::Home;
use migraine_tests::kernel::{skip, users};
use migraine_tests::package::{Parcel, key, manifest, tiny};
use migraine_tests::run::User;
use serde_json::json;

use super::dependencies::{needing, put};
use super::locks::{lock, lock_text, with_two};
use super::store::{SMALL_DISKS, in_small_disk};
use super::system_store::Lib;

const LOCKED_RUN: [&str; 3] = ["run", "w.yaml", "--locked"];

/// A project with two plugins, of which one needs the other, and its lock; there are newer versions of the other one.
fn project(home: &Home) {
    home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]");
    with_two(home);
    home.ok(&["plugin", "lock"]);
    for version in ["1.1.0", "1.2.0"] {
        put(home, "newer", &needing("base", version, &[]), version);
    }
}

/// The versions in the lock, by name.
fn locked(home: &Home) -> String {
    let lock = lock(home);
    let plugins = lock["plugins"].as_array().unwrap().iter();
    let text = |plugin: &serde_json::Value| {
        format!("{} {}", plugin["name"].as_str().unwrap(), plugin["version"].as_str().unwrap())
    };
    plugins.map(text).collect::<Vec<_>>().join(", ")
}

/// Where the other one came from, an upgrade finds this version.
fn offer(home: &Home, version: &str) {
    for end in ["so", "so.sig"] {
        let newer = home.work().join(format!("newer/base-{version}.{end}"));
        fs::copy(newer, home.work().join(format!("from/base-1.0.0.{end}"))).unwrap();
    }
}

// A lock is a file that somebody else may have written: it takes nobody back to an older version by itself.
#[test]
fn a_lock_goes_back_only_on_purpose() {
    for &user in users() {
        let home = Home::of(user);
        home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]");
        let [older, newer] = ["1.0.0", "1.1.0"].map(|version| tiny(&manifest("extra", &json!({"version": version}))));
        let install = |package: &Parcel, more: &[&str]| {
            home.ok(&[&["plugin", "install", package.typed(), "--yes"], more].concat());
        };
        install(&older, &[]);
        home.ok(&["plugin", "lock"]);
        install(&newer, &["--no-lock"]);
        home.run(LOCKED_RUN).ends(6).says(&["error[lock_mismatch]", "plugin install --locked"]);
        let refused = home.run(["plugin", "install", "--locked", "--yes"]);
        refused.ends(6).says(&["error[version_rollback]", "install it alone", "`--allow-downgrade 1.0.0`"]);
        install(&older, &["--no-lock", "--allow-downgrade", "1.0.0"]);
        home.ok(&["plugin", "install", "--locked"]).says(&["as it is locked"]);
        home.ok(&LOCKED_RUN);
    }
}

#[test]
fn what_changes_in_a_project_is_locked() {
    for &user in users() {
        let home = Home::of(user);
        project(&home);
        offer(&home, "1.1.0");
        home.ok(&["plugin", "upgrade", "base"]).says(&["migraine.lock updated"]);
        assert_eq!(locked(&home), "app 1.0.0, base 1.1.0");
        home.ok(&LOCKED_RUN);
        home.ok(&["plugin", "upgrade", "base"]).says(&["is the newest"]).never_says(&["migraine.lock"]);
        home.ok(&["plugin", "rollback", "base"]).says(&["migraine.lock updated"]);
        assert_eq!(locked(&home), "app 1.0.0, base 1.0.0");
        home.ok(&LOCKED_RUN);
        offer(&home, "1.2.0");
        home.ok(&["plugin", "upgrade", "--all"]).says(&["migraine.lock updated"]);
        assert_eq!(locked(&home), "app 1.0.0, base 1.2.0");
        home.ok(&LOCKED_RUN);
        home.ok(&["plugin", "install", "--locked"]).says(&["as it is locked"]);
        home.ok(&["plugin", "uninstall", "app"]).says(&["uninstalled successfully", "migraine.lock updated"]);
        assert_eq!(locked(&home), "base 1.2.0");
        home.ok(&LOCKED_RUN);
        // What the lock does not name is nothing of the project's.
        let text = lock_text(&home);
        home.ok(&["plugin", "install", tiny(&manifest("extra", &json!({}))).typed(), "--no-lock"]);
        home.ok(&["plugin", "uninstall", "extra"]).never_says(&["migraine.lock"]);
        assert_eq!(lock_text(&home), text);
        // Where there is no lock, none is made.
        fs::remove_file(home.work().join("migraine.lock")).unwrap();
        home.ok(&["plugin", "rollback", "base"]).never_says(&["migraine.lock"]);
        home.ok(&["plugin", "upgrade", "base"]);
        home.ok(&["plugin", "uninstall", "base"]);
        assert!(!home.work().join("migraine.lock").exists());
    }
}

/// A kill between the two steps, or `--no-lock`: the same command again brings the lock to where it would have been.
#[test]
fn a_lock_that_was_left_behind_catches_up() {
    for &user in users() {
        let home = Home::of(user);
        project(&home);
        let text = lock_text(&home);
        offer(&home, "1.1.0");
        home.ok(&["plugin", "upgrade", "base", "--no-lock"]).never_says(&["migraine.lock"]);
        assert_eq!(lock_text(&home), text);
        home.refused(&LOCKED_RUN, "lock_mismatch");
        home.ok(&["plugin", "upgrade", "base"]).says(&["is the newest", "migraine.lock updated"]);
        assert_eq!(locked(&home), "app 1.0.0, base 1.1.0");
        home.ok(&["plugin", "rollback", "base", "--no-lock"]);
        assert_eq!(locked(&home), "app 1.0.0, base 1.1.0");
        // A lock that names a newer version than an upgrade finds is somebody else's newer word.
        let newer = lock_text(&home).replace("1.1.0", "1.9.0");
        home.write("migraine.lock", &newer);
        home.ok(&["plugin", "upgrade", "base"]).says(&["1.1.0"]).never_says(&["migraine.lock"]);
        home.ok(&["plugin", "upgrade", "--all"]).never_says(&["migraine.lock"]);
        assert_eq!(lock_text(&home), newer);
        home.write("migraine.lock", &text);
        home.ok(&["plugin", "uninstall", "app", "--no-lock"]);
        assert_eq!(lock_text(&home), text);
        home.ok(&["plugin", "uninstall", "app"]).says(&["'app' is not installed", "migraine.lock updated"]);
        assert_eq!(locked(&home), "base 1.0.0");
        home.refused(&["plugin", "uninstall", "app"], "plugin_not_found");
    }
}

/// Each line would change something, and is refused as long as the lock cannot follow.
#[test]
fn where_the_lock_cannot_follow_nothing_changes() {
    const LINES: [&[&str]; 3] =
        [&["plugin", "upgrade", "base"], &["plugin", "rollback", "base"], &["plugin", "uninstall", "app"]];
    for &user in users() {
        let home = Home::of(user);
        project(&home);
        offer(&home, "1.1.0");
        home.ok(&["plugin", "upgrade", "base"]);
        offer(&home, "1.2.0");
        let (text, before) = (lock_text(&home), home.snapshot());
        let path = home.work().join("migraine.lock");
        let refused = |code: &str| {
            for line in LINES {
                let error = home.refused(line, code);
                assert!(error["help"].as_str().unwrap().contains("--no-lock"), "{line:?}: {error}");
                assert_eq!(home.snapshot(), before, "{line:?}");
            }
        };
        // A name that the new lock takes until it is in its place.
        home.write(".migraine.lock.tmp/x", "");
        refused("io");
        fs::remove_dir_all(home.work().join(".migraine.lock.tmp")).unwrap();
        if user == User::Plain {
            fs::set_permissions(home.work(), fs::Permissions::from_mode(0o555)).unwrap();
            refused("io");
            fs::set_permissions(home.work(), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for bad in ["{", "", &text.replace("\"format\": 1", "\"format\": 2"), &text.replace("\"app\"", "\"../a\"")] {
            home.write("migraine.lock", bad);
            refused("lock_invalid");
        }
        fs::write(&path, vec![b' '; 2 << 20]).unwrap();
        refused("lock_invalid");
        // What is not a file of the project's own is neither waited for nor replaced.
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        refused("io");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused("io");
        fs::remove_dir(&path).unwrap();
        let elsewhere = home.write("elsewhere", &text);
        symlink(&elsewhere, &path).unwrap();
        refused("value_invalid");
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), text);
        for line in LINES {
            home.ok(&[line, &["--no-lock"]].concat());
        }
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), text);
    }
}

/// A directory that is gone holds no lock.
#[test]
fn in_a_directory_that_is_gone_there_is_no_lock() {
    let home = Home::new();
    project(&home);
    let gone = home.work().join("gone");
    fs::create_dir(&gone).unwrap();
    let product = home.command(["plugin", "uninstall", "app"]);
    let mut command = Command::new("sh");
    command.args(["-c", "cd \"$0\" && rmdir \"$0\" && exec \"$@\""]).arg(&gone);
    command.arg(product.get_program()).args(product.get_args()).env_clear();
    command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(locked(&home), "app 1.0.0, base 1.0.0");
}

/// What is under a name of the system store, once the user's own is gone, is what the lock names then.
#[test]
fn the_system_stores_plugin_takes_the_place_of_the_users_own() {
    let Some(lib) = Lib::trusting() else { return };
    let (own, shared) = ["1.1.0", "1.0.0"].map(|version| tiny(&manifest("demo", &json!({"version": version})))).into();
    lib.install(&shared);
    for &user in users() {
        let home = Home::of(user);
        home.write("w.yaml", "name: w\nsteps: [{command: 'true'}]");
        lib.user_ok(&home, &["plugin", "install", own.typed(), "--yes"]);
        lib.user_ok(&home, &["plugin", "lock"]);
        assert_eq!(locked(&home), "demo 1.1.0");
        lib.user_ok(&home, &["plugin", "uninstall", "demo"]).says(&["migraine.lock updated"]);
        assert_eq!(locked(&home), "demo 1.0.0");
        lib.user_ok(&home, &LOCKED_RUN);
        let text = lock_text(&home);
        let done = lib.run(&home, &["plugin", "uninstall", "demo"]);
        done.ends(6).says(&["error["]);
        // What root does for all is no project's.
        lib.run_with(&home, &["plugin", "list"], ":").ends(0);
        assert_eq!(lock_text(&home), text);
    }
}

/// What is removed makes the room that the lock takes.
// covers: A154
#[test]
fn a_removal_on_a_full_disk_is_locked_as_well() {
    if !nix::unistd::geteuid().is_root() {
        return skip("full disks", "this is not root");
    }
    let parcels = ["one", "two"].map(|name| tiny(&manifest(name, &json!({}))));
    let [one, two] = parcels.each_ref().map(Parcel::typed);
    for (&user, (options, fill)) in users().iter().flat_map(|user| SMALL_DISKS.map(|disk| (user, disk))) {
        let script = format!(
            "export MIGRAINE_HOME=/mnt/home; mkdir /mnt/work; cd /mnt/work\n$M key trust {} --scope '*'\n\
             $M plugin install {one}\n$M plugin install {two}\n$M plugin lock\n{fill}\n\
             ! cp migraine.lock other 2>/dev/null || ! test -s other\n$M plugin uninstall one\n\
             ls -A\ncat migraine.lock",
            key().public()
        );
        let done = in_small_disk(user, options, &script);
        done.ends(0).says(&["'one' uninstalled", "migraine.lock updated", "\"two\""]);
        let lock = done.out.rsplit("migraine.lock").next().unwrap();
        assert!(!lock.contains("\"one\"") && !done.out.contains(".tmp"), "{done:?}");
    }
}

//! The administrator's store while it is used and changed: what everybody can read of it, and who goes on with what.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{plugin, remade};
use migraine_tests::run::User;
use serde_json::{Value, json};

use super::fetch::{AUTHORITY, Site, demo, run};
use super::system_store::Lib;

#[test]
fn nothing_that_may_be_secret_is_shown_to_everybody() {
    let Some(lib) = Lib::trusting() else { return };
    let site = Site::of(User::Root);
    let url = site.put("/demo.mgp", &demo("demo", "1.0.0"));
    let secret = url.replace("https://", "https://ann:pa55@") + "?token=s3cret";
    let authority = format!("export SSL_CERT_FILE={}", AUTHORITY.certificate().display());
    let ask = |home: &Home, args: &[&str]| lib.run_with(home, args, &authority);
    let done = ask(&lib.root, &["plugin", "install", &secret, "--yes", "--system"]);
    done.ends(0).says(&["its address is kept without the query", &url]).never_says(&["s3cret", "pa55"]);
    let state = || fs::read_to_string(lib.path().join("state")).unwrap();
    assert!(state().contains(&url) && !state().contains("s3cret") && !state().contains("pa55"), "{}", state());
    assert!(site.asked().iter().any(|path| path == "/demo.mgp?token=s3cret"), "{:?}", site.asked());
    for &user in users() {
        assert_eq!(lib.info(&Home::of(user), "demo")["url"], json!(url));
    }
    // What is there now is found by the address that was kept.
    site.put("/demo.mgp", &demo("demo", "1.1.0"));
    ask(&lib.root, &["plugin", "upgrade", "demo", "--system"]).ends(0).says(&["1.1.0"]);
    // A user's own state is nobody else's to read, and an upgrade may need the query.
    let own = site.put("/own.mgp", &demo("own", "1.0.0")) + "?token=s3cret";
    run(&site.home, &["plugin", "install", &own]).ends(0).never_says(&["without the query", "s3cret"]);
    assert!(fs::read_to_string(site.home.path().join("state")).unwrap().contains("?token=s3cret"));
}

#[test]
fn who_only_looks_or_fails_makes_nothing() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&plugin("hello-world"));
    for &user in users() {
        let home = Home::of(user);
        fs::remove_dir_all(home.path()).unwrap();
        fs::set_permissions(home.path().parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        for line in [
            &["plugin", "uninstall", "hello-world"][..],
            &["plugin", "uninstall", "hello-world", "--purge"],
            &["plugin", "uninstall", "none", "--force"],
            &["plugin", "unlink", "hello-world"],
            &["plugin", "forget", "hello-world", "--history"],
            &["plugin", "untrust-project", "."],
        ] {
            let done = lib.run(&home, line);
            assert!(done.code != 0 && done.err.starts_with("error["), "{line:?}: {done:?}");
        }
        for line in [&["plugin", "refresh"][..], &["plugin", "list"], &["plugin", "fsck", "--repair"], &["doctor"]] {
            lib.user_ok(&home, line);
        }
        lib.user_ok(&home, &["plugin", "run", "hello-world", "hello"]).says(&["Hello"]);
        assert!(!home.path().exists(), "{:?}", home.snapshot().keys());
        // What is written is made.
        lib.user_ok(&home, &["plugin", "disable", "hello-world"]);
        lib.user_ok(&home, &["plugin", "refresh"]).says(&["1 "]);
        assert_eq!(lib.status(&home, "hello-world"), "disabled");
    }
}

#[test]
fn whoever_sets_a_value_for_all_is_told_who_reads_it() {
    let Some(lib) = Lib::trusting() else { return };
    lib.install(&super::system_store::hooks("1.0.0", &json!([])));
    let told = "every user of this machine can read this value";
    lib.ok(&["plugin", "config", "hooks", "set", "number", "3"]).says(&["configured successfully", told]);
    lib.ok(&["plugin", "config", "hooks", "get"]).never_says(&[told]);
    lib.ok(&["plugin", "config", "hooks", "unset", "number"]).never_says(&[told]);
    let set = ["plugin", "config", "hooks", "set", "number", "4"];
    let report: Value = lib.json(&lib.root, &[&set[..], &["--system"]].concat());
    assert_eq!(report["config"]["number"]["value"], 4);
    for &user in users() {
        lib.user_ok(&Home::of(user), &set).says(&["configured successfully"]).never_says(&[told]);
    }
}

// covers: A153
#[test]
fn a_run_goes_on_while_root_upgrades() {
    let Some(lib) = Lib::trusting() else { return };
    let of = |version: &str, commands: &[&str]| {
        let commands: Vec<Value> = commands.iter().map(|name| json!({"name": name, "stdin": *name == "cat"})).collect();
        remade("hooks", &json!({"version": version, "hooks": [], "permissions": [], "commands": commands}))
    };
    for &user in users() {
        let home = Home::of(user);
        lib.install(&of("1.0.0", &["cat", "settings"]));
        let mut command = lib.command(&home, &["plugin", "run", "hooks", "cat"], ":");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let (mut input, mut output) = (running.stdin.take().unwrap(), BufReader::new(running.stdout.take().unwrap()));
        let mut echo = |line: &str| {
            input.write_all(line.as_bytes()).unwrap();
            let mut found = String::new();
            output.read_line(&mut found).unwrap();
            assert_eq!(found, line);
        };
        echo("before\n");
        // After the second one, the tree that it runs from is not even that of the version before.
        let old = lib.info(&home, "hooks")["digest"].as_str().unwrap().to_owned();
        for version in ["1.1.0", "1.2.0"] {
            lib.install(&of(version, &["settings"]));
        }
        assert!(!lib.path().join("store").join(&old).exists(), "{old} is still there");
        echo("after\n");
        drop(input);
        assert!(running.wait().unwrap().success());
        assert_eq!(lib.info(&home, "hooks")["version"], "1.2.0");
        lib.user_ok(&home, &["plugin", "run", "hooks", "settings"]);
        lib.refused(&home, &["plugin", "run", "hooks", "cat"], "command_not_found");
        lib.ok(&["plugin", "uninstall", "hooks"]);
        lib.ok(&["plugin", "forget", "hooks", "--history"]);
    }
}

#[test]
fn root_puts_right_what_every_user_finds_damaged() {
    let Some(lib) = Lib::trusting() else { return };
    // A repair takes the file from where it was installed from.
    let parcel = plugin("hello-world");
    lib.install(&parcel);
    let run = ["plugin", "run", "hello-world", "hello"];
    for &user in users() {
        let home = Home::of(user);
        lib.user_ok(&home, &["plugin", "fsck"]);
        let digest = lib.info(&home, "hello-world")["digest"].as_str().unwrap().to_owned();
        let file = lib.path().join("store").join(&digest).join("files/libhello_world.so");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let before = home.snapshot();
        for verb in [&["plugin", "fsck"][..], &["plugin", "fsck", "--repair"]] {
            let done = lib.run(&home, &[&["--format", "json"], verb].concat());
            let report: Value = serde_json::from_str(&done.ends(6).out).unwrap();
            let finding = &report["findings"][0];
            assert_eq!(
                (&finding["path"], &finding["plugin"], &finding["code"], &finding["repaired"]),
                (
                    &json!(format!("/var/lib/migraine/store/{digest}")),
                    &json!("hello-world"),
                    &json!("integrity"),
                    &json!(false)
                ),
                "{report}"
            );
            assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
        }
        assert_eq!(home.snapshot(), before);
        lib.refused(&home, &run, "integrity");
        if user == User::Plain {
            lib.refused(&home, &["plugin", "fsck", "--repair", "--system"], "system_store");
        }
        lib.run(&lib.root, &["plugin", "fsck", "--system"]).ends(6).says(&[
            "libhello_world.so",
            "was changed",
            "migraine plugin install --system ",
        ]);
        lib.ok(&["plugin", "fsck", "--repair"]).says(&["libhello_world.so"]);
        lib.user_ok(&home, &run).says(&["Hello"]);
        lib.user_ok(&home, &["plugin", "fsck"]).never_says(&["hello-world"]);
        lib.ok(&["plugin", "fsck"]);
    }
}

#[test]
fn a_lock_holds_what_is_in_it() {
    let Some(lib) = Lib::trusting() else { return };
    let of = |version: &str| remade("hello-world", &json!({"version": version}));
    for &user in users() {
        let home = Home::of(user);
        home.write("w.yaml", "name: w\nsteps: [{command: 'echo RAN'}]");
        lib.install(&of("1.0.0"));
        lib.user_ok(&home, &["plugin", "lock"]).says(&["hello-world 1.0.0 sha256:"]);
        let lock = fs::read(home.work().join("migraine.lock")).unwrap();
        lib.user_ok(&home, &["run", "w.yaml", "--locked"]).says(&["RAN"]);
        lib.user_ok(&home, &["plugin", "install", "--locked"]).says(&["as it is locked"]);
        lib.install(&of("1.1.0"));
        let error = lib.refused(&home, &["run", "w.yaml", "--locked"], "lock_mismatch");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("hello-world is installed in version 1.1.0, locked is 1.0.0"), "{error}");
        lib.user_ok(&home, &["run", "w.yaml"]).says(&["RAN"]);
        assert_eq!(fs::read(home.work().join("migraine.lock")).unwrap(), lock, "a run changes no lock");
        lib.ok(&["plugin", "uninstall", "hello-world"]);
        lib.refused(&home, &["run", "w.yaml", "--locked"], "lock_mismatch");
        lib.ok(&["plugin", "forget", "hello-world", "--history"]);
    }
}

//! Every kind of error has its exit code, as text and as JSON.

use std::fs;

use migraine_tests::home::Home;
use migraine_tests::package::{key, library, plugin, typed};
use serde_json::json;

/// The error with `--format json`, and the same run as text: same exit code, same words, a readable line.
fn check(home: &Home, args: &[&str], code: &str, exit: i32) {
    let error = home.refused(args, code);
    assert_eq!(error["exit"], exit, "{args:?}");
    let done = home.run(args);
    done.ends(exit);
    let first = error["message"].as_str().unwrap().lines().next().unwrap_or_default();
    done.says(&[first]);
    let mark = if code == "usage" { "error: " } else { "error[" };
    let mark = format!("{mark}{}", if code == "usage" { String::new() } else { format!("{code}]: ") });
    assert!(code == "usage" || done.err.contains(&mark), "{args:?}: {done:?}");
    if let Some(help) = error["help"].as_str() {
        done.says(&[&format!("  help: {}", help.lines().next().unwrap_or_default())]);
    }
}

// covers: S94, S95, S102, S227, S228, S229, S230
#[test]
fn errors_of_the_store_and_the_command_line() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    for verb in ["info", "enable", "disable", "uninstall", "config"] {
        check(&home, &["plugin", verb, "nobody"], "plugin_not_found", 2);
    }
    for call in [&["run", "nobody", "hello"][..], &["execute", "nobody", "hello"], &["nobody", "hello"]] {
        check(&home, &[&["plugin"], call].concat(), "plugin_not_found", 2);
    }
    check(&home, &["plugin", "verify", "nobody"], "plugin_not_found", 2);
    check(&home, &["plugin", "install", "./absent.so"], "file_not_found", 2);
    check(&home, &["plugin", "install", "nobody"], "file_not_found", 2);
    check(&home, &["plugin", "config", "hello-world", "get", "nothing"], "key_not_found", 2);
    check(&home, &["plugin", "run", "hello-world", "nothing"], "command_not_found", 1);
    check(&home, &["key", "trust", "ed25519-public:00", "--scope", "*"], "value_invalid", 3);
    for line in [
        &["plugin", "run", "hello-world"][..],
        &["plugin", "hello-world"],
        &["plugin", "install"],
        &["plugin", "list", "--status", "happy"],
        &["plugin", "enable", "hello-world", "--grant", "everything"],
        &["plugin", "run", "--timeout", "soon", "hello-world", "hello"],
        &["run", "--hook-timeout", "0"],
        &["key", "trust", "x"],
        &["nonsense"],
        &["--nonsense"],
        &["plugin", "run", "hello-world", "greet"],
        &["plugin", "run", "hello-world", "hello", "--format", "json"],
    ] {
        check(&home, line, "usage", 1);
    }
}

#[test]
fn errors_of_files() {
    let home = Home::new();
    let path = |name: &str, bytes: &[u8]| {
        let path = home.work().join(name);
        fs::write(&path, bytes).unwrap();
        typed(&path).to_owned()
    };
    let hello = fs::read(&plugin("hello-world").library).unwrap();
    let install = |path: &str, code: &str, exit| {
        check(&home, &["plugin", "install", path, "--allow-unsigned", "--yes"], code, exit);
    };
    for length in [0, 1, 3] {
        install(&path("libcut.so", &hello[..length]), "not_a_plugin", 3);
    }
    for length in [4, 63, 64, 4096, hello.len() / 2, hello.len() - 1] {
        install(&path("libcut.so", &hello[..length]), "elf_invalid", 3);
    }
    install(&path("libtext.so", b"#!/bin/sh\n"), "not_a_plugin", 3);
    install(&path("x.mgp", b"not a package"), "format", 3);
    install(&path("empty.mgp", b""), "format", 3);
    install(&path("zip.mgp", b"PK\x03\x04........"), "format", 3);
    install(typed(&home.work()), "value_invalid", 3);
    let empty = home.work().join("empty");
    fs::create_dir(&empty).unwrap();
    install(typed(&empty), "file_not_found", 2);
    // A good library, but without a manifest.
    install(&path("libplain.so", &library("int one(void) { return 1; }\n")), "not_a_plugin", 3);
    // A manifest, and no root module: installed, since no byte of it was run, and refused when it is.
    let no_root = path("libno_root.so", &fs::read(migraine_tests::artifacts::library("no-root")).unwrap());
    home.ok(&["plugin", "install", &no_root, "--allow-unsigned", "--yes"]);
    let list = home.json(&["plugin", "list"]);
    let found = list["plugins"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "no-root").cloned();
    let command = found.expect("it is installed")["commands"][0]["name"].as_str().unwrap().to_owned();
    check(&home, &["plugin", "run", "no-root", &command], "not_a_plugin", 3);
}

// covers: S96
#[test]
fn a_wrong_interface_is_refused_in_one_line() {
    let home = Home::new();
    for (package, code) in [("other-abi", "abi_mismatch"), ("no-layout", "abi_mismatch"), ("newer-api", "abi_mismatch")]
    {
        let parcel = plugin(package);
        home.install(&parcel);
        let info = home.json(&["plugin", "info", &parcel.name]);
        let command = info["commands"][0]["name"].as_str().expect("it has a command").to_owned();
        check(&home, &["plugin", "run", &parcel.name, &command], code, 3);
        let quiet = home.run(["plugin", "run", &parcel.name, &command]);
        let line = quiet.err.lines().next().unwrap();
        assert!(line.contains(&parcel.name) && line.to_lowercase().contains("api"), "{quiet:?}");
        assert!(quiet.err.lines().count() <= 2, "one line and its help: {quiet:?}");
    }
    let trace = home.run(["--verbose", "plugin", "run", "other-abi", "hello"]);
    let quiet = home.run(["plugin", "run", "other-abi", "hello"]);
    assert!(trace.err.len() > quiet.err.len(), "--verbose shows the trace: {trace:?}");
}

#[test]
fn errors_of_workflows() {
    let home = Home::new();
    check(&home, &["run"], "workflow_not_found", 2);
    check(&home, &["run", "nothing"], "workflow_not_found", 2);
    check(&home, &["run", "./nothing.yaml"], "file_not_found", 2);
    home.write("bad.yaml", "steps: [");
    check(&home, &["run", "./bad.yaml"], "workflow_invalid", 3);
    home.write("twice.yaml", "steps: []\nsteps: []\n");
    check(&home, &["run", "./twice.yaml"], "workflow_invalid", 3);
    check(&home, &["run", "./bad.yaml", "-v", "novalue"], "usage", 1);
    let ends = |text: &str, code: &str, exit: i32| {
        home.write("w.yaml", text);
        let done = home.run(["run", "./w.yaml"]);
        done.ends(exit).says(&[&format!("({code})")]);
        let done = home.run(["--format", "json", "run", "./w.yaml"]);
        done.ends(exit);
        let report: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!(report["error"]["code"], code);
        assert_eq!(report["status"], if exit == 130 { "interrupted" } else { "failed" });
    };
    ends("pre_checks: [{command: exit 7}]\nsteps: [{command: echo never}]", "pre_check_failed", 4);
    ends("steps: [{command: exit 7}]", "command_failed", 1);
    ends("steps: [{command: 'kill -SEGV $$'}]", "command_failed", 1);
    ends("steps: [{command: 'echo {{who}}'}]", "variable_missing", 1);
    ends("steps: [{command: 'kill -INT $PPID; exit 1'}]", "interrupted", 130);
    home.write("w.yaml", "actions: {a: {command: 'true'}}");
    let done = home.run(["--format", "json", "run", "./w.yaml", "-a", "b"]);
    assert_eq!(done.ends(2).err, "");
    assert!(done.out.contains("workflow_not_found"), "{done:?}");
}

#[test]
fn an_unusable_home_is_told() {
    let home = Home::new();
    let run = |line: &[&str], own: &str, user: Option<&str>| {
        let mut command = home.command([&["--format", "json"], line].concat());
        command.env_remove("MIGRAINE_HOME").env_remove("HOME");
        if !own.is_empty() {
            command.env("MIGRAINE_HOME", own);
        }
        if let Some(user) = user {
            command.env("HOME", user);
        }
        migraine_tests::home::Done::of(&mut command)
    };
    let with = |own: &str, user: Option<&str>| run(&["plugin", "list"], own, user);
    for (own, user) in [("relative", Some("/tmp")), ("/", None), ("", None), ("", Some("/")), ("", Some("rel"))] {
        let done = with(own, user);
        let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
        assert!(done.code != 0 && error["exit"] == json!(done.code), "{own} {user:?}: {done:?}");
    }
    // covers: S97
    let user = home.work();
    with("", Some(typed(&user))).ends(0);
    assert!(!user.join(".migraine").exists(), "who only looks makes nothing");
    run(&["key", "trust", &key().public().to_string(), "--scope", "*"], "", Some(typed(&user))).ends(0);
    assert!(user.join(".migraine").is_dir());
    // covers: A123
    let open = home.work().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    with(typed(&open), None).ends(6).says(&["insecure_permissions"]);
}

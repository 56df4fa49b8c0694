//! The management verbs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{manifest, plugin, tiny};
use migraine_tests::terminal::converse;
use serde_json::{Value, json};

// covers: S93, S223, S224, S233, S234, S235, S236
#[test]
fn the_list_is_a_table_with_a_summary() {
    let home = Home::new();
    let empty = home.ok(&["plugin", "list"]);
    empty.says(&[
        "Plugins:",
        "Name                 Version    Status       Description",
        "Summary: 0 total, 0 enabled",
    ]);
    home.install(&plugin("hello-world"));
    for name in ["one", "two", "three"] {
        home.install(&tiny(&manifest(name, &json!({"description": format!("The {name}")}))));
    }
    home.ok(&["plugin", "disable", "two"]);
    let table = "\
Plugins:
=========
Name                 Version    Status       Description
----                 -------    ------       -----------
hello-world          1.0.0      enabled      A simple hello world plugin
one                  1.0.0      enabled      The one
three                1.0.0      enabled      The three
two                  1.0.0      disabled     The two

Summary: 4 total, 3 enabled, 1 disabled, 0 errors
";
    assert_eq!(home.ok(&["plugin", "list"]).out, table);
    let disabled = home.ok(&["plugin", "list", "--status", "disabled"]);
    assert!(disabled.out.contains("two") && !disabled.out.contains("three"), "{disabled:?}");
    for status in ["enabled", "disabled", "installed", "discovered", "error", "quarantined"] {
        let list = home.json(&["plugin", "list", "--status", status]);
        assert!(list["plugins"].as_array().unwrap().iter().all(|plugin| plugin["status"] == status), "{list}");
    }
}

// covers: S233
#[test]
fn success_lines_name_the_plugin_and_what_happened() {
    let home = Home::new();
    let parcel = tiny(&manifest("demo", &json!({"config": {"key": "value"}})));
    for (line, said) in [
        (&["install", parcel.typed()][..], "Plugin 'demo' installed successfully"),
        (&["install", parcel.typed()], "Plugin 'demo' installed successfully"),
        (&["disable", "demo"], "Plugin 'demo' disabled successfully"),
        (&["disable", "demo"], "Plugin 'demo' is disabled already"),
        (&["enable", "demo"], "Plugin 'demo' enabled successfully"),
        (&["enable", "demo"], "Plugin 'demo' enabled successfully"),
        (&["config", "demo", "set", "key", "other"], "Plugin 'demo' configured successfully: key = other"),
        (&["verify", "demo"], "Plugin 'demo' 1.0.0 verified successfully"),
        (&["refresh"], "1 plugin checked"),
        (&["uninstall", "demo"], "Plugin 'demo' uninstalled successfully"),
    ] {
        let done = home.ok(&[&["plugin"], line].concat());
        assert!(done.out.starts_with(said), "{line:?}: {done:?}");
        assert_eq!(done.err, "", "{line:?}");
    }
}

// covers: S99
#[test]
fn settings_are_those_of_the_manifest_with_values_of_their_kind() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    let value = || serde_json::from_str::<Value>(&home.ok(&["plugin", "hooks", "settings"]).out).unwrap();
    assert_eq!(value()["number"], 1);
    let get = |key: &str| home.ok(&["plugin", "config", "hooks", "get", key]).out;
    for (key, typed, seen) in [
        ("number", "-5", json!(-5)),
        ("number", "2.5", json!(2.5)),
        ("flag", "true", json!(true)),
        ("init", "", json!("")),
        ("endpoint", "-x", json!("-x")),
        ("endpoint", "{\"a\": 1}", json!("{\"a\": 1}")),
    ] {
        home.ok(&["plugin", "config", "hooks", "set", key, typed]);
        assert_eq!(value()[key], seen);
        assert_eq!(get(key), format!("{typed}\n"));
    }
    home.ok(&["plugin", "config", "hooks", "set", "endpoint", "--", "--yes"]);
    assert_eq!(value()["endpoint"], "--yes");
    let shown = home.ok(&["plugin", "config", "hooks"]);
    shown.says(&["flag = true (default false)\n", "number = 2.5 (default 1)\n", "behave = {}\n"]);
    home.ok(&["plugin", "config", "hooks", "unset", "number"]);
    home.ok(&["plugin", "config", "hooks", "unset", "number"]);
    assert_eq!((value()["number"].clone(), get("number").as_str()), (json!(1), "1\n"));
    let before = home.snapshot();
    for (key, typed) in [("number", "five"), ("number", "\"5\""), ("flag", "1"), ("flag", ""), ("number", "[1]")] {
        let error = home.refused(&["plugin", "config", "hooks", "set", key, typed], "value_invalid");
        assert!(error["message"].as_str().unwrap().contains("is expected"), "{error}");
    }
    for line in [&["set", "nothing", "x"][..], &["unset", "nothing"], &["get", "nothing"], &["set", "Number", "1"]] {
        let error = home.refused(&[&["plugin", "config", "hooks"], line].concat(), "key_not_found");
        assert!(error["help"].as_str().unwrap().contains("endpoint"), "it says which keys there are: {error}");
    }
    assert_eq!(home.snapshot(), before);
}

#[test]
fn names_of_verbs_are_not_names_of_plugins() {
    // Nothing can be packaged under such a name, so the bytes of a package are changed; its manifest has room.
    let home = Home::new();
    for name in ["list", "install", "run", "config", "enable"] {
        let parcel = tiny(&manifest("aaaaaaa", &json!({})));
        let bytes = fs::read(&parcel.library).unwrap();
        let (old, new) = (b"\"name\":\"aaaaaaa\"".as_slice(), format!("\"name\":\"{name}\""));
        let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + old.len()].copy_from_slice(format!("{new:<width$}", width = old.len()).as_bytes());
        let path = home.work().join("libchanged.so");
        fs::write(&path, changed).unwrap();
        let before = home.snapshot();
        home.refused(&["plugin", "install", "./libchanged.so", "--allow-unsigned", "--yes"], "name_reserved");
        assert_eq!(home.snapshot(), before, "{name}");
    }
}

#[test]
fn colours_and_symbols_are_for_terminals_that_want_them() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let list = |environment: &[(&str, &str)]| converse(&home, &["plugin", "list"], environment, &[]).out;
    assert!(list(&[("TERM", "xterm")]).contains("\u{1b}["), "coloured on a terminal");
    for environment in [&[("NO_COLOR", "1")][..], &[("TERM", "dumb")], &[("NO_COLOR", "0"), ("TERM", "xterm")]] {
        let text = list(environment);
        assert!(!text.contains('\u{1b}') && text.contains("hello-world"), "{environment:?}: {text}");
    }
    assert!(list(&[("LANG", "C.UTF-8")]).contains("✅ enabled"));
    assert!(list(&[("LANG", "C")]).is_ascii());
    assert!(home.ok(&["plugin", "list"]).out.is_ascii(), "not a terminal");
    let error = converse(&home, &["plugin", "info", "nobody"], &[("NO_COLOR", "1")], &[]);
    assert!(error.code == 2 && error.out.contains("error[plugin_not_found]"), "{error:?}");
}

#[test]
fn help_and_version_are_no_errors() {
    let home = Home::new();
    for line in [&["--help"][..], &["plugin", "--help"], &["run", "--help"], &["key", "--help"], &["--version"]] {
        let done = home.ok(line);
        assert!(!done.out.is_empty() && done.err.is_empty(), "{line:?}: {done:?}");
    }
    for verb in ["install", "list", "info", "enable", "disable", "uninstall", "refresh", "verify", "config", "run"] {
        let done = home.ok(&["plugin", verb, "--help"]);
        done.says(&["Usage: migraine plugin"]);
    }
    home.ok(&["run", "--help"]).says(&["--hook-timeout <SECONDS>"]);
    let bare = home.run([] as [&str; 0]);
    assert!(bare.out.contains("Usage:") && bare.code == 0, "{bare:?}");
}

/// The state is text: a path that is none is refused before anything, and nobody is told that the state is damaged.
#[test]
fn a_path_that_is_no_text_is_refused_and_the_state_stays() {
    let home = Home::new();
    home.install(&tiny(&manifest("bystander", &json!({}))));
    let demo = tiny(&manifest("demo", &json!({"permissions": ["filesystem=read:./data"]})));
    let folder = home.work().join(OsStr::from_bytes(b"odd-\xff"));
    fs::create_dir_all(folder.join("data")).unwrap();
    fs::create_dir_all(folder.join("plugins")).unwrap();
    fs::copy(demo.package(), folder.join("demo.mgp")).unwrap();
    fs::copy(&demo.library, folder.join("demo.so")).unwrap();
    fs::copy(demo.package(), home.work().join(OsStr::from_bytes(b"evil\xff.mgp"))).unwrap();
    home.own(&folder.join("demo.so"));
    let before = home.snapshot();
    let refused = |line: &[&[u8]], there: bool| {
        let mut command = home.command(line.iter().map(|word| OsStr::from_bytes(word)));
        let folder = if there { folder.clone() } else { home.work() };
        Done::of(command.current_dir(folder)).ends(3).says(&["error[value_invalid]", "is not valid UTF-8", "rename"]);
        assert_eq!(home.snapshot(), before, "{line:?}");
        home.ok(&["plugin", "list"]).says(&["bystander"]);
    };
    let grant: &[u8] = b"--grant=filesystem=read:./data";
    for (line, there) in [
        (&[b"plugin".as_slice(), b"install", b"evil\xff.mgp", b"--yes"][..], false),
        (&[b"plugin", b"install", b"evil\xff.mgp", b"--dry-run"], false),
        (&[b"plugin", b"install", b"odd-\xff/demo.mgp", b"--yes"], false),
        (&[b"plugin", b"install", b"demo.mgp", grant], true),
        (&[b"plugin", b"link", b"odd-\xff/demo.so", b"--yes"], false),
        (&[b"plugin", b"link", b"demo.so", b"--yes"], true),
        (&[b"plugin", b"trust-project", b"odd-\xff"], false),
        (&[b"plugin", b"trust-project"], true),
    ] {
        refused(line, there);
    }
    // What is asked for there is a directory of that name as well.
    let copy = home.work().join("demo.mgp");
    fs::copy(demo.package(), &copy).unwrap();
    refused(&[b"plugin", b"install", copy.as_os_str().as_bytes(), grant], true);
}

//! Plugins come, change and go; their data and settings stay.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{Parcel, manifest, plugin, remade, tiny, typed};
use serde_json::{Value, json};

fn drop_in(home: &Home, parcel: &Parcel) {
    let folder = home.path().join("plugins");
    fs::create_dir_all(&folder).unwrap();
    for file in [parcel.library.clone(), parcel.sidecar()] {
        fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
    }
}

fn statuses(home: &Home, args: &[&str]) -> Vec<(String, String)> {
    let list = home.json(&[&["plugin", "list"], args].concat());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["plugins"].as_array().unwrap().iter().map(|p| (text(&p["name"]), text(&p["status"]))).collect()
}

fn status_of(name: &str, status: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), status.to_owned())]
}

// covers: S97, S98, S225, S231, S236
#[test]
fn a_plugin_goes_through_every_status() {
    let home = Home::new();
    let parcel = remade("hooks", &json!({"hooks": []}));
    assert_eq!(statuses(&home, &[]), []);
    drop_in(&home, &parcel);
    assert_eq!(statuses(&home, &[]), status_of("hooks", "discovered"));
    let refreshed = home.json(&["plugin", "refresh"]);
    assert_eq!(refreshed["discovered"][0]["name"], "hooks");
    home.refused(&["plugin", "run", "hooks", "settings"], "plugin_not_found");
    home.run(["plugin", "install", "hooks"]).ends(6);
    assert_eq!(statuses(&home, &[]), status_of("hooks", "installed"));
    home.refused(&["plugin", "run", "hooks", "settings"], "consent_required");
    home.ok(&["plugin", "enable", "hooks", "--yes"]);
    assert_eq!(statuses(&home, &[]), status_of("hooks", "enabled"));
    home.ok(&["plugin", "disable", "hooks"]);
    assert_eq!(statuses(&home, &["--status", "disabled"]), status_of("hooks", "disabled"));
    home.refused(&["plugin", "run", "hooks", "settings"], "plugin_disabled");
    let digest = home.json(&["plugin", "info", "hooks"])["digest"].as_str().unwrap().to_owned();
    let tree = home.path().join("store").join(digest);
    fs::set_permissions(tree.join("index"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(tree.join("index"), "other").unwrap();
    home.ok(&["plugin", "refresh"]).says(&["hooks: disabled -> error"]);
    assert_eq!(statuses(&home, &["--status", "error"]), status_of("hooks", "error"));
    home.refused(&["plugin", "run", "hooks", "settings"], "integrity");
    home.ok(&["plugin", "uninstall", "hooks"]);
    assert_eq!(statuses(&home, &[]), status_of("hooks", "discovered"));
}

// covers: S98
#[test]
fn a_projects_folder_is_looked_into_only_when_that_is_asked_for() {
    let home = Home::new();
    let parcel = tiny(&manifest("demo", &json!({})));
    fs::create_dir(home.work().join("plugins")).unwrap();
    fs::copy(parcel.package(), home.work().join("plugins/demo.mgp")).unwrap();
    assert_eq!(statuses(&home, &[]), []);
    assert_eq!(statuses(&home, &["--all"]), status_of("demo", "discovered"));
    home.ok(&["plugin", "install", "plugins/demo.mgp"]);
    assert_eq!(statuses(&home, &["--all"]), status_of("demo", "enabled"));
}

// covers: S229
#[test]
fn data_and_settings_have_the_life_they_are_promised() {
    let home = Home::new();
    let parcel = plugin("hooks");
    home.install(&parcel);
    home.ok(&["plugin", "hooks", "put", "colour", "green"]);
    home.ok(&["plugin", "config", "hooks", "set", "number", "7"]);
    let get = || home.run(["plugin", "hooks", "get", "colour"]);
    assert_eq!(get().out, "green\n");
    // Installed again over itself: everything stays.
    home.install(&parcel);
    assert_eq!(
        (get().out.as_str(), home.ok(&["plugin", "config", "hooks", "get", "number"]).out.as_str()),
        ("green\n", "7\n")
    );
    home.ok(&["plugin", "uninstall", "hooks"]);
    home.refused(&["plugin", "hooks", "get", "colour"], "plugin_not_found");
    home.install(&parcel);
    assert_eq!(get().out, "green\n", "data outlives the plugin");
    home.ok(&["plugin", "uninstall", "hooks", "--purge"]);
    home.install(&parcel);
    get().ends(5).says(&["nothing is kept under `colour`"]);
    // What was left of one that is gone can be removed later.
    home.ok(&["plugin", "hooks", "put", "colour", "red"]);
    home.ok(&["plugin", "uninstall", "hooks"]);
    home.ok(&["plugin", "uninstall", "hooks", "--purge"]);
    home.refused(&["plugin", "uninstall", "hooks", "--purge"], "plugin_not_found");
    home.install(&parcel);
    get().ends(5);
}

#[test]
fn another_version_keeps_state_settings_and_standing() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    home.ok(&["plugin", "hooks", "put", "colour", "green"]);
    home.ok(&["plugin", "config", "hooks", "set", "number", "7"]);
    home.ok(&["plugin", "config", "hooks", "set", "flag", "true"]);
    let config = json!({"behave": "{}", "init": "", "number": 2, "flag": "off", "fresh": 1});
    let newer = remade("hooks", &json!({"version": "1.1.0", "config": config}));
    let done = home.ok(&["plugin", "install", newer.typed()]);
    done.says(&["version    1.1.0 (was 1.0.0)", "status     enabled", "the setting `flag` is gone: version 1.1.0"]);
    let settings: Value = serde_json::from_str(&home.ok(&["plugin", "hooks", "settings"]).out).unwrap();
    assert_eq!((&settings["number"], &settings["flag"], &settings["fresh"]), (&json!(7), &json!("off"), &json!(1)));
    assert_eq!(home.ok(&["plugin", "hooks", "get", "colour"]).out, "green\n");
    // Not back by accident.
    let before = home.snapshot();
    let error = home.refused(&["plugin", "install", plugin("hooks").typed(), "--yes"], "version_rollback");
    assert!(error["help"].as_str().unwrap().contains("--allow-downgrade 1.0.0"), "{error}");
    assert_eq!(home.snapshot(), before);
    // Whoever switched it off does not want it back because of a new version.
    home.ok(&["plugin", "disable", "hooks"]);
    home.ok(&["plugin", "install", remade("hooks", &json!({"version": "1.2.0"})).typed(), "--yes"]);
    assert_eq!(home.status("hooks"), "disabled");
}

// covers: A199
#[test]
fn a_version_that_wants_more_changes_nothing_until_that_is_granted() {
    let home = Home::new();
    home.install(&remade("hooks", &json!({"hooks": []})));
    let greedy = remade("hooks", &json!({"version": "2.0.0", "hooks": [], "permissions": ["task_read", "task_write"]}));
    let before = home.snapshot();
    let error = home.refused(&["plugin", "install", greedy.typed()], "consent_required");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("--grant task_write") && !message.contains("task_read"), "only what is new: {message}");
    assert_eq!(home.snapshot(), before);
    assert_eq!(home.json(&["plugin", "info", "hooks"])["version"], "1.0.0");
    home.ok(&["plugin", "install", greedy.typed(), "--grant", "task_write"]);
    assert_eq!(home.json(&["plugin", "info", "hooks"])["version"], "2.0.0");
}

// covers: S101, S102
#[test]
fn one_broken_plugin_is_a_warning_and_the_others_work() {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let broken = remade("hooks", &json!({"hooks": [{"event": "pre-command", "handler": "seen"}]}));
    home.install(&broken);
    let digest = home.json(&["plugin", "info", "hooks"])["digest"].as_str().unwrap().to_owned();
    let store = home.path().join("store");
    let tree = store.join(digest);
    fs::set_permissions(&tree, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::rename(&tree, home.work().join("away")).unwrap();
    fs::create_dir_all(home.path().join("plugins")).unwrap();
    fs::write(home.path().join("plugins/junk.so"), "junk").unwrap();
    fs::write(home.path().join("plugins/junk.mgp"), "junk").unwrap();
    fs::write(home.path().join("plugins/notes.txt"), "not a plugin at all").unwrap();
    let list = home.ok(&["plugin", "list"]);
    list.says(&["warning: plugin hooks cannot be loaded", "warning: plugin junk.so cannot be loaded"]);
    list.says(&["hello-world          1.0.0      enabled", "hooks                1.0.0      error"]);
    list.says(&["Summary: 4 total, 1 enabled, 0 disabled, 3 errors"]).never_says(&["notes.txt"]);
    let json = home.json(&["plugin", "list"]);
    assert_eq!(json["warnings"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!(home.ok(&["plugin", "hello-world", "hello"]).out, "Hello, World!\n");
    home.write("migraine.yaml", "name: w\nsteps: [{command: echo done}]");
    home.ok(&["run"]).says(&["done\n", "warning: plugin hooks"]);
    home.ok(&["plugin", "uninstall", "hooks"]);
}

/// Waits for all and gives their ends.
fn all(children: Vec<std::process::Child>) -> Vec<Done> {
    let ended = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (code, out, err) = (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr));
        Done { code, out, err, took: Duration::ZERO }
    });
    ended.collect()
}

// covers: A149
#[test]
fn many_at_once_have_one_outcome() {
    let home = Home::new();
    let versions: Vec<Parcel> =
        (0..3).map(|n| tiny(&manifest("demo", &json!({"version": format!("1.0.{n}")})))).collect();
    let others: Vec<Parcel> = (0..3).map(|n| tiny(&manifest(&format!("other-{n}"), &json!({})))).collect();
    for round in 0..8 {
        let mut lines: Vec<Vec<&str>> =
            versions.iter().chain(&others).map(|p| vec!["plugin", "install", p.typed()]).collect();
        lines.push(vec!["plugin", "uninstall", "other-0"]);
        lines.push(vec!["plugin", "refresh"]);
        lines.push(vec!["plugin", "list"]);
        let start =
            |line: &Vec<&str>| home.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        for done in all(lines.iter().map(start).collect()) {
            let fine = [0, 2].contains(&done.code)
                || done.err.contains("changed by another process") && done.code == 1
                || done.err.contains("version_rollback") && done.code == 6;
            assert!(fine, "round {round}: {done:?}");
        }
        let refreshed = home.json(&["plugin", "refresh"]);
        assert_eq!(refreshed["warnings"], json!([]), "round {round}");
        for empty in ["staging", "trash"] {
            assert_eq!(fs::read_dir(home.path().join(empty)).unwrap().count(), 0, "round {round}: {empty}");
        }
        let list = home.json(&["plugin", "list"]);
        let plugins = list["plugins"].as_array().unwrap();
        let kept = plugins.len() + plugins.iter().filter(|plugin| plugin["previous"].is_string()).count();
        assert_eq!(fs::read_dir(home.path().join("store")).unwrap().count(), kept, "round {round}");
        home.ok(&["plugin", "uninstall", "demo"]);
        home.ok(&["plugin", "forget", "demo", "--history"]);
    }
}

// covers: A153
#[test]
fn a_running_plugin_ends_on_the_bytes_it_began_with() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    let begin = || {
        let mut command = home.command(["plugin", "run", "hooks", "cat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"first\n").unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "first\n", "it runs");
        (child, input, output)
    };
    let newer = remade("hooks", &json!({"version": "1.1.0"}));
    let change: [&[&str]; 3] =
        [&["plugin", "install", newer.typed()], &["plugin", "disable", "hooks"], &["plugin", "uninstall", "hooks"]];
    for line in change {
        let (mut child, mut input, mut output) = begin();
        home.ok(line);
        input.write_all(b"second\n").unwrap();
        drop(input);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
        assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("second\n", Some(0)), "{line:?}");
        if line[1] == "disable" {
            home.ok(&["plugin", "enable", "hooks"]);
        }
    }
    home.refused(&["plugin", "run", "hooks", "settings"], "plugin_not_found");
}

#[test]
fn a_package_and_a_library_install_the_same_plugin() {
    let home = Home::new();
    let parcel = plugin("step-timer");
    home.ok(&["plugin", "install", typed(&parcel.package()), "--yes"]);
    home.ok(&["plugin", "step-timer", "report"]).says(&["No command has been timed yet."]);
    home.ok(&["plugin", "uninstall", "step-timer"]);
    home.install(&parcel);
    home.ok(&["plugin", "step-timer", "report"]).says(&["No command has been timed yet."]);
    assert_eq!(home.json(&["plugin", "list"])["summary"]["total"], 1);
}

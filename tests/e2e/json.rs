//! Every verb speaks JSON: one value on standard output, with the names that other programs rely on.

use migraine_tests::home::Home;
use migraine_tests::package::{Parcel, key, plugin, typed};
use serde_json::{Value, json};

#[track_caller]
fn has(value: &Value, keys: &[&str]) {
    for key in keys {
        assert!(value.get(key).is_some(), "`{key}` is missing: {value}");
    }
}

// covers: S93, S99, S100, S101, S223, S230
#[test]
fn every_verb_writes_one_value() {
    let home = Home::bare();
    let made = home.json(&["key", "generate", "--out", "my.key", "--no-passphrase"]);
    has(&made, &["path", "fingerprint", "public_key", "trust_command"]);
    assert_eq!(home.json(&["key", "list"]), json!([]));
    let public = key().public().to_string();
    let trusted = home.json(&["key", "trust", &public, "--scope", "*", "--label", "me"]);
    assert_eq!(
        (&trusted["scope"], &trusted["label"], &trusted["public_key"]),
        (&json!(["*"]), &json!("me"), &json!(public))
    );
    assert_eq!(home.json(&["key", "list"]), json!([trusted]));

    let parcel = plugin("hooks");
    let verified = home.json(&["plugin", "verify", parcel.typed()]);
    assert_eq!(
        (&verified["installed"], &verified["files"], &verified["name"]),
        (&json!(false), &json!(1), &json!("hooks"))
    );
    let installed = home.json(&["plugin", "install", parcel.typed(), "--yes"]);
    has(&installed, &["name", "version", "digest", "trust", "granted", "missing", "dropped_config", "replaced"]);
    assert_eq!(installed["status"], "enabled");
    assert_eq!(home.json(&["plugin", "verify", "hooks"])["digest"], installed["digest"]);
    for (verb, status, changed) in [
        ("enable", "enabled", false),
        ("disable", "disabled", true),
        ("disable", "disabled", false),
        ("enable", "enabled", true),
    ] {
        let report = home.json(&["plugin", verb, "hooks"]);
        assert_eq!((&report["status"], &report["changed"]), (&json!(status), &json!(changed)), "{verb}");
    }
    let set = home.json(&["plugin", "config", "hooks", "set", "number", "5"]);
    assert_eq!(set["config"], json!({"number": {"value": 5, "default": 1, "overridden": true}}));
    let unset = home.json(&["plugin", "config", "hooks", "unset", "number"]);
    assert_eq!((&unset["config"]["number"]["value"], &unset["changed"]), (&json!(1), &json!(true)));
    has(&home.json(&["plugin", "config", "hooks"])["config"], &["behave", "flag", "init", "number"]);
    let refreshed = home.json(&["plugin", "refresh"]);
    assert_eq!((&refreshed["checked"], &refreshed["changed"]), (&json!(1), &json!([])));
    shown(&home, &parcel);
    assert_eq!(home.json(&["plugin", "uninstall", "hooks", "--purge"])["purged"], true);
}

/// `list` and `info` agree, and have the fields that the documents name.
fn shown(home: &Home, parcel: &Parcel) {
    let list = home.json(&["plugin", "list"]);
    assert_eq!(list["summary"], json!({"total": 1, "enabled": 1, "disabled": 0, "errors": 0}));
    assert_eq!(list["warnings"], json!([]));
    let info = home.json(&["plugin", "info", &parcel.name]);
    let mut listed = info.clone();
    // These are not in the state, which is all that a list looks at.
    for only_info in ["author", "license", "rules", "targets"] {
        assert!(listed.as_object_mut().unwrap().remove(only_info).is_some(), "{only_info}");
    }
    assert_eq!(list["plugins"], json!([listed]));
    has(&info, &["name", "version", "description", "commands", "dependencies", "config"]);
    has(&info, &["status", "hooks", "permissions", "grants", "signature", "digest", "installed_at", "problem"]);
    has(&info["rules"], &["can", "cannot", "limits"]);
    has(&info["rules"]["limits"][0], &["what", "most"]);
    let can = info["rules"]["can"].as_array().unwrap();
    assert!(can.contains(&json!("see the variables of every workflow that runs")), "{can:?}");
    let text = home.ok(&["plugin", "info", &parcel.name]);
    text.says(&["  can          see the variables of every", "  cannot       see any of your files", "memory: 64 MiB"]);
    for command in info["commands"].as_array().unwrap() {
        has(command, &["name", "description", "usage"]);
        assert!(command["usage"].as_str().unwrap().starts_with("migraine plugin run hooks"), "{command}");
    }
    assert_eq!((&info["version"], &info["permissions"]), (&json!("1.0.0"), &json!(["task_read"])));
    assert_eq!(info["signature"]["kind"], "signed");
}

#[test]
fn a_run_reports_itself() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    home.write(
        "migraine.yaml",
        "name: demo\npre_checks: [{command: 'true'}]\nsteps: [{name: one, command: echo out; echo err >&2}]\n",
    );
    let done = home.ok(&["--format", "json", "run"]);
    // The commands' own output is not part of it.
    assert!(done.err.contains("out\n") && done.err.contains("err\n"), "{done:?}");
    let report: Value = serde_json::from_str(&done.out).unwrap();
    has(
        &report,
        &["workflow", "id", "status", "start_time", "duration_ms", "pre_checks", "steps", "commands", "hooks"],
    );
    assert_eq!((&report["workflow"], &report["status"]), (&json!("demo"), &json!("ok")));
    assert_eq!(report["steps"], json!({"done": 1, "total": 1}));
    assert_eq!(report["pre_checks"], json!({"passed": 1, "failed": 0, "total": 1}));
    assert_eq!(report["commands"][1]["name"], "one");
    // covers: S216, S217, S218, S220, S221
    for hook in report["hooks"].as_array().unwrap() {
        has(hook, &["event", "plugin", "handler", "success", "duration_us"]);
    }
}

#[test]
fn errors_are_objects_on_standard_error() {
    let home = Home::new();
    for line in [&["plugin", "info", "nobody"][..], &["plugin", "list", "--status", "x"], &["nonsense"], &["run"]] {
        let done = home.run(["--format", "json"].iter().chain(line));
        let error: Value = serde_json::from_str(&done.err).unwrap_or_else(|error| panic!("{error}: {done:?}"));
        has(&error, &["code", "message", "help", "exit"]);
        assert!(done.out.is_empty(), "{done:?}");
    }
    // The option may stand anywhere before a plugin's words.
    for line in [["plugin", "info", "nobody", "--format=json"], ["plugin", "--format=json", "info", "nobody"]] {
        assert!(serde_json::from_str::<Value>(&home.run(line).err).is_ok());
    }
    let broken = home.write("x.mgp", "no package");
    let error = home.refused(&["plugin", "install", typed(&broken)], "format");
    assert!(error["message"].as_str().unwrap().contains("x.mgp"), "{error}");
}

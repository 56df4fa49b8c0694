//! Plugins that need other plugins, programs and sockets: what is missing comes along or is named, and nothing is broken
//! by what comes and goes.

use std::fs;
use std::path::PathBuf;

use migraine_tests::home::Home;
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, key, manifest, other_key, remade, tiny, typed};
use serde_json::{Value, json};

/// A plugin that needs others.
pub(super) fn needing(name: &str, version: &str, needs: &[&str]) -> Parcel {
    tiny(&manifest(name, &json!({"version": version, "dependencies": needs, "commands": ["go"]})))
}

/// Puts a plugin into a folder below the working directory, under its own name and version.
pub(super) fn put(home: &Home, folder: &str, parcel: &Parcel, version: &str) -> PathBuf {
    let path = home.work().join(folder).join(format!("{}-{version}.so", parcel.name));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(&parcel.library, &path).unwrap();
    fs::copy(parcel.sidecar(), path.with_extension("so.sig")).unwrap();
    path
}

/// Puts plugins into a folder, each as `NAME VERSION` with what it needs.
fn fill(home: &Home, folder: &str, plugins: &[(&str, &[&str])]) {
    for (plugin, needs) in plugins {
        let (name, version) = plugin.split_once(' ').unwrap();
        put(home, folder, &needing(name, version, needs), version);
    }
}

fn installed(home: &Home) -> Vec<String> {
    let list = home.json(&["plugin", "list"]);
    let plugins = list["plugins"].as_array().unwrap().iter().filter(|plugin| plugin["status"] == "enabled");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    plugins.map(|plugin| format!("{} {}", text(&plugin["name"]), text(&plugin["version"]))).collect()
}

// covers: S140, S157, S292
#[test]
fn what_is_needed_comes_along_once_somebody_agrees() {
    for &user in users() {
        let home = Home::of(user);
        fill(
            &home,
            "from",
            &[
                ("app 1.0.0", &["plugin:lines ^1.2", "plugin:net"]),
                ("lines 1.1.0", &[]),
                ("lines 1.3.0", &["plugin:base >=1, <3"]),
                ("lines 2.0.0", &[]),
                ("net 0.1.0", &["plugin:base ^1"]),
                ("base 1.5.0", &[]),
                ("base 2.0.0", &[]),
            ],
        );
        let app = "from/app-1.0.0.so";
        let before = home.snapshot();
        let error = home.refused(&["plugin", "install", app], "consent_required");
        let message = error["message"].as_str().unwrap();
        for part in ["base 1.5.0, signed by ed25519:", "lines 1.3.0", "net 0.1.0", "from/net-0.1.0.so"] {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
        assert!(
            error["help"].as_str().unwrap().ends_with("migraine plugin install from/app-1.0.0.so --yes"),
            "{error}"
        );
        assert_eq!(home.snapshot(), before);
        let report = home.json(&["plugin", "install", app, "--yes"]);
        let along: Vec<_> = report["along"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(along, ["base", "lines", "net"], "what is needed comes first");
        assert_eq!(installed(&home), ["app 1.0.0", "base 1.5.0", "lines 1.3.0", "net 0.1.0"]);
        // Once it is there, nothing comes along and nothing moves.
        let again = home.json(&["plugin", "install", app]);
        assert!(again.get("along").is_none(), "{again}");
    }
}

#[test]
fn what_is_needed_is_found_in_the_plugins_folder_as_well() {
    let home = Home::new();
    let lines = needing("lines", "1.2.0", &[]);
    fs::create_dir_all(home.path().join("plugins")).unwrap();
    fs::copy(lines.package(), home.path().join("plugins/lines.mgp")).unwrap();
    fill(&home, "from", &[("app 1.0.0", &["plugin:lines ^1"])]);
    home.ok(&["plugin", "install", "from/app-1.0.0.so", "--yes"]).says(&["along      lines 1.2.0"]);
    assert_eq!(installed(&home), ["app 1.0.0", "lines 1.2.0"]);
}

// covers: S157
#[test]
fn what_does_not_go_together_is_explained_in_words() {
    let home = Home::new();
    let plugins: [(&str, &[&str]); 5] = [
        ("app 1.0.0", &["plugin:lines ^1", "plugin:net ^1"]),
        ("net 1.0.0", &["plugin:lines ^2"]),
        ("lines 1.0.0", &[]),
        ("lines 2.0.0", &[]),
        ("alone 1.0.0", &["plugin:nobody ^3"]),
    ];
    fill(&home, "from", &plugins);
    let error = home.refused(&["plugin", "install", "from/app-1.0.0.so", "--yes"], "dependency_conflict");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("net") && message.contains("lines >=2.0.0, <3.0.0"), "{message}");
    let error = home.refused(&["plugin", "install", "from/alone-1.0.0.so", "--yes"], "dependency_missing");
    assert_eq!(error["message"], "alone needs the plugin nobody ^3, and there is none of that name here");
    assert_eq!(installed(&home), [""; 0]);
    // An upgrade must not take from others what they need.
    fill(&home, "from", &[("user 1.0.0", &["plugin:lines ^1"])]);
    home.ok(&["plugin", "install", "from/user-1.0.0.so", "--yes"]);
    let error = home.refused(&["plugin", "install", "from/lines-2.0.0.so", "--yes"], "dependency_conflict");
    assert!(error["message"].as_str().unwrap().contains("user"), "{error}");
    assert_eq!(installed(&home), ["lines 1.0.0", "user 1.0.0"]);
}

// covers: S180
#[test]
fn what_others_need_is_not_taken_away_in_passing() {
    for &user in users() {
        let home = Home::of(user);
        fill(&home, "from", &[("app 1.0.0", &["plugin:lines ^1"]), ("lines 1.0.0", &[])]);
        home.ok(&["plugin", "install", "from/app-1.0.0.so", "--yes"]);
        for verb in [
            &["plugin", "disable", "lines"][..],
            &["plugin", "uninstall", "lines"],
            &["plugin", "uninstall", "lines", "--purge"],
        ] {
            let error = home.refused(verb, "dependency_in_use");
            assert_eq!(error["message"], "lines is needed by app");
        }
        home.ok(&["plugin", "disable", "lines", "--force"]);
        // What it needs is looked at before it runs.
        let error = home.refused(&["plugin", "run", "app", "go"], "dependency_missing");
        assert!(error["message"].as_str().unwrap().contains("lines 1.0.0 is not enabled"), "{error}");
        home.ok(&["plugin", "info", "app"]).says(&["MISSING, and it cannot run without: lines 1.0.0 is not enabled"]);
        home.run(["doctor"]).says(&["needs of plugins", "app needs `plugin:lines ^1`", "dependency_missing"]);
        home.ok(&["plugin", "disable", "app"]);
        home.refused(&["plugin", "enable", "app"], "dependency_missing");
        home.ok(&["plugin", "enable", "lines"]);
        home.ok(&["plugin", "enable", "app"]);
        home.ok(&["plugin", "uninstall", "lines", "--force"]);
        home.refused(&["plugin", "run", "app", "go"], "dependency_missing");
    }
}

/// The signed index holds what a plugin needs: a manifest that says something else is another plugin.
#[test]
fn the_signature_covers_what_is_needed() {
    let home = Home::new();
    let plain = needing("app", "1.0.0", &["plugin:lines ^1"]);
    let path = put(&home, "from", &plain, "1.0.0");
    let sidecar = path.with_extension("so.sig");
    let text = fs::read_to_string(&sidecar).unwrap();
    assert!(text.contains("\ndependency lines ^1\n"), "{text}");
    fs::write(&sidecar, text.replace("dependency lines ^1\n", "")).unwrap();
    home.refused(&["plugin", "install", typed(&path), "--yes"], "signature_invalid");
}

/// Every way to hand over another plugin than the one that is meant, or more of them than anybody can look at.
fn sources(home: &mut Home) {
    // Another maker's plugin of the same name, which the user trusts as well, and a newer one than the maker's own.
    home.ok(&["key", "trust", &other_key().public().to_string(), "--scope", "*"]);
    fill(home, "a", &[("app 1.0.0", &["plugin:lines ^1"])]);
    put(home, "a", &needing("lines", "1.9.0", &[]).signed(&other_key()), "1.9.0");
    let app = ["plugin", "install", "a/app-1.0.0.so", "--yes"];
    let error = home.refused(&app, "dependency_source");
    let meant = key().public().fingerprint().to_string();
    assert!(
        error["message"].as_str().unwrap().contains(&format!("lines signed by {meant}; lines 1.9.0 is signed by")),
        "{error}"
    );
    home.leave_out("Maker");
    assert!(home.json(&app)["along"][0]["version"] == "1.9.0");
    for name in ["app", "lines"] {
        home.ok(&["plugin", "uninstall", name]);
    }
    home.leave_out("");
    // Where both are there, the one that is meant comes along.
    put(home, "a", &needing("lines", "1.9.5", &[]), "1.9.5");
    assert_eq!(home.json(&app)["along"][0]["version"], "1.9.5");
    home.ok(&["plugin", "uninstall", "app"]);
    home.ok(&["plugin", "uninstall", "lines"]);
    // Whoever means another maker says so, and gets nobody else's.
    let named = format!("plugin:tool ^1 key={}", other_key().public().fingerprint());
    fill(home, "b", &[("app 1.1.0", &[&named]), ("tool 1.0.0", &[])]);
    home.refused(&["plugin", "install", "b/app-1.1.0.so", "--yes"], "dependency_source");
    put(home, "b", &needing("tool", "1.2.0", &[]).signed(&other_key()), "1.2.0");
    assert_eq!(home.json(&["plugin", "install", "b/app-1.1.0.so", "--yes"])["along"][0]["version"], "1.2.0");
    // What takes its place later is not what was meant.
    home.ok(&["plugin", "uninstall", "tool", "--force"]);
    put(home, "b", &needing("tool", "1.3.0", &[]), "1.3.0");
    home.ok(&["plugin", "install", "b/tool-1.3.0.so", "--yes"]);
    let error = home.refused(&["plugin", "run", "app", "go"], "dependency_missing");
    assert!(error["message"].as_str().unwrap().contains("tool 1.3.0 is not signed by"), "{error}");
}

// covers: A170
#[test]
fn a170_have_another_makers_plugin_come_along_or_more_than_can_be_looked_at() {
    for &user in users() {
        let mut home = Home::of(user);
        sources(&mut home);
        fill(&home, "circle", &[("a 1.0.0", &["plugin:b"]), ("b 1.0.0", &["plugin:c"]), ("c 1.0.0", &["plugin:a"])]);
        let error = home.refused(&["plugin", "install", "circle/a-1.0.0.so", "--yes"], "dependency_cycle");
        assert!(error["message"].as_str().unwrap().ends_with("a -> b -> c -> a"), "{error}");
        // A chain that is too long, and folders that hold more than anybody looks at: 10 000 files.
        let link = |at: usize| needing(&format!("p{at}"), "1.0.0", &[&format!("plugin:p{}", at + 1)]);
        (0..40).for_each(|at| drop(put(&home, "chain", &link(at), "1.0.0")));
        put(&home, "chain", &needing("p40", "1.0.0", &[]), "1.0.0");
        home.refused(&["plugin", "install", "chain/p0-1.0.0.so", "--yes"], "dependency_limit");
        home.ok(&["plugin", "install", "chain/p20-1.0.0.so", "--yes"]);
        let first = put(&home, "many", &link(0), "1.0.0");
        for at in 1..10_000 {
            fs::hard_link(&first, home.work().join(format!("many/x{at}.so"))).unwrap();
        }
        home.refused(&["plugin", "install", "many/p0-1.0.0.so", "--yes"], "dependency_limit");
    }
}

// covers: S85, S88, S157
#[test]
fn programs_and_sockets_are_looked_for_before_use() {
    let home = Home::new();
    let socket = home.work().join("d.sock");
    let scope = format!("network=unix:{}", typed(&socket));
    let changes = json!({"permissions": [scope], "dependencies": ["sh", "no-such-tool", "d-socket"], "config": {}, "hooks": [],
        "install_requires": ["the daemon"]});
    let parcel = remade("reach", &changes);
    home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", &scope]);
    let error = home.refused(&["plugin", "run", "reach", "read", "/none"], "dependency_missing");
    assert!(error["message"].as_str().unwrap().contains("there is no socket"), "{error}");
    assert_eq!(error["help"], "its author says that it needs: \"the daemon\"");
    let requirements = home.json(&["plugin", "info", "reach"])["requirements"].clone();
    let states: Vec<_> = requirements.as_array().unwrap().iter().map(|one| (&one["state"], &one["blocks"])).collect();
    assert_eq!(json!(states), json!([["met", false], ["missing", false], ["missing", true]]));
    let _daemon = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // What is left is not what it was granted, and keeps it from nothing.
    let done = home.run(["plugin", "run", "reach", "read", "/none"]);
    done.never_says(&["dependency_missing"]);
    home.ok(&["plugin", "info", "reach"]).says(&["\"no-such-tool\": missing: there is no program `no-such-tool`"]);
}

/// Nothing of a refused installation stays, of what would have come along neither; and what is dangerous is granted to the
/// plugin that it is named for alone.
#[test]
fn all_or_nothing_is_installed() {
    let home = Home::new();
    fill(&home, "from", &[("app 1.0.0", &["plugin:lines ^1"])]);
    let lines = tiny(&manifest("lines", &json!({"permissions": ["exec"]})));
    let path = put(&home, "from", &lines, "1.0.0");
    let app = ["plugin", "install", "from/app-1.0.0.so", "--yes"];
    let error = home.refused(&app, "consent_required");
    assert!(
        error["help"].as_str().unwrap().contains("migraine plugin install from/lines-1.0.0.so --yes --grant exec"),
        "{error}"
    );
    home.refused(&[&app[..], &["--grant", "exec"]].concat(), "consent_required");
    assert!(!home.path().join("state").exists());
    home.ok(&["plugin", "install", typed(&path), "--grant", "exec"]);
    home.ok(&app);
    assert_eq!(installed(&home), ["app 1.0.0", "lines 1.0.0"]);
}

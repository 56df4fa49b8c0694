//! Hooks that fail, crash or hang do what their subscription says, and no more.

use std::time::Duration;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::remade;
use serde_json::{Value, json};

/// Installs a plugin with one hook before each command that behaves in a way.
fn install(home: &Home, name: &str, policy: &str, way: &str) {
    let hook = json!([{"event": "pre-command", "handler": "seen", "on_failure": policy}]);
    let behave = json!({"pre-command": way}).to_string();
    let config = json!({"behave": behave, "init": ""});
    home.install(&remade("hooks", &json!({"name": name, "hooks": hook, "permissions": [], "config": config})));
}

fn run(home: &Home, text: &str) -> Done {
    home.write("w.yaml", text);
    home.run(["run", "./w.yaml", "--hook-timeout", "1"])
}

const ONE: &str = "steps: [{name: step, command: echo ran}]";

/// Each way to fail, with its code and the exit code that it gives to a run that must not go on.
const WAYS: [(&str, &str, i32); 5] = [
    ("failure", "plugin_failed", 5),
    ("error", "plugin_failed", 5),
    ("panic", "plugin_panicked", 5),
    ("abort", "plugin_crashed", 5),
    ("hang", "limit_time", 124),
];

#[test]
fn a_failure_does_what_the_subscription_says() {
    for (way, code, exit) in WAYS {
        for policy in ["fail", "warn", "ignore"] {
            let home = Home::new();
            install(&home, "shaky", policy, way);
            install(&home, "sound", "warn", "all is well here");
            let done = run(&home, ONE);
            let told = done.err.contains("warning: plugin shaky, pre-command: ");
            match policy {
                "fail" => {
                    done.ends(exit).says(&["plugin `shaky` failed at `pre-command`", code]).never_says(&["ran\n"]);
                    assert!(!told, "once is enough: {done:?}");
                }
                _ => {
                    done.ends(0).says(&["ran\n", "[sound] all is well here"]);
                    assert_eq!((told, done.err.contains(code)), (policy == "warn", policy == "warn"), "{done:?}");
                }
            }
            assert!(way == "hang" || done.took < Duration::from_secs(5), "{way}: {done:?}");
        }
    }
}

#[test]
fn the_report_names_each_failure() {
    for (way, code, _) in WAYS {
        let home = Home::new();
        install(&home, "shaky", "ignore", way);
        home.write("w.yaml", ONE);
        let report = home.json(&["run", "./w.yaml", "--hook-timeout", "1"]);
        let hook = &report["hooks"][0];
        assert_eq!((&hook["success"], &hook["code"], &hook["plugin"]), (&json!(false), &json!(code), &json!("shaky")));
        assert_eq!((&report["status"], &report["steps"]["done"]), (&json!("ok"), &json!(1)));
    }
}

#[test]
fn three_breakdowns_in_one_run_are_enough() {
    let home = Home::new();
    install(&home, "shaky", "warn", "abort");
    let four = "steps: [{command: echo a}, {command: echo b}, {command: echo c}, {command: echo d}]";
    let done = run(&home, four);
    done.ends(0).says(&["host: [shaky] quarantined: it broke down 3 times in one run", "d\n"]);
    assert_eq!(done.err.matches("(plugin_crashed)").count(), 3, "the fourth is not tried: {done:?}");
    assert_eq!(done.err.matches("(plugin_quarantined)").count(), 1, "{done:?}");
    assert_eq!(home.status("shaky"), "quarantined");
    home.ok(&["plugin", "list"]).says(&["quarantined", "1 errors"]);
    home.refused(&["plugin", "shaky", "settings"], "plugin_quarantined");
    // The next run does not call it.
    let done = run(&home, four);
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
    // A look around does not lift it; its user does.
    home.ok(&["plugin", "refresh"]);
    assert_eq!(home.status("shaky"), "quarantined");
    home.ok(&["plugin", "config", "shaky", "set", "behave", "{}"]);
    home.ok(&["plugin", "enable", "shaky"]);
    assert_eq!(home.status("shaky"), "enabled");
    run(&home, four).ends(0).never_says(&["warning"]);
}

#[test]
fn an_error_or_a_panic_is_no_breakdown() {
    for way in ["failure", "error", "panic"] {
        let home = Home::new();
        install(&home, "shaky", "ignore", way);
        run(&home, "steps: [{command: echo a}, {command: echo b}, {command: echo c}, {command: echo d}]").ends(0);
        assert_eq!(home.status("shaky"), "enabled", "{way}");
    }
}

#[test]
fn breakdowns_in_different_runs_do_not_add_up() {
    let home = Home::new();
    install(&home, "shaky", "ignore", "abort");
    for _ in 0..4 {
        run(&home, "steps: [{command: echo a}, {command: echo b}]").ends(0);
        assert_eq!(home.status("shaky"), "enabled");
    }
}

#[test]
fn a_plugin_that_cannot_start_fails_like_its_hook() {
    for (way, code) in
        [("error", "plugin_failed"), ("panic", "plugin_panicked"), ("abort", "plugin_crashed"), ("hang", "limit_time")]
    {
        let home = Home::new();
        install(&home, "shaky", "warn", "");
        install(&home, "sound", "warn", "all is well here");
        home.ok(&["plugin", "config", "shaky", "set", "init", way]);
        let done = run(&home, ONE);
        done.ends(0).says(&["ran\n", "[sound] all is well here", "warning: plugin shaky, pre-command", code]);
    }
}

/// A failed hook at the end makes a good run fail, and a failed run keeps its first reason.
#[test]
fn the_first_reason_stays() {
    let home = Home::new();
    let hook = json!([{"event": "post-workflow", "handler": "seen", "on_failure": "fail"}]);
    let config = json!({"behave": "{\"post-workflow\":\"failure\"}", "init": ""});
    home.install(&remade("hooks", &json!({"name": "late", "hooks": hook, "permissions": [], "config": config})));
    run(&home, ONE).ends(5).says(&["ran\n", "plugin `late` failed at `post-workflow`"]);
    let done = run(&home, "steps: [{command: exit 2}]");
    done.ends(1).says(&["(command_failed)", "warning: plugin `late` failed at `post-workflow`"]);
    home.write("w.yaml", "steps: [{command: exit 2}]");
    let done = home.run(["--format", "json", "run", "./w.yaml"]);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&report["error"]["code"], report["warnings"].as_array().unwrap().len()), (&json!("command_failed"), 1));
}

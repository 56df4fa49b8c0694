//! A subscription runs a command of its plugin with the variables it names, and nothing else.

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{Parcel, remade};
use serde_json::{Value, json};

const WORKFLOW: &str = "name: w\nactions: {deploy: {command: echo deployed}, check: {command: echo checked}, \
    broken: {command: exit 3}}";

/// A plugin without permissions whose subscriptions run these commands, each with a failure policy.
fn bound(name: &str, hooks: &[(&str, &str, &str)]) -> Parcel {
    let hooks: Vec<Value> = hooks
        .iter()
        .map(|(event, command, policy)| json!({"event": event, "command": command, "on_failure": policy}))
        .collect();
    remade("hooks", &json!({"name": name, "hooks": hooks, "permissions": []}))
}

fn run(home: &Home, flags: &[&str]) -> Done {
    home.write("w.yaml", WORKFLOW);
    home.run([&["run", "./w.yaml"], flags].concat())
}

/// What the command `typed` of the plugin told.
fn typed(done: &Done) -> Vec<Value> {
    let lines = done.out.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

// covers: S50, S87, A184, A188
#[test]
fn variables_are_filled_in_as_they_are() {
    let home = Home::new();
    let command = "typed -- --container={{ container_name }} '{{other}} x' \"\" $HOME";
    home.install(&bound("docker", &[("workflow:post-deploy", command, "fail")]));
    for value in
        ["web", "", "\"; touch pwned; #", "$(touch pwned)", "`touch pwned`", "a\nb", "*", "~", "-x", "{{other}}"]
    {
        let (container, other) = (format!("container_name={value}"), "other='a  b'");
        let done = run(&home, &["-a", "deploy", "-v", &container, "-v", other]);
        let told = typed(done.ends(0));
        let words = json!(["--", format!("--container={value}"), "'a  b' x", "", "$HOME"]);
        assert_eq!(told.len(), 1, "{done:?}");
        assert_eq!((&told[0]["typed"], &told[0]["terminal"]), (&words, &json!(false)), "{value:?}");
        assert_eq!(told[0]["directory"], json!(home.work().canonicalize().unwrap()));
    }
    assert!(!home.work().join("pwned").exists());
    // The action must have run, and another one has other events.
    run(&home, &["-a", "check"]).ends(0).says(&["checked\n"]).never_says(&["typed"]);
    run(&home, &["-a", "broken"]).ends(1).never_says(&["\"typed\""]);
}

#[test]
fn a_report_holds_the_command_and_no_value() {
    let home = Home::new();
    home.install(&bound("docker", &[("workflow:post-deploy", "typed {{secret}}", "fail")]));
    home.write("w.yaml", WORKFLOW);
    let done = home.run(["--format", "json", "run", "./w.yaml", "-a", "deploy", "-v", "secret=hunter2"]);
    let report: Value = serde_json::from_str(&done.ends(0).out).unwrap();
    let hook = &report["hooks"][0];
    assert_eq!((&hook["command"], &hook["handler"]), (&json!("typed {{secret}}"), &json!("")));
    assert!(hook["success"] == true && hook["duration_us"].as_u64().is_some_and(|took| took > 0), "{hook}");
    assert!(!done.out.contains("hunter2") && done.err.contains("hunter2"), "its output is not the report: {done:?}");
}

#[test]
fn a_missing_variable_is_told_and_judged_by_the_policy() {
    for (policy, exit) in [("warn", 0), ("ignore", 0), ("fail", 1)] {
        let home = Home::new();
        // What a plugin asks for is not looked up in the user's files.
        home.write(".env", "container_name=from-a-file");
        home.install(&bound("docker", &[("workflow:post-deploy", "typed {{container_name}}", policy)]));
        let done = run(&home, &["-a", "deploy"]);
        done.ends(exit).says(&["deployed\n"]).never_says(&["from-a-file"]);
        let words = [
            "the workflow has no variable `container_name`",
            "(variable_missing)",
            "workflow:post-deploy",
            "docker",
            "help: set it with -v container_name=VALUE",
        ];
        if policy == "ignore" {
            done.never_says(&words)
        } else {
            done.says(&words)
        };
    }
}

// covers: A185
#[test]
fn a_value_never_becomes_an_option() {
    let home = Home::new();
    home.install(&bound("docker", &[("workflow:post-deploy", "typed {{name}}", "fail")]));
    let done = run(&home, &["-a", "deploy", "-v", "name=--command=sh"]);
    done.ends(3).says(&["the value of `name` starts with `-`", "(value_invalid)"]).never_says(&["\"typed\""]);
    run(&home, &["-a", "deploy", "-v", "name=web"]).ends(0).says(&["\"typed\":[\"web\"]"]);
}

#[test]
fn a_command_that_fails_is_a_hook_that_fails() {
    for (policy, exit) in [("warn", 0), ("ignore", 0), ("fail", 5)] {
        let home = Home::new();
        home.install(&bound("docker", &[("workflow:pre-deploy", "behave {{way}}", policy)]));
        for (way, word) in [("error", "it ended with an error as configured"), ("abort", "crashed")] {
            let done = run(&home, &["-a", "deploy", "-v", &format!("way={way}")]);
            done.ends(exit);
            assert_eq!(done.out.contains("deployed\n"), policy != "fail", "{done:?}");
            if policy == "ignore" {
                done.never_says(&[word])
            } else {
                done.says(&[word])
            };
        }
    }
}

#[test]
fn handlers_and_commands_run_in_one_order() {
    let home = Home::new();
    let hooks = json!([
        {"event": "pre-command", "command": "typed second", "priority": 5},
        {"event": "pre-command", "handler": "seen", "priority": 9},
        {"event": "pre_command", "command": "typed never", "priority": 7, "pattern": "^cargo"},
        {"event": "pre-command", "command": "typed third", "after": ["zzz"]}
    ]);
    home.install(&remade("hooks", &json!({"name": "aaa", "hooks": hooks})));
    home.install(&bound("zzz", &[("pre-command", "typed {{who}}", "warn")]));
    home.write("w.yaml", "steps: [{command: 'true'}]");
    let report = home.json(&["run", "./w.yaml", "-v", "who=x"]);
    let name = |hook: &Value| format!("{} {}{}", hook["plugin"], hook["handler"], hook["command"]);
    let ran: Vec<String> = report["hooks"].as_array().unwrap().iter().map(name).collect();
    let expected = [
        "\"aaa\" \"seen\"null",
        "\"aaa\" \"\"\"typed second\"",
        "\"zzz\" \"\"\"typed {{who}}\"",
        "\"aaa\" \"\"\"typed third\"",
    ];
    assert_eq!(ran, expected);
}

#[test]
fn a_bound_command_does_not_take_the_terminal_from_others() {
    let home = Home::new();
    home.install(&bound("docker", &[("post-command", "typed x", "fail"), ("command-output", "typed seen", "fail")]));
    home.write("w.yaml", "steps: [{command: echo hi}]");
    let done = home.run(["run", "./w.yaml"]);
    let told: Vec<_> = typed(done.ends(0)).iter().map(|told| told["typed"].clone()).collect();
    assert_eq!(told, [json!(["seen"]), json!(["x"])]);
    home.write("w.yaml", "steps: [{command: 'true'}]");
    let told: Vec<_> = typed(&home.run(["run", "./w.yaml"])).iter().map(|told| told["typed"].clone()).collect();
    assert_eq!(told, [json!(["x"])], "nothing was printed");
}

// covers: S50
#[test]
fn actions_fire_their_events_in_the_order_asked_for() {
    let home = Home::new();
    let hooks = ["pre", "post"].iter().flat_map(|when| {
        ["deploy", "check", "broken"].map(|name| json!({"event": format!("workflow:{when}-{name}"), "handler": "seen"}))
    });
    let hooks: Vec<Value> = hooks.collect();
    home.install(&remade("hooks", &json!({"name": "spy", "hooks": hooks, "permissions": ["task_write"]})));
    let seen = |home: &Home| -> Vec<String> {
        let text = home.ok(&["plugin", "spy", "notes"]).out;
        let notes = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        notes.map(|note| format!("{} {}", note["event"].as_str().unwrap(), note["data"])).collect()
    };
    run(&home, &["-a", "check", "-a", "deploy", "-a", "broken", "-a", "check"])
        .ends(1)
        .says(&["checked\n", "deployed\n"]);
    let expected = [
        "workflow:pre-check {\"action\":\"check\"}",
        "workflow:post-check {\"action\":\"check\",\"ok\":true}",
        "workflow:pre-deploy {\"action\":\"deploy\"}",
        "workflow:post-deploy {\"action\":\"deploy\",\"ok\":true}",
        "workflow:pre-broken {\"action\":\"broken\"}",
        "workflow:post-broken {\"action\":\"broken\",\"ok\":false}",
    ];
    assert_eq!(seen(&home), expected);
    let done = run(&home, &["-a", "deploy", "-a", "nothing"]);
    done.ends(2).says(&["no action `nothing`", "`check`", "workflow_not_found"]).never_says(&["deployed\n"]);
    assert_eq!(seen(&home).len(), expected.len());
    home.ok(&["plugin", "config", "spy", "set", "behave", "{\"workflow:pre-deploy\":\"veto\"}"]);
    let done = run(&home, &["-a", "check", "-a", "deploy"]);
    done.ends(6).says(&["checked\n", "command_vetoed"]).never_says(&["deployed\n"]);
}

//! Hooks are called in order, see what they may see and do what they may do.

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{Parcel, plugin, remade};
use serde_json::{Value, json};

/// A plugin of this name, with these subscriptions (all handled by `seen`) and permissions.
fn subscriber(name: &str, mut hooks: Value, permissions: &Value) -> Parcel {
    for hook in hooks.as_array_mut().unwrap() {
        hook["handler"] = json!("seen");
    }
    remade("hooks", &json!({"name": name, "hooks": hooks, "permissions": permissions}))
}

fn behave(home: &Home, name: &str, behaviour: &Value) {
    home.ok(&["plugin", "config", name, "set", "behave", &behaviour.to_string()]);
}

fn run(home: &Home, text: &str) -> Done {
    home.write("w.yaml", text);
    home.run(["run", "./w.yaml"])
}

/// The hooks that a run called, as `event plugin`.
fn called(home: &Home, text: &str) -> Vec<String> {
    home.write("w.yaml", text);
    let report = home.json(&["run", "./w.yaml"]);
    let name = |hook: &Value| format!("{} {}", hook["event"].as_str().unwrap(), hook["plugin"].as_str().unwrap());
    report["hooks"].as_array().unwrap().iter().map(name).collect()
}

fn notes(home: &Home, name: &str) -> Vec<Value> {
    let text = home.ok(&["plugin", name, "notes"]).out;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

// covers: S39, S40, S41, S42, S43, S44, S45, S46, S47, S48, S49, S50
#[test]
fn every_event_is_fired_in_its_place() {
    let home = Home::new();
    home.install(&plugin("hooks"));
    let text = "name: all\npre_checks: [{name: check, command: 'true # {{who}}'}]\n\
        steps: [{name: good, command: echo hi, on_success: 'action:deploy'}, {name: bad, command: 'echo no; exit 3'}]\n\
        actions: {deploy: {command: echo deployed}}\nconfig: {variables: {who: world}}";
    let done = run(&home, text);
    done.ends(1).says(&["[hooks] first sees true # world"]);
    let notes = notes(&home, "hooks");
    let seen: Vec<String> = notes
        .iter()
        .map(|note| {
            let command = note["command"]["resolved"].as_str().unwrap_or_default();
            format!("{} {command}", note["event"].as_str().unwrap()).trim().to_owned()
        })
        .collect();
    let expected = [
        "workflow-load",
        "variable-resolution",
        "pre-workflow",
        "pre-command true # world",
        "post-command true # world",
        "pre-check-status true # world",
        "pre-command echo hi",
        "command-output echo hi",
        "post-command echo hi",
        "workflow:pre-deploy",
        "pre-command echo deployed",
        "command-output echo deployed",
        "post-command echo deployed",
        "workflow:post-deploy",
        "workflow-progress",
        "pre-command echo no; exit 3",
        "command-output echo no; exit 3",
        "post-command echo no; exit 3",
        "command-error echo no; exit 3",
        "workflow-error",
        "post-workflow",
    ];
    assert_eq!(seen, expected);
    let find = |event: &str, nth: usize| notes.iter().filter(|note| note["event"] == event).nth(nth).unwrap();
    fields(&find);
}

fn fields<'a>(find: &impl Fn(&str, usize) -> &'a Value) {
    let note = find("pre-command", 0);
    let command = json!({"original": "true # {{who}}", "resolved": "true # world"});
    assert_eq!((&note["command"], &note["handler"]), (&command, &json!("seen")));
    assert_eq!(note["step"], json!({"name": "check", "description": "", "index": 0}));
    assert_eq!((&note["workflow"]["name"], &note["data"]), (&json!("all"), &json!({"section": "pre_checks"})));
    for text in [&note["timestamp"], &note["workflow"]["start_time"], &note["workflow"]["id"]] {
        assert!(text.as_str().is_some_and(|text| text.len() >= 16), "{note}");
    }
    let note = find("post-command", 1);
    assert_eq!((&note["output_size"], &note["head"]), (&json!(3), &json!("hi\n")));
    assert_eq!((&note["command"]["exit_code"], &note["data"]["section"]), (&json!(0), &json!("steps")));
    let note = find("command-error", 0);
    assert_eq!(
        (&note["command"]["exit_code"], &note["head"], &note["step"]["index"]),
        (&json!(3), &json!("no\n"), &json!(1))
    );
    assert_eq!(find("command-output", 0)["data"]["stream"], "stdout");
    assert_eq!(find("pre-check-status", 0)["data"]["ok"], true);
    assert_eq!(find("workflow:post-deploy", 0)["data"], json!({"action": "deploy", "ok": true}));
    assert_eq!(find("workflow-progress", 0)["data"], json!({"done": 1, "total": 2}));
    assert_eq!(find("workflow-error", 0)["data"]["code"], "command_failed");
    assert_eq!(find("post-workflow", 0)["data"], json!({"status": "failed"}));
    assert!(find("workflow-load", 0)["data"]["path"].as_str().unwrap().ends_with("w.yaml"));
    assert_eq!(find("pre-workflow", 0)["variables"], json!({"who": "world"}), "it holds task_read");
}

#[test]
fn priority_then_neighbours_then_name() {
    let home = Home::new();
    let none = json!([]);
    let event = "pre-command";
    home.install(&subscriber("bbb", json!([{"event": event, "priority": 5}]), &none));
    home.install(&subscriber("aaa", json!([{"event": event, "priority": 5}]), &none));
    home.install(&subscriber("ccc", json!([{"event": event, "priority": -1}, {"event": "post_command"}]), &none));
    home.install(&subscriber("ddd", json!([{"event": "pre_command", "priority": 100}]), &none));
    home.install(&subscriber("eee", json!([{"event": event, "priority": 5, "before": ["aaa"]}]), &none));
    let expected = ["ddd", "bbb", "eee", "aaa", "ccc"].map(|name| format!("pre-command {name}"));
    let seen = called(&home, "steps: [{command: 'true'}]");
    assert_eq!(seen[..5], expected, "{seen:?}");
    assert_eq!(seen[5..], ["post-command ccc"]);
    // The same every time, whatever was installed last.
    home.ok(&["plugin", "uninstall", "ddd"]);
    home.install(&subscriber("ddd", json!([{"event": "pre_command", "priority": 100}]), &none));
    assert_eq!(called(&home, "steps: [{command: 'true'}]"), seen);
}

// covers: S96
#[test]
fn a_pattern_is_matched_with_the_command_that_runs() {
    let home = Home::new();
    let hooks =
        json!([{"event": "pre-command", "pattern": "^echo .*world"}, {"event": "post-command", "pattern": "lo$"}]);
    home.install(&subscriber("picky", hooks, &json!([])));
    let text = "config: {variables: {who: world}}\n\
        steps: [{command: 'echo {{who}}'}, {command: echo wor}, {command: 'true; echo world'}, {command: echo hello}]";
    assert_eq!(called(&home, text), ["pre-command picky", "post-command picky"]);
    let notes = notes(&home, "picky");
    assert_eq!(notes[0]["command"]["resolved"], "echo world");
    assert_eq!(notes[1]["command"]["resolved"], "echo hello");
}

// covers: S51
#[test]
fn ending_the_chain_needs_task_write() {
    for (permissions, ends) in [(json!([]), false), (json!(["task_read"]), false), (json!(["task_write"]), true)] {
        let home = Home::new();
        home.install(&subscriber("first", json!([{"event": "pre-command", "priority": 9}]), &permissions));
        home.install(&subscriber("second", json!([{"event": "pre-command"}, {"event": "post-command"}]), &json!([])));
        behave(&home, "first", &json!({"pre-command": "stop"}));
        let seen = called(&home, "steps: [{command: 'true'}]");
        let second = seen.contains(&"pre-command second".to_owned());
        assert_eq!(
            (second, seen.contains(&"post-command second".to_owned())),
            (!ends, true),
            "{permissions}: {seen:?}"
        );
        let done = run(&home, "steps: [{command: 'true'}]");
        let note = "plugin first, pre-command: asked to stop later hooks without `task_write`; ignored";
        assert_eq!(done.err.contains(note), !ends, "{done:?}");
    }
}

// covers: S51
#[test]
fn a_veto_needs_task_write() {
    for (permissions, vetoes) in [(json!([]), false), (json!(["task_write"]), true)] {
        let home = Home::new();
        let hooks =
            json!([{"event": "pre-command", "pattern": "^touch"}, {"event": "post-command", "pattern": "^true"}]);
        home.install(&subscriber("guard", hooks, &permissions));
        behave(&home, "guard", &json!({"pre-command": "veto", "post-command": "veto"}));
        let done = run(&home, "steps: [{command: 'true'}, {command: touch made}, {command: touch more}]");
        // What has happened cannot be vetoed, with or without the permission.
        done.says(&["guard, post-command: vetoed an event that takes no veto; ignored"]);
        if vetoes {
            done.ends(6).says(&[
                "plugin `guard` refused at `pre-command`: not on my watch (command_vetoed)",
                "refused touch made",
            ]);
        } else {
            done.ends(0).says(&["guard, pre-command: vetoed without the permission to; ignored"]);
        }
        assert_eq!((home.work().join("made").exists(), home.work().join("more").exists()), (!vetoes, !vetoes));
    }
}

#[test]
fn what_was_not_granted_is_withheld_and_named() {
    let text = "config: {variables: {secret: hunter2}}\nsteps: [{command: 'true {{secret}}'}]";
    for (permissions, sees) in [(json!([]), false), (json!(["task_write"]), false), (json!(["task_read"]), true)] {
        let home = Home::new();
        home.install(&subscriber("spy", json!([{"event": "pre-workflow"}, {"event": "post-command"}]), &permissions));
        run(&home, text).ends(0);
        let notes = notes(&home, "spy");
        assert_eq!(notes.len(), 2);
        for note in &notes {
            let variables = if sees { json!({"secret": "hunter2"}) } else { json!({}) };
            assert_eq!(note["variables"], variables, "{permissions}");
            let asked = if sees { json!({"secret": "hunter2"}) } else { Value::Null };
            assert_eq!(note["asked"], asked, "the service is as closed as the field: {permissions}");
            assert_eq!(note["withheld"], if sees { json!([]) } else { json!(["variables"]) }, "{permissions}");
            assert_eq!(note["permissions"], permissions);
        }
    }
}

#[test]
fn an_event_that_carries_no_output_shows_none() {
    let home = Home::new();
    home.install(&subscriber("spy", json!([{"event": "pre-command"}, {"event": "post-command"}]), &json!([])));
    run(&home, "steps: [{command: echo visible}]").ends(0);
    let notes = notes(&home, "spy");
    assert_eq!((&notes[0]["output"], &notes[1]["output"]), (&json!(false), &json!(true)));
    home.write("w.yaml", "steps: [{command: echo visible}]");
    home.ok(&["run", "./w.yaml", "--no-capture"]).says(&["visible\n"]);
    assert_eq!(notes.len() + 2, self::notes(&home, "spy").len());
    assert_eq!(self::notes(&home, "spy")[3]["output"], false, "--no-capture keeps the output from hooks");
}

#[test]
fn large_output_is_cut_in_the_middle_for_hooks_and_whole_for_people() {
    let home = Home::new();
    home.install(&subscriber("spy", json!([{"event": "post-command"}]), &json!([])));
    let command = "printf 'THE HEAD'; head -c 3145728 /dev/zero | tr '\\\\0' x; printf 'THE TAIL'";
    let done = run(&home, &format!("steps: [{{command: \"{command}\"}}]"));
    done.ends(0);
    let size = 3_145_728 + 16;
    assert_eq!(done.out.matches('x').count(), 3_145_728 + done.out.matches("tr '").count(), "people see all of it");
    let note = &notes(&home, "spy")[0];
    assert_eq!(note["output_size"], size);
    let kept = note["output_len"].as_u64().unwrap();
    assert!((1 << 20..(1 << 20) + 64).contains(&kept), "{note}");
    assert!(note["head"].as_str().unwrap().starts_with("THE HEADxxx"), "{note}");
    assert!(note["tail"].as_str().unwrap().ends_with("xxxTHE TAIL"), "{note}");
    assert!(note["cut"].as_str().unwrap().contains(&format!("[... {} bytes left out", size - (1 << 20))), "{note}");
}

// covers: A194, A196
#[test]
fn what_a_hook_says_is_shown_as_its_own_on_one_line() {
    let home = Home::new();
    home.install(&subscriber("liar", json!([{"event": "pre-command"}]), &json!([])));
    behave(&home, "liar", &json!({"pre-command": "terminal"}));
    let done = run(&home, "steps: [{command: 'true'}]");
    done.ends(0).says(&["  [liar] \\u{1b}[2Jmigraine: all is well\\r\\u{202e}\n"]);
    assert!(!done.out.contains('\u{1b}') && !done.out.contains('\r'), "{done:?}");
    let report = home.json(&["run", "./w.yaml"]);
    assert_eq!(report["hooks"][0]["message"], "\u{1b}[2Jmigraine: all is well\r\u{202e}");
}

#[test]
fn an_unknown_event_is_told() {
    let home = Home::new();
    let parcel = subscriber("typo", json!([{"event": "pre-comand"}]), &json!([]));
    home.install(&parcel);
    home.write("w.yaml", "steps: [{command: echo ran}]");
    let done = home.run(["run", "./w.yaml"]);
    done.says(&["typo", "pre-comand", "pre-command"]);
    home.ok(&["plugin", "uninstall", "typo"]);
    home.install(&subscriber("later", json!([{"event": "post-quantum", "optional": true}]), &json!([])));
    home.ok(&["run", "./w.yaml"]).says(&["ran\n"]);
}

//! Secrets reach the plugins that hold `user_auth`, and nobody else.

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use migraine_tests::package::remade;
use migraine_tests::scripts::Script;
use serde_json::{Value, json};

use super::attacks::{with_and_without, word};

const SECRET: &str = r#"hunter2 "quoted"\'s"#;

/// A plugin that notes what it sees of these events.
fn watch(home: &Home, name: &str, events: &[&str], permissions: &[&str]) {
    let hooks: Vec<Value> = events.iter().map(|event| json!({"event": event, "handler": "seen"})).collect();
    let parcel = remade("hooks", &json!({"name": name, "hooks": hooks, "permissions": permissions, "commands": NOTES}));
    let grants = permissions.iter().flat_map(|permission| ["--grant", permission]);
    home.ok(&["plugin", "install", parcel.typed(), "--yes"].into_iter().chain(grants).collect::<Vec<_>>());
    assert_eq!(home.status(name), "enabled");
}

const NOTES: [&str; 2] = ["notes", "typed"];

const EVERY: [&str; 7] = [
    "workflow-load",
    "pre-command",
    "command-output",
    "post-command",
    "command-error",
    "workflow-error",
    "post-workflow",
];

fn notes(home: &Home, name: &str) -> String {
    home.ok(&["plugin", name, "notes"]).out
}

fn run(home: &Home, workflow: &str, flags: &[&str]) -> Done {
    home.write("w.yaml", workflow);
    let mut command = home.command([&["--verbose", "run", "./w.yaml"], flags].concat());
    Done::of(command.env("TOKEN", SECRET))
}

/// What a secret looks like once the plugin has written it down as JSON.
fn noted(secret: &str) -> String {
    let text = json!(secret).to_string();
    text[1..text.len() - 1].to_owned()
}

// covers: S184, S206, A193
#[test]
fn only_user_auth_sees_a_secret() {
    let home = Home::new();
    watch(&home, "trusted", &EVERY, &["task_read", "user_auth"]);
    watch(&home, "other", &EVERY, &["task_read"]);
    watch(&home, "blind", &EVERY, &[]);
    // The value in the command, in its output (also as JSON has it), over two writes, and beside another stream.
    let slow = "printf hunt; sleep 0.3; printf x >&2; printf '%s\\n' \"${TOKEN#hunt}\"";
    let encoded = "python3 -c 'import json, os; print(json.dumps(os.environ[\"TOKEN\"]))'; exit 3";
    let workflow = json!({
        "name": "w",
        "config": {"variables": {"token": {"value": "env:TOKEN", "secret": true}, "plain": "visible"}},
        "steps": [
            {"name": "one", "command": "printf %s {{token|sh}}; printf '%s\\n' '{{plain}}'"},
            {"name": "two", "command": slow},
            {"name": "bad", "command": encoded},
        ],
    });
    let done = run(&home, &workflow.to_string(), &[]);
    done.ends(1).says(&["SUMMARY"]);
    let trusted = notes(&home, "trusted");
    assert!(trusted.matches(&noted(SECRET)).count() > 10, "{trusted}");
    assert!(!trusted.contains("secrets"), "{trusted}");
    for name in ["other", "blind"] {
        let seen = notes(&home, name);
        assert!(!seen.contains("hunter2") && !seen.contains("quoted"), "{seen}");
        for line in seen.lines() {
            let note: Value = serde_json::from_str(line).unwrap();
            let masked = line.replace("***", "").len() != line.len();
            let told = note["withheld"].as_array().unwrap().contains(&json!("secrets"));
            assert_eq!(masked, told, "{line}");
        }
    }
    let seen = notes(&home, "other");
    assert!(seen.contains("printf %s '***'") && seen.contains("***visible"), "{seen}");
    let asked: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = |note: &&Value| note["event"] != "workflow-load";
    assert!(
        asked.iter().filter(run).all(|note| note["asked"] == json!({"plain": "visible", "token": "***"})),
        "{seen}"
    );
}

#[test]
fn what_plugins_say_holds_no_secret() {
    let home = Home::new();
    // Its handler repeats the command in its message.
    let hook = json!([{"event": "pre-command", "handler": "first"}]);
    let parcel = remade("hooks", &json!({"hooks": hook, "permissions": ["user_auth"], "commands": NOTES}));
    home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", "user_auth"]);
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'true {{token}}'}]";
    run(&home, workflow, &["-v", "token=hunter2"]).ends(0).says(&["first sees true ***"]).never_says(&["hunter2"]);
    home.write("w.yaml", workflow);
    let report = home.json(&["run", "./w.yaml", "-v", "token=hunter2"]);
    assert_eq!(report["hooks"][0]["message"], "first sees true ***");
    assert!(!report.to_string().contains("hunter2"), "{report}");
}

#[test]
fn arguments_environment_and_configuration_are_masked() {
    let home = Home::new();
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'true'}]";
    let seen = |permissions: &[&str]| {
        let hook = json!([{"event": "pre-command", "command": "typed -- --token={{token}} plain"}]);
        let parcel = remade("hooks", &json!({"hooks": hook, "permissions": permissions, "commands": NOTES}));
        let grants = permissions.iter().flat_map(|permission| ["--grant", permission]);
        let line = ["plugin", "install", parcel.typed(), "--yes", "--allow-reuse", "1.0.0"];
        home.ok(&line.into_iter().chain(grants).collect::<Vec<_>>());
        let done = run(&home, workflow, &["-v", "token=hunter2"]);
        home.ok(&["plugin", "uninstall", "hooks"]);
        let line = done.ends(0).out.lines().find(|line| line.starts_with('{')).map(str::to_owned).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["typed"].clone()
    };
    assert_eq!(seen(&[]), json!(["--", "--token=***", "plain"]));
    assert_eq!(seen(&["user_auth"]), json!(["--", "--token=hunter2", "plain"]));
}

#[test]
fn what_programs_print_is_masked() {
    let home = Home::new();
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'true'}]";
    let seen = |permissions: &[&str], pair: &[&str]| {
        // The value is nowhere in what the program is told: it puts it together, in both of its streams.
        let script = "printf %s%s hunt er2; printf %s%s hun ter2 >&2";
        let hook = json!([{"event": "pre-command", "command": format!("exec sh -- -c '{script}'")}]);
        let parcel = remade("reach", &json!({"hooks": hook, "permissions": permissions, "config": {}}));
        let grants = permissions.iter().chain(pair).flat_map(|permission| ["--grant", permission]);
        let line = ["plugin", "install", parcel.typed(), "--yes", "--allow-reuse", "1.0.0"];
        home.ok(&line.into_iter().chain(grants).collect::<Vec<_>>());
        assert_eq!(home.status("reach"), "enabled");
        let done = run(&home, workflow, &["-v", "token=hunter2"]);
        home.ok(&["plugin", "uninstall", "reach"]);
        done
    };
    seen(&["exec=sh"], &[]).ends(0).says(&["***exit 0"]).never_says(&["hunter2"]);
    seen(&["exec=sh", "user_auth"], &["user_auth+exec"]).ends(0).says(&["hunter2exit 0"]).never_says(&["***"]);
}

#[test]
fn a_secret_that_cannot_be_masked_is_refused() {
    let home = Home::new();
    home.write("w.yaml", "name: w\nconfig: {variables: {pin: [secret]}}\nsteps: [{command: 'echo {{pin}}'}]");
    let error = home.refused(&["run", "./w.yaml", "-v", "pin=123"], "value_invalid");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`pin`") && !message.contains("123"), "{message}");
    home.ok(&["run", "./w.yaml", "-v", "pin=1234"]);
}

#[test]
fn scripts_are_handed_no_secret_either() {
    let python = "import os\ndef f(config, context):\n    \
        seen = f\"{config} {context} {os.environ['TOKEN']}\"\n    \
        return {'status': 'success', 'output': str(seen.count('hunter2'))}\n";
    let bash = "all=\"$MIGRAINE_KEY $MIGRAINE_CONTEXT $MIGRAINE_VAR_TOKEN $MIGRAINE_CMD_OUTPUT $TOKEN\"\n\
        left=${all//hunter2/}; echo $(((${#all} - ${#left}) / 7))";
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'echo {{token}}'}]";
    for script in [Script::python("post-command", python), Script::bash("post-command", bash)] {
        let script = script.config("key", &json!("a hunter2 b")).asking(&["task_read", "env_vars=TOKEN"]);
        let seen = |script: Script| {
            let home = script.installed(Home::new());
            home.write("w.yaml", workflow);
            let mut command = home.command(["--format", "json", "run", "./w.yaml", "-v", "token=hunter2"]);
            let done = Done::of(command.env("TOKEN", "hunter2"));
            let report: Value = serde_json::from_str(&done.out).unwrap();
            report["hooks"][0]["message"].as_str().unwrap().parse::<u32>().unwrap()
        };
        assert_eq!(seen(script.clone()), 0);
        assert!(seen(script.asking(&["user_auth"])) >= 5);
    }
}

#[test]
fn what_scripts_say_holds_no_secret() {
    // Each knows half of it and puts it together.
    let says = "echo \"hunter$((1 + 1))\" >&2; echo \"said hunter$((1 + 1))\"";
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'true {{token}}'}]";
    for (text, shown) in [(says.to_owned(), "[script] ***"), (format!("{says}; exit 3"), "status 3: said ***")] {
        let home = Script::bash("post-command", &text).installed(Home::new());
        run(&home, workflow, &["-v", "token=hunter2"]).ends(0).says(&[shown]).never_says(&["hunter2"]);
    }
}

// A hook has no caller whose streams it could write to, whatever frames it sends.
#[test]
fn what_a_hook_claims_to_be_output_holds_no_secret() {
    let text = "import sys\ndef f(config, context):\n    ch = sys.modules['__main__'].channel\n    \
        for kind in (22, 23): ch.send(kind, ch.call, context['variables']['token'].encode() + b' claimed\\n')\n    \
        return {'success': True}\n";
    let home = Script::python("post-command", text).asking(&["task_read", "user_auth"]).installed(Home::new());
    let workflow = "name: w\nconfig: {variables: {token: [secret]}}\nsteps: [{name: one, command: 'true'}]";
    let done = run(&home, workflow, &["-v", "token=hunter2"]);
    assert!(!done.ends(0).out.contains("claimed"), "{done:?}");
    assert_eq!(done.err.matches("[script] *** claimed\n").count(), 2, "{done:?}");
    done.never_says(&["hunter2"]);
}

#[test]
fn a203_a_secret_is_found_nowhere_else() {
    type Look = fn(&Home) -> bool;
    let in_hooks: Look = |home| notes(home, "other").contains("hunter2");
    let in_files: Look = |home| {
        let holds = |bytes: &[u8]| bytes.windows(7).any(|part| part == b"hunter2");
        home.snapshot().values().any(|(_, bytes)| holds(bytes))
    };
    let mut rows = Rows::of(203);
    let workflow = json!({
        "name": "w",
        "config": {"variables": {"token": {"value": "env:TOKEN", "secret": true}}},
        "steps": [{"name": "one", "command": "echo {{token|sh}}"}, {"name": "bad", "command": "echo {{token|sh}} >&2; exit 3"}],
    });
    for &user in kernel::users() {
        for (attack, look) in
            [("look into another plugin's hooks", in_hooks), ("look into the home directory", in_files)]
        {
            let mut home = Home::of(user);
            watch(&home, "trusted", &["pre-workflow"], &["user_auth"]);
            watch(&home, "other", &EVERY, &["task_read"]);
            let [stopped, without] = with_and_without(&mut home, "Secret", |home| {
                run(home, &workflow.to_string(), &[]).ends(1);
                word(look(home), "masked")
            });
            rows.host(attack, user, &stopped, "without Secret", &without);
        }
    }
    rows.settle();
}

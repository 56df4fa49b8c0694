//! Workflows run, with variables, pre-checks and the events around each command.

use std::io::Write as _;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{plugin, remade};
use serde_json::{Value, json};

/// Runs a workflow file as text.
fn run(home: &Home, text: &str, flags: &[&str]) -> Done {
    home.write("w.yaml", text);
    home.run([&["run", "./w.yaml"], flags].concat())
}

#[test]
fn variables_come_from_flags_then_the_file() {
    let home = Home::new();
    let text = "config: {variables: {who: world, tail: [slugify], from: 'env:MIGRAINE_TEST_NAME'}}\n\
        steps: [{command: 'echo hello {{who}} {{ who | sh }} {{tail}}'}]";
    let done = run(&home, text, &["-v", "tail=A Long  Name!"]);
    done.ends(0).says(&["hello world world a-long-name\n"]);
    let done = run(&home, text, &["-v", "who=a 'b' $HOME", "--var", "tail=x"]);
    done.ends(0).says(&["hello a b /", " a 'b' $HOME x\n"]);
    let done =
        run(&home, "steps: [{command: \"printf '%s|' {{a | sh}} {{b | sh}}\"}]", &["-v", "a=it's; ls", "-v", "b="]);
    done.ends(0).says(&["it's; ls||"]);
    let done = run(&home, "steps: [{command: 'echo {{a}} {{b}}'}]", &["-v", "a=1"]);
    done.ends(1).says(&["`b`", "variable_missing", "-v 'b="]);
}

#[test]
fn pre_checks_come_first_and_stop_everything() {
    let home = Home::new();
    let done = run(
        &home,
        "pre_checks: [{command: echo one}, {name: second, command: exit 3}, {command: echo three}]\nsteps: [{command: echo four}]",
        &[],
    );
    done.ends(4).says(&[
        "PRECHECKS",
        "one\n",
        "fail second (exit code 3",
        "1 passed, 1 failed, 3 in all",
        "0 of 1 done",
    ]);
    done.never_says(&["three\n", "four\n", "STEPS"]);
}

#[test]
fn a_failed_command_stops_the_run() {
    let home = Home::new();
    let done = run(
        &home,
        "steps: [{command: echo one}, {command: exit 3, on_fail: 'run:echo mended'}, {command: echo never}]",
        &[],
    );
    done.ends(1).says(&["one\n", "mended\n", "1 of 3 done", "exit code 3", "command_failed"]).never_says(&["never\n"]);
    let text = "steps: [{command: 'true', on_success: 'action:tell'}]\nactions: {tell: {command: echo told}, other: {command: echo asked}}";
    run(&home, text, &[]).ends(0).says(&["told\n"]).never_says(&["asked\n"]);
    run(&home, text, &["-a", "other"]).ends(0).says(&["asked\n", "ACTIONS"]).never_says(&["told\n"]);
}

#[test]
fn commands_have_the_callers_streams() {
    let home = Home::new();
    for with_hook in [false, true] {
        if with_hook {
            home.install(&plugin("hooks"));
        }
        home.write("w.yaml", "steps: [{command: cat}, {command: 'echo out; echo err >&2'}]");
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"typed\n").unwrap();
        drop(writer);
        let done = Done::of(home.command(["run", "./w.yaml"]).stdin(reader));
        done.ends(0);
        assert!(done.out.contains("typed\n") && done.out.contains("out\n"), "{done:?}");
        assert!(done.err.lines().any(|line| line == "err") && !done.out.contains("err\n"), "{done:?}");
    }
}

#[test]
fn step_timer_times_a_real_run() {
    let home = Home::new();
    home.install(&plugin("step-timer"));
    home.write("migraine.yaml", "name: demo\nsteps: [{command: sleep 0.2}, {command: echo fast}]");
    for _ in 0..2 {
        let done = home.ok(&["run"]);
        done.says(&["[step-timer] step-timer: sleep 0.2 took 2", "[step-timer] step-timer: echo fast took "]);
    }
    home.ok(&["plugin", "config", "step-timer", "set", "only_slow", "true"]);
    home.ok(&["run"]).never_says(&["step-timer"]);
    let table: Value = serde_json::from_str(&home.ok(&["plugin", "step-timer", "report", "--json"]).out).unwrap();
    assert!(table.to_string().contains("sleep 0.2"), "{table}");
    home.ok(&["plugin", "step-timer", "report"]).says(&["sleep 0.2", "echo fast"]);
    home.ok(&["plugin", "step-timer", "reset"]).says(&["Forgot the times of 2 commands."]);
}

#[test]
fn plugins_that_are_not_concerned_are_not_started() {
    let home = Home::new();
    // Whatever starts prints a line.
    let config = json!({"behave": "{}", "init": "print"});
    let quiet = remade("hooks", &json!({"name": "quiet", "hooks": [], "config": config}));
    let other = [json!({"event": "pre-command", "pattern": "^git ", "handler": "seen"})];
    let other = remade("hooks", &json!({"name": "other", "hooks": other, "config": config}));
    let off = remade(
        "hooks",
        &json!({"name": "off", "hooks": [{"event": "pre-command", "handler": "seen"}], "config": config}),
    );
    for parcel in [&quiet, &other, &off] {
        home.install(parcel);
    }
    let text = "steps: [{command: echo one}, {command: echo git}]";
    run(&home, text, &[]).ends(0).says(&["[off] a stray line"]).never_says(&["[quiet]", "[other]"]);
    home.ok(&["plugin", "disable", "off"]);
    let done = run(&home, text, &[]);
    assert_eq!((done.code, done.err.as_str()), (0, ""), "nobody was started: {done:?}");
    run(&home, "steps: [{command: 'git --version || true'}]", &[]).ends(0).says(&["[other] a stray line"]);
}

#[test]
fn workflows_are_found_by_name() {
    let home = Home::new();
    home.write("migraine.yaml", "name: main\nsteps: [{command: echo main}]");
    home.write("workflows/build.yaml", "steps: [{command: echo build}]");
    home.write("workflows/x.json", r#"{"name": "test", "steps": [{"command": "echo test"}]}"#);
    for (name, said) in [("build", "build\n"), ("test", "test\n"), ("x", "test\n"), ("main", "main\n")] {
        home.ok(&["run", name]).says(&[said]);
    }
    home.ok(&["run"]).says(&["main\n"]);
    let error = home.refused(&["run", "nothing"], "workflow_not_found");
    assert!(error["help"].as_str().unwrap().contains("`build`"), "{error}");
}

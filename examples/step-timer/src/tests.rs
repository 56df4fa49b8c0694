//! The plugin on the bench.

use std::thread::sleep;

use migraine_plugin_api::testing::Bench;
use migraine_plugin_api::{CommandInfo, ErrorKind, FailurePolicy, Manifest, Plugin as _, StepInfo, WorkflowInfo};
use serde_json::{Value, json};

use super::*;

fn event(name: &str, run: &str, index: u32, command: &str) -> Context {
    let mut context = Context::new(name);
    context.workflow = Some(WorkflowInfo { id: run.to_owned(), ..WorkflowInfo::default() });
    context.step = Some(StepInfo { index, ..StepInfo::default() });
    let resolved = command.replace("{{token}}", "s3cret");
    context.command = Some(CommandInfo { original: command.to_owned(), resolved, exit_code: None });
    context
}

fn bench() -> Bench<StepTimer> {
    Bench::new()
}

/// Runs one command of a workflow and returns the message after it.
fn run(bench: &mut Bench<StepTimer>, command: &str) -> Option<String> {
    assert_eq!(bench.hook(event("pre-command", "run", 0, command)).unwrap(), success());
    sleep(Duration::from_millis(3));
    bench.hook(event("post-command", "run", 0, command)).unwrap().message
}

fn rows(bench: &mut Bench<StepTimer>) -> Vec<Value> {
    serde_json::from_str(&bench.command("report", &["--json"]).unwrap()).unwrap()
}

// covers: S39, S40
#[test]
fn a_command_is_timed_and_said() {
    let message = run(&mut bench(), "cargo build").unwrap();
    let time = message.strip_prefix("step-timer: cargo build took ").unwrap();
    let number: u64 = time.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!((3..1000).contains(&number), "{message}");
}

#[test]
fn events_of_one_command_belong_together() {
    let mut bench = bench();
    for (run, step) in [("a", 0), ("a", 1), ("b", 0)] {
        bench.hook(event("pre-command", run, step, "make")).unwrap();
    }
    assert_eq!(bench.hook(event("post-command", "b", 1, "make")).unwrap().message, None, "never started");
    assert!(bench.hook(event("command-error", "b", 0, "make")).unwrap().message.is_some());
    assert_eq!(bench.hook(event("post-command", "b", 0, "make")).unwrap().message, None, "already counted");
    assert!(bench.hook(event("post-command", "a", 1, "make")).unwrap().message.is_some());
    assert_eq!(bench.hook(Context::new("post-command")).unwrap(), success(), "no step, no command");
    assert_eq!(rows(&mut bench)[0]["runs"], 2);
}

#[test]
fn the_figures_survive_a_new_worker() {
    let mut bench = bench();
    run(&mut bench, "cargo test");
    let first = rows(&mut bench);
    bench.shutdown();
    assert_eq!(rows(&mut bench), first);
    run(&mut bench, "cargo test");
    let row = &rows(&mut bench)[0];
    assert_eq!((&row["command"], &row["runs"]), (&json!("cargo test"), &json!(2)));
    let (last, total, mean) = (row["last_ms"].as_u64(), row["total_ms"].as_u64(), row["mean_ms"].as_u64());
    assert_eq!(total, Some(last.unwrap() + first[0]["last_ms"].as_u64().unwrap()));
    assert_eq!(mean, total.map(|total| total / 2));
}

#[test]
fn what_was_substituted_is_not_kept() {
    let mut bench = bench();
    let message = run(&mut bench, "curl -H {{token}}\necho done").unwrap();
    assert!(message.starts_with("step-timer: curl -H {{token}}… took "), "{message}");
    assert!(!bench.command("report", &["--json"]).unwrap().contains("s3cret"));
}

#[test]
fn slow_commands_are_marked_and_others_can_be_left_out() {
    let slow = run(&mut bench().config("slow_after_ms", 1), "make").unwrap();
    assert!(slow.ends_with(" ms (slow)"), "{slow}");
    assert_eq!(run(&mut bench().config("only_slow", true), "make"), None);
    assert!(run(&mut bench().config("only_slow", true).config("slow_after_ms", 1), "make").is_some());
    assert!(!run(&mut bench().config("slow_after_ms", 0), "make").unwrap().contains("slow"));
}

#[test]
fn wrong_settings_are_refused_at_the_start() {
    for (key, value, part) in [
        ("slow_after_ms", json!(-1), "from 0 to 86400000"),
        ("slow_after_ms", json!("soon"), "`slow_after_ms` is \"soon\""),
        ("keep", json!(0), "from 1 to 150"),
        ("keep", json!(151), "from 1 to 150"),
        ("only_slow", json!("yes"), "true or false"),
    ] {
        let error = bench().config(key, value.clone()).command("report", &[]).expect_err(part);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{key} = {value}");
        assert!(error.message().contains(part), "{part} in: {error}");
        assert!(error.help().is_some_and(|help| help.contains(&format!("set {key} "))), "{key}");
    }
}

#[test]
fn the_oldest_commands_are_forgotten_and_the_state_fits() {
    let mut bench = bench().config("keep", 150);
    for index in 0..160 {
        run_at_once(&mut bench, &format!("{index:03} {}", "\u{1f980}".repeat(200)));
    }
    run_at_once(&mut bench, "a");
    let rows = rows(&mut bench);
    assert_eq!(rows.len(), 150);
    let names: Vec<_> = rows.iter().filter_map(|row| row["command"].as_str()).collect();
    assert!(names.contains(&"a") && !names.iter().any(|name| name.starts_with("000")));
}

fn run_at_once(bench: &mut Bench<StepTimer>, command: &str) {
    bench.hook(event("pre-command", "run", 0, command)).unwrap();
    bench.hook(event("post-command", "run", 0, command)).unwrap();
}

#[test]
fn the_table_is_as_wide_as_the_terminal() {
    assert_eq!(bench().command("report", &[]).unwrap(), "No command has been timed yet.\n");
    let mut bench = bench().terminal(50);
    run(&mut bench, "cargo test --workspace --all-targets --all-features");
    run(&mut bench, "ls 漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字");
    let table = bench.command("report", &[]).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("COMMAND "), "{table}");
    for line in table.lines() {
        assert_eq!(unicode_width::UnicodeWidthStr::width(line), 50, "{table}");
    }
    assert!(table.contains("cargo test --works"), "{table}");
}

#[test]
fn reset_forgets_everything() {
    let mut bench = bench();
    run(&mut bench, "make");
    assert_eq!(bench.command("reset", &[]).unwrap(), "Forgot the times of 1 command.\n");
    assert_eq!(bench.command("reset", &[]).unwrap(), "Forgot the times of 0 commands.\n");
    assert!(rows(&mut bench).is_empty());
}

#[test]
fn durations_are_readable() {
    for (ms, expected) in [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.00 s"),
        (1234, "1.23 s"),
        (1236, "1.24 s"),
        (59_994, "59.99 s"),
        (59_999, "1 m 00 s"),
        (125_000, "2 m 05 s"),
        (3_600_000, "1 h 00 m"),
    ] {
        assert_eq!(timings::show(Duration::from_millis(ms)), expected, "{ms}");
    }
}

#[test]
fn the_manifest_needs_no_permission() {
    let manifest: Manifest = serde_json::from_str(StepTimer::MANIFEST).unwrap();
    assert!(manifest.permissions.is_empty());
    let hooks: Vec<_> = manifest.hooks.iter().map(|hook| (hook.event.as_str(), hook.priority)).collect();
    assert_eq!(hooks, [("pre-command", -1000), ("post-command", 1000), ("command-error", 1000)]);
    assert!(manifest.hooks.iter().all(|hook| hook.pattern.is_some() && hook.on_failure == FailurePolicy::Warn));
}

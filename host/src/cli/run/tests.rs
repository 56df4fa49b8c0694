//! Tests of what is printed.

use super::*;
use crate::workflow::{Failure, PreChecks, Steps};

fn command(status: CommandStatus, exit_code: Option<i32>) -> CommandReport {
    let (name, command) = ("Build \u{1b}[2J".to_owned(), "make".to_owned());
    CommandReport { section: Section::Steps, name, command, status, exit_code, duration: Duration::from_millis(12) }
}

fn hook(outcome: Outcome, message: Option<&str>, warn: bool) -> HookReport {
    HookReport {
        plugin: "step-timer".parse().unwrap(),
        handler: String::new(),
        command: None,
        duration: Duration::from_micros(7),
        outcome,
        message: message.map(str::to_owned),
        data: None,
        warn,
        notes: Vec::new(),
    }
}

fn report() -> RunReport {
    let help = Some("do this".to_owned());
    RunReport {
        workflow: "w".to_owned(),
        id: "1f".to_owned(),
        status: Status::Failed,
        start_time: "2026-01-02T03:04:05.000Z".to_owned(),
        duration: Duration::from_secs(75),
        pre_checks: PreChecks { passed: 1, failed: 0, total: 1 },
        steps: Steps { done: 1, total: 3 },
        commands: vec![command(CommandStatus::Failed, Some(2))],
        hooks: Vec::new(),
        hooks_left_out: 0,
        warnings: Vec::new(),
        error: Some(Failure { code: Code::CommandFailed, message: "it failed".to_owned(), help }),
    }
}

#[test]
fn people_read_sections_commands_hooks_and_a_summary() {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut text = TextReporter { out: Box::new(&mut out), errors: Box::new(&mut errors) };
    text.started(&Started { workflow: "w", description: "does it", id: "1f", start_time: "2026-01-02T03:04:05.000Z" });
    text.section(Section::PreChecks);
    text.command_started("Build");
    text.command_ended(&command(CommandStatus::Ok, Some(0)));
    text.hook("post-command", &hook(Outcome::Succeeded, Some("took\n12 ms"), false));
    text.hook("post-command", &hook(Outcome::Succeeded, None, false));
    let failed = || Outcome::Failed { code: Code::PluginCrashed, help: Some("update it".to_owned()) };
    text.hook("post-command", &hook(failed(), Some("signal 11"), true));
    text.hook("post-command", &hook(failed(), Some("ignored"), false));
    text.section(Section::Steps);
    text.command_ended(&command(CommandStatus::Failed, Some(2)));
    text.command_ended(&command(CommandStatus::Refused, None));
    text.warning("odd\u{7}");
    text.finished(&report());
    drop(text);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "WORKFLOW w\n  does it\n  started 2026-01-02T03:04:05.000Z (run 1f)\n\nPRECHECKS\n> Build\n  ok Build \\u{1b}[2J (12 ms)\n  [step-timer] took\\n12 ms\n\nSTEPS\n  fail Build \\u{1b}[2J (exit code 2, 12 ms)\n  refused Build \\u{1b}[2J\n\nSUMMARY\n  status     failed\n  duration   1 min 15 s\n  prechecks  1 passed, 0 failed, 1 in all\n  steps      1 of 3 done\n"
    );
    assert_eq!(
        String::from_utf8(errors).unwrap(),
        "warning: plugin step-timer, post-command: signal 11 (plugin_crashed)\n  help: update it\nwarning: odd\\u{7}\nerror: it failed (command_failed)\n  help: do this\n"
    );
}

#[test]
fn programs_read_one_line_of_json() {
    let mut out = Vec::new();
    JsonReporter { out: Box::new(&mut out) }.finished(&report());
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["status"], "failed");
    assert_eq!(value["duration_ms"], 75_000);
    assert_eq!(value["commands"][0]["exit_code"], 2);
    assert_eq!(value["commands"][0]["section"], "steps");
    assert_eq!(value["error"]["code"], "command_failed");
}

//! A call has the time that it was granted, and a signal ends it in any case.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use migraine_tests::home::Home;
use migraine_tests::package::{Parcel, remade};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The plugin with time limits of its commands and these subscriptions.
fn timed(hooks: &Value) -> Parcel {
    let commands = json!([{"name": "behave", "timeout": 1}, {"name": "stream", "timeout": "none"}, {"name": "typed"}]);
    remade("hooks", &json!({"name": "timed", "commands": commands, "hooks": hooks}))
}

/// Runs the product until it printed a tick, sends it a signal and gives its exit code, output and errors.
fn signalled(home: &Home, args: &[&str], signal: Signal) -> (i32, String, String) {
    let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut reader) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    while !out.ends_with("tick\n") {
        assert_ne!(reader.read_line(&mut out).unwrap(), 0, "it ended by itself: {out}");
    }
    let own = child.id();
    let program = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    kill(Pid::from_raw(program.trim().parse().unwrap()), signal).unwrap();
    reader.read_to_string(&mut out).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    assert!(code != 99 && !err.contains("LEFT BEHIND"), "{signal}: {err}");
    (code, out, err)
}

#[test]
fn the_users_word_counts_before_the_grant_and_the_policy_before_both() {
    let home = Home::new();
    home.install(&timed(&json!([])));
    let hang = |flags: &[&str]| {
        let error = home.refused(&[&["plugin", "run"], flags, &["timed", "behave", "hang"]].concat(), "limit_time");
        assert_eq!(error["exit"], 124);
        error["message"].as_str().unwrap().to_owned()
    };
    assert!(hang(&[]).contains("limit of 1 s"), "what it was granted");
    assert!(hang(&["--timeout", "2"]).contains("limit of 2 s"));
    home.policy("limits: {command_wall: 3}");
    assert!(hang(&["--timeout", "none"]).contains("limit of 3 s"));
    let error = home.refused(&["plugin", "timed", "stream"], "limit_time");
    assert!(error["message"].as_str().unwrap().contains("limit of 3 s"), "{error}");
    for wrong in ["0", "-1", "1.5", "None", "", "4294967296"] {
        home.run(["plugin", "run", &format!("--timeout={wrong}"), "timed", "typed"])
            .ends(1)
            .says(&["at least 1, or `none`"]);
    }
}

#[test]
fn a_time_limit_that_was_not_granted_does_not_count() {
    let home = Home::new();
    let parcel = timed(&json!([]));
    let done = home.run(["plugin", "install", parcel.typed()]);
    done.says(&["timeout=stream"]);
    assert_eq!(home.status("timed"), "installed");
    home.ok(&["plugin", "enable", "timed", "--yes"]);
    let info = home.json(&["plugin", "info", "timed"]);
    assert_eq!(
        (&info["commands"][1]["timeout"], &info["commands"][1]["granted_timeout"]),
        (&json!("none"), &json!("none"))
    );
    assert_eq!(info["commands"][2].get("timeout"), None);
}

#[test]
fn a_signal_ends_a_command_without_a_limit() {
    let home = Home::new();
    home.install(&timed(&json!([])));
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        assert_eq!(signalled(&home, &["plugin", "timed", "stream"], signal).0, code);
        assert_eq!(signalled(&home, &["plugin", "run", "--timeout", "none", "timed", "stream"], signal).0, code);
    }
    assert_eq!(home.status("timed"), "enabled", "the user ended it, not the plugin");
}

#[test]
fn a_signal_ends_a_workflow_inside_of_a_bound_command() {
    let home = Home::new();
    let hooks = json!([
        {"event": "pre-workflow", "command": "stream", "on_failure": "ignore"},
        {"event": "pre-workflow", "command": "typed never", "priority": -1},
        {"event": "post-workflow", "command": "typed at-the-end", "on_failure": "fail"}
    ]);
    home.install(&timed(&hooks));
    home.write("w.yaml", "steps: [{command: echo never}]");
    // More often than it takes to quarantine what breaks down by itself.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let (code, out, err) = signalled(&home, &["run", "./w.yaml"], signal);
        assert_eq!(code, 128 + signal as i32, "{signal}: {out} {err}");
        assert!(err.contains("interrupted") && !out.contains("never"), "{signal}: {out} {err}");
        assert!(out.contains("at-the-end"), "the events of the end are fired as ever: {signal}: {out} {err}");
    }
    assert_eq!(home.status("timed"), "enabled");
}

#[test]
fn a_second_signal_ends_what_runs_after_the_first() {
    let home = Home::new();
    let hooks = json!([
        {"event": "pre-workflow", "command": "typed begun", "on_failure": "fail"},
        {"event": "post-workflow", "command": "stream"}
    ]);
    home.install(&timed(&hooks));
    home.write("w.yaml", "steps: [{command: 'kill -INT $PPID; exit 1'}]");
    let (code, out, err) = signalled(&home, &["run", "./w.yaml"], Signal::SIGTERM);
    assert_eq!(code, 130, "{out} {err}");
}

#[test]
fn a_bound_command_has_a_hooks_time_or_its_own() {
    let home = Home::new();
    home.install(&timed(&json!([{"event": "pre-workflow", "command": "stream", "on_failure": "fail"}])));
    home.write("w.yaml", "steps: [{command: 'true'}]");
    let done = home.run(["run", "./w.yaml", "--hook-timeout", "1"]);
    done.ends(124).says(&["limit of 1 s", "limit_time", "--hook-timeout"]);
}

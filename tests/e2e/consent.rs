//! Nothing is granted without somebody's consent: a flag that names it, or a person at a terminal.

use std::fs;
use std::io::Write as _;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel::users;
use migraine_tests::package::{Parcel, plugin, remade};
use migraine_tests::terminal::converse;
use serde_json::{Value, json};

/// A plugin that asks for these permissions and has no hook.
fn asking(permissions: &Value) -> Parcel {
    remade("hooks", &json!({"permissions": permissions, "hooks": []}))
}

fn grants(home: &Home) -> Value {
    home.json(&["plugin", "info", "hooks"])["grants"].clone()
}

// covers: A198
#[test]
fn nobody_asked_means_not_enabled() {
    let home = Home::new();
    let parcel = plugin("hooks");
    let install = ["plugin", "install", parcel.typed()];
    let done = home.run(install);
    done.ends(6).says(&["installed successfully", "status     installed", "error[consent_required]"]);
    done.says(&[
        "see the variables of every workflow that runs (--grant task_read)",
        "see the output of every command",
    ]);
    done.says(&["if you agree to all of it, run: migraine plugin enable hooks --yes"]);
    assert_eq!(home.status("hooks"), "installed");
    assert_eq!(grants(&home), json!([]));
    for line in [&["plugin", "run", "hooks", "typed"][..], &["plugin", "enable", "hooks"]] {
        home.refused(line, "consent_required");
    }
    // What it says helps.
    home.ok(&["plugin", "enable", "hooks", "--yes"]);
    assert_eq!((home.status("hooks").as_str(), grants(&home)), ("enabled", json!(["task_read"])));
}

// covers: A195
#[test]
fn what_is_asked_for_is_shown_to_its_end_and_with_its_danger() {
    let home = Home::new();
    let host = format!("api.example.com.{}.evil.example:443", ["a"; 100].join("."));
    let pattern = format!("^cargo {}|.*", "(build|test)".repeat(30));
    let permissions = [format!("network={host}"), "network=unix:/run/docker.sock".to_owned()];
    let hooks = json!([{"event": "post-command", "handler": "seen", "pattern": pattern}]);
    let parcel = remade("hooks", &json!({"permissions": permissions, "hooks": hooks}));
    let (host, pattern) = (format!("connect to {host}"), format!("text matches `{pattern}`"));
    let danger = "DANGEROUS: it reaches the Docker service, which controls this machine";
    let done = home.run(["plugin", "install", parcel.typed()]);
    done.ends(6).says(&[&host, &pattern, danger]);
    let done = home.ok(&["plugin", "info", "hooks"]);
    assert!(done.out.contains(".evil.example:443\n") && done.out.contains("|.*"), "{done:?}");
}

#[test]
fn a_pipe_is_not_consent() {
    let home = Home::new();
    let parcel = plugin("hooks");
    for verb in ["install", "enable"] {
        let target = if verb == "install" { parcel.typed() } else { "hooks" };
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&b"y\nyes\nY\n".repeat(20)).unwrap();
        drop(writer);
        let done = Done::of(home.command(["plugin", verb, target]).stdin(reader));
        done.ends(6).says(&["consent_required"]).never_says(&["[y/N]"]);
        assert_eq!(home.status("hooks"), "installed");
    }
}

#[test]
fn with_json_the_report_and_the_error_are_both_there() {
    let home = Home::new();
    let parcel = asking(&json!(["task_read", "network"]));
    let done = home.run(["--format", "json", "plugin", "install", parcel.typed()]);
    let report: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(report["status"], "installed");
    let missing: Vec<&str> =
        report["missing"].as_array().unwrap().iter().map(|m| m["grant"].as_str().unwrap()).collect();
    assert_eq!(missing, ["task_read", "network"]);
    assert!(report["missing"][1]["danger"].is_string() && report["missing"][0]["danger"].is_null(), "{report}");
    let error: Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!((&error["code"], &error["exit"], done.code), (&json!("consent_required"), &json!(6), 6));
}

#[test]
fn every_way_to_grant() {
    let check = |permissions: &Value, flags: &[&str], granted: &Value, enabled: bool| {
        let home = Home::new();
        let parcel = asking(permissions);
        let done = home.run([&["plugin", "install", parcel.typed()], flags].concat());
        assert_eq!(done.code, if enabled { 0 } else { 6 }, "{permissions} {flags:?}: {done:?}");
        assert_eq!(&grants(&home), granted, "{permissions} {flags:?}");
        assert_eq!(home.status("hooks"), if enabled { "enabled" } else { "installed" }, "{permissions} {flags:?}");
    };
    let none = json!([]);
    check(&none, &[], &none, true);
    let plain = json!(["task_read", "network=localhost:80"]);
    let sorted = json!(["task_read", "network=localhost:80"]);
    check(&plain, &[], &none, false);
    check(&plain, &["--yes"], &sorted, true);
    check(&plain, &["--grant", "task_read"], &json!(["task_read"]), false);
    check(&plain, &["--grant", "task_read", "--grant", "network=localhost:80"], &sorted, true);
    check(&plain, &["--grant", "task_read", "--grant", "network"], &sorted, true);
    // `--yes` never grants what is dangerous.
    let bare = json!(["network"]);
    check(&bare, &["--yes"], &none, false);
    check(&bare, &["--yes", "--grant", "network"], &bare, true);
    check(&bare, &["--grant", "network=localhost:80"], &json!(["network=localhost:80"]), true);
    let socket = json!(["network=unix:/run/docker.sock"]);
    check(&socket, &["--yes"], &none, false);
    check(&socket, &["--grant", "network"], &none, false);
    check(&socket, &["--grant", "network=unix:/run/docker.sock"], &socket, true);
    let pair = json!(["env_vars=TOKEN", "network=localhost:80"]);
    let held = json!(["network=localhost:80", "env_vars=TOKEN"]);
    check(&pair, &["--yes"], &held, false);
    check(&pair, &["--yes", "--grant", "env_vars+network"], &held, true);
    check(&pair, &["--yes", "--grant", "network+env_vars"], &held, true);
}

/// The permissions of the pairs that make a way out, each harmless by itself.
const WAYS: [(&str, &str); 6] = [
    ("user_auth", "network=localhost:80"),
    ("user_auth", "exec=git"),
    ("env_vars=TOKEN", "network=localhost:80"),
    ("env_vars=TOKEN", "exec=git"),
    ("filesystem=write:/srv/data", "network=localhost:80"),
    ("filesystem=write:/srv/data", "exec=git"),
];

// covers: A200
#[test]
fn a200_have_two_permissions_that_make_a_way_out_together() {
    let kind = |permission: &str| permission.split('=').next().unwrap().to_owned();
    for &user in users() {
        for (one, other) in WAYS {
            let home = Home::of(user);
            let parcel = asking(&json!([one, other]));
            let pair = format!("{}+{}", kind(one), kind(other));
            let each: Vec<&str> = [one, other].iter().flat_map(|grant| ["--grant", grant]).collect();
            let install = [&["plugin", "install", parcel.typed(), "--yes"], &each[..]].concat();
            // Both are granted by name, and it does not run: what they make together was agreed to by nobody.
            let done = home.run(&install);
            done.ends(6).says(&[
                "DANGEROUS",
                &format!("--grant {pair}"),
                &format!("{} and {}", kind(one), kind(other)),
            ]);
            assert_eq!(home.status("hooks"), "installed", "{pair}");
            home.refused(&["plugin", "run", "hooks", "typed"], "consent_required");
            home.refused(&["plugin", "enable", "hooks", "--yes"], "consent_required");
            home.ok(&["plugin", "enable", "hooks", "--grant", &pair]);
            assert_eq!(home.status("hooks"), "enabled", "{pair}");
            // Either of them alone needs no more than its own word.
            for alone in [one, other] {
                let home = Home::of(user);
                let parcel = asking(&json!([alone]));
                home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", alone]);
                assert_eq!(home.status("hooks"), "enabled", "{alone}");
            }
        }
        // A policy calls others dangerous as well.
        let home = Home::of(user);
        let policy = home.path().join("policy.yaml");
        fs::write(&policy, "dangerous_permission_combos: [[task_read, network]]\n").unwrap();
        home.own(&policy);
        let parcel = asking(&json!(["task_read", "network=localhost:80"]));
        home.run(["plugin", "install", parcel.typed(), "--yes"]).ends(6).says(&["--grant task_read+network"]);
        home.ok(&["plugin", "enable", "hooks", "--grant", "task_read+network"]);
    }
}

#[test]
fn a_grant_that_is_not_asked_for_is_a_mistake() {
    let home = Home::new();
    let parcel = asking(&json!(["network=localhost:80"]));
    for grant in ["network=localhost:81", "exec", "task_read", "hook", "hook=pre-command", "env_vars+network"] {
        let before = home.snapshot();
        let done = home.run(["plugin", "install", parcel.typed(), "--grant", grant]);
        assert!(done.code != 0 && done.err.contains("asks for"), "{grant}: {done:?}");
        assert_eq!(home.snapshot(), before, "{grant}");
    }
}

#[test]
fn hooks_need_consent_by_event() {
    let home = Home::new();
    let hooks = json!([{"event": "pre-command", "pattern": "^git", "handler": "seen"},
        {"event": "post_command", "handler": "seen"}]);
    let parcel = remade("hooks", &json!({"permissions": [], "hooks": hooks}));
    let done = home.run(["plugin", "install", parcel.typed(), "--grant", "hook=pre-command"]);
    done.ends(6).says(&["see the output of every command after it has run (--grant hook=post-command)"]);
    assert!(!done.err.contains("hook=pre-command)"), "{done:?}");
    home.ok(&["plugin", "enable", "hooks", "--grant", "hook=post_command"]);
    home.ok(&["plugin", "uninstall", "hooks"]);
    home.ok(&["plugin", "install", parcel.typed(), "--grant", "hook"]);
}

#[test]
fn a_setting_that_moves_a_scope_asks_again() {
    let home = Home::new();
    let parcel = asking(&json!(["network={{config.endpoint}}"]));
    home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
    assert_eq!(grants(&home), json!(["network=localhost:80"]));
    let set = ["plugin", "config", "hooks", "set", "endpoint", "example.org:443"];
    let before = home.snapshot();
    let error = home.refused(&set, "consent_required");
    assert!(error["help"].as_str().unwrap().contains("config hooks set endpoint 'example.org:443' --yes"), "{error}");
    assert_eq!(home.snapshot(), before);
    home.ok(&[&set[..], &["--yes"]].concat());
    assert_eq!(grants(&home), json!(["network=example.org:443"]));
    // Another setting does not ask.
    home.ok(&["plugin", "config", "hooks", "set", "number", "3"]);
}

#[test]
fn a_person_is_asked_on_the_terminal() {
    let parcel = plugin("hooks");
    let install = ["plugin", "install", parcel.typed()];
    let ask = |answer: &str, code: i32, status: &str| {
        let home = Home::new();
        let done = converse(&home, &install, &[], &[("Allow this? [y/N] ", answer)]);
        assert_eq!(done.code, code, "{answer:?}: {done:?}");
        done.says(&["hooks 1.0.0, signed by tests (ed25519:", "It wants to:", "Its author says: \"Notes every event"]);
        assert_eq!(home.status("hooks"), status, "{answer:?}");
    };
    for yes in ["y\n", "Y\n", "yes\n", "  yes \n"] {
        ask(yes, 0, "enabled");
    }
    for no in ["n\n", "\n", "no\n", "yy\n", "y es\n", "\u{4}", "oui\n"] {
        ask(no, 6, "installed");
    }
    // An interrupt at the prompt ends it; nothing half-done remains.
    let home = Home::new();
    let before = home.snapshot();
    let done = converse(&home, &install, &[], &[("[y/N] ", "\u{3}")]);
    assert!(done.code == 130, "{done:?}");
    assert_eq!(home.snapshot(), before);
}

#[test]
fn each_dangerous_thing_has_a_question_of_its_own() {
    let parcel = asking(&json!(["task_read", "env_vars=TOKEN", "network"]));
    let plain = "Allow what is not marked dangerous? [y/N] ";
    let network = "DANGEROUS: allow it to connect to any host and port? [y/N] ";
    let pair = "DANGEROUS: allow it to use env_vars and network together? [y/N] ";
    let ask = |answers: &[(&str, &str)], code: i32, granted: Value| {
        let home = Home::new();
        let done = converse(&home, &["plugin", "install", parcel.typed()], &[], answers);
        assert_eq!(done.code, code, "{answers:?}: {done:?}");
        done.says(&["DANGEROUS: it names no scope"]);
        assert_eq!(grants(&home), granted, "{answers:?}");
    };
    let all = json!(["task_read", "network", "env_vars=TOKEN"]);
    ask(&[(plain, "y\n"), (network, "y\n"), (pair, "y\n")], 0, all);
    ask(&[(plain, "y\n"), (network, "n\n"), (pair, "y\n")], 6, json!(["task_read", "env_vars=TOKEN"]));
    ask(&[(plain, "n\n")], 6, json!([]));
}

/// What lies in the terminal's input before the question is there was typed for something else.
#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    let home = Home::new();
    let parcel = plugin("hooks");
    let question = "Allow this? [y/N] ";
    let done = converse(&home, &["plugin", "install", parcel.typed()], &[], &[("", "y\ny\n"), (question, "n\n")]);
    assert_eq!(done.code, 6, "{done:?}");
    assert_eq!(home.status("hooks"), "installed");
}

// covers: A194, A195
#[test]
fn a_description_cannot_forge_the_question() {
    let lie = "nice\nPermissions: none\r\u{1b}[2JAllow this? [y/N] y\u{202e}";
    let parcel = remade("hooks", &json!({"permissions": ["task_read"], "hooks": [], "description": lie}));
    let home = Home::new();
    let quiet = [("NO_COLOR", "1")];
    let done = converse(&home, &["plugin", "install", parcel.typed()], &quiet, &[("\r\nAllow this? [y/N] ", "n\n")]);
    assert_eq!(done.code, 6, "{done:?}");
    assert!(!done.out.contains('\u{1b}') && !done.out.contains('\u{202e}'), "{done:?}");
    let said = done.out.lines().find(|line| line.starts_with("Its author says")).unwrap();
    assert!(said.contains("Permissions: none"), "on its one line, quoted: {done:?}");
    for line in [&["plugin", "list"][..], &["plugin", "info", "hooks"], &["--format", "json", "plugin", "list"]] {
        let done = home.run(line);
        assert!(
            !done.out.contains('\u{1b}') && !done.out.lines().any(|line| line.starts_with("Permissions")),
            "{done:?}"
        );
    }
    assert_eq!(home.json(&["plugin", "info", "hooks"])["description"], lie);
}

//! The table of what is asked, what is said, and what follows.

use std::collections::BTreeMap;

use migraine_plugin_api::{HookSpec, Permission};
use serde_json::json;

use super::*;

fn permissions(texts: &[&str]) -> Vec<Permission> {
    let mut read: Vec<Permission> = texts.iter().map(|text| text.parse().unwrap()).collect();
    read.sort();
    read
}

fn hook(text: &str) -> HookSpec {
    let (event, pattern) = text.split_once('~').map_or((text, None), |(event, pattern)| (event, Some(pattern)));
    let mut hook = HookSpec::new(event);
    hook.pattern = pattern.map(str::to_owned);
    hook
}

fn asked(asked_for: &[&str]) -> Vec<Ask> {
    let (hooks, rest): (Vec<&str>, Vec<&str>) = asked_for.iter().partition(|text| text.starts_with("hook="));
    let hooks: Vec<HookSpec> = hooks.iter().map(|text| hook(&text[5..])).collect();
    asks(&permissions(&rest), &hooks)
}

/// `said` is `--yes` or a grant; `held` is what an earlier enabling accepted.
fn check(asked_for: &[&str], held: &[&str], said: &[&str], granted: &[&str], missing: &[&str]) {
    let held: Vec<Item> = asked(held).into_iter().map(|ask| ask.item).collect();
    let grants: Vec<Grant> = said.iter().filter(|text| **text != "--yes").map(|text| text.parse().unwrap()).collect();
    let decisions = Decisions { yes: said.contains(&"--yes"), grants: &grants, answered: &[], held: &held };
    let consent = decide(&asked(asked_for), &decisions).unwrap();
    let texts = |list: Vec<String>| list;
    let name = format!("asked {asked_for:?} held {held:?} said {said:?}");
    assert_eq!(texts(consent.granted.iter().map(ToString::to_string).collect()), granted, "{name}");
    assert_eq!(texts(consent.missing.iter().map(|ask| ask.item.grant_text()).collect()), missing, "{name}");
}

#[test]
fn nothing_is_granted_by_omission() {
    check(&[], &[], &[], &[], &[]);
    check(&["task_read", "hook=post_command"], &[], &[], &[], &["task_read", "hook=post-command"]);
    check(&["task_read", "hook=post_command"], &[], &["--yes"], &["task_read"], &[]);
    check(&["task_read", "hook=post_command"], &[], &["task_read"], &["task_read"], &["hook=post-command"]);
    check(&["hook=post-command~a", "hook=pre-command"], &[], &["hook=post_command"], &[], &["hook=pre-command"]);
    check(&["hook=post-command~a", "hook=pre-command"], &[], &["hook"], &[], &[]);
}

#[test]
fn yes_accepts_nothing_dangerous() {
    check(&["network"], &[], &["--yes"], &[], &["network"]);
    check(&["network"], &[], &["network"], &["network"], &[]);
    check(&["network"], &[], &["network=localhost:80"], &["network=localhost:80"], &[]);
    check(&["network=localhost:80"], &[], &["--yes"], &["network=localhost:80"], &[]);
    check(&["network=a:1", "network=b:2"], &[], &["network"], &["network=a:1", "network=b:2"], &[]);
    let docker = "network=unix:/var/run/docker.sock";
    check(&[docker], &[], &["--yes"], &[], &[docker]);
    check(&[docker, "network=a:1"], &[], &["network"], &["network=a:1"], &[docker]);
    check(&[docker], &[], &[docker], &[docker], &[]);
}

// covers: A200
#[test]
fn a_pair_needs_its_own_words() {
    let both = ["env_vars=HOME", "network=a:1"];
    let granted = ["network=a:1", "env_vars=HOME"];
    check(&both, &[], &["--yes"], &granted, &["env_vars+network"]);
    check(&both, &[], &["--yes", "network+env_vars"], &granted, &[]);
    check(&both, &[], &["env_vars+network"], &[], &["network=a:1", "env_vars=HOME"]);
    for (first, second, pair) in [
        ("user_auth", "network=a:1", "user_auth+network"),
        ("user_auth", "exec=git", "user_auth+exec"),
        ("env_vars=A", "exec=git", "env_vars+exec"),
        ("filesystem=read:/a", "network=a:1", "filesystem+network"),
        ("filesystem=write:/a", "exec=git", "filesystem+exec"),
    ] {
        let decisions = Decisions { yes: true, ..Decisions::default() };
        let consent = decide(&asked(&[first, second]), &decisions).unwrap();
        assert_eq!(consent.missing.len(), 1, "{pair}");
        assert_eq!(consent.missing[0].item.flag(), format!("--grant {pair}"));
        assert!(consent.missing[0].danger.is_some(), "{pair}");
    }
}

// covers: A199
#[test]
fn an_upgrade_inherits_what_is_no_more_than_before() {
    check(&["task_read"], &["task_read", "task_write"], &[], &["task_read"], &[]);
    check(&["task_read", "task_write"], &["task_read"], &[], &["task_read"], &["task_write"]);
    check(&["network=a:1"], &["network"], &[], &["network=a:1"], &[]);
    check(&["network"], &["network=a:1"], &[], &["network=a:1"], &[]);
    check(&["hook=post-command~x"], &["hook=post-command"], &[], &[], &[]);
    check(&["hook=post-command"], &["hook=post-command~x"], &[], &[], &["hook=post-command"]);
    let before = ["env_vars=A", "network=a:1"];
    check(&before, &before, &[], &["network=a:1", "env_vars=A"], &[]);
    let after = ["env_vars=A", "network=a:1", "network=b:2"];
    check(&after, &before, &["--yes"], &["network=a:1", "network=b:2", "env_vars=A"], &["env_vars+network"]);
}

#[test]
fn grants_are_read_strictly() {
    for (text, good) in [
        ("task_read", true),
        ("network=localhost:80", true),
        ("filesystem=read:./a+b", true),
        ("exec+filesystem", true),
        ("hook=post-command", true),
        ("hook", true),
        ("", false),
        ("all", false),
        ("hook=", false),
        ("task_read=x", false),
        ("exec+everything", false),
        ("filesystem=/etc", false),
    ] {
        assert_eq!(text.parse::<Grant>().is_ok(), good, "{text}");
    }
    let grants = ["network=b:2".parse().unwrap()];
    let decisions = Decisions { grants: &grants, ..Decisions::default() };
    let error = decide(&asked(&["network=a:1"]), &decisions).unwrap_err();
    assert_eq!(error.to_string(), "the plugin does not ask for `network=b:2`");
}

#[test]
fn control_sockets_are_found_behind_every_spelling() {
    for (text, dangerous) in [
        ("network=unix:/run/docker.sock", true),
        ("network=unix:/var/run/docker.sock", true),
        ("network=unix:/tmp/../run//./docker.sock", true),
        ("network=unix:/run/containerd/containerd.sock", true),
        ("network=unix:/run/podman/podman.sock", true),
        ("network=unix:/run/systemd/private", true),
        ("network=unix:/run/dbus/system_bus_socket", true),
        ("network=unix:/run/user/1000/bus", true),
        ("network=unix:/tmp/ssh-XXabc/agent.7", true),
        ("network=unix:/run/user/1000/keyring/ssh", true),
        ("network=unix:/tmp/.X11-unix/X0", true),
        ("network=unix:/run/user/1000/wayland-0", true),
        ("filesystem=read:/run", true),
        ("filesystem=write:/run/user/1000", true),
        ("filesystem=write:/tmp/.X11-unix", true),
        ("filesystem=read:/", true),
        ("filesystem=read:/a/..", true),
        ("network=*:443", true),
        ("network=localhost:2375", true),
        ("exec=*", true),
        ("filesystem", true),
        ("task_write", false),
        ("network=unix:/run/my-app/app.sock", false),
        ("filesystem=write:./logs", false),
        ("network=api.example.com:443", false),
        ("exec=git", false),
    ] {
        assert_eq!(danger::of(&text.parse().unwrap()).is_some(), dangerous, "{text}");
    }
}

#[test]
fn scopes_take_values_from_the_configuration() {
    let config = BTreeMap::from([
        ("socket".to_owned(), json!("/run/app.sock")),
        ("port".to_owned(), json!(80)),
        ("list".to_owned(), json!([1])),
        ("line".to_owned(), json!("a\nb")),
    ]);
    let check = |asked: &str, expected: Option<&str>| {
        let resolved = resolve(&permissions(&[asked]), &config).ok().map(|list| list[0].to_string());
        assert_eq!(resolved.as_deref(), expected, "{asked}");
    };
    check("network=unix:{{config.socket}}", Some("network=unix:/run/app.sock"));
    check("network=localhost:{{ config.port }}", Some("network=localhost:80"));
    check("exec={{config.socket}}{{config.port}}", Some("exec=/run/app.sock80"));
    check("task_read", Some("task_read"));
    for bad in ["exec={{config.other}}", "exec={{env.HOME}}", "exec={{config.list}}", "exec={{config.line}}"] {
        check(bad, None);
    }
    let used = used_keys(&permissions(&["exec={{config.a}}/{{config.b}}", "task_read"]));
    assert_eq!(used.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

// covers: A194, A195
#[test]
fn words_are_plain_and_safe() {
    let words = |text: &str| asked(&[text])[0].words.clone();
    assert_eq!(words("network=localhost:80"), "connect to localhost:80");
    assert_eq!(words("filesystem=write:./logs"), "read and change files in ./logs");
    assert_eq!(
        words("hook=post-command~^cargo"),
        "see the output of every command whose text matches `^cargo` after it has run"
    );
    assert_eq!(words("hook=post-command~a\n\u{1b}[2J").matches(['\n', '\u{1b}']).count(), 0);
    assert_eq!(words("exec=\u{202e}evil"), "run the program \\u{202e}evil");
    let flag = asked(&["exec=$(reboot) it's"])[0].item.flag();
    assert_eq!(flag, r"--grant 'exec=$(reboot) it'\''s'");
}

#[test]
fn items_survive_being_written_down() {
    for ask in asked(&["env_vars=A", "network=a:1", "hook=post-command~a b+c=d", "hook=x y", "filesystem=read:a+b"]) {
        let text = serde_json::to_string(&ask.item).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), ask.item, "{text}");
    }
}

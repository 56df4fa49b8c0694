//! The table of what is asked, what is said, and what follows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use migraine_plugin_api::{CommandSpec, HookSpec, Permission, PermissionKind, Timeout};
use serde_json::json;

use super::*;

fn permissions(texts: &[&str]) -> Vec<Permission> {
    let mut read: Vec<Permission> = texts.iter().map(|text| text.parse().unwrap()).collect();
    read.sort();
    read
}

/// `event~pattern`, or `event!command`.
fn hook(text: &str) -> HookSpec {
    let (text, command) = text.split_once('!').map_or((text, None), |(text, command)| (text, Some(command)));
    let (event, pattern) = text.split_once('~').map_or((text, None), |(event, pattern)| (event, Some(pattern)));
    let mut hook = HookSpec::new(event);
    hook.pattern = pattern.map(str::to_owned);
    hook.command = command.map(str::to_owned);
    hook
}

/// `timeout=COMMAND:SECONDS`, `timeout=COMMAND:none`.
fn command(text: &str) -> CommandSpec {
    let (name, timeout) = text.split_once(':').unwrap();
    let mut command = CommandSpec::new(name);
    command.timeout = Some(timeout.parse().map_or(Timeout::None, Timeout::Seconds));
    command
}

fn asked(asked_for: &[&str]) -> Vec<Ask> {
    asked_leading(asked_for, &[])
}

/// `leads` says where directories of the manifest lead.
fn asked_leading(asked_for: &[&str], leads: &[(&str, &str)]) -> Vec<Ask> {
    let of = |head: &'static str| asked_for.iter().filter_map(move |text| text.strip_prefix(head));
    let hooks: Vec<HookSpec> = of("hook=").map(hook).collect();
    let commands: Vec<CommandSpec> = of("timeout=").map(command).collect();
    let is_permission = |text: &&&str| !text.starts_with("hook=") && !text.starts_with("timeout=");
    let rest: Vec<&str> = asked_for.iter().filter(is_permission).copied().collect();
    let permissions = resolve(&permissions(&rest), &BTreeMap::new()).unwrap();
    let directories = leads.iter().map(|(written, leads)| ((*written).to_owned(), PathBuf::from(leads))).collect();
    let combos = BTreeSet::new();
    let request = Request {
        permissions: &permissions,
        directories: &directories,
        hooks: &hooks,
        commands: &commands,
        combos: &combos,
    };
    asks(&request)
}

/// `said` is `--yes` or a grant; `held` is what an earlier enabling accepted.
fn check(asked_for: &[&str], held: &[&str], said: &[&str], granted: &[&str], missing: &[&str]) {
    let mut held: Vec<Item> = asked(held).into_iter().map(|ask| ask.item).collect();
    held.retain(|item| !item.permission().is_some_and(is_open));
    let grants: Vec<Grant> = said.iter().filter(|text| **text != "--yes").map(|text| text.parse().unwrap()).collect();
    let decisions = Decisions { yes: said.contains(&"--yes"), grants: &grants, answered: &[], held: &held };
    let consent = decide(&asked(asked_for), &decisions).unwrap();
    let name = format!("asked {asked_for:?} held {held:?} said {said:?}");
    assert_eq!(consent.granted.iter().map(ToString::to_string).collect::<Vec<_>>(), granted, "{name}");
    assert_eq!(consent.missing.iter().map(|ask| ask.item.grant_text()).collect::<Vec<_>>(), missing, "{name}");
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
        ("timeout", true),
        ("timeout=docker-logs", true),
        ("timeout=", false),
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
        ("filesystem=read:/run/./x/../docker", true),
        ("filesystem=write:/etc/cron.d", true),
        ("filesystem=write:/srv/../usr/bin", true),
        ("filesystem=write:/var/lib/dpkg", true),
        ("filesystem=write:/var", true),
        ("filesystem=write:/home", true),
        ("filesystem=read:/etc", false),
        ("filesystem=write:/usrs", false),
        ("filesystem=write:.", false),
        ("network=*.example.com:443", true),
        ("network=0.0.0.0/0:443", true),
        ("network=localhost:*", true),
        ("network=0.0.0.0:*", true),
        ("network=127.0.0.0/8:*", true),
        ("network=unix:/run/crio/crio.sock", true),
        ("network", true),
        ("network=*:443", true),
        ("network=localhost:2375", true),
        ("exec", true),
        ("filesystem", false),
        ("filesystem=read:*", false),
        ("network=api.example.com:*", false),
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
    check("filesystem=read:{{config.socket}}", Some("filesystem=read:/run/app.sock"));
    check("network=unix:{{config.port}}", None);
    check("network=localhost:{{config.socket}}", None);
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
    // The end decides whom it is about.
    let host = format!("api.example.com.{}.evil.example:443", ["a"; 100].join("."));
    assert_eq!(words(&format!("network={host}")), format!("connect to {host}"));
    let pattern = format!("^cargo {}|.*", "(build|test)".repeat(30));
    assert!(words(&format!("hook=post-command~{pattern}")).contains(&format!("`{pattern}`")));
    let flag = Item::Permission("exec=$(reboot) it's".parse().unwrap()).flag();
    assert_eq!(flag, r"--grant 'exec=$(reboot) it'\''s'");
}

#[test]
fn items_survive_being_written_down() {
    for ask in asked(&[
        "env_vars=A",
        "network=a:1",
        "hook=post-command~a b+c=d",
        "hook=x y",
        "hook=x!say {{a}} + b=c",
        "filesystem=read:a+b",
        "timeout=go:none",
        "timeout=go:60",
    ]) {
        let text = serde_json::to_string(&ask.item).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), ask.item, "{text}");
    }
}

#[test]
fn items_of_older_states_are_read() {
    for (text, expected) in [
        (r#""task_read""#, Item::Permission("task_read".parse().unwrap())),
        (r#""env_vars+network""#, Item::Pair(PermissionKind::EnvVars, PermissionKind::Network)),
        (
            r#"{"event":"post-command","pattern":"^git"}"#,
            Item::Hook { event: "post-command".to_owned(), pattern: Some("^git".to_owned()), command: None },
        ),
    ] {
        assert_eq!(serde_json::from_str::<Item>(text).unwrap(), expected);
        assert_eq!(serde_json::to_string(&expected).unwrap(), text);
    }
}

#[test]
fn a_grant_narrows_and_never_widens() {
    let fixed = ["filesystem=read:/srv/data"];
    check(&fixed, &[], &["filesystem=read:/srv/data/x"], &["filesystem=read:/srv/data/x"], &[]);
    check(&fixed, &[], &["filesystem=read:/srv/data"], &fixed, &[]);
    check(&fixed, &[], &["filesystem"], &fixed, &[]);
    let all = ["network=*.example.com:443"];
    check(&all, &[], &["network=a.example.com:443"], &["network=a.example.com:443"], &[]);
    for (asked_for, grant) in [
        (&fixed, "filesystem=read:/srv"),
        (&fixed, "filesystem=read:/srv/data2"),
        (&fixed, "filesystem=write:/srv/data/x"),
        (&fixed, "filesystem=read:*"),
        (&all, "network=*:443"),
        (&all, "network=a.example.com:80"),
        (&["network=*:80"], "network=localhost:80"),
        (&["network=*:80"], "network=unix:/run/app.sock"),
    ] {
        let grants = [grant.parse().unwrap()];
        let error = decide(&asked(asked_for), &Decisions { grants: &grants, ..Decisions::default() }).unwrap_err();
        assert!(matches!(error, PolicyError::NotAsked { .. }), "{asked_for:?} {grant}: {error}");
    }
}

#[test]
fn directories_of_the_users_choice_are_named_one_by_one() {
    let (x, y) = ("filesystem=read:/srv/x", "filesystem=read:/srv/y");
    for open in [&["filesystem"][..], &["filesystem=read:*"], &["filesystem=read:*", "filesystem=write:*"]] {
        check(open, &[], &[], &[], &[]);
        check(open, &[], &["--yes"], &[], &[]);
        check(open, &[], &[x, y], &[x, y], &[]);
        check(open, &[x], &[y], &[x, y], &[]);
        check(open, &[x], &[], &[x], &[]);
        for whole in ["filesystem", "filesystem=read:*"] {
            let grants = [whole.parse().unwrap()];
            let error = decide(&asked(open), &Decisions { grants: &grants, ..Decisions::default() }).unwrap_err();
            assert!(matches!(error, PolicyError::NameDirectory { .. }), "{open:?} {whole}: {error}");
        }
    }
    check(&["filesystem"], &[], &["filesystem=write:/srv/x"], &["filesystem=write:/srv/x"], &[]);
    let grants = ["filesystem=write:/srv/x".parse().unwrap()];
    let only_read = decide(&asked(&["filesystem=read:*"]), &Decisions { grants: &grants, ..Decisions::default() });
    assert!(only_read.is_err());
    // A whole grant of an older state is worth nothing.
    let held = [Item::Permission("filesystem".parse().unwrap())];
    for asked_for in [&["filesystem"][..], &["filesystem=read:/srv/x"]] {
        let consent = decide(&asked(asked_for), &Decisions { held: &held, ..Decisions::default() }).unwrap();
        assert!(consent.granted.is_empty(), "{asked_for:?}: {consent:?}");
    }
    // At the prompt a directory is an answer like any other.
    let answered = [Item::Permission(x.parse().unwrap())];
    let consent = decide(&asked(&["filesystem=read:*"]), &Decisions { answered: &answered, ..Decisions::default() });
    assert_eq!(consent.unwrap().accepted, answered);
}

#[test]
fn a_pair_needs_both_sides() {
    let both = ["filesystem=read:*", "network=a:1"];
    let (x, y) = ("filesystem=read:/srv/x", "filesystem=read:/srv/y");
    check(&both, &[], &["--yes"], &["network=a:1"], &[]);
    check(&both, &[], &["--yes", x], &["network=a:1", x], &["filesystem+network"]);
    check(&both, &[], &["--yes", x, "filesystem+network"], &["network=a:1", x], &[]);
    let named = asked(&[x, "network=a:1"]).into_iter().map(|ask| ask.item).collect::<Vec<_>>();
    let more = |said: &[&str]| {
        let grants: Vec<Grant> = said.iter().map(|text| text.parse().unwrap()).collect();
        let decisions = Decisions { grants: &grants, held: &named, ..Decisions::default() };
        decide(&asked(&both), &decisions).unwrap()
    };
    assert!(more(&[]).is_complete());
    assert_eq!(more(&[y]).missing[0].item.grant_text(), "filesystem+network");
    assert!(more(&[y, "filesystem+network"]).is_complete());
}

#[test]
fn time_is_granted_by_command() {
    let (long, short, ever) = ("timeout=logs:600", "timeout=logs:60", "timeout=logs:none");
    check(&[long], &[], &[], &[], &["timeout=logs"]);
    for said in ["--yes", "timeout=logs", "timeout"] {
        check(&[long], &[], &[said], &[], &[]);
        check(&[ever], &[], &[said], &[], &[]);
    }
    check(&[short], &[long], &[], &[], &[]);
    check(&[long], &[long], &[], &[], &[]);
    check(&[long], &[ever], &[], &[], &[]);
    check(&[long], &[short], &[], &[], &["timeout=logs"]);
    check(&[ever], &[long], &[], &[], &["timeout=logs"]);
    check(&["timeout=other:60"], &[long], &[], &[], &["timeout=other"]);
    let held: Vec<Item> = asked(&[long]).into_iter().map(|ask| ask.item).collect();
    let consent = decide(&asked(&[short]), &Decisions { held: &held, ..Decisions::default() }).unwrap();
    let kept = Item::Timeout { command: "logs".to_owned(), timeout: Timeout::Seconds(60) };
    assert_eq!(consent.accepted, [kept], "what is no longer asked for is no longer granted");
}

#[test]
fn another_bound_command_is_another_thing() {
    let (one, other) = ("hook=workflow:post-deploy!logs {{a}}", "hook=workflow:post-deploy!logs {{a}} {{b}}");
    let event = ["hook=workflow:post-deploy"];
    check(&[one], &[one], &[], &[], &[]);
    check(&[other], &[one], &[], &[], &event);
    check(&[one], &event, &[], &[], &event);
    check(&event, &[one], &[], &[], &event);
    check(&[other], &[one], &[event[0]], &[], &[]);
    check(&["hook=post-command~x!go"], &["hook=post-command!go"], &[], &[], &[]);
}

#[test]
fn what_is_asked_for_is_said_in_words() {
    for (text, expected) in [
        ("filesystem=read:*", "read the files of directories that you name"),
        ("filesystem=write:*", "read and change the files of directories that you name"),
        ("network=unix:/var/run/docker.sock", "connect to the socket /var/run/docker.sock"),
        ("timeout=docker-logs:none", "run `docker-logs` for as long as it likes"),
        ("timeout=x:600", "run `x` for up to 10 minutes"),
        ("timeout=x:3600", "run `x` for up to 1 hour"),
        ("timeout=x:90", "run `x` for up to 90 seconds"),
        ("hook=workflow:pre-deploy", "know when the action `deploy` is about to start"),
        ("hook=workflow:post_deploy", "know when the action `deploy` has ended"),
        ("hook=custom:thing", "be told of every event `custom:thing`"),
        (
            "hook=workflow:post-deploy!docker-logs --container {{ container_name }}",
            "run its command `docker-logs --container {{ container_name }}` after the action `deploy`, with the \
             workflow's variable `container_name`",
        ),
        (
            "hook=pre-command~^git!note {{b}} {{a}} {{c}}",
            "run its command `note {{b}} {{a}} {{c}}` before every command whose text matches `^git`, with the \
             workflow's variables `a`, `b` and `c`",
        ),
        ("hook=post-workflow!tidy", "run its command `tidy` after every workflow"),
    ] {
        assert_eq!(asked(&[text])[0].words, expected, "{text}");
    }
    let docker = asked(&["network=unix:/var/run/docker.sock"]);
    assert_eq!(docker[0].danger.as_deref(), Some("it reaches the Docker service, which controls this machine"));
    // What the author wrote and where it leads.
    let logs = asked_leading(&["filesystem=write:./logs"], &[("./logs", "/proj/logs")]);
    assert_eq!(logs[0].words, "read and change files in ./logs (/proj/logs)");
    assert_eq!(logs[0].item.flag(), "--grant filesystem=write:/proj/logs");
}

#[test]
fn what_was_granted_is_said_in_words() {
    let words = |asked_for: &[&str], said: &[&str]| {
        let grants: Vec<Grant> = said.iter().map(|text| text.parse().unwrap()).collect();
        let asks = asked(asked_for);
        let consent = decide(&asks, &Decisions { grants: &grants, ..Decisions::default() }).unwrap();
        granted_words(&asks, &consent)
    };
    let open = ["filesystem", "task_read"];
    let none = "read the files of directories that you name (none so far)";
    let none_to_change = "read and change the files of directories that you name (none so far)";
    assert_eq!(words(&open, &[]), [none, none_to_change]);
    assert_eq!(
        words(&open, &["filesystem=read:/a", "task_read"]),
        ["see the variables of every workflow that runs", "read files in /a", none_to_change]
    );
    assert_eq!(words(&["network"], &["network=localhost:80"]), ["connect to localhost:80"]);
    assert_eq!(words(&["hook=x y"], &["hook"]), ["be told of every event `x y`"]);
}

#[test]
fn what_is_taken_back_is_what_was_named_and_all_below() {
    for (grant, held, goes) in [
        ("network", "network=a:1", true),
        ("network=a:1", "network=a:1", true),
        ("network=a:1", "network=b:1", false),
        ("filesystem", "filesystem=read:/a", true),
        ("filesystem=read:*", "filesystem=read:/a", true),
        ("filesystem=read:*", "filesystem=write:/a", false),
        ("filesystem=read:/a", "filesystem=read:/a/b", true),
        ("filesystem=read:/a/b", "filesystem=read:/a", false),
        ("filesystem=write:/a", "filesystem=read:/a", false),
        ("network", "filesystem=read:/a", false),
    ] {
        let grant: Grant = grant.parse().unwrap();
        assert_eq!(grant.takes_back(&Item::Permission(held.parse().unwrap())), goes, "{grant} {held}");
    }
    let pair = Item::Pair(PermissionKind::Filesystem, PermissionKind::Network);
    assert!("network+filesystem".parse::<Grant>().unwrap().takes_back(&pair));
    assert!(!"network".parse::<Grant>().unwrap().takes_back(&pair));
}

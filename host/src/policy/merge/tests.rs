//! What holds where a user's and an administrator's file both say something.

use super::*;
use crate::code::{Code, Coded as _};

const USER: &str = "/people/ann/.migraine/policy.yaml";
const SYSTEM: &str = "/etc/migraine/policy.yaml";

fn file(text: &str) -> PolicyFile {
    PolicyFile::parse(text).unwrap()
}

/// The policy of these files; an empty text is a file that says nothing.
fn policy(user: &str, system: &str) -> Policy {
    Policy::new(vec![(USER.into(), file(user)), (SYSTEM.into(), file(system))])
}

/// Holds for both orders of what the files say.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "tables read better so")]
fn either<T: PartialEq + std::fmt::Debug>(one: &str, other: &str, of: impl Fn(&Policy) -> T, expected: T) {
    assert_eq!(of(&policy(one, other)), expected, "user {one:?}, system {other:?}");
    assert_eq!(of(&policy(other, one)), expected, "user {other:?}, system {one:?}");
}

fn permission(text: &str) -> Permission {
    text.parse().unwrap()
}

#[test]
fn the_stricter_word_on_signatures_holds() {
    let forbidden = |policy: &Policy| policy.forbids_unsigned().is_some();
    for (one, other, expected) in [
        ("", "", false),
        ("require_signatures: true", "", false),
        ("require_signatures: always", "", true),
        ("require_signatures: always", "require_signatures: true", true),
    ] {
        either(one, other, forbidden, expected);
    }
    for (one, other, expected) in [
        ("", "", false),
        ("allow_unsigned_dev: true", "", true),
        ("allow_unsigned_dev: true", "allow_unsigned_dev: true", true),
        ("allow_unsigned_dev: true", "allow_unsigned_dev: false", false),
        ("allow_unsigned_dev: true", "require_signatures: always", false),
        ("{allow_unsigned_dev: true, require_signatures: always}", "", false),
    ] {
        either(one, other, Policy::allows_unsigned_dev, expected);
    }
    let refusal = policy("", "require_signatures: always").forbids_unsigned().unwrap();
    assert!(refusal.to_string().ends_with(&format!("(require_signatures in {SYSTEM})")), "{refusal}");
}

#[test]
fn the_sandbox_is_reduced_by_no_single_word_against_another() {
    for (one, other, expected) in [
        ("", "", false),
        ("sandbox: full", "", false),
        ("sandbox: reduced", "", true),
        ("sandbox: reduced", "sandbox: reduced", true),
        ("sandbox: reduced", "sandbox: full", false),
    ] {
        either(one, other, Policy::allows_reduced, expected);
    }
}

#[test]
fn the_smaller_size_holds() {
    let most = |policy: &Policy| [1 << 20, 5 << 20, 10 << 20, 64 << 20].map(|size| policy.check_size(size).is_ok());
    either("", "", most, [true, true, true, false]);
    either("max_plugin_size: 64 MiB", "", most, [true; 4]);
    either("max_plugin_size: 64 MiB", "max_plugin_size: 5 MiB", most, [true, true, false, false]);
    either("max_plugin_size: 10 MiB", "max_plugin_size: 1 MiB", most, [true, false, false, false]);
    assert_eq!(Policy::default().check_size(PLUGIN_SIZE), Ok(()));
    let refusal = Policy::default().check_size(PLUGIN_SIZE + 1).unwrap_err();
    assert_eq!(refusal.code(), Code::LimitPackage);
    assert!(refusal.to_string().contains("(max_plugin_size, by default)"), "{refusal}");
    let refusal = policy("max_plugin_size: 5 MiB", "max_plugin_size: 1 MiB").check_size(2 << 20).unwrap_err();
    assert_eq!(refusal.to_string(), format!("it has 2 MiB, and 1 MiB is the most (max_plugin_size in {SYSTEM})"));
}

#[test]
fn a_file_ends_as_all_lists_allow() {
    let check = |policy: &Policy, path: &str| policy.check_files([path, "bin/tool"], "bin/tool").is_ok();
    for path in [
        "libx.so",
        "a/b.py",
        "x.SH",
        "x.rs",
        "plugin.json",
        "x.yaml",
        "x.yml",
        "README.md",
        "x.txt",
        "x.toml",
        "env.example",
        "LICENSE",
        "README",
        "docs/CHANGELOG",
        "Dockerfile",
        "bin/tool",
    ] {
        assert!(check(&Policy::default(), path), "{path}");
    }
    for path in ["tool", "x.exe", "lib.so.1", "x.", "license", "LICENSE.pdf", "other/bin/tool", "so"] {
        assert!(!check(&Policy::default(), path), "{path}");
    }
    let lists = |path: &'static str| move |policy: &Policy| check(policy, path);
    either("allowed_extensions: [so, exe]", "", lists("x.exe"), true);
    either("allowed_extensions: [so, exe]", "", lists("x.json"), false);
    either("allowed_extensions: [so, exe]", "allowed_extensions: [so]", lists("x.exe"), false);
    either("allowed_extensions: [so, exe]", "allowed_extensions: [so]", lists("x.so"), true);
    either("allowed_extensions: []", "", lists("LICENSE"), true);
    let refusal =
        policy("allowed_extensions: [exe]", "allowed_extensions: [so]").check_files(["x.exe"], "").unwrap_err();
    assert_eq!(refusal.code(), Code::PolicyRefused);
    assert!(refusal.to_string().ends_with(&format!("(allowed_extensions in {SYSTEM})")), "{refusal}");
}

#[test]
fn combinations_add_up() {
    let count = |policy: &Policy| policy.combos().len();
    let (one, other) =
        ("dangerous_permission_combos: [[task_read, network]]", "dangerous_permission_combos: [[task_write, exec]]");
    either("", "", count, 0);
    either(one, one, count, 1);
    either(one, other, count, 2);
}

#[test]
fn a_grant_is_what_all_files_allow_of_it() {
    let left = |grant: &'static str| {
        move |policy: &Policy| {
            let (left, capped) = policy.in_force(&[permission(grant)]);
            assert_eq!(capped.is_empty(), left == [permission(grant)], "{grant}: {left:?}");
            left.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
    };
    for (grant, one, other, expected) in [
        ("task_write", "", "", "task_write"),
        ("task_write", "{task_write: false}", "{task_write: true}", ""),
        ("task_read", "{task_write: false}", "", "task_read"),
        ("network=a.example:80", "{network: [\"*.example:80\"]}", "", "network=a.example:80"),
        ("network=a.example:80", "{network: [\"*.example:443\"]}", "", ""),
        ("network=a.example:80", "{network: []}", "", ""),
        (
            "network=*.example:*",
            "{network: [a.example:80, \"b.example:*\"]}",
            "",
            "network=a.example:80 network=b.example:*",
        ),
        ("network=*.example:80", "{network: [\"a.example:*\"]}", "", "network=a.example:80"),
        (
            "network=*.example:*",
            "{network: [\"*.example:80\"]}",
            "{network: [\"a.example:*\"]}",
            "network=a.example:80",
        ),
        ("network", "{network: [\"*.example:80\"]}", "", "network=*.example:80"),
        ("network", "{network: [\"localhost:80\"]}", "", ""),
        ("network=localhost:80", "{network: [\"*:*\"]}", "", ""),
        ("network=10.1.0.0/16:80", "{network: [\"10.0.0.0/8:*\"]}", "", "network=10.1.0.0/16:80"),
        ("network=unix:/run/a", "{network: [unix:/run/a, unix:/run/b]}", "", "network=unix:/run/a"),
        ("exec", "{exec: [git, ls]}", "{exec: [ls]}", "exec=ls"),
        ("exec=git", "{exec: [git]}", "{exec: [ls]}", ""),
        ("env_vars", "{env_vars: [LANG]}", "", "env_vars=LANG"),
        ("env_vars=HOME", "{env_vars: [LANG]}", "", ""),
        ("filesystem=write:/srv/a", "{filesystem: {write: [/srv]}}", "", "filesystem=write:/srv/a"),
        ("filesystem=write:/srv/a", "{filesystem: {read: [/srv]}}", "", "filesystem=read:/srv/a"),
        (
            "filesystem=write:/srv",
            "{filesystem: {read: [/srv], write: [/srv/a]}}",
            "",
            "filesystem=read:/srv filesystem=write:/srv/a",
        ),
        ("filesystem=read:/srv", "{filesystem: {write: [/srv/a]}}", "", "filesystem=read:/srv/a"),
        ("filesystem=read:/srv2", "{filesystem: {read: [/srv]}}", "", ""),
        ("filesystem=read:/srv", "{filesystem: {read: [/srv/a]}}", "{filesystem: {read: [/srv/b]}}", ""),
    ] {
        let section = |caps: &str| if caps.is_empty() { String::new() } else { format!("permissions: {caps}") };
        either(&section(one), &section(other), left(grant), expected.to_owned());
    }
}

#[test]
fn a_refused_grant_names_the_file_and_what_is_left() {
    let capping = policy("", "permissions: {network: [\"*.example:443\"], exec: []}");
    assert_eq!(capping.check_grant(&permission("network=a.example:443")), Ok(()));
    let refusal = capping.check_grant(&permission("network=*.example:*")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!("`network=*.example:*` cannot be granted (permissions.network in {SYSTEM})")
    );
    assert_eq!(refusal.help().unwrap(), "grant what is allowed of it: --grant 'network=*.example:443'");
    assert_eq!(refusal.code(), Code::PolicyRefused);
    assert_eq!(capping.check_ask(&Item::Permission(permission("network"))), Ok(()), "a part of it can be granted");
    let refusal = capping.check_ask(&Item::Permission(permission("exec=git"))).unwrap_err();
    assert!(refusal.help().unwrap().contains(SYSTEM), "{refusal:?}");
    let (_, capped) = capping.in_force(&[permission("exec=git"), permission("network")]);
    let [exec, network] = capped.as_slice() else { panic!("{capped:?}") };
    assert!(exec.takes(&permission("exec=git")) && !exec.takes(&permission("exec=ls")));
    assert!(network.takes(&permission("network=b.other:443")) && !network.takes(&permission("network=b.example:443")));
    assert!(exec.line(&permission("exec=git")).contains(&format!("{SYSTEM} does not allow it (permissions.exec)")));
    assert!(network.notice().contains("but for network=*.example:443"), "{}", network.notice());
}

#[test]
fn the_smaller_limit_holds() {
    let of = |policy: &Policy| (policy.limits().cpu, policy.limits().memory);
    either("limits: {cpu: 5}", "limits: {cpu: 3, memory: 32 MiB}", of, (Some(3), Some(32 << 20)));
    either("", "limits: {cpu: 3}", of, (Some(3), None));
    let both = policy("limits: {cpu: 3}", "limits: {cpu: 5}");
    assert_eq!(both.limiting(|caps| caps.cpu), Some(Path::new(USER)));
    assert_eq!(both.limiting(|caps| caps.memory), None);
}

#[test]
fn the_administrators_proxy_holds() {
    let of = |user: &str, system: &str| policy(user, system).proxy().map(ToString::to_string);
    assert_eq!(of("", ""), None);
    assert_eq!(of("proxy: a:1", "").as_deref(), Some("a:1"));
    assert_eq!(of("", "proxy: b:2").as_deref(), Some("b:2"));
    assert_eq!(of("proxy: a:1", "proxy: b:2").as_deref(), Some("b:2"));
}

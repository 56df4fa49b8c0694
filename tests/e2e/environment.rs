//! A plugin sees the variables that it was granted, and no other.

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};
use migraine_tests::package::remade;
use serde_json::json;

/// What every plugin sees, sorted.
const BASE: [&str; 7] = [
    "LANG=C.UTF-8",
    "MIGRAINE_API=1.0",
    "PATH=/usr/bin:/bin",
    "RAYON_NUM_THREADS=2",
    "TMPDIR=/tmp",
    "TOKIO_WORKER_THREADS=2",
    "TZ=UTC",
];

/// The environment of the host: what a plugin would like to have, and what would steer it.
const HOST: [(&str, &str); 10] = [
    ("AWS_SECRET_ACCESS_KEY", "s3cr3t"),
    ("GITHUB_TOKEN", "t0k3n with = and\nline"),
    ("SSH_AUTH_SOCK", "/nowhere/agent"),
    ("https_proxy", "http://proxy.example:3128"),
    ("TZ", "Europe/Berlin"),
    ("EMPTY", ""),
    ("LD_BIND_NOW", "1"),
    ("MALLOC_PERTURB_", "7"),
    ("GLIBC_TUNABLES", "glibc.malloc.perturb=7"),
    ("TMPDIR", "/var/tmp"),
];

/// A home with the plugin, granted these variables.
fn granted(permissions: &[&str], said: &[&str]) -> Home {
    let home = Home::new();
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    home.ok(&[&["plugin", "install", parcel.typed(), "--yes"], said].concat());
    assert_eq!(home.status("reach"), "enabled");
    home
}

fn environ(home: &Home) -> Done {
    let mut command = home.command(["plugin", "run", "reach", "environ"]);
    Done::of(command.envs(HOST))
}

fn check(home: &Home, more: &[&str], fewer: &[&str]) {
    let kept = BASE.iter().filter(|line| !fewer.contains(*line));
    let mut expected: Vec<&str> = kept.copied().chain(more.iter().copied()).collect();
    expected.sort_unstable();
    let done = environ(home);
    assert_eq!(done.ends(0).out, expected.join("\n") + "\n", "{done:?}");
}

#[test]
fn a201_a_plugin_sees_what_it_was_granted_and_nothing_else() {
    check(&granted(&[], &[]), &[], &[]);
    check(&granted(&["filesystem", "network"], &["--grant", "network", "--grant", "filesystem+network"]), &[], &[]);
    check(&granted(&["env_vars=GITHUB_TOKEN"], &[]), &["GITHUB_TOKEN=t0k3n with = and\nline"], &[]);
    // One that is not set is not there; one that stands in the base is the user's.
    let home = granted(&["env_vars=EMPTY", "env_vars=UNSET", "env_vars=TZ"], &[]);
    check(&home, &["EMPTY=", "TZ=Europe/Berlin"], &["TZ=UTC"]);
    // All of them: what would steer code is left out.
    let home = granted(&["env_vars"], &["--grant", "env_vars"]);
    let settled = home.command(["x"]);
    let own = settled.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    let all = own.filter(|(name, _)| !name.starts_with("MIGRAINE_") && *name != "PATH").chain(HOST);
    let seen = all.filter(|(name, _)| !name.starts_with("LD_") && !name.starts_with("MALLOC_"));
    let seen = seen.filter(|(name, _)| !["GLIBC_TUNABLES", "TMPDIR"].contains(name));
    let seen: Vec<String> = seen.map(|(name, value)| format!("{name}={value}")).collect();
    check(&home, &seen.iter().map(String::as_str).collect::<Vec<_>>(), &["TZ=UTC", "LANG=C.UTF-8"]);
}

// A manifest that asks for every variable can be granted a single one.
#[test]
fn one_of_all_can_be_granted() {
    let parcel = remade("reach", &json!({"permissions": ["env_vars"], "config": {}}));
    let home = Home::new();
    for name in ["LD_PRELOAD", "MIGRAINE_HOME", "TMPDIR"] {
        let error = home.refused(
            &["plugin", "install", parcel.typed(), "--yes", "--grant", &format!("env_vars={name}")],
            "value_invalid",
        );
        assert!(error["message"].as_str().unwrap().contains("this variable"), "{error}");
    }
    home.ok(&["plugin", "install", parcel.typed(), "--yes", "--grant", "env_vars=EMPTY"]);
    check(&home, &["EMPTY="], &[]);
}

#[test]
fn what_steers_code_cannot_be_asked_for() {
    let home = Home::new();
    for name in ["LD_PRELOAD", "GLIBC_TUNABLES", "GCONV_PATH", "MALLOC_ARENA_MAX", "MIGRAINE_HOME", "PATH"] {
        let parcel = remade("reach", &json!({"permissions": [format!("env_vars={name}")], "config": {}}));
        let error = home.refused(&["plugin", "install", parcel.typed(), "--yes"], "manifest_invalid");
        assert!(error["message"].as_str().unwrap().contains(&format!("`env_vars={name}`")), "{error}");
    }
}

#[test]
fn a201_a_variable_needs_its_own_grant() {
    let mut rows = Rows::of(201);
    for &user in kernel::users() {
        let mut home = Home::of(user).with_granted("reach", &["env_vars=GITHUB_TOKEN".to_owned()]);
        let sees = |home: &Home, name: &str| {
            let done = environ(home);
            let is_there = done.ends(0).out.lines().any(|line| line.split('=').next() == Some(name));
            if is_there { WORKS } else { "absent" }.to_owned()
        };
        assert_eq!(sees(&home, "GITHUB_TOKEN"), WORKS);
        let stopped = sees(&home, "AWS_SECRET_ACCESS_KEY");
        home.leave_out("Environment");
        let without = sees(&home, "AWS_SECRET_ACCESS_KEY");
        rows.host("another variable than the granted one", user, &stopped, "without Environment", &without);
    }
    rows.settle();
}

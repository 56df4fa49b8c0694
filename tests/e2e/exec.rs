//! A program that was granted runs in a sandbox of its own, and no other program does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::remade;
use serde_json::json;

/// A home with the plugin, which holds these permissions.
fn granted(permissions: &[&str]) -> Home {
    let home = Home::new();
    grant(&home, permissions);
    home
}

fn grant(home: &Home, permissions: &[&str]) {
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
    line.extend(permissions.iter().flat_map(|permission| ["--grant", permission]));
    for pair in ["filesystem+exec", "env_vars+exec"] {
        let (first, _) = pair.split_once('+').unwrap();
        line.extend(
            permissions.iter().any(|held| held.starts_with(first)).then_some(["--grant", pair]).into_iter().flatten(),
        );
    }
    home.ok(&line);
    assert_eq!(home.status("reach"), "enabled");
}

/// Runs a program by the plugin.
fn exec(home: &Home, words: &[&str]) -> Done {
    home.run([&["plugin", "run", "reach", "exec"], &words[..1], &["--"], &words[1..]].concat())
}

/// What a shell that was granted prints, with whatever else was granted.
fn shell(home: &Home, script: &str) -> Done {
    exec(home, &["sh", "-c", script])
}

#[test]
fn a_granted_program_runs_and_says_how_it_ended() {
    let home = granted(&["exec=/usr/bin/env", "exec=sh"]);
    let done = exec(&home, &["env"]);
    done.ends(0).says(&["PATH=/usr/bin:/bin\n", "exit 0\n"]);
}

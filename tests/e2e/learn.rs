//! What a plugin needs is learned from a run, after a person's consent; it is enough, and nothing of it can be left out.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use migraine_tests::home::{Done, Home};
use migraine_tests::package::{remade, typed};
use migraine_tests::run::User;
use migraine_tests::terminal::converse;
use serde_json::{Value, json};

const QUESTION: &str = "to go on: ";

/// A plugin that asks for these permissions is installed and has all of them.
fn install(home: &Home, permissions: &[&str]) {
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    let grants = permissions.iter().flat_map(|permission| ["--grant", permission]);
    let line = ["--format", "json", "plugin", "install", parcel.typed(), "--yes", "--allow-reuse", "1.0.0"];
    let line: Vec<&str> = line.into_iter().chain(grants).collect();
    let report: Value = serde_json::from_str(&home.run(line).out).unwrap();
    // Pairs of permissions that make a way out.
    let missing = report["missing"].as_array().unwrap().iter().map(|item| item["grant"].as_str().unwrap());
    let missing: Vec<&str> = missing.flat_map(|grant| ["--grant", grant]).collect();
    if !missing.is_empty() {
        home.ok(&[&["plugin", "enable", "reach"], &missing[..]].concat());
    }
    assert_eq!(home.status("reach"), "enabled");
}

fn learn(home: &Home, acts: &[&str]) -> Done {
    let line = [&["--format", "json", "plugin", "run", "--learn", "reach", "tour"], acts].concat();
    converse(home, &line, &[], &[(QUESTION, "learn reach\n")])
}

/// The report at the end of a run on a terminal.
fn report(done: &Done) -> Value {
    let from = done.out.rfind("{\r\n").unwrap_or_else(|| panic!("no report: {done:?}"));
    let text = &done.out[from..];
    let to = text.find("\n}").map_or(text.len(), |at| at + 2);
    serde_json::from_str(&text[..to]).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn learned(done: &Done) -> Vec<String> {
    let report = report(done);
    report["permissions"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Whoever can be: root becomes anybody.
fn users() -> Vec<User> {
    if nix::unistd::geteuid().is_root() { vec![User::Root, User::Plain] } else { vec![User::Plain] }
}

/// Answers every client with what it said.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(size @ 1..) = client.read(&mut piece) {
                    if client.write_all(&piece[..size]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// With exactly these permissions the run passes, and without any one of them it fails.
fn is_enough_and_the_least(home: &Home, permissions: &[String], acts: &[&str]) {
    let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
    let line = [&["plugin", "run", "reach", "tour"], acts].concat();
    for left_out in 0..=permissions.len() {
        let held: Vec<&str> =
            permissions.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, text)| *text).collect();
        home.ok(&["plugin", "uninstall", "reach"]);
        install(home, &held);
        let done = home.run(&line);
        assert_eq!(done.code == 0, left_out == permissions.len(), "with {held:?}: {done:?}");
    }
}

#[test]
fn what_is_learned_is_enough_and_the_least() {
    let port = echo();
    for user in users() {
        let home = Home::of(user);
        install(&home, &[]);
        home.write("in/file", "read");
        home.write("out/old", "changed");
        let work = home.work().canonicalize().unwrap();
        let path = |name: &str| typed(&work.join(name)).to_owned();
        let acts = [
            format!("read={}", path("in/file")),
            format!("look={}", path("in")),
            format!("write={}", path("out/new")),
            format!("remove={}", path("out/new")),
            format!("talk=localhost:{port}"),
            "exec=true".to_owned(),
            "variables=".to_owned(),
            "write=scratch-file".to_owned(),
        ];
        let acts: Vec<&str> = acts.iter().map(String::as_str).collect();
        home.run([&["plugin", "run", "reach", "tour"], &acts[..1]].concat()).ends(5);
        let done = learn(&home, &acts);
        done.ends(0).says(&["did 8 things", "runs with much more"]);
        let expected = [
            "task_read".to_owned(),
            format!("network=localhost:{port}"),
            format!("filesystem=read:{}", path("in")),
            format!("filesystem=write:{}", path("out")),
            "exec=true".to_owned(),
        ];
        let (mut found, mut wanted) = (learned(&done), expected.to_vec());
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(report(&done)["refused"], Value::Null);
        is_enough_and_the_least(&home, &found, &acts);
    }
}

#[test]
fn what_programs_need_is_learned_too() {
    for user in users() {
        let home = Home::of(user);
        install(&home, &[]);
        home.write("in/file", "read");
        let work = home.work().canonicalize().unwrap();
        let script = format!("sh=cat {} > /dev/null", typed(&work.join("in/file")));
        let done = learn(&home, &[&script]);
        done.ends(0);
        let found = learned(&done);
        let read = format!("filesystem=read:{}", typed(&work.join("in")));
        assert!(found.contains(&"exec=sh".to_owned()) && found.contains(&read), "{found:?}");
        assert!(found.iter().any(|text| text.starts_with("exec=/") && text.ends_with("/cat")), "{found:?}");
        assert_eq!(found.len(), 3, "{found:?}");
        is_enough_and_the_least(&home, &found, &[&script]);
    }
}

#[test]
fn what_no_permission_grants_stays_refused() {
    let home = Home::new();
    install(&home, &[]);
    let secret = home.path().parent().unwrap().join("user/.ssh/key");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, "secret").unwrap();
    let done = learn(&home, &[&format!("read={}", secret.display())]);
    done.ends(5).never_says(&["did 1"]);
    let report = report(&done);
    assert_eq!(report["permissions"], json!([]));
    let refused = report["refused"][0].as_str().unwrap();
    assert!(refused.ends_with("/user/.ssh/key: keys are kept there"), "{refused}");
    // The system's directories are there to be read only.
    let probe = Path::new("/etc/migraine-learn-probe");
    let done = learn(&home, &[&format!("write={}", probe.display())]);
    assert!(done.code != 0 && !probe.exists(), "{done:?}");
    assert!(done.out.contains("directory of the system is not changed"), "{done:?}");
}

#[test]
fn what_the_policy_takes_away_stays_refused() {
    let home = Home::new();
    install(&home, &[]);
    let path = home.path().join("policy.yaml");
    fs::write(&path, "permissions: {exec: [sh]}").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let done = learn(&home, &["sh=true"]);
    done.ends(0);
    assert_eq!(learned(&done), ["exec=sh"]);
    // Neither by the plugin nor by a program that it may run.
    for act in ["exec=env", "sh=/usr/bin/env"] {
        let done = learn(&home, &[act]);
        done.ends(5).never_says(&["did 1"]);
        assert!(learned(&done).iter().all(|held| held == "exec=sh"), "{done:?}");
    }
}

// Whoever uses another store has one at the usual place as well.
#[test]
fn the_usual_store_stays_closed() {
    let home = Home::new();
    install(&home, &[]);
    let state = home.path().parent().unwrap().join("user/.migraine/state");
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    fs::write(&state, "as it was").unwrap();
    let done = learn(&home, &[&format!("write={}", state.display())]);
    assert!(done.code != 0, "{done:?}");
    assert!(
        report(&done)["refused"][0].as_str().unwrap().ends_with("plugins and their grants are kept there"),
        "{done:?}"
    );
    assert_eq!(fs::read_to_string(&state).unwrap(), "as it was");
}

#[test]
fn nobody_learns_without_a_persons_words() {
    let home = Home::new();
    install(&home, &[]);
    let line = ["plugin", "run", "--learn", "reach", "tour", "exec=true"];
    let error = home.refused(&line, "consent_required");
    assert!(error["message"].as_str().unwrap().contains("nobody is there"), "{error}");
    for answer in ["y\n", "yes\n", "learn\n", "\n", "learn other\n"] {
        let done = converse(&home, &line, &[], &[(QUESTION, answer)]);
        done.ends(6).says(&["other words were typed"]).never_says(&["did 1", "permissions:"]);
    }
    let done = converse(&home, &line, &[], &[(QUESTION, "learn reach\n")]);
    done.ends(0).says(&["permissions:\r\n- exec=true\r\n"]);
}

#[test]
fn only_what_came_from_this_machine_is_learned() {
    let home = Home::new();
    install(&home, &[]);
    let store = migraine_host::store::Home::open(&home.path()).unwrap();
    let mut writer = store.writer().unwrap();
    writer.state_mut().plugins.iter_mut().unwrap().for_each(|(_, entry)| entry.installed_from = None);
    writer.commit().unwrap();
    drop(writer);
    let done = converse(&home, &["plugin", "run", "--learn", "reach", "tour", "exec=true"], &[], &[]);
    done.ends(6).says(&["not installed from a file of this machine"]).never_says(&[QUESTION, "did 1"]);
}

//! Grants of the user's choice: directories and time, named at the command line or the terminal, and taken back.

use std::fs;

use migraine_tests::home::Home;
use migraine_tests::package::{Parcel, remade};
use migraine_tests::terminal::converse;
use nix::unistd::{User, geteuid};
use serde_json::{Value, json};

/// A plugin that asks for these permissions and has no hook.
fn asking(permissions: &Value) -> Parcel {
    remade("hooks", &json!({"permissions": permissions, "hooks": []}))
}

fn grants(home: &Home) -> Value {
    home.json(&["plugin", "info", "hooks"])["grants"].clone()
}

/// A home, and a directory `data` of the user with its grant text.
fn with_data() -> (Home, String) {
    let home = Home::new();
    let data = home.work().canonicalize().unwrap().join("data");
    fs::create_dir(&data).unwrap();
    (home, format!("filesystem=read:{}", data.display()))
}

#[test]
fn a_directory_is_named_and_taken_back() {
    let (home, data) = with_data();
    let parcel = asking(&json!(["filesystem"]));
    let done = home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
    done.says(&["may        read the files of directories that you name (none so far)"]);
    assert_eq!((home.status("hooks").as_str(), grants(&home)), ("enabled", json!([])));
    let done = home.ok(&["plugin", "enable", "hooks", "--grant", "filesystem=read:./data"]);
    done.says(&["may  read files in /"]);
    assert_eq!(grants(&home), json!([data]));
    let report = home.json(&["plugin", "revoke", "hooks", "filesystem=read:data"]);
    assert_eq!((&report["revoked"], &report["status"]), (&json!([data]), &json!("enabled")));
    assert_eq!(grants(&home), json!([]));
    let error = home.refused(&["plugin", "revoke", "hooks", "filesystem=read:data"], "value_invalid");
    assert_eq!(error["help"], "it holds nothing");
}

#[test]
fn what_is_needed_and_taken_back_must_be_granted_again() {
    let home = Home::new();
    let parcel = asking(&json!(["task_read", "network=localhost:80"]));
    home.ok(&["plugin", "install", parcel.typed(), "--yes"]);
    home.ok(&["plugin", "run", "hooks", "typed"]);
    let done = home.ok(&["plugin", "revoke", "hooks", "network"]);
    done.says(&["revoked  network=localhost:80", "may      see the variables", "status   installed"]);
    for line in [&["plugin", "run", "hooks", "typed"][..], &["plugin", "enable", "hooks"]] {
        home.refused(line, "consent_required");
    }
    home.ok(&["plugin", "enable", "hooks", "--grant", "network"]);
    home.ok(&["plugin", "run", "hooks", "typed"]);
    home.run(["plugin", "revoke", "hooks"]).ends(1).says(&["<GRANT>..."]);
    home.run(["plugin", "revoke", "--help"]).ends(0).says(&["Take back what was granted"]);
}

#[test]
fn nothing_wide_is_granted() {
    let (home, data) = with_data();
    home.ok(&["plugin", "install", asking(&json!(["filesystem"])).typed()]);
    let before = home.snapshot();
    // The variable HOME leads elsewhere in tests; what the password database names is the user's as well.
    let listed = User::from_uid(geteuid()).unwrap().unwrap().dir;
    let listed = format!("filesystem=read:{}", listed.display());
    for (grant, code, said) in [
        (listed.as_str(), "directory_refused", "it is the whole home directory"),
        ("filesystem", "value_invalid", "names no directory"),
        ("filesystem=read:*", "value_invalid", "names no directory"),
        ("filesystem=read:/", "directory_refused", "it is the whole file system"),
        ("filesystem=read:../user", "directory_refused", "it is the whole home directory"),
        ("filesystem=write:..", "directory_refused", "it holds the home directory"),
        ("filesystem=write:/proc", "directory_refused", "the state of processes is there"),
        ("filesystem=write:/var/run", "directory_refused", "the sockets of services are there"),
        ("filesystem=write:/etc", "directory_refused", "the policy that binds every plugin is kept there"),
        ("filesystem=read:missing", "file_not_found", "missing is no directory"),
    ] {
        let error = home.refused(&["plugin", "enable", "hooks", "--grant", grant], code);
        assert!(error["message"].as_str().unwrap().contains(said), "{grant}: {error}");
    }
    assert_eq!(home.snapshot(), before);
    home.ok(&["plugin", "enable", "hooks", "--grant", &data]);
    assert_eq!(grants(&home), json!([data]));
}

#[test]
fn a_person_names_directories_at_the_terminal() {
    let (home, data) = with_data();
    let parcel = asking(&json!(["task_read", "network=localhost:80", {"filesystem": {"read": ["*"]}}]));
    let question = "Which directories may it read? (one per line, empty line to end; none is fine)\r\n> ";
    let answers = [
        ("Allow this? [y/N] ", "y\n"),
        (question, "/proc\n"),
        ("no plugin may have /proc: the state of processes is there\r\n> ", "data\n"),
        ("> ", "\n"),
        ("DANGEROUS: allow it to use filesystem and network together? [y/N] ", "y\n"),
    ];
    let done = converse(&home, &["plugin", "install", parcel.typed()], &[], &answers);
    assert_eq!(done.code, 0, "{done:?}");
    done.says(&["- read the files of directories that you name", "DANGEROUS: it can send your files over the network"]);
    assert_eq!(grants(&home), json!(["task_read", "network=localhost:80", data]));
    // Enabled once, it does not ask again; without a name there is no pair.
    let home = Home::new();
    let done = converse(&home, &["plugin", "install", parcel.typed()], &[], &[answers[0], (question, "\n")]);
    assert_eq!((done.code, home.status("hooks").as_str()), (0, "enabled"), "{done:?}");
    let done = converse(&home, &["plugin", "enable", "hooks"], &[], &[]);
    assert_eq!(done.code, 0, "{done:?}");
    done.never_says(&["Which directories"]);
}

#[test]
fn time_and_bound_commands_are_asked_for_in_words() {
    let home = Home::new();
    let hooks = json!([{"event": "workflow:post-deploy", "command": "typed --name {{ container_name }}"}]);
    let commands = json!([{"name": "typed", "timeout": "none"}]);
    let parcel = remade("hooks", &json!({"permissions": [], "hooks": hooks, "commands": commands}));
    let done = home.run(["plugin", "install", parcel.typed()]);
    done.ends(6).says(&[
        "run its command `typed --name {{ container_name }}` after the action `deploy`, with the workflow's variable \
         `container_name` (--grant hook=workflow:post-deploy)",
        "run `typed` for as long as it likes (--grant timeout=typed)",
        "migraine plugin enable hooks --yes",
    ]);
    home.ok(&["plugin", "enable", "hooks", "--grant", "hook", "--grant", "timeout"]);
}

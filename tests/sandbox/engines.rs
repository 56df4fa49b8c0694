//! What `doctor` has scripts and a granted program try is refused with all layers, and each try works without the layer that
//! it is said to be refused by: else it would prove nothing.

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;
use migraine_tests::run::User;

/// The lines about what each engine tried, and about its end.
fn tried(on: On, user: User) -> Vec<String> {
    let outcome = Arena::new(on, user).with(&["--engines"]).variable("PATH", "/usr/bin:/bin").run("-", &[]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    outcome.out.lines().map(str::to_owned).collect()
}

#[test]
fn every_act_is_refused_with_all_layers() {
    for &user in kernel::users() {
        let lines = tried(On::All, user);
        assert!(lines.iter().all(|line| !line.contains(": done: ")), "{lines:#?}");
        for engine in ["python", "bash", "program"] {
            assert!(lines.contains(&format!("{engine}: held")), "{lines:#?}");
            for layer in ["Namespaces", "Rlimits", "Privileges", "Landlock", "Seccomp"] {
                let head = format!("{engine} {layer} ");
                assert!(
                    lines.iter().any(|line| line.starts_with(&head)),
                    "{engine} tried nothing of {layer}: {lines:#?}"
                );
            }
        }
    }
}

/// Without a layer these acts work, and no engine that does one counts as held.
#[track_caller]
fn works(without: &'static str, acts: &[&str]) {
    for &user in kernel::users() {
        let lines = tried(On::Without(without), user);
        for act in acts {
            let head = format!("{act}: done: ");
            assert!(lines.iter().any(|line| line.starts_with(&head)), "{act} as {user}: {lines:#?}");
            let engine = act.split(' ').next().unwrap_or_default();
            let end = format!("{engine}: failed: sandbox_unavailable: ");
            assert!(lines.iter().any(|line| line.starts_with(&end)), "{act} as {user}: {lines:#?}");
        }
    }
}

#[test]
fn without_limits_what_they_forbid_works() {
    works(
        "rlimits",
        &[
            "python Rlimits open one descriptor too many",
            "python Rlimits make too large a file",
            "python Rlimits take too much memory",
            "bash Rlimits open one descriptor too many",
            "program Rlimits open one descriptor too many",
        ],
    );
}

#[test]
fn without_dropped_privileges_they_are_held() {
    let acts = ["python", "bash", "program"].map(|engine| format!("{engine} Privileges hold a capability"));
    works("privileges", &acts.each_ref().map(String::as_str));
    let acts = ["python", "bash", "program"].map(|engine| format!("{engine} Privileges gain rights from a program"));
    works("privileges,landlock,seccomp", &acts.each_ref().map(String::as_str));
}

#[test]
fn without_landlock_the_root_is_listed() {
    let acts = ["python", "bash", "program"].map(|engine| format!("{engine} Landlock list the root"));
    works("landlock", &acts.each_ref().map(String::as_str));
}

#[test]
fn without_the_filter_what_it_forbids_works() {
    works(
        "seccomp",
        &[
            "python Seccomp make unfiltered system calls",
            "python Seccomp make a socket",
            "python Seccomp turn data into code",
            "python Seccomp make a file without a name",
            "python Seccomp make a process",
            "python Seccomp start a program",
            "python Seccomp leave the root",
            "bash Seccomp make unfiltered system calls",
            "bash Seccomp make a socket",
            "bash Seccomp start a program",
            "program Seccomp make unfiltered system calls",
            "program Seccomp make a socket",
        ],
    );
}

// A script's files lie in a namespace of its worker: without one it cannot even begin, and is not said to hold.
#[test]
fn without_namespaces_the_machine_is_seen() {
    // A plain user can give up its privileges in a namespace of its own alone.
    works(
        "namespaces,privileges",
        &[
            "program Namespaces look at /etc/passwd",
            "program Namespaces look at /var",
            "program Namespaces see other processes",
        ],
    );
    for &user in kernel::users() {
        let lines = tried(On::Without("namespaces,privileges"), user);
        assert!(!lines.iter().any(|line| line == "python: held" || line == "bash: held"), "{lines:#?}");
    }
}

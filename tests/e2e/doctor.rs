//! `migraine doctor` says what this machine can do, by trying; where a step fails it names the step and the cure, and
//! plugins are refused for the same reason. Failures are put between the program and the kernel by strace(1).

use std::fs;
use std::process::Command;

use migraine_tests::artifacts;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use migraine_tests::package::{Parcel, plugin, remade};
use migraine_tests::run::User;
use migraine_tests::scripts::Script;
use serde_json::{Value, json};

/// The program as a user, in a home of that user's, with what strace puts in its way, separated by spaces.
fn started(user: User, home: &Home, inject: Option<&str>, args: &[&str]) -> Done {
    let mut command = user.command(artifacts::attend());
    if let Some(inject) = inject {
        let calls: Vec<&str> = inject.split(' ').map(|one| one.split(':').next().unwrap()).collect();
        command.args(["strace", "-f", "-qqq", "-o", "/dev/null", "-e", &format!("trace={}", calls.join(","))]);
        for one in inject.split(' ') {
            command.args(["-e", &format!("inject={one}")]);
        }
    }
    command.arg(artifacts::migraine()).args(args).env("MIGRAINE_HOME", home.path());
    Done::of(&mut command)
}

/// The program as a user where no namespace can be made.
fn confined(user: User, home: &Home, args: &[&str]) -> Done {
    const FORBID: &str = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"";
    let mut command = user.command(artifacts::attend());
    command.args(["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", FORBID, "sh"]);
    Done::of(command.arg(artifacts::migraine()).args(args).env("MIGRAINE_HOME", home.path()))
}

/// A home with a plugin, handed over to a user.
fn home_of(user: User) -> Home {
    let home = Home::new();
    home.install(&plugin("hello-world"));
    let all = home.snapshot();
    let folders = [home.path(), home.path().parent().unwrap().to_owned()];
    for path in all.keys().chain(&folders) {
        user.give(path);
    }
    home
}

fn report(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

fn outcomes(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["step"].as_str().unwrap(), step["outcome"].as_str().unwrap())).collect()
}

#[test]
fn a_good_machine_is_full() {
    for &user in kernel::users() {
        let home = home_of(user);
        let done = started(user, &home, None, &["--format", "json", "doctor"]);
        let report = report(done.ends(0));
        assert_eq!((&report["level"], &report["failure"]), (&json!("full"), &json!(null)), "{report}");
        assert!(report["landlock_abi"].as_u64().unwrap() >= 3, "{report}");
        assert_ne!(report["sandbox_user"], json!(0), "{report}");
        let memory = report["memory"].as_str().unwrap();
        assert!(["cgroup_v1", "cgroup_v2", "rlimits"].contains(&memory), "{report}");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(report["kernel"].as_str().unwrap(), release.trim());
        for (step, outcome) in outcomes(&report) {
            assert!(outcome == "ok" || (step, outcome) == ("procfs", "replaced"), "{report}");
        }
        let acts = report["acts"].as_array().unwrap();
        for layer in ["namespaces", "rlimits", "privileges", "landlock", "seccomp"] {
            assert!(acts.iter().any(|act| act["layer"] == layer), "nothing of {layer} was tried: {report}");
        }
        for act in acts {
            assert!(act["refused"] == true && !act["outcome"].as_str().unwrap().is_empty(), "{act}");
        }
        let programs = report["program_acts"].as_array().unwrap();
        assert!(programs.iter().all(|act| act["refused"] == true), "{report}");
        let of_program = |name: &str| programs.iter().find(|act| act["act"] == name).map(|act| act["outcome"].clone());
        assert_eq!(of_program("run another program"), Some(json!("EACCES")));
        assert_eq!(of_program("look at /etc/passwd"), Some(json!("ENOENT")));
        assert_eq!(of_program("wait for connections"), Some(json!("EPERM")));
        let past = of_program("connect past the proxy");
        assert!([json!("EACCES"), json!("ECONNREFUSED")].contains(&past.unwrap()), "{report}");
        let outcome = |name: &str| acts.iter().find(|act| act["act"] == name).map(|act| act["outcome"].clone());
        assert_eq!(outcome("look at /etc"), Some(json!("ENOENT")));
        assert_eq!(outcome("make a socket"), Some(json!("EPERM")));
        assert_eq!(outcome("unmount a file system"), Some(json!("killed for umount2")));
        hold(&report, &["python", "bash", "program"]);
        let store = report["store"].as_array().unwrap();
        assert!(store.len() >= 3 && store.iter().all(|check| check["code"] == json!(null)), "{report}");
        let text = started(user, &home, None, &["doctor"]);
        text.ends(0).says(&[
            "level        full",
            "restrict with Landlock",
            "killed for umount2",
            "connect past the proxy",
            "What a script in Python tried: 3.",
            "What a script in Bash tried: /",
            "What a granted program tried: /",
            "killed for chroot",
            "1 plugin\n",
        ]);
        assert_eq!(text.err, "");
    }
}

fn engine<'a>(report: &'a Value, name: &str) -> &'a Value {
    let engines = report["engines"].as_array().unwrap();
    engines.iter().find(|engine| engine["engine"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// These engines tried what they must not be able to do, something of each layer, and nothing worked.
#[track_caller]
fn hold(report: &Value, names: &[&str]) {
    for name in names {
        let engine = engine(report, name);
        assert_eq!((&engine["state"], &engine["reason"]), (&json!("held"), &json!(null)), "{engine}");
        assert!(engine["found"].as_str().unwrap().contains('/'), "{engine}");
        let acts = engine["acts"].as_array().unwrap();
        assert!(acts.iter().all(|act| act["refused"] == true), "{engine}");
        let outcome = |name: &str| acts.iter().find(|act| act["act"] == name).map(|act| act["outcome"].clone());
        for (act, expected) in [
            ("hold a capability", "none is left"),
            ("look at /etc/passwd", "ENOENT"),
            ("list the root", "EACCES"),
            ("open one descriptor too many", "EBADF"),
            ("make a socket", "EPERM"),
        ] {
            assert_eq!(outcome(act), Some(json!(expected)), "{act}: {engine}");
        }
        let own = if *name == "program" { "run another program" } else { "start a program" };
        assert_eq!(outcome(own), Some(json!("EACCES")), "{engine}");
    }
}

/// The program as a user, in a home of that user's, with another PATH.
fn with_path(user: User, home: &Home, path: &str, args: &[&str]) -> Done {
    let mut command = user.command(artifacts::attend());
    Done::of(command.arg(artifacts::migraine()).args(args).env("MIGRAINE_HOME", home.path()).env("PATH", path))
}

#[test]
fn an_interpreter_that_is_not_there_is_no_failure() {
    for &user in kernel::users() {
        let home = home_of(user);
        let done = with_path(user, &home, "/nowhere", &["--format", "json", "doctor"]);
        let report = report(done.ends(0));
        assert_eq!(report["level"], "full", "{report}");
        let python = engine(&report, "python");
        assert_eq!((&python["state"], &python["found"]), (&json!("absent"), &json!(null)), "{python}");
        assert!(python["reason"].as_str().unwrap().contains("not on this machine"), "{python}");
        hold(&report, &["bash", "program"]);
        with_path(user, &home, "/nowhere", &["doctor"])
            .ends(0)
            .says(&["What a script in Python tried\n", "absent       it needs Python 3"]);
    }
}

#[test]
fn without_bash_a_program_is_tried_by_another_shell() {
    // Nothing of that name runs: it is covered by a device.
    const COVER: &str = "mount --bind /dev/null /usr/bin/bash && exec \"$@\"";
    for &user in kernel::users() {
        let home = home_of(user);
        let mut command = user.command(artifacts::attend());
        command.args(["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", COVER, "sh"]);
        command.arg(artifacts::migraine()).args(["--format", "json", "doctor"]);
        let done = Done::of(command.env("MIGRAINE_HOME", home.path()));
        let report = report(done.ends(0));
        let bash = engine(&report, "bash");
        assert_eq!(bash["state"], "absent", "{bash}");
        let program = engine(&report, "program");
        assert_eq!(program["state"], "held", "{program}");
        assert!(!program["found"].as_str().unwrap().contains("bash"), "{program}");
        let acts = program["acts"].as_array().unwrap();
        assert!(acts.iter().any(|act| act["act"] == "run another program" && act["refused"] == true), "{program}");
    }
}

// Nobody knows what it could do, so it does not count as harmless.
#[test]
fn an_interpreter_that_does_not_run_is_a_failure() {
    for &user in kernel::users() {
        let home = home_of(user);
        let prefix = tempfile::Builder::new().prefix("migraine-python-").tempdir().unwrap();
        let open = |path: &std::path::Path| {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        };
        open(prefix.path());
        fs::create_dir_all(prefix.path().join("bin")).unwrap();
        fs::create_dir_all(prefix.path().join("lib/python3.11")).unwrap();
        fs::write(prefix.path().join("lib/python3.11/os.py"), "").unwrap();
        fs::copy("/usr/bin/env", prefix.path().join("bin/python3")).unwrap();
        let path = format!("{}:/usr/bin:/bin", prefix.path().join("bin").display());
        let done = with_path(user, &home, &path, &["--format", "json", "doctor"]);
        let report = report(done.ends(6));
        assert_eq!((&report["level"], &report["failure"]["step"]), (&json!("refused"), &json!("engines")), "{report}");
        assert_eq!(
            (&report["failure"]["engine"], engine(&report, "python")["state"].clone()),
            (&json!("python"), json!("failed"))
        );
        let reason = report["failure"]["reason"].as_str().unwrap();
        assert!(reason.contains("ended with exit code 125") && reason.contains("invalid option"), "{reason}");
        hold(&report, &["bash", "program"]);
        let text = with_path(user, &home, &path, &["doctor"]);
        text.ends(6).says(&["FAILED       run scripts and programs", "error[sandbox_unavailable]: python: ", "help: "]);
    }
}

/// The step fails, is named with its cure, and no plugin runs.
#[track_caller]
fn refuses(inject: &str, step: &str, says: &[&str]) {
    for &user in kernel::users() {
        let home = home_of(user);
        let done = started(user, &home, Some(inject), &["--format", "json", "doctor"]);
        let report = report(done.ends(6));
        assert_eq!(report["level"], "refused", "{report}");
        let failure = &report["failure"];
        assert_eq!((&failure["code"], &failure["step"]), (&json!("sandbox_unavailable"), &json!(step)), "{report}");
        let text = format!("{} {}", failure["reason"].as_str().unwrap(), failure["cure"].as_str().unwrap());
        assert!(says.iter().all(|word| text.contains(word)), "{says:?}: {text}");
        let outcomes = outcomes(&report);
        let at = outcomes.iter().position(|&(name, _)| name == step).unwrap();
        assert_eq!(outcomes[at].1, "failed", "{report}");
        assert!(outcomes[..at].iter().all(|(_, outcome)| *outcome == "ok"), "{report}");
        assert!(outcomes[at + 1..].iter().all(|(_, outcome)| *outcome == "not_tried"), "{report}");
        let error: Value = serde_json::from_str(&done.err).unwrap();
        assert_eq!((&error["code"], &error["exit"]), (&failure["code"], &json!(6)), "{error}");

        let mut doctor = started(user, &home, Some(inject), &["doctor"]);
        doctor.ends(6).says(&["FAILED", "help: "]);
        let mut ran = started(user, &home, Some(inject), &["plugin", "run", "hello-world", "hello"]);
        ran.ends(6).says(&["error[sandbox_unavailable]", "hello-world"]).never_says(&["Hello"]);
        // One text for both.
        let help = |done: &mut Done| done.err.lines().find(|line| line.starts_with("  help: ")).map(str::to_owned);
        assert_eq!(help(&mut ran), help(&mut doctor), "{ran:?}");
    }
}

#[test]
fn namespaces_that_are_forbidden_are_named() {
    refuses("unshare:error=EPERM", "namespaces", &["unshare namespaces", "user namespaces must be allowed"]);
    refuses("unshare:error=ENOSPC", "namespaces", &["No space left", "user.max_user_namespaces (now "]);
}

#[test]
fn mounts_that_are_forbidden_are_named() {
    refuses("mount:error=EACCES:when=2", "mount", &["mount the root", "AppArmor or SELinux profile"]);
    refuses("pivot_root:error=EINVAL", "pivot", &["pivot the root", "initial RAM disk"]);
}

// The machine's tree stays where it was: the kernel itself refuses the namespace that follows.
#[test]
fn a_nested_namespace_that_is_forbidden_is_named() {
    refuses("umount2:retval=0", "nested", &["unshare the worker's user namespace", "user namespaces must be allowed"]);
}

#[test]
fn landlock_that_is_off_or_missing_is_named() {
    refuses("landlock_create_ruleset:error=EOPNOTSUPP", "landlock", &["not supported", "lsm="]);
    refuses("landlock_create_ruleset:error=ENOSYS", "landlock", &["not implemented", "Linux 6.2"]);
}

#[test]
fn a039_an_old_landlock_is_refused_and_a_newer_one_is_shown() {
    let mut rows = Rows::of(39);
    for version in [1, 2] {
        let inject = format!("landlock_create_ruleset:retval={version}");
        refuses(&inject, "landlock", &[&format!("version {version}"), "version 3", "Linux 6.2"]);
    }
    for version in 3..=6 {
        // The first call asks for the version; the second one makes a ruleset.
        let inject = format!("landlock_create_ruleset:retval={version}:when=1");
        for &user in kernel::users() {
            let home = home_of(user);
            let done = started(user, &home, Some(&inject), &["--format", "json", "doctor"]);
            let report = report(done.ends(0));
            assert_eq!((&report["level"], &report["landlock_abi"]), (&json!("full"), &json!(version)), "{report}");
        }
    }
    for &user in kernel::users() {
        let home = home_of(user);
        let run = |version| {
            let inject = format!("landlock_create_ruleset:retval={version}:when=1");
            started(user, &home, Some(&inject), &["--format", "json", "plugin", "run", "hello-world", "hello"]).word()
        };
        rows.host("run on version 2 of Landlock", user, &run(2), "on version 3", &run(3));
    }
    rows.settle();
}

#[test]
fn a_filter_that_cannot_be_installed_is_named() {
    refuses("seccomp:error=EINVAL", "seccomp", &["install seccomp filter", "CONFIG_SECCOMP_FILTER"]);
    refuses("seccomp:error=EBUSY", "seccomp", &["busy", "run migraine outside of it"]);
}

// What a step reports is not believed: a process that could do what is forbidden is not used.
#[test]
fn a_layer_that_does_not_hold_is_found_out() {
    refuses("capset:retval=0", "check", &["hold a capability", "report it"]);
}

#[test]
fn a_home_that_is_not_in_order_is_told() {
    let home = Home::new();
    home.ok(&["doctor"]);
    fs::write(home.path().join("state"), "no state").unwrap();
    let done = home.run(["--format", "json", "doctor"]);
    done.ends(1);
    let report = report(&done);
    assert_eq!(report["level"], "full", "the sandbox is not the store: {report}");
    assert!(report["store"].as_array().unwrap().iter().any(|check| check["code"] == "state_corrupt"), "{report}");
    let open = home.work().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut command: Command = home.command(["doctor"]);
    command.env("MIGRAINE_HOME", &open);
    Done::of(&mut command).ends(6).says(&["wrong        home directory", "error[insecure_permissions]"]);
    let absent = home.work().join("absent");
    let mut command: Command = home.command(["doctor"]);
    command.env("MIGRAINE_HOME", &absent);
    Done::of(&mut command).ends(0).says(&["is made at its first use"]);
    assert!(!absent.exists(), "an examination changes nothing");
}

#[test]
fn the_reduced_sandbox_is_used_only_where_the_policy_says_so_and_the_full_one_cannot_be_built() {
    const NOTICE: &str = "runs in the reduced sandbox, as the policy allows: pivot the root failed";
    const FORBIDDEN: &str = "pivot_root:error=EPERM";
    for &user in kernel::users() {
        let home = home_of(user);
        let run =
            |inject: Option<&str>, plugin, command| started(user, &home, inject, &["plugin", "run", plugin, command]);
        let install = |parcel: Parcel, grants: &[&str]| {
            let words = [&["plugin", "install", parcel.typed(), "--yes"], grants].concat();
            started(user, &home, None, &words).ends(0);
        };
        install(
            remade("hooks", &json!({"permissions": ["task_read", "env_vars=LANG"], "hooks": []})),
            &["--grant", "env_vars"],
        );
        install(
            remade("reach", &json!({"permissions": ["network=localhost:1"], "config": {}})),
            &["--grant", "network"],
        );
        run(Some(FORBIDDEN), "hello-world", "hello").ends(6).never_says(&["Hello", "reduced"]);
        let hello = ["plugin", "run", "hello-world", "hello"];
        confined(user, &home, &hello).ends(6).says(&["unshare namespaces failed"]).never_says(&["Hello", "reduced"]);

        let policy = home.path().join("policy.yaml");
        fs::write(&policy, "sandbox: reduced\n").unwrap();
        user.give(&policy);
        run(None, "hello-world", "hello").ends(0).says(&["Hello"]).never_says(&["reduced"]);
        run(Some(FORBIDDEN), "hello-world", "hello").ends(0).says(&["Hello", NOTICE]);
        run(Some("umount2:retval=0"), "hello-world", "hello").ends(0).says(&["Hello", "runs in the reduced sandbox"]);
        run(Some(FORBIDDEN), "hooks", "notes").ends(0).says(&[NOTICE]);
        run(Some(FORBIDDEN), "reach", "keep").ends(6).says(&["error[sandbox_unavailable]", "no plugin with `network`"]);
        let (_folder, script) = Script::bash_command("echo done").package();
        user.give(&script);
        started(user, &home, None, &["plugin", "install", &script.display().to_string(), "--yes"]).ends(0);
        run(None, "script", "go").ends(0).says(&["done"]);
        run(Some(FORBIDDEN), "script", "go").ends(6).says(&["error[sandbox_unavailable]", "runs no scripts"]);
        confined(user, &home, &hello).ends(0).says(&["Hello", "runs in the reduced sandbox"]);
        // What is left has to hold by itself.
        for more in ["seccomp:error=EINVAL", "landlock_create_ruleset:retval=5"] {
            run(Some(&format!("{FORBIDDEN} {more}")), "hello-world", "hello").ends(6).never_says(&["Hello"]);
        }
        run(Some("capset:retval=0"), "hello-world", "hello").ends(6).never_says(&["Hello", "reduced"]);

        let done = started(user, &home, Some(FORBIDDEN), &["--format", "json", "doctor"]);
        let reduced = report(done.ends(0));
        assert_eq!(engine(&reduced, "python")["state"], "not_tried", "{reduced}");
        assert_eq!((&reduced["level"], &reduced["failure"]), (&json!("reduced"), &json!(null)), "{reduced}");
        assert!(reduced["lacks"].as_str().unwrap().starts_with("pivot the root failed"), "{reduced}");
        let done = started(user, &home, None, &["--format", "json", "doctor"]);
        assert_eq!(report(done.ends(0))["level"], "full");
    }
}

//! The kernel's surface: calls that no plugin needs, and doors around the filter.

use std::fs;
use std::process::Command;
use std::time::Duration;

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::guarded::number;
use migraine_tests::kernel;
use migraine_tests::matrix::{COLUMNS, Rows, WORKS};
use migraine_tests::run::{User, run};

const EPERM: &[&str] = &["EPERM"];
const ENOSYS: &[&str] = &["ENOSYS"];

#[test]
fn a014_terminals_cannot_be_typed_into() {
    check(14, &[Attack::new("tiocsti", &[]).answer(EPERM)]);
}

#[test]
fn a015_a_high_bit_opens_no_door() {
    check(15, &[Attack::new("tiocsti-high", &[]).answer(EPERM)]);
}

// Only the low word counts, as for the kernel. The filter alone lets the request pass.
#[test]
fn a015_a_high_bit_changes_no_verdict() {
    for &user in kernel::users() {
        let filter = Arena::new(On::Only("seccomp"), user);
        assert!(filter.run("tiocsti-high", &[]).last().ends_with("refused EPERM"));
        assert!(filter.run("tiocgwinsz-high", &[]).last().ends_with("refused ENOTTY"));
    }
}

#[test]
fn a016_terminals_cannot_be_changed() {
    check(
        16,
        &[
            Attack::new("tiocsetd", &[]).answer(EPERM),
            Attack::new("tioclinux", &[]).answer(EPERM),
            Attack::new("tioccons", &[]).root().answer(EPERM),
            Attack::new("kdskbent", &[]).answer(EPERM),
            Attack::new("tcsetattr", &[]).answer(EPERM),
            Attack::new("tcsetpgrp", &[]).answer(EPERM),
        ],
    );
}

#[test]
fn a019_the_tree_cannot_be_changed() {
    check(
        19,
        &[
            Attack::new("mount", &["{dir}"]).root().answer(&["system call mount"]),
            Attack::new("umount", &["{dir}"]).root().answer(&["umount2"]),
            Attack::new("pivot-root", &[]).root().answer(&["pivot_root"]),
            Attack::new("chroot", &[]).root().answer(&["chroot"]),
            Attack::new("fsopen", &[]).root().answer(ENOSYS),
            Attack::new("open-tree", &[]).by(Stops::Filters).answer(ENOSYS),
            Attack::new("fsmount", &[]).root().answer(ENOSYS),
            Attack::new("move-mount", &[]).root().answer(ENOSYS),
            Attack::new("mount-setattr", &[]).root().answer(ENOSYS),
            Attack::new("statmount", &[]).by(Stops::Filters).answer(ENOSYS),
        ],
    );
}

#[test]
fn a020_there_is_no_io_uring() {
    check(
        20,
        &[
            Attack::new("io-uring", &[]).by(Stops::Filters).answer(ENOSYS),
            Attack::new("io-uring-enter", &[]).by(Stops::Filters).answer(ENOSYS),
            Attack::new("io-uring-register", &[]).by(Stops::Filters).answer(ENOSYS),
        ],
    );
}

#[test]
fn a021_dangerous_calls_are_closed() {
    check(
        21,
        &[
            Attack::new("bpf", &[]).root().answer(&["system call bpf"]),
            Attack::new("perf", &[]).by(Stops::Filters).answer(&["perf_event_open"]),
            Attack::new("userfaultfd", &[]).by(Stops::Filters).answer(&["userfaultfd"]),
            Attack::new("userfaultfd", &["kernel"]).root().answer(&["userfaultfd"]),
            Attack::new("kexec", &[]).root().needs("kexec").answer(&["kexec_load"]),
            Attack::new("init-module", &[]).root().needs("modules").answer(&["init_module"]),
            Attack::new("syslog", &[]).root().answer(&["syslog"]),
            Attack::new("quotactl", &[]).root().answer(&["quotactl"]),
            Attack::new("acct", &[]).root().answer(&["acct"]),
        ],
    );
}

#[test]
fn a022_there_are_no_keyrings() {
    check(
        22,
        &[
            Attack::new("keyctl", &[]).by(Stops::Filters).answer(&["keyctl"]),
            Attack::new("add-key", &[]).by(Stops::Filters).answer(&["add_key"]),
            Attack::new("request-key", &[]).by(Stops::Filters).answer(&["request_key"]),
        ],
    );
}

#[test]
fn a023_there_is_no_32_bit_interface() {
    check(
        23,
        &[
            Attack::new("int80", &["20"]).by(Stops::Filters).answer(&["foreign interface"]),
            Attack::new("int80", &["5"]).by(Stops::Filters).answer(&["foreign interface"]),
            Attack::new("int80", &["102"]).by(Stops::Filters).answer(&["foreign interface"]),
            Attack::new("int80", &["26"]).by(Stops::Filters).answer(&["foreign interface"]),
        ],
    );
}

#[test]
fn a024_there_is_no_x32_interface() {
    check(24, &[Attack::new("x32", &[]).needs("x32 system calls").by(Stops::Filters).answer(&["foreign interface"])]);
}

// Every number, whether or not the 64-bit interface lets it through.
#[test]
fn a024_no_x32_number_reaches_the_kernel() {
    for &user in kernel::users() {
        let outcome = Arena::new(On::All, user).with(&["--repeat", "600"]).run("x32", &["{}"]);
        let ended = outcome.out.lines().filter(|line| line.contains("foreign interface")).count();
        assert_eq!(ended, 600, "{outcome:?}");
    }
}

#[test]
fn a026_the_execution_domain_stays() {
    check(
        26,
        &[
            Attack::new("personality", &["ADDR_NO_RANDOMIZE"]).by(Stops::Filters).answer(EPERM),
            Attack::new("personality", &["READ_IMPLIES_EXEC"]).by(Stops::Filters).answer(EPERM),
            Attack::new("personality", &["PER_LINUX32"]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a034_nothing_is_shared_between_processes() {
    check(
        34,
        &[
            Attack::new("shm", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("sem", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("msg", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("mq", &[]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a037_there_is_no_core_file() {
    check(
        37,
        &[
            Attack::new("core", &[]).by(Stops::Spaces).answer(EPERM),
            Attack::new("dumpable", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("setrlimit", &[]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

// In a directory that it was granted, of a user who wants core files of any size.
#[test]
fn a037_a_crash_leaves_no_memory_on_disk() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.contains(['|', '/']) {
        return kernel::skip("core files", &format!("this machine has them elsewhere (core(5)): {}", pattern.trim()));
    }
    let mut rows = Rows::of(37);
    for &user in kernel::users() {
        rows.layers("core-file (dir granted to change)", user, &COLUMNS.map(|on| core_file(on, user)));
    }
    rows.settle();
}

fn core_file(on: On, user: User) -> String {
    let folder = tempfile::tempdir().expect("make a directory");
    user.give(folder.path());
    let path = folder.path().to_str().expect("a plain name");
    let secret = format!("a secret of {path}");
    let arena = Arena::new(on, user).with(&["--write", path]).command("core-file", &[path, &secret]);
    let mut command = Command::new("prlimit");
    command.arg("--core=unlimited").arg(arena.get_program()).args(arena.get_args()).env_clear();
    let ran =
        run(command.envs(arena.get_envs().filter_map(|(name, value)| Some((name, value?)))), Duration::from_secs(60));
    let [out, err] = [ran.out, ran.err].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(out.starts_with("plugin_crashed: it crashed (SIG"), "{on:?}: {out} {err}");
    assert!(err.contains(&format!("{} bytes stand in {path}\n", secret.len())), "{on:?}: {out} {err}");
    let files = fs::read_dir(folder.path()).expect("list the directory");
    let files: Vec<_> = files.map(|entry| entry.expect("an entry").path()).collect();
    let [file] = files.as_slice() else {
        assert!(files.is_empty(), "{on:?}: {files:?}");
        return "no file".to_owned();
    };
    let content = fs::read(file).expect("read the core file");
    assert!(content.windows(secret.len()).any(|piece| piece == secret.as_bytes()), "{on:?}: {}", file.display());
    WORKS.to_owned()
}

#[test]
fn a040_nobody_filters_in_the_sandbox() {
    check(
        40,
        &[
            Attack::new("prctl-seccomp", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("landlock", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("landlock-layers", &[]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a_refused_call_is_named() {
    everywhere(|arena, _| {
        let outcome = arena.run("ptrace", &["1"]);
        assert_eq!(outcome.last(), "sandbox_violation: it made the system call ptrace, which no plugin may make");
        assert_eq!(outcome.code, number("sandbox_violation"));
    });
}

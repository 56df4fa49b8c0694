//! Other processes: making them, reaching them, ending them.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];

#[test]
fn a012_other_processes_cannot_be_looked_into() {
    check(
        12,
        &[
            Attack::new("ptrace", &["{victim}"]).answer(&["ptrace"]),
            Attack::new("vm-read", &["{victim}"]).answer(&["process_vm_readv"]),
            Attack::new("vm-write", &["{victim}"]).answer(&["process_vm_writev"]),
            Attack::new("pidfd-getfd", &["{victim}"]).answer(&["pidfd_getfd"]),
            Attack::new("kcmp", &["{victim}"]).answer(&["kcmp"]),
            Attack::new("siblings", &[]).answer(EPERM),
        ],
    );
}

// With Landlock off, and with the filter off.
#[test]
fn a012_siblings_are_invisible() {
    for &user in kernel::users() {
        for on in [On::All, On::Without("landlock"), On::Without("seccomp"), On::Spaces] {
            for options in [&["--idle", "3"][..], &["--idle", "3", "--copy"]] {
                let outcome = Arena::new(on, user).with(options).run("siblings", &[]);
                assert!(outcome.out.contains("siblings: refused"), "{on:?} {outcome:?}");
                assert!(outcome.out.contains("idle workers: 3 alive"), "{on:?} {outcome:?}");
            }
        }
    }
}

#[test]
fn a013_other_processes_cannot_be_signalled() {
    check(
        13,
        &[
            Attack::new("kill", &["{victim}"]).answer(EPERM),
            Attack::new("sigqueue", &["{victim}"]).answer(EPERM),
            Attack::new("pidfd", &["{victim}"]).answer(EPERM),
            Attack::new("set-owner", &["{victim}"]).answer(EPERM),
        ],
    );
}

// Not outside a pid namespace: there it would reach the whole machine.
#[test]
fn a013_a_signal_to_everybody_harms_nobody() {
    for &user in kernel::users() {
        for (on, answer) in [(On::All, "refused EPERM"), (On::Without("seccomp"), "worked"), (On::Spaces, "worked")] {
            let outcome = Arena::new(on, user).with(&["--idle", "3", "--again", "quiet"]).run("kill-all", &[]);
            assert_eq!(outcome.code, 0, "{outcome:?}");
            assert!(outcome.out.contains(&format!("kill-all: {answer}")), "{on:?} {outcome:?}");
            assert!(outcome.out.contains("idle workers: 3 alive"), "{on:?} {outcome:?}");
        }
    }
}

#[test]
fn a017_namespaces_cannot_be_made_or_entered() {
    check(
        17,
        &[
            Attack::new("unshare", &["user"]).answer(EPERM),
            Attack::new("clone-into", &["user"]).answer(EPERM),
            Attack::new("unshare", &["mount"]).root().answer(EPERM),
            Attack::new("clone-into", &["mount"]).root().answer(EPERM),
            Attack::new("unshare", &["cgroup"]).root().answer(EPERM),
            Attack::new("clone-into", &["cgroup"]).root().answer(EPERM),
            Attack::new("unshare", &["uts"]).root().answer(EPERM),
            Attack::new("clone-into", &["uts"]).root().answer(EPERM),
            Attack::new("unshare", &["ipc"]).root().answer(EPERM),
            Attack::new("clone-into", &["ipc"]).root().answer(EPERM),
            Attack::new("unshare", &["pid"]).root().answer(EPERM),
            Attack::new("clone-into", &["pid"]).root().answer(EPERM),
            Attack::new("unshare", &["net"]).root().answer(EPERM),
            Attack::new("clone-into", &["net"]).root().answer(EPERM),
            Attack::new("unshare", &["time"]).root().answer(EPERM),
            Attack::new("setns", &[]).root().answer(&["setns"]),
        ],
    );
}

#[test]
fn a018_there_is_no_clone3() {
    check(18, &[Attack::new("clone3", &[]).answer(&["ENOSYS"])]);
    everywhere(|arena, _| assert!(arena.run("threads", &["4"]).worked(), "threads are made another way"));
}

#[test]
fn a027_programs_cannot_be_run() {
    check(
        27,
        &[
            Attack::new("exec", &["/bin/true"]).answer(EPERM),
            Attack::new("exec", &["/bin/mount"]).answer(EPERM),
            Attack::new("exec", &["{dir}/program"]).reads(),
            Attack::new("exec", &["{dir}/program"]).writes(),
        ],
    );
}

#[test]
fn a029_what_was_written_is_no_program() {
    check(
        29,
        &[
            Attack::new("memfd-exec", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("descriptor-exec", &["{dir}/program"]),
            Attack::new("script-exec", &["{dir}"]).answer(&["ENOENT"]),
        ],
    );
}

#[test]
fn a029_the_scratch_holds_no_program() {
    everywhere(|arena, _| {
        let outcome = arena.run("script-exec", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EPERM"), "{outcome:?}");
    });
    for &user in kernel::users() {
        let outcome = Arena::new(On::Spaces, user).run("script-exec", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EACCES"), "{outcome:?}");
    }
}

#[test]
fn a036_nobody_can_be_starved() {
    check(
        36,
        &[
            Attack::new("scheduler", &[]).root().answer(EPERM),
            Attack::new("nice", &[]).root().answer(EPERM),
            Attack::new("affinity", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("ioprio", &[]).by(Stops::Filters).answer(EPERM),
        ],
    );
}

#[test]
fn a063_processes_cannot_be_made() {
    check(
        63,
        &[
            Attack::new("fork", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("vfork", &[]).by(Stops::Filters).answer(EPERM),
            Attack::new("fork-bomb", &[]).answer(EPERM),
        ],
    );
}

// What a plugin leaves behind goes with its namespace, even where it could fork.
#[test]
fn a066_an_orphan_does_not_outlive_the_run() {
    let mut rows = migraine_tests::matrix::Rows::of(66);
    for &user in kernel::users() {
        let outcomes = migraine_tests::matrix::COLUMNS.map(|on| {
            let outcome = Arena::new(on, user).run_unchecked("double-fork", &[]);
            match (outcome.worked(), outcome.left) {
                (true, 0) => "gone".to_owned(),
                (true, _) => migraine_tests::matrix::WORKS.to_owned(),
                _ => outcome.word(),
            }
        });
        rows.layers("double-fork", user, &outcomes);
        assert!(Arena::new(On::Without("seccomp"), user).run("double-fork", &[]).worked());
    }
    rows.settle();
}

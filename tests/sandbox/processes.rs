//! Other processes: making them, reaching them, ending them.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];

// A17, A18, A27, A29, A63, A66
#[test]
fn none_can_be_made() {
    check(&[
        Attack::new("fork", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("vfork", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("exec", &["/bin/true"]).answer(EPERM),
        Attack::new("memfd-exec", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("script-exec", &["{dir}"]).answer(&["ENOENT"]),
        Attack::new("clone-newuser", &[]).answer(EPERM),
        Attack::new("clone3", &[]).answer(&["ENOSYS"]),
        Attack::new("unshare", &[]).answer(EPERM),
        Attack::new("setns", &[]).root().answer(&["setns"]),
    ]);
}

// A29: what was written to the scratch is no program.
#[test]
fn the_scratch_holds_no_program() {
    everywhere(|arena, _| {
        let outcome = arena.run("script-exec", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EPERM"), "{outcome:?}");
    });
    for &user in kernel::users() {
        let outcome = Arena::new(On::Spaces, user).run("script-exec", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EACCES"), "{outcome:?}");
    }
}

// A12, A13
#[test]
fn none_can_be_reached() {
    check(&[
        Attack::new("kill", &["{victim}"]).answer(EPERM),
        Attack::new("sigqueue", &["{victim}"]).answer(EPERM),
        Attack::new("pidfd", &["{victim}"]).answer(EPERM),
        Attack::new("set-owner", &["{victim}"]).answer(EPERM),
        Attack::new("ptrace", &["{victim}"]).answer(&["ptrace"]),
        Attack::new("vm-read", &["{victim}"]).answer(&["process_vm_readv"]),
        Attack::new("vm-write", &["{victim}"]).answer(&["process_vm_writev"]),
        Attack::new("pidfd-getfd", &["{victim}"]).answer(&["pidfd_getfd"]),
        Attack::new("kcmp", &["{victim}"]).answer(&["kcmp"]),
        Attack::new("siblings", &[]).answer(EPERM),
    ]);
}

// A12: with Landlock off, and with the filter off.
#[test]
fn siblings_are_invisible() {
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

// A13. Not outside a pid namespace: there it would reach the whole machine.
#[test]
fn a_signal_to_everybody_harms_nobody() {
    for &user in kernel::users() {
        for (on, answer) in [(On::All, "refused EPERM"), (On::Without("seccomp"), "worked"), (On::Spaces, "worked")] {
            let outcome = Arena::new(on, user).with(&["--idle", "3", "--again", "quiet"]).run("kill-all", &[]);
            assert_eq!(outcome.code, 0, "{outcome:?}");
            assert!(outcome.out.contains(&format!("kill-all: {answer}")), "{on:?} {outcome:?}");
            assert!(outcome.out.contains("idle workers: 3 alive"), "{on:?} {outcome:?}");
        }
    }
}

// A36
#[test]
fn none_can_be_starved() {
    check(&[
        Attack::new("scheduler", &[]).root().answer(EPERM),
        Attack::new("nice", &[]).root().answer(EPERM),
        Attack::new("affinity", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("ioprio", &[]).by(Stops::Filters).answer(EPERM),
    ]);
}

// A66: what a plugin leaves behind goes with its namespace, even where it could fork.
#[test]
fn an_orphan_does_not_outlive_the_run() {
    for &user in kernel::users() {
        let unprotected = Arena::new(On::Nothing, user).run_unchecked("double-fork", &[]);
        assert!(unprotected.worked() && unprotected.left == 1, "{unprotected:?}");
        for on in [On::Without("seccomp"), On::Spaces] {
            assert!(Arena::new(on, user).run("double-fork", &[]).worked());
        }
    }
}

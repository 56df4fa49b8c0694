//! Resources: what a plugin may use up, and that a legitimate plugin has enough.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;
use migraine_tests::run::User;

// A72: the directory of the control is on the machine's disk.
#[test]
fn the_scratch_is_bounded() {
    let cases =
        [("scratch-bytes", "ENOSPC"), ("scratch-files", "ENOSPC"), ("big-file", "EFBIG"), ("sparse-file", "EFBIG")];
    for &user in kernel::users() {
        let directory = tempfile::tempdir().unwrap();
        user.give(directory.path());
        let place = directory.path().display().to_string();
        for (command, errno) in cases {
            let unprotected = Arena::new(On::Nothing, user).run(command, &[&place]);
            assert!(unprotected.worked(), "{unprotected:?}");
            for on in [On::All, On::Spaces] {
                let outcome = Arena::new(on, user).run(command, &["/tmp"]);
                assert!(outcome.last().ends_with(errno), "{on:?} {outcome:?}");
            }
        }
    }
}

// A74, A65, A64, A77
#[test]
fn descriptors_and_threads_are_bounded_and_enough() {
    everywhere(|arena, _| {
        assert!(arena.run("descriptors", &["20"]).worked(), "a legitimate plugin needs 20 descriptors");
        assert!(arena.run("descriptors", &["64"]).last().ends_with("EMFILE"));
        let receives = arena.clone().with(&["--connects"]);
        assert!(receives.run("descriptors", &["20"]).worked(), "the socket that streams come over is one more");
        assert!(arena.run("threads", &["4"]).worked(), "a legitimate plugin needs 4 threads");
        assert!(arena.run("threads", &["10000"]).last().ends_with("EAGAIN"));
    });
    for &user in kernel::users() {
        let free = Arena::new(On::Nothing, user);
        assert!(free.run("descriptors", &["64"]).worked());
        assert!(free.run("threads", &["100"]).worked());
    }
}

// A57, A65: root can make control groups on every machine that the suites run on.
#[test]
fn groups_are_used_where_they_can_be_made() {
    for &user in kernel::users() {
        let grouped = kernel::has_groups(user);
        assert!(grouped || user != User::Root || !kernel::enforced(), "root has no control groups here");
        for copy in [&[][..], &["--copy"]] {
            let arena = Arena::new(On::All, user).with(copy).with(&["--limited-by"]);
            let outcome = arena.run("thread-bomb", &[]);
            if grouped {
                let says =
                    "limit_processes: it reached its limit of 8 processes and threads: cannot start a thread after";
                assert!(outcome.last().starts_with(says), "{outcome:?}");
                assert!(
                    outcome.out.contains("limited by a control group") || outcome.out.contains("limited by control")
                );
            } else {
                assert!(outcome.last().starts_with("plugin_failed: "), "{outcome:?}");
                assert!(outcome.out.contains("limited by RLIMIT_DATA"), "{outcome:?}");
            }
        }
        let free = Arena::new(On::Without("rlimits"), user).run("thread-bomb", &[]);
        assert_eq!(free.code, 0, "{free:?}");
    }
}

// A64: threads are counted for each worker by itself.
#[test]
fn idle_workers_do_not_starve_another() {
    everywhere(|arena, _| {
        let outcome = arena.clone().with(&["--idle", "9"]).run("threads", &["4"]);
        assert!(outcome.out.contains("threads: worked 4"), "{outcome:?}");
        assert!(outcome.out.contains("idle workers: 9 alive"), "{outcome:?}");
    });
    if !kernel::users().contains(&User::Plain) {
        return;
    }
    // Without a namespace of their own, the count is the user's: that is what the namespace is for.
    let shared = Arena::new(On::Only("rlimits"), User::Plain).with(&["--idle", "9"]).run("threads", &["4"]);
    assert!(shared.out.contains("threads: refused EAGAIN"), "{shared:?}");
}

// A60: a warm worker does not die of its age, and one call has no more than its own time.
#[test]
fn cpu_time_is_counted_for_each_call() {
    everywhere(|arena, _| {
        let limited = arena.clone().with(&["--cpu", "500", "--wall", "30000"]);
        let warm = limited.clone().with(&["--times", "12"]).run("burn", &["100"]);
        assert_eq!(warm.code, 0, "{warm:?}");
        let outcome = limited.with(&["--times", "2"]).run("burn", &["700"]);
        assert_eq!(outcome.last(), "limit_cpu: it used more CPU time than its limit of 0.5 s");
    });
}

// A63: the user's other programs can still start processes.
#[test]
fn a_fork_bomb_is_bounded_without_the_filter() {
    for &user in kernel::users() {
        let unprotected = Arena::new(On::Nothing, user).run_unchecked("fork-bomb", &[]);
        assert!(unprotected.out.contains("64 processes were made"), "{unprotected:?}");
        let outcome = Arena::new(On::Without("seccomp"), user).run("fork-bomb", &[]);
        assert!(outcome.out.contains("cannot fork after 7 processes: EAGAIN"), "{outcome:?}");
    }
}

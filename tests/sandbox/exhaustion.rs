//! Resources: what a plugin may use up, that its time ends, and that a legitimate plugin has enough.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{self, Attack, Stops, everywhere};
use migraine_tests::guarded::{self, Guarded, number};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use migraine_tests::run::User;

/// A process and all of its session, which end with this.
struct Group(std::process::Child);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = nix::sys::signal::killpg(
            nix::unistd::Pid::from_raw(self.0.id().cast_signed()),
            nix::sys::signal::Signal::SIGKILL,
        );
        let _ = self.0.wait();
    }
}

/// For what goes on: each case waits this long.
const SHORT: &[&str] = &["--wall", "300"];

#[test]
fn a057_memory_ends() {
    attack::check(57, &[Attack::new("hog", &[]).by(Stops::Spaces).answer(&["limit_memory"])]);
}

#[test]
fn a060_computing_ends() {
    guarded::check(
        60,
        &[
            Guarded::new("burn", "limit_cpu", "0.2 s")
                .args(&["600"])
                .options(&["--cpu", "200", "--wall", "60000"])
                .by("CpuClock"),
            Guarded::new("burn", "limit_time", "0.3 s").args(&["700"]).options(SHORT).by("Deadline"),
        ],
    );
    assert_eq!([number("limit_time"), number("limit_cpu")], [124; 2]);
}

#[test]
fn a061_waiting_ends() {
    guarded::check(
        61,
        &[
            Guarded::new("sleep", "limit_time", "0.3 s").args(&["600"]).options(SHORT).by("Deadline"),
            Guarded::new("sleep", "limit_time", "0.3 s").options(SHORT),
            Guarded::new("deadlock", "limit_time", "0.3 s").options(SHORT),
        ],
    );
}

#[test]
fn a062_no_signal_is_asked_for_leave() {
    let blocking = Guarded::new("block-signals", "limit_time", "0.3 s");
    guarded::check(62, &[blocking.args(&["600"]).options(SHORT).by("Deadline")]);
}

// A warm worker does not die of its age, and one call has no more than its own time.
#[test]
fn a060_cpu_time_is_counted_for_each_call() {
    everywhere(|arena, _| {
        let limited = arena.clone().with(&["--cpu", "500", "--wall", "30000"]);
        let warm = limited.clone().with(&["--times", "12"]).run("burn", &["100"]);
        assert_eq!(warm.code, 0, "{warm:?}");
        let outcome = limited.with(&["--times", "2"]).run("burn", &["700"]);
        assert_eq!(outcome.last(), "limit_cpu: it used more CPU time than its limit of 0.5 s");
    });
}

// The filter stops the first process; without it the namespace's own count does.
#[test]
fn a063_a_fork_bomb_is_bounded_without_the_filter() {
    for &user in kernel::users() {
        let outcome = Arena::new(On::Without("seccomp"), user).run("fork-bomb", &[]);
        assert!(outcome.last().ends_with("refused EAGAIN"), "{outcome:?}");
    }
}

// Threads are counted for each worker by itself. Without a namespace of their own, the count is the user's.
#[test]
fn a064_idle_workers_do_not_starve_another() {
    everywhere(|arena, _| {
        let outcome = arena.clone().with(&["--idle", "9"]).run("threads", &["4"]);
        assert!(outcome.out.contains("threads: worked 4"), "{outcome:?}");
        assert!(outcome.out.contains("idle workers: 9 alive"), "{outcome:?}");
    });
    let mut rows = Rows::of(64);
    if kernel::users().contains(&User::Plain) {
        let many = "i=0; while [ $i -lt 500 ]; do sleep 300 & i=$((i+1)); done; echo; wait";
        let mut command = User::Plain.command(Path::new("sh"));
        command.args(["-c", many]).stdout(Stdio::piped()).process_group(0);
        let mut many = Group(command.spawn().unwrap());
        many.0.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let outcome = Arena::new(On::All, User::Plain).run("threads", &["4"]);
        assert!(outcome.out.contains("threads: worked 4"), "the user's other processes count: {outcome:?}");
        let shared = Arena::new(On::Only("rlimits"), User::Plain).run("threads", &["4"]);
        let starved = if shared.word() == "EAGAIN" { "works" } else { "nobody starves" };
        rows.host(
            "500 processes of the user's",
            User::Plain,
            "all threads start",
            "without an own user namespace",
            starved,
        );
        drop(many);
        let shared = Arena::new(On::Only("rlimits"), User::Plain).with(&["--idle", "9"]).run("threads", &["4"]);
        let starved = if shared.out.contains("threads: refused EAGAIN") { "works" } else { "nobody starves" };
        rows.host("nine idle workers", User::Plain, "all threads start", "without an own user namespace", starved);
    }
    rows.settle();
}

// Root can make control groups on every machine that the suites run on.
#[test]
fn a065_groups_are_used_where_they_can_be_made() {
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

// What one worker takes is not another's. Without the filter, which would refuse objects and names altogether.
#[test]
fn a065_a_sibling_that_takes_all_leaves_the_rest_alone() {
    let both = ["--idle", "1", "--idle-call", "exhaust"];
    for &user in kernel::users() {
        let arena = Arena::new(On::Without("seccomp"), user).with(&both);
        let outcome = arena.run("modest", &[]);
        assert!(outcome.out.contains("exhaust: worked 7 threads, 36096 objects"), "{outcome:?}");
        assert!(outcome.out.contains("modest: worked 4 threads, 2 objects, 1 names"), "{outcome:?}");
        assert!(outcome.out.contains("idle workers: 1 alive"), "{outcome:?}");
    }
}

#[test]
fn a065_threads_end() {
    attack::check(65, &[Attack::new("threads", &["100"]).by(Stops::Spaces).answer(&["EAGAIN"])]);
    everywhere(|arena, _| {
        assert!(arena.run("threads", &["4"]).worked(), "a legitimate plugin needs 4 threads");
        assert!(arena.run("threads", &["10000"]).last().ends_with("EAGAIN"));
    });
}

#[test]
fn a067_stopping_helps_nobody() {
    guarded::check(
        67,
        &[
            Guarded::new("stop", "limit_time", "0.3 s").args(&["600"]).options(SHORT).by("Deadline"),
            Guarded::new("stop", "limit_time", "0.3 s").options(SHORT),
        ],
    );
}

#[test]
fn a069_printing_is_cut() {
    guarded::check(
        69,
        &[
            Guarded::new("overprint", "limit_output", "1024 KiB").args(&["1"]).by("Output"),
            Guarded::new("flood-stdout", "limit_output", "1024 KiB"),
            Guarded::new("pre-command", "limit_output", "1024 KiB").options(&[
                "--hook",
                "--config",
                "hook=flood-out",
                "--wall",
                "30000",
            ]),
            Guarded::new("flood-out", "limit_output", "2048 KiB")
                .args(&["3"])
                .options(&["--command-output", "2097152"])
                .by("Output"),
        ],
    );
}

#[test]
fn a070_printing_errors_is_cut() {
    guarded::check(
        70,
        &[
            Guarded::new("overprint", "limit_output", "1024 KiB").args(&["2"]).by("Output"),
            Guarded::new("flood-stderr", "limit_output", "1024 KiB"),
        ],
    );
}

// What a command writes to its caller takes no memory.
#[test]
fn a069_output_to_the_caller_is_streamed() {
    for &user in kernel::users() {
        let outcome = Arena::new(On::All, user).with(&["--wall", "30000"]).run("flood-out", &["100"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.out.starts_with(&format!("[{} bytes]", 100 << 20)), "{:.200}", outcome.out);
    }
}

// Without the private root, /tmp is on the machine's disk; each removes what it made.
#[test]
fn a072_the_scratch_is_bounded() {
    attack::check(
        72,
        &[
            Attack::new("scratch-bytes", &["/tmp"]).by(Stops::Spaces).answer(&["ENOSPC"]),
            Attack::new("scratch-files", &["/tmp"]).by(Stops::Spaces).answer(&["ENOSPC"]),
            Attack::new("big-file", &["/tmp"]).by(Stops::Spaces).answer(&["EFBIG"]),
            Attack::new("sparse-file", &["/tmp"]).by(Stops::Spaces).answer(&["EFBIG"]),
        ],
    );
}

#[test]
fn a074_descriptors_are_bounded_and_enough() {
    attack::check(74, &[Attack::new("descriptors", &["64"]).by(Stops::Spaces).answer(&["EMFILE"])]);
    everywhere(|arena, _| {
        assert!(arena.run("descriptors", &["20"]).worked(), "a legitimate plugin needs 20 descriptors");
        let receives = arena.clone().with(&["--connects"]);
        assert!(receives.run("descriptors", &["20"]).worked(), "the socket that streams come over is one more");
    });
}

#[test]
fn a076_the_stack_ends() {
    guarded::check(
        76,
        &[
            Guarded::new("stack", "plugin_crashed", "SIG").by_design(),
            Guarded::new("smash", "plugin_crashed", "SIG").by_design(),
        ],
    );
}

#[test]
fn a077_memory_is_not_locked() {
    attack::check(
        77,
        &[
            Attack::new("mlock", &[]).answer(&["EPERM"]),
            Attack::new("mlockall", &[]).answer(&["EPERM"]),
            Attack::new("huge-pages", &[]).by(Stops::Filters).answer(&["EPERM"]),
        ],
    );
}

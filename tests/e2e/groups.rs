//! Each worker stands in a control group with its own limit of memory, the first one of its launcher included, where this
//! user may make groups. What a process of it was refused ends the whole of it.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use migraine_tests::home::Home;
use migraine_tests::kernel;
use migraine_tests::run::User;
use migraine_tests::scripts::Script;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::exec::Bench;

/// The limits of memory that are expected, in bytes: a plugin's and a script's or program's.
const NATIVE: u64 = 64 << 20;
const LARGER: u64 = 256 << 20;

/// Of a process's groups that hold somebody, the limits of memory.
fn limits_of(pid: u32) -> Vec<u64> {
    let groups = kernel::groups().into_iter().filter(|group| group.pid == pid).map(|group| group.path);
    let held = groups.filter(|path| fs::read_to_string(path.join("cgroup.procs")).is_ok_and(|all| !all.is_empty()));
    let mut limits: Vec<u64> = held
        .filter_map(|path| {
            let names = ["memory.limit_in_bytes", "memory.max"];
            names.iter().find_map(|name| fs::read_to_string(path.join(name)).ok()?.trim().parse().ok())
        })
        .collect();
    // A launcher may have a spare worker.
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// Runs something that sleeps until its workers stand in groups with these limits, then ends it.
fn stand_in(home: &Home, line: &[&str], expected: &[u64]) {
    let mut command = home.command(line);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let began = Instant::now();
    let (mut program, mut found) = (None, Vec::new());
    while found != expected && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
        program = program.or_else(|| fs::read_to_string(&children).ok()?.trim().parse().ok());
        found = program.map(limits_of).unwrap_or_default();
    }
    let program = program.unwrap();
    kill(Pid::from_raw(program.cast_signed()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line:?}");
    assert_eq!(found, expected, "{line:?}");
}

#[test]
fn the_first_worker_of_each_launcher_stands_in_a_group() {
    if !kernel::has_groups(User::Root) {
        return;
    }
    let python = Script::python_command("import time\ndef f(args, context):\n    time.sleep(60)\n");
    let bash = Script::bash_command("while :; do :; done");
    for script in [python, bash] {
        stand_in(&script.installed(Home::new()), &["plugin", "run", "script", "go"], &[LARGER]);
    }
    let bench = Bench::new(User::Root, &["exec=sleep"]);
    stand_in(&bench.home, &["plugin", "run", "reach", "exec", "sleep", "--", "60"], &[NATIVE, LARGER]);
}

// The kernel ends the largest process of a group: those beside it would go on, and who waits for them would wait as long.
#[test]
fn a_script_whose_part_was_ended_for_its_memory_ends_at_once() {
    if !kernel::has_groups(User::Root) {
        return;
    }
    let grow = "x=xxxxxxxx; while [ ${#x} -lt 60000000 ]; do x=$x$x; done; while :; do :; done";
    let text = format!("for i in 1 2 3 4 5 6; do ({grow}) & done; wait");
    let home = Script::bash_command(&text).installed(Home::new());
    let done = home.run(["plugin", "run", "--timeout", "50", "script", "go"]);
    done.ends(5).says(&["limit_memory", "reached its memory limit of 256 MiB"]);
    assert!(done.took < Duration::from_secs(20), "{done:?}");
}

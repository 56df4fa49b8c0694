//! A host that is stopped looks at nothing; the launcher, which is not, holds workers to their CPU time.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;
use migraine_tests::run::{Background, is_running};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs a command under a CPU limit of a second, stops the host for a time, and lets it go on. Whether the worker that
/// was called lived until then, and the arena's last line.
fn stopped(arena: &Arena, command: &str, time: Duration) -> (bool, String) {
    let arena = arena.clone().with(&["--pids", "--cpu", "1000", "--wall", "5000"]);
    let child = arena.command(command, &["1"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = Background(child.expect("start the arena"));
    let mut line = String::new();
    BufReader::new(child.0.stderr.take().expect("piped")).read_line(&mut line).expect("a pipe can be read");
    let pids: Vec<i32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [host, _, worker] = pids[..] else { panic!("not three pids: {line}") };
    // The call must have begun.
    std::thread::sleep(Duration::from_millis(200));
    kill(Pid::from_raw(host), Signal::SIGSTOP).expect("stop the own child");
    let start = Instant::now();
    while is_running(worker) && start.elapsed() < time {
        std::thread::sleep(Duration::from_millis(10));
    }
    let lived = is_running(worker);
    kill(Pid::from_raw(host), Signal::SIGCONT).expect("continue it");
    let mut out = String::new();
    child.0.stdout.take().expect("piped").read_to_string(&mut out).expect("a pipe can be read");
    child.0.wait().expect("wait for the own child");
    (lived, out.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn cpu_time_is_limited_while_the_host_is_stopped() {
    for &user in kernel::users() {
        let arena = Arena::new(On::All, user);
        let (lived, last) = stopped(&arena, "spin", Duration::from_secs(30));
        assert!(!lived, "{user:?}: it went on computing");
        assert_eq!(last, "limit_cpu: it used more CPU time than its limit of 1 s");
    }
}

#[test]
fn a_worker_that_waits_outlives_a_stop() {
    for &user in kernel::users() {
        let arena = Arena::new(On::All, user);
        let (lived, last) = stopped(&arena, "sleep", Duration::from_secs(7));
        assert!(lived, "{user:?}: it was ended while the host was stopped: {last}");
        assert_eq!(last, "limit_time: it took longer than its limit of 5 s");
    }
}

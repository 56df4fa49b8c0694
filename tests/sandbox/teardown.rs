//! After a run ends by any path, nothing of it remains.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;
use migraine_tests::matrix::{COLUMNS, Rows, WORKS};
use migraine_tests::run::{User, is_running};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn numbers(out: &str, line: &str) -> Vec<i64> {
    let line = out.lines().find(|found| found.starts_with(line)).unwrap_or_else(|| panic!("no `{line}` in {out}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a078_many_runs_leak_nothing() {
    let mut rows = Rows::of(78);
    for &user in kernel::users() {
        let arena = Arena::new(On::All, user).with(&["--repeat", "1000", "--crash-every", "10"]);
        let outcome = arena.run("quiet", &[]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert_eq!(outcome.out.matches("plugin_crashed").count(), 100);
        for who in ["drift of the host:", "drift of the launcher:"] {
            let drift = numbers(&outcome.out, who);
            assert!(drift[0] <= 0, "descriptors leak: {who} {drift:?}");
            assert!(drift[1] < 1024, "memory leaks: {who} {drift:?}");
        }
        // The worker that was made ahead.
        assert!(outcome.out.contains("children of the launcher: 1\n"), "{}", outcome.last());
        // The launcher; what started it has ended and was collected.
        assert!(outcome.out.contains("children of the host: 1\n"), "{}", outcome.last());
        rows.design("1000 runs, 100 crashes", user, "nothing leaks");
    }
    rows.settle();
}

// A launcher that was started early, for a run that then does not happen.
#[test]
fn an_unused_launcher_is_collected() {
    for &user in kernel::users() {
        let arena = Arena::new(On::All, user).library(Path::new("/nonexistent/plugin.so"));
        let outcome = arena.run("quiet", &[]);
        assert!(outcome.err.contains("read /nonexistent/plugin.so"), "{outcome:?}");
    }
}

// A host that was killed cannot remove its groups; the next run does.
#[test]
fn a078_the_next_run_removes_the_groups_of_a_killed_one() {
    for &user in kernel::users() {
        if !kernel::has_groups(user) {
            continue;
        }
        let arena = Arena::new(On::All, user).with(&["--idle", "1", "--pids", "--wall", "60000"]);
        let mut child = arena.command("sleep", &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let made = |pid| kernel::groups().into_iter().filter(|group| group.pid == pid).count();
        let host = child.id();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(made(host) >= 2, "there is nothing to collect: {:?}", kernel::groups());
        for pid in line.split_whitespace().filter_map(|word| word.parse().ok()) {
            while is_running(pid) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert_eq!(Arena::new(On::All, user).run("quiet", &[]).code, 0);
        assert_eq!(made(host), 0, "{:?}", kernel::groups());
    }
}

#[test]
fn a079_a_killed_host_takes_everything_along() {
    let mut rows = Rows::of(79);
    for &user in kernel::users() {
        for command in ["sleep", "spin", "block-signals", "stop"] {
            for options in [&["--idle", "2", "--pids"][..], &["--idle", "2", "--pids", "--copy"]] {
                let arena = Arena::new(On::All, user).with(options).with(&["--wall", "60000"]);
                let mut child =
                    arena.command(command, &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
                let mut line = String::new();
                BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
                let mut pids: Vec<i32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                assert_eq!(pids.len(), 5, "host, launcher and three workers: {line}");
                if !options.contains(&"--copy") {
                    pids.extend(made_ahead(&pids));
                    assert_eq!(pids.len(), 6, "no worker was made ahead: {pids:?}");
                }
                assert!(pids.iter().all(|pid| is_running(*pid)), "{line}");
                child.kill().unwrap();
                let start = Instant::now();
                child.wait().unwrap();
                while pids.iter().any(|pid| is_running(*pid)) {
                    assert!(start.elapsed() < Duration::from_secs(1), "{command} as {user:?} lives on: {line}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        rows.layers("outlive a killed host", user, &COLUMNS.map(|on| outlives(on, user)));
    }
    rows.settle();
}

/// What is made ahead, below the launcher, the second of these, beside the workers that run.
fn made_ahead(pids: &[i32]) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let path = format!("/proc/{0}/task/{0}/children", pids[1]);
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let mut children = children.split_whitespace().filter_map(|word| word.parse().ok());
        if let Some(pid) = children.find(|pid| !pids.contains(pid)) {
            return Some(pid);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Whether a worker that waits inside of a call lives on a second after its host was killed; it is ended then.
fn outlives(on: On, user: User) -> String {
    let arena = Arena::new(on, user).with(&["--pids", "--wall", "60000"]);
    let started = arena.command("linger", &[]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.expect("start the arena");
    let line = |pipe: &mut dyn Read| {
        let mut line = String::new();
        BufReader::new(pipe).read_line(&mut line).expect("a pipe can be read");
        line
    };
    let pids = line(child.stderr.as_mut().expect("piped"));
    let worker = pids.split_whitespace().next_back().and_then(|word| word.parse().ok());
    let worker: i32 = worker.unwrap_or_else(|| panic!("no pids: {pids}"));
    assert_eq!(line(child.stdout.as_mut().expect("piped")), "here\n");
    child.kill().expect("end the own child");
    child.wait().expect("wait for the own child");
    let start = Instant::now();
    while is_running(worker) && start.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(5));
    }
    if !is_running(worker) {
        return "gone".to_owned();
    }
    kill(Pid::from_raw(worker), Signal::SIGKILL).expect("end what is left");
    WORKS.to_owned()
}

//! Ctrl-Z: a program that is stopped keeps its plugins, loses no time, and goes on where it was.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use migraine_tests::home::Home;
use migraine_tests::package::plugin;
use migraine_tests::run::{is_running, is_stopped};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

struct Run {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Run {
    /// Runs a command of the hostile plugin as a shell's job: in a process group of its own.
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = home.product([&["plugin", "run", "--timeout"], args].concat());
        let mut child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    /// To the whole group, as a terminal does it.
    fn signal(&self, signal: Signal) {
        killpg(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn stop(&self, signal: Signal, time: Duration) {
        self.signal(signal);
        let pid = i32::try_from(self.child.id()).unwrap();
        while !is_stopped(pid) {
            assert!(is_running(pid));
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(time);
        self.signal(Signal::SIGCONT);
    }

    /// The exit code and what was left to read.
    fn end(mut self) -> (i32, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out, err)
    }
}

#[test]
fn stopped_time_counts_against_no_deadline() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    for signal in [Signal::SIGTSTP, Signal::SIGSTOP] {
        // Two seconds of work in four, with five between them.
        let mut run = Run::start(&home, &["4", "hostile", "pace", "20"]);
        assert_eq!(run.line(), "on\n");
        run.stop(signal, Duration::from_secs(5));
        let (code, out, err) = run.end();
        assert_eq!((code, out.lines().count()), (0, 19), "{signal}: {err}");
    }
}

#[test]
fn a_deadline_stands_after_a_stop() {
    let home = Home::new();
    home.install(&plugin("hostile"));
    let mut run = Run::start(&home, &["2", "hostile", "pace", "100"]);
    run.line();
    run.stop(Signal::SIGTSTP, Duration::from_secs(3));
    let (code, out, err) = run.end();
    assert_eq!(code, 124, "{err}");
    assert!(err.contains("limit_time") && err.contains("limit of 2 s"), "{err}");
    assert!(!out.is_empty(), "it went on before its time was over");
}

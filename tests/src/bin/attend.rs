//! Runs a program to its end and says whether anything it started outlived it: whatever is left behind becomes a child
//! of this process. The exit code is the program's (128 + N for signal N), or 99 when something was left behind. The
//! program has a session of its own, so that the terminal of whoever tests is never asked; with `--terminal PATH` first,
//! that terminal is its own, with `--peak PATH` the most memory that it, or what it waited for, had at once is written
//! there, in KiB.
#![allow(clippy::print_stderr, reason = "a program of the test suite")]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How long the end of everything may take after the end of the program.
const GRACE: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<ExitCode> {
    nix::sys::prctl::set_child_subreaper(true)?;
    nix::unistd::setsid().context("cannot start a session")?;
    let mut words = std::env::args_os().skip(1).peekable();
    let terminal = words.next_if(|word| word == "--terminal").and_then(|_| words.next());
    let peak = words.next_if(|word| word == "--peak").and_then(|_| words.next());
    let program = words.next().context("attend [--terminal PATH] [--peak PATH] PROGRAM [ARGS...]")?;
    let mut command = if ignores_signals()? {
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=HUP,INT,QUIT,TERM").arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command.args(words);
    if let Some(path) = &terminal {
        // The first terminal that a session's leader opens is the session's.
        let file = File::options().read(true).write(true).open(path)?;
        command.stdin(file.try_clone()?).stdout(file.try_clone()?).stderr(file);
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {program:?}"))?;
    // What is typed at the terminal is for the program. It has started: it must not inherit this.
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP].into_iter().collect::<SigSet>().thread_block()?;
    let status = child.wait()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    if let Some(path) = peak {
        fs::write(path, getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().to_string())?;
    }
    let left = left_behind()?;
    if left.is_empty() {
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(98)));
    }
    eprintln!("LEFT BEHIND: {}", left.join(", "));
    Ok(ExitCode::from(99))
}

/// Whether this process was started so that the signals of a terminal are ignored, as a shell's background jobs are:
/// what it starts would ignore them too.
fn ignores_signals() -> anyhow::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).context("no mask of ignored signals")?;
    let ignored = u64::from_str_radix(ignored.trim(), 16)?;
    let wanted = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
    Ok(wanted.iter().any(|&signal| ignored & (1 << (signal as i32 - 1)) != 0))
}

/// The processes that are still there after the grace; they are ended.
fn left_behind() -> anyhow::Result<Vec<String>> {
    let start = Instant::now();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Ok(Vec::new()),
            Ok(status) if status.pid().is_some() => continue,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if start.elapsed() > GRACE {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    let mut names = Vec::new();
    for pid in children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        names.push(format!("{} ({pid})", name.trim()));
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    Ok(names)
}

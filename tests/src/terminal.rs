//! A person at a terminal: the product runs on a terminal of its own, and each answer is typed when its question is
//! there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::artifacts;
use crate::home::{Done, Home};

/// The longest that a conversation may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs the product on a terminal of 100 columns; `answers` are questions and what is typed after each. Both streams are
/// in `out`.
///
/// # Panics
/// A question does not come, or the run does not end.
#[must_use]
pub fn converse(home: &Home, args: &[&str], environment: &[(&str, &str)], answers: &[(&str, &str)]) -> Done {
    talk(home, &[], args, environment, answers, || {})
}

/// As [`converse`], with something that happens elsewhere between the last question and its answer.
///
/// # Panics
/// As [`converse`].
#[must_use]
pub fn converse_meanwhile(home: &Home, args: &[&str], answers: &[(&str, &str)], meanwhile: impl FnOnce()) -> Done {
    talk(home, &[], args, &[], answers, meanwhile)
}

/// As [`converse`], with standard output led away from the terminal.
///
/// # Panics
/// The run does not end.
#[must_use]
pub fn watch_errors(home: &Home, args: &[&str]) -> Done {
    talk(home, &["/bin/sh", "-c", "exec \"$0\" \"$@\" > /dev/null"], args, &[], &[], || {})
}

/// As [`converse`], with something else than the terminal as standard input: what a line of the shell pipes into `"$@"`.
///
/// # Panics
/// A question does not come, or the run does not end.
#[must_use]
pub fn converse_by(home: &Home, line: &str, args: &[&str], answers: &[(&str, &str)]) -> Done {
    talk(home, &["/bin/sh", "-c", line, "sh"], args, &[], answers, || {})
}

/// Runs a line of the shell that has a terminal; `"$@"` is the product with these arguments. The shell's own output is in
/// `out`.
///
/// # Panics
/// The run does not end.
#[must_use]
pub fn shell(home: &Home, line: &str, args: &[&str]) -> Done {
    talk(home, &["/bin/sh", "-c", line, "sh"], args, &[], &[], || {})
}

fn talk(
    home: &Home,
    by: &[&str],
    args: &[&str],
    environment: &[(&str, &str)],
    answers: &[(&str, &str)],
    meanwhile: impl FnOnce(),
) -> Done {
    let mut meanwhile = Some(meanwhile);
    let size = nix::pty::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pair = nix::pty::openpty(Some(&size), None).expect("open a terminal");
    let name = nix::unistd::ttyname(&pair.slave).expect("the terminal has a name");
    home.give(&name);
    let mut command = home.attendant();
    command.arg("--terminal").arg(name).args(by).arg(artifacts::migraine()).args(args);
    home.settle(&mut command);
    command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().expect("run the program");
    let mut master = File::from(pair.master);
    let mut text = String::new();
    for (at, (question, answer)) in answers.iter().enumerate() {
        let from = text.len();
        while !text[from..].contains(question) {
            assert!(read(&master, &mut text, start), "`{question}` was not asked: {text}");
        }
        if let Some(happens) = meanwhile.take_if(|_| at + 1 == answers.len()) {
            happens();
        }
        master.write_all(answer.as_bytes()).expect("type an answer");
    }
    while child.try_wait().expect("wait for the own child").is_none() {
        read_some(&master, &mut text);
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("no end: {text}");
        }
    }
    // While this side is open the end of the output is no error but silence.
    while read_some(&master, &mut text) {}
    drop(pair.slave);
    let code = child.wait().expect("wait for the own child").code().unwrap_or(-1);
    Done { code, out: text, err: String::new(), took: start.elapsed() }.checked(&command)
}

fn read(master: &File, text: &mut String, start: Instant) -> bool {
    read_some(master, text);
    start.elapsed() < LIMIT
}

/// Reads what is there, waiting a moment for it.
fn read_some(mut master: &File, text: &mut String) -> bool {
    let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, PollTimeout::from(10u8)).unwrap_or(0) == 0 {
        return false;
    }
    let mut bytes = [0; 4096];
    let size = master.read(&mut bytes).unwrap_or(0);
    text.push_str(&String::from_utf8_lossy(&bytes[..size]));
    size > 0
}

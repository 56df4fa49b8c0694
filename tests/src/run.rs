//! Runs a program as root or as a plain user, with a time-out that ends it.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// User id 0.
    Root,
    /// An id without rights; the caller's own where that is not root.
    Plain,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Plain => "plain",
        })
    }
}

/// The plain user's id, where the caller can choose.
pub const PLAIN: u32 = 65534;

impl User {
    /// A command that runs a program as this user, with an empty environment but for the paths of programs.
    #[must_use]
    pub fn command(self, program: &Path) -> Command {
        let mut command = if self == Self::Plain && nix::unistd::geteuid().is_root() {
            let mut command = Command::new("/usr/bin/setpriv");
            let id = PLAIN.to_string();
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Gives a file or directory to this user.
    ///
    /// # Panics
    /// The owner cannot be changed.
    pub fn give(self, path: &Path) {
        if self == Self::Plain && nix::unistd::geteuid().is_root() {
            std::os::unix::fs::lchown(path, Some(PLAIN), Some(PLAIN)).expect("root gives files away");
        }
    }
}

/// What a program left behind.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: Vec<u8>,
    /// How long it ran.
    pub took: Duration,
}

/// Runs a command to its end.
///
/// # Panics
/// It cannot be started, or does not end in time; then it is ended first.
#[must_use]
pub fn run(command: &mut Command, limit: Duration) -> Ran {
    let start = Instant::now();
    let mut child = start_piped(command);
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let also = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait for the own child") {
            break status;
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let bytes = |thread: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| {
        thread.join().expect("a reader does not panic").expect("a pipe can be read")
    };
    Ran { code, out: bytes(read), err: bytes(also), took }
}

fn start_piped(command: &mut Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Background(pub Child);

impl Background {
    /// Starts a command whose output is thrown away.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a process exists and is more than an entry that waits for its parent.
#[must_use]
pub fn is_running(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Whether a process is stopped (SIGSTOP).
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    state(pid) == Some('T')
}

/// The letter of proc_pid_status(5).
fn state(pid: i32) -> Option<char> {
    let mut status = String::new();
    File::open(format!("/proc/{pid}/status")).and_then(|mut file| file.read_to_string(&mut status)).ok()?;
    status.lines().find_map(|line| line.strip_prefix("State:"))?.trim().chars().next()
}

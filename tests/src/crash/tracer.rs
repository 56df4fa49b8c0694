//! Runs a program and stops it at every system call that could change something. Calls that change something below a folder are counted; one of them can
//! be the last thing that the program does, or fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::syscall::{self, Change, Entry};

/// What is done to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inject {
    /// Nothing: it is only watched.
    Nothing,
    /// SIGKILL before the call of this number; the call has no effect any more.
    Kill(usize),
    /// The call of this number has no effect and this error.
    Fail(usize, Errno),
}

/// A call that changed something below the folder, or would have.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name of the system call.
    pub name: &'static str,
    /// What it changes.
    pub change: Change,
    /// What it returned; the negative `errno` of an error. `None` when the program was killed instead.
    pub result: Option<i64>,
}

impl Call {
    /// Whether it can be killed at or made to fail. Saying something changes no disk.
    #[must_use]
    pub fn is_point(&self) -> bool {
        self.change != Change::Said
    }

    /// The call as a person reads it.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.change {
            Change::Rename { from, to, .. } | Change::Exchange { from, to } => {
                format!("{} {} -> {}", self.name, from.display(), to.display())
            }
            change => format!("{} {}", self.name, change.path().unwrap_or(Path::new("")).display()),
        }
    }
}

/// A program that ran to its end.
#[derive(Debug)]
pub struct Traced {
    /// Calls that changed something below the folder, in order.
    pub calls: Vec<Call>,
    /// Changes elsewhere.
    pub outside: Vec<String>,
    /// Its exit code; 128 + N when signal N ended it.
    pub code: i32,
    /// What it wrote on standard output.
    pub out: String,
    /// What it wrote on standard error.
    pub err: String,
}

impl Traced {
    /// How many points it had.
    #[must_use]
    pub fn points(&self) -> usize {
        self.calls.iter().filter(|call| call.is_point()).count()
    }

    /// The call of that number.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn point(&self, number: usize) -> &Call {
        self.calls.iter().filter(|call| call.is_point()).nth(number).expect("a point of the run")
    }
}

/// Runs a command, which must become the program by way of `traced`, and everything that it starts. Changes below `folder` are
/// its points.
///
/// # Panics
/// It cannot be started or traced.
#[must_use]
#[expect(clippy::zombie_processes, reason = "the tracer waits for everything that was started")]
pub fn run(mut command: Command, folder: &Path, inject: Inject) -> Traced {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let main = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let mut tracer = Tracer { folder: folder.to_owned(), inject, ..Tracer::new(main) };
    let code = tracer.follow().unwrap_or_else(|error| panic!("cannot trace {command:?}: {error}"));
    let read = |stream: &mut dyn std::io::Read| {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).expect("a pipe can be read");
        String::from_utf8_lossy(&text).into_owned()
    };
    let out = read(child.stdout.as_mut().expect("piped"));
    let err = read(child.stderr.as_mut().expect("piped"));
    Traced { calls: tracer.calls, outside: tracer.outside, code, out, err }
}

struct Tracer {
    main: Pid,
    folder: PathBuf,
    inject: Inject,
    calls: Vec<Call>,
    points: usize,
    outside: Vec<String>,
    /// The processes and threads, each with the call that it is in.
    running: BTreeMap<Pid, Inside>,
}

/// Where a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// The program, or a call that nobody looks at.
    Program,
    /// The call of this number.
    Seen(usize),
    /// The call of this number, which is to fail.
    Failing(usize, Errno),
}

impl Tracer {
    fn new(main: Pid) -> Self {
        let (calls, outside) = (Vec::new(), Vec::new());
        let running = BTreeMap::from([(main, Inside::Program)]);
        Self { main, folder: PathBuf::new(), inject: Inject::Nothing, calls, points: 0, outside, running }
    }

    /// Until everything that was started has ended; the exit code of the first.
    fn follow(&mut self) -> nix::Result<i32> {
        self.begin()?;
        let mut code = -1;
        loop {
            // Of this thread alone: other threads trace programs of their own.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(flags)) {
                Err(Errno::ECHILD) => return Ok(code),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
                Ok(WaitStatus::Exited(pid, value)) => {
                    self.running.remove(&pid);
                    if pid == self.main {
                        code = value;
                    }
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    self.running.remove(&pid);
                    if pid == self.main {
                        code = 128 + signal as i32;
                    }
                }
                Ok(status) => self.stopped(status)?,
            }
        }
    }

    /// The first stop is that of exec(2), before the program's first instruction.
    fn begin(&self) -> nix::Result<()> {
        waitpid(self.main, Some(WaitPidFlag::__WALL))?;
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESECCOMP;
        ptrace::setoptions(self.main, options)?;
        ptrace::cont(self.main, None)
    }

    fn stopped(&mut self, status: WaitStatus) -> nix::Result<()> {
        let Some(pid) = status.pid() else { return Ok(()) };
        let signal = match status {
            WaitStatus::PtraceEvent(_, _, nix::libc::PTRACE_EVENT_SECCOMP) => {
                return match self.entered(pid)? {
                    Some(Inside::Program) => go_on(ptrace::cont(pid, None)),
                    Some(inside) => {
                        self.running.insert(pid, inside);
                        // The next stop is the one after the call.
                        go_on(ptrace::syscall(pid, None))
                    }
                    None => Ok(()),
                };
            }
            WaitStatus::PtraceSyscall(_) => {
                self.left(pid)?;
                None
            }
            // What was started stops once before it begins.
            WaitStatus::Stopped(_, Signal::SIGSTOP) if !self.running.contains_key(&pid) => {
                self.running.insert(pid, Inside::Program);
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            _ => None,
        };
        go_on(ptrace::cont(pid, signal))
    }

    /// After a call.
    fn left(&mut self, pid: Pid) -> nix::Result<()> {
        match self.running.insert(pid, Inside::Program).unwrap_or(Inside::Program) {
            Inside::Program => {}
            Inside::Seen(number) => self.calls[number].result = Some(syscall::result(pid)?),
            Inside::Failing(number, errno) => {
                syscall::answer(pid, errno)?;
                self.calls[number].result = Some(-i64::from(errno as i32));
            }
        }
        Ok(())
    }

    /// Before a call; `None` when the program does not go on.
    fn entered(&mut self, pid: Pid) -> nix::Result<Option<Inside>> {
        let registers = ptrace::getregs(pid)?;
        let Some((name, change)) = Entry::read(pid, &registers) else { return Ok(Some(Inside::Program)) };
        if change.path().is_some_and(|path| !path.starts_with(&self.folder)) {
            // Devices and what the kernel shows as files hold nothing.
            let is_kept = !change.path().is_some_and(|path| path.starts_with("/dev") && !path.starts_with("/dev/shm"));
            if is_kept && !change.path().is_some_and(|path| path.starts_with("/proc") || path.starts_with("/sys")) {
                self.outside.push(format!("{name} {:?}", change.path()));
            }
            return Ok(Some(Inside::Program));
        }
        let call = Call { name, change, result: None };
        let (number, is_point, point) = (self.calls.len(), call.is_point(), self.points);
        self.points += usize::from(is_point);
        self.calls.push(call);
        match self.inject {
            Inject::Kill(at) if is_point && at == point => {
                kill(pid, Signal::SIGKILL)?;
                Ok(None)
            }
            Inject::Fail(at, errno) if is_point && at == point => {
                syscall::skip(pid, &registers)?;
                Ok(Some(Inside::Failing(number, errno)))
            }
            _ => Ok(Some(Inside::Seen(number))),
        }
    }
}

/// One that was killed meanwhile does not go on; its end is the next thing that is heard of it.
fn go_on(done: nix::Result<()>) -> nix::Result<()> {
    match done {
        Err(Errno::ESRCH) => Ok(()),
        done => done,
    }
}

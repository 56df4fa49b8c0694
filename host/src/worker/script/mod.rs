//! Workers of scripts: the interpreter takes the worker's place by the one exec that is allowed, and speaks the frames
//! itself. What it runs first is part of this program.

use std::ffi::CString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

use super::jail::Sealing;
use super::numbers;
use crate::sys;
use crate::sys::seccomp::{Answer, Notification};
use crate::wire::{Header, Interpreter, Kind, Language, WireError, write_frame};

/// Tries to start another program after which the worker is ended: each is answered by the launcher, which is everybody's.
const TRIES: u32 = 10_000;

/// The files that an interpreter runs first, by their paths below the code.
pub(super) fn runner(language: Language) -> &'static [(&'static str, &'static str)] {
    match language {
        Language::Python => &[
            ("runner.py", include_str!("python/runner.py")),
            ("python/migraine/__init__.py", include_str!("python/migraine/__init__.py")),
        ],
        Language::Bash => &[("runner.sh", include_str!("bash/runner.sh"))],
        Language::Frames | Language::Lines | Language::Command => &[],
    }
}

/// Seals the worker and becomes the interpreter; returns only when that failed, with the exit code.
pub(super) fn main(sealing: Sealing<'_>) -> i32 {
    let Some(interpreter) = sealing.interpreter().cloned() else { return 78 };
    let report = match sealing.finish() {
        Ok(report) => report,
        Err(error) => {
            // Without a `Sealed` frame the host never sends anything.
            let _ = writeln!(io::stderr(), "{error}");
            return 73;
        }
    };
    let Ok(body) = serde_json::to_vec(&report) else { return 74 };
    if send(Header::new(Kind::Sealed, 0), &body).is_err() {
        return 75;
    }
    // The host has learnt which act it was; nothing may follow.
    if report.breach().is_some() {
        return 77;
    }
    let error = become_interpreter(&interpreter);
    let _ = writeln!(io::stderr(), "{} cannot be started: {error}", interpreter.program.display());
    76
}

fn send(header: Header, body: &[u8]) -> Result<(), WireError> {
    let replies: OwnedFd = sys::fd::take_inherited(numbers::REPLIES)?;
    let mut file = std::fs::File::from(replies);
    let sent = write_frame(&mut file, header, body, b"");
    // The number is the interpreter's from here on.
    std::mem::forget(file);
    sent
}

/// Its descriptors, and nothing else of this process, stay.
fn become_interpreter(interpreter: &Interpreter) -> io::Error {
    match arguments(interpreter) {
        Ok((program, arguments, environment)) => {
            // An ignored signal and a mask stay over exec(2).
            sys::signal::expect_broken_pipes();
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
            match nix::unistd::execve(&program, &arguments, &environment) {
                Err(error) => error.into(),
                Ok(never) => match never {},
            }
        }
        Err(error) => error,
    }
}

type Start = (CString, Vec<CString>, Vec<CString>);

fn arguments(interpreter: &Interpreter) -> io::Result<Start> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
    let program = text(interpreter.program.clone().into_os_string().into_vec())?;
    let rest = interpreter.arguments.iter().map(|argument| text(argument.clone().into_bytes()));
    let arguments = std::iter::once(Ok(program.clone())).chain(rest).collect::<Result<_, _>>()?;
    let own = std::env::vars_os().map(|(name, value)| [name.into_vec(), value.into_vec()].join(&b'='));
    // One arena for all threads: each one more reserves 64 MiB of what the limit of memory counts.
    let environment = own.chain([b"MALLOC_ARENA_MAX=1".to_vec()]).map(text).collect::<Result<_, _>>()?;
    Ok((program, arguments, environment))
}

/// What a worker has left of starting programs.
pub(super) struct Execs {
    /// Whether the one exec is still to come.
    is_due: bool,
    refused: u32,
}

impl Execs {
    pub(super) fn of(interpreter: Option<&Interpreter>) -> Self {
        Self { is_due: interpreter.is_some(), refused: 0 }
    }

    /// Answers an exec that waits for it; `false` where the worker must end, for this or any other call.
    pub(super) fn answer(&mut self, listener: &OwnedFd, call: &Notification) -> bool {
        if libc::c_long::from(call.number) != libc::SYS_execve || self.refused >= TRIES {
            return false;
        }
        // The first one is this program's own: nothing else has run in that worker, and it has one thread.
        let answer = if std::mem::take(&mut self.is_due) {
            Answer::GoOn
        } else {
            self.refused += 1;
            Answer::Refuse(libc::EACCES)
        };
        let listener: BorrowedFd<'_> = listener.as_fd();
        // A caller that is gone needs no answer.
        let _ = sys::seccomp::answer(listener, call, answer);
        true
    }
}

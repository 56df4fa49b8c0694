//! The keeper of one program of the system: process 1 of a pid namespace, sealed like the program itself. It starts the
//! program as its child, collects whatever that leaves behind, and with its own end the kernel ends all the rest.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::Pid;

use super::jail::Sealing;
use super::numbers;
use crate::sys;
use crate::wire::{FrameReader, Header, Kind, RanBody, RunBody, SealReport, Variable, write_frame};

/// Runs one program; the value is the exit code. Every exit but the one after the reply is an error to the host, which
/// sees the channel end.
pub(super) fn main(sealing: Sealing<'_>) -> i32 {
    let report = match sealing.finish() {
        Ok(report) => report,
        Err(error) => {
            // Without a `Sealed` frame the host never sends anything.
            let _ = writeln!(io::stderr(), "{error}");
            return 73;
        }
    };
    match serve(&report) {
        Ok(()) => 0,
        Err(_) => 76,
    }
}

fn serve(report: &SealReport) -> Result<(), Box<dyn std::error::Error>> {
    let (mut requests, mut replies) = (FrameReader::new(own(numbers::REQUESTS)?), own(numbers::REPLIES)?);
    // A plugin's own program has this process's input: what came as its code were its files.
    let input = own(numbers::CODE).map_or_else(|_| Stdio::inherit(), Stdio::from);
    write_frame(&mut replies, Header::new(Kind::Sealed, 0), &serde_json::to_vec(report)?, b"")?;
    // The host has learnt which act it was; nothing may follow.
    if report.breach().is_some() {
        return Err("the sandbox does not hold".into());
    }
    let frame = requests.next_frame()?;
    if frame.header.kind != Kind::Run {
        return Err("the host asked for something else".into());
    }
    let (call, body) = (frame.header.call, serde_json::from_slice(frame.body)?);
    let ran = serde_json::to_vec(&run(body, input)?)?;
    Ok(write_frame(&mut replies, Header::new(Kind::Reply, call), &ran, b"")?)
}

/// A descriptor that the program does not inherit.
fn own(number: i32) -> io::Result<File> {
    let fd: OwnedFd = sys::fd::take_inherited(number)?;
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(File::from(fd))
}

fn run(body: RunBody, input: Stdio) -> io::Result<RanBody> {
    let mut command = Command::new(&body.file);
    command.arg0(&body.name).args(&body.arguments).stdin(input);
    command.envs(body.environment.into_iter().map(|Variable { name, value }| (name, value)));
    if let Some(directory) = &body.directory {
        command.current_dir(directory);
    }
    // Standard output and error are the pipes that this process itself was given; std gives signals their default back.
    match command.spawn() {
        Ok(child) => await_end(Pid::from_raw(child.id().cast_signed())),
        Err(error) => Ok(RanBody::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL))),
    }
}

/// Waits for the program. What it left to this process is collected on the way: it would count as running.
fn await_end(program: Pid) -> io::Result<RanBody> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Ok(RanBody::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => return Ok(RanBody::Signalled(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

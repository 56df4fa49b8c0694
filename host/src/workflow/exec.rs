//! Runs one command in the user's shell, on the user's terminal or with its output seen on the way.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::tee::{Leftovers, Piece, tee};

/// What commands get as their standard streams.
#[derive(Debug)]
pub struct Streams {
    /// Their input.
    pub stdin: OwnedFd,
    /// Their output.
    pub stdout: OwnedFd,
    /// Their errors.
    pub stderr: OwnedFd,
}

/// The shell for commands: the given `$SHELL`, else that of the passwd entry, else `/bin/sh`.
#[must_use]
pub fn find_shell(from_environment: Option<OsString>) -> PathBuf {
    let set = from_environment.filter(|shell| !shell.is_empty()).map(PathBuf::from);
    let entry = || {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??;
        Some(user.shell).filter(|shell| !shell.as_os_str().is_empty())
    };
    set.or_else(entry).unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

/// How a command ended: its exit code, or 128 + N for signal N.
#[must_use]
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

/// Runs a command with the streams as they are: it can be interactive, and nothing is captured.
///
/// # Errors
/// The shell cannot be started.
pub(super) fn inherited(shell: &Path, command: &str, streams: &Streams) -> io::Result<ExitStatus> {
    let mut shell = shell_command(shell, command, streams)?;
    shell.stdout(Stdio::from(streams.stdout.try_clone()?)).stderr(Stdio::from(streams.stderr.try_clone()?));
    // Dropped at once: the parent keeps no copies of the streams.
    let mut child = shell.spawn()?;
    drop(shell);
    child.wait()
}

/// Runs a command, passes its output on as it comes and shows each piece to `see`.
///
/// # Errors
/// The shell cannot be started, or a pipe cannot be made.
pub(super) fn teed(
    shell: &Path,
    command: &str,
    streams: &Streams,
    leftovers: &mut Leftovers,
    see: &mut dyn FnMut(Piece<'_>),
) -> io::Result<ExitStatus> {
    let mut shell = shell_command(shell, command, streams)?;
    let sinks = (streams.stdout.try_clone()?, streams.stderr.try_clone()?);
    let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(shell);
    tee(child, sinks, leftovers, see)
}

fn shell_command(shell: &Path, command: &str, streams: &Streams) -> io::Result<Command> {
    let mut shell = Command::new(shell);
    shell.arg("-c").arg(command).stdin(Stdio::from(streams.stdin.try_clone()?));
    Ok(shell)
}

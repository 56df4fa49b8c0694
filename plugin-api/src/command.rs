//! A command call: what was typed, where from, and where the output goes.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::PluginError;
use crate::services::Host;

/// What crosses the border when a command is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Invocation {
    /// The command's name.
    pub command: String,
    /// Everything that was typed after it, untouched.
    pub args: Vec<String>,
    /// The caller's working directory: for showing and for resolving names; it grants nothing.
    #[serde(default)]
    pub working_directory: PathBuf,
    /// Columns of the caller's terminal; 80 when there is none.
    #[serde(default = "default_width")]
    pub terminal_width: u16,
    /// Whether the caller's standard output is a terminal.
    #[serde(default)]
    pub stdout_is_terminal: bool,
    /// Whether the caller's standard input is passed.
    #[serde(default)]
    pub stdin: bool,
}

fn default_width() -> u16 {
    80
}

impl Invocation {
    /// A call of a command with arguments, as from a pipe in `/`.
    #[must_use]
    pub fn new(command: &str, args: &[&str]) -> Self {
        Self {
            command: command.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            working_directory: PathBuf::from("/"),
            terminal_width: default_width(),
            stdout_is_terminal: false,
            stdin: false,
        }
    }
}

/// What a command method receives.
#[derive(Debug)]
pub struct CommandContext {
    host: Host,
    invocation: Invocation,
}

impl CommandContext {
    #[doc(hidden)]
    #[must_use]
    pub fn new(host: Host, invocation: Invocation) -> Self {
        Self { host, invocation }
    }

    /// The host's services.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.invocation.command
    }

    /// The arguments as they were typed.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.invocation.args
    }

    /// The caller's working directory.
    #[must_use]
    pub fn working_directory(&self) -> &Path {
        &self.invocation.working_directory
    }

    /// Columns of the caller's terminal.
    #[must_use]
    pub fn terminal_width(&self) -> u16 {
        self.invocation.terminal_width
    }

    /// Whether the caller's standard output is a terminal.
    #[must_use]
    pub fn stdout_is_terminal(&self) -> bool {
        self.invocation.stdout_is_terminal
    }

    /// The caller's standard output. Each write is sent as it is; wrap it in a [`std::io::BufWriter`] for many small ones.
    /// A slow reader slows the writer. A command that writes more than 1 GiB in one call, or than a lower limit of the user's
    /// policy, is ended.
    #[must_use]
    pub fn out(&self) -> Output<'_> {
        Output { host: &self.host, to_stderr: false }
    }

    /// The caller's standard error.
    #[must_use]
    pub fn err(&self) -> Output<'_> {
        Output { host: &self.host, to_stderr: true }
    }

    /// The caller's standard input, for a command declared with `stdin`; at its end at once otherwise.
    #[must_use]
    pub fn stdin(&self) -> Input<'_> {
        Input { host: &self.host, open: self.invocation.stdin }
    }
}

/// Writes to the caller's standard output or standard error.
#[derive(Debug)]
pub struct Output<'a> {
    host: &'a Host,
    to_stderr: bool,
}

/// The largest piece that crosses the border at once, in bytes.
const CHUNK: usize = 64 * 1024;

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(CHUNK)];
        if piece.is_empty() {
            return Ok(0);
        }
        let sent = if self.to_stderr { self.host.write_err(piece) } else { self.host.write_out(piece) };
        sent.map_err(to_io)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the caller's standard input.
#[derive(Debug)]
pub struct Input<'a> {
    host: &'a Host,
    open: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.open || buffer.is_empty() {
            return Ok(0);
        }
        let bytes = self.host.read_in(buffer.len().min(CHUNK)).map_err(to_io)?;
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        self.open = taken > 0;
        Ok(taken)
    }
}

fn to_io(error: PluginError) -> io::Error {
    io::Error::other(error)
}

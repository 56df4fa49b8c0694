//! What a call says besides its answer: where each kind of it goes, and how much of it there may be.

use super::attend::Watched;
use super::error::{Death, SandboxError};
use super::usage::length;
use super::worker::{CallLimits, HostSide, Stream};
use crate::controls::{Check, makes};

/// The bytes of one call so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    logged: u64,
    written: u64,
    strayed: u64,
}

impl Said {
    /// A log line; one too many ends the worker.
    pub(super) fn log(&mut self, watched: &Watched, limits: &CallLimits, side: &mut dyn HostSide, line: &[u8]) {
        self.logged += length(line.len());
        if self.logged > limits.log {
            watched.kill(Some(Death::Log(limits.log)));
        } else {
            side.log(line);
        }
    }

    /// A piece for one of the caller's streams. Only the command that runs has a caller: who claims one in a hook, or for a
    /// call that is over, printed, and is shown as the plugin that did.
    pub(super) fn output(
        &mut self,
        is_command: bool,
        (watched, limits): (&Watched, &CallLimits),
        side: &mut dyn HostSide,
        (stream, bytes): (Stream, &[u8]),
    ) -> Result<(), SandboxError> {
        if is_command || !makes(Check::Caller) {
            self.written += length(bytes.len());
            if self.written > limits.command_output && makes(Check::Output) {
                watched.kill(Some(Death::CommandOutput(limits.command_output)));
                return Ok(());
            }
            return watched.write(|| side.output(stream, bytes)).map_err(|error| {
                watched.kill(None);
                SandboxError::Output(error)
            });
        }
        self.strayed += length(bytes.len());
        if self.strayed > limits.output && makes(Check::Output) {
            watched.kill(Some(Death::Output(limits.output)));
        } else {
            side.stray(stream, bytes);
        }
        Ok(())
    }
}

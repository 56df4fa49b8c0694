//! Runs of programs: a worker for programs is asked once, and can ask for nothing.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use migraine_plugin_api::{ErrorKind, PluginError};

use super::attend::Watched;
use super::cgroup::Group;
use super::error::{Death, SandboxError};
use super::worker::{CallLimits, HostSide, Stream, Worker};
use crate::wire::{Kind, RanBody, RunBody};

/// A worker whose call something is done for.
#[derive(Clone)]
pub struct Caller(Arc<Watched>);

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

impl Caller {
    /// Ends the worker, which broke a limit.
    pub fn end(&self, death: Death) {
        self.0.kill(Some(death));
    }
}

impl Worker {
    /// A handle on this worker, for what is started in the course of its calls.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller(Arc::clone(&self.watched))
    }

    /// Runs a program to its end, in a worker for programs, which can do nothing more afterwards. What it prints goes where
    /// the worker's stray output goes. It does not outlive the worker on whose behalf it runs.
    ///
    /// # Errors
    /// A limit ended it, or the worker broke the protocol.
    pub fn run(&mut self, body: &RunBody, caller: &Caller, limits: &CallLimits) -> Result<RanBody, SandboxError> {
        let body = serde_json::to_vec(body).map_err(|error| SandboxError::Control(error.into()))?;
        self.watched.run_for(&caller.0);
        let ended = self.exchange((Kind::Run, 0), &body, b"", limits, &mut Nothing)?;
        if self.group.as_ref().is_some_and(Group::ran_out_of_memory) {
            // The kernel ends the largest of its processes: the program then says little of why it failed.
            self.watched.kill(Some(Death::Memory(self.rlimits.data)));
            return Err(self.died());
        }
        match ended {
            (Kind::Reply, body) => {
                // It ends by itself now, and is soon gone: what it used is known for sure once its end was reported.
                let _ = self.bury();
                serde_json::from_slice(&body).map_err(|error| self.broken(error.to_string()))
            }
            (kind, _) => Err(self.broken(format!("{kind:?} in answer to a run"))),
        }
    }
}

/// What a program may ask of the host.
struct Nothing;

impl HostSide for Nothing {
    fn output(&mut self, _: Stream, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn stray(&mut self, _: Stream, _: &[u8]) {}

    fn log(&mut self, _: &[u8]) {}

    fn service(&mut self, _: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(no_host())
    }

    fn descriptor(&mut self, _: &str, _: &[u8]) -> Result<OwnedFd, PluginError> {
        Err(no_host())
    }
}

fn no_host() -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "a program has no host to ask")
}

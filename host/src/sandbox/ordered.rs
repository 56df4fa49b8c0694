//! A worker that was asked for, and that somebody has yet to wait for.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use super::attend::StraySink;
use super::error::SandboxError;
use super::launcher::{Ends, Launcher};
use super::worker::Worker;
use crate::sys::fd::Identity;
use crate::wire::WorkerSpec;

/// A worker on its way. One that nobody waits for is ended. It is to be waited for, and told to load its code, only once
/// that was found to be what it should be: the worker holds whatever came to stand there.
pub struct Ordered {
    launcher: Arc<Launcher>,
    /// What was asked for, and what is left of it within this process's own limits.
    spec: (WorkerSpec, WorkerSpec),
    /// The file that it was given as its code.
    code: Identity,
    number: u32,
    ends: Option<Ends>,
}

impl std::fmt::Debug for Ordered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ordered").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Ordered {
    pub(super) fn new(
        launcher: Arc<Launcher>,
        spec: (WorkerSpec, WorkerSpec),
        code: Identity,
        (number, ends): (u32, Ends),
    ) -> Self {
        Self { launcher, spec, code, number, ends: Some(ends) }
    }

    /// Whether it is what an order of such a worker for this code from this launcher would come to.
    #[must_use]
    pub fn is_like(&self, launcher: &Arc<Launcher>, spec: &WorkerSpec, code: &OwnedFd) -> bool {
        let is_its_code = || Identity::of(code.as_fd()).is_ok_and(|code| code == self.code);
        Arc::ptr_eq(&self.launcher, launcher) && self.spec.0 == *spec && is_its_code()
    }

    /// Waits until the worker is sealed; what it prints for nobody goes to `sink`.
    ///
    /// # Errors
    /// The sandbox cannot be built, or the worker could not seal itself.
    pub fn wait(mut self, sink: StraySink) -> Result<Worker, SandboxError> {
        let gone = || SandboxError::LauncherGone("the order was given up".to_owned());
        let ends = self.ends.take().ok_or_else(gone)?;
        self.launcher.receive(&self.spec.1, self.number, ends, sink)
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take() {
            self.launcher.cancel(self.number);
            // After the process, which stood in its group.
            drop(ends);
        }
    }
}

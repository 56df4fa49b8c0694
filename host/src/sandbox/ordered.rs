//! A worker that was asked for, and that somebody has yet to wait for.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use super::attend::StraySink;
use super::error::SandboxError;
use super::launcher::Launcher;
use super::orders::Order;
use super::worker::Worker;
use crate::sys::fd::Identity;
use crate::wire::WorkerSpec;

/// A worker on its way. One that nobody waits for is ended. It is to be waited for, and told to load its code, only once
/// that was found to be what it should be: the worker holds whatever came to stand there.
pub struct Ordered {
    launcher: Arc<Launcher>,
    order: Option<Order>,
}

impl std::fmt::Debug for Ordered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.order.as_ref().map(|order| order.number);
        f.debug_struct("Ordered").field("number", &number).finish_non_exhaustive()
    }
}

impl Ordered {
    pub(super) fn new(launcher: Arc<Launcher>, order: Order) -> Self {
        Self { launcher, order: Some(order) }
    }

    /// Whether it is what an order of such a worker for this code from this launcher would come to.
    #[must_use]
    pub fn is_like(&self, launcher: &Arc<Launcher>, spec: &WorkerSpec, code: &OwnedFd) -> bool {
        let is_its_code = |order: &Order| Identity::of(code.as_fd()).is_ok_and(|code| code == order.code);
        Arc::ptr_eq(&self.launcher, launcher)
            && self.order.as_ref().is_some_and(|order| order.asked == *spec && is_its_code(order))
    }

    /// Waits until the worker is sealed; what it prints for nobody goes to `sink`.
    ///
    /// # Errors
    /// The sandbox cannot be built, or the worker could not seal itself.
    pub fn wait(mut self, sink: StraySink) -> Result<Worker, SandboxError> {
        let gone = || SandboxError::LauncherGone("the order was given up".to_owned());
        self.launcher.receive(self.order.take().ok_or_else(gone)?, sink)
    }
}

impl Drop for Ordered {
    fn drop(&mut self) {
        if let Some(order) = self.order.take() {
            self.launcher.cancel(order.number);
            // After the process, which stood in its group.
            drop(order);
        }
    }
}

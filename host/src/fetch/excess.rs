//! Notices what a server sends after the end of the file that it announced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Stands last in the chain that makes connections, where bytes are those of HTTP.
#[derive(Debug)]
pub(super) struct Watching {
    /// The connection to the server, not one to a proxy.
    pub(super) server: Uri,
    /// Set when the connection is closed, if there were bytes that nobody had asked for.
    pub(super) is_excess: Arc<AtomicBool>,
}

impl<In: Transport> Connector<In> for Watching {
    type Out = Watched<In>;

    fn connect(&self, details: &ConnectionDetails<'_>, inner: Option<In>) -> Result<Option<Watched<In>>, ureq::Error> {
        let is_excess = (*details.uri == self.server).then(|| self.is_excess.clone());
        Ok(inner.map(|inner| Watched { inner, is_excess }))
    }
}

#[derive(Debug)]
pub(super) struct Watched<T: Transport> {
    inner: T,
    is_excess: Option<Arc<AtomicBool>>,
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T: Transport> Drop for Watched<T> {
    fn drop(&mut self) {
        if let Some(is_excess) = &self.is_excess
            && !self.inner.buffers().input().is_empty()
        {
            is_excess.store(true, Ordering::SeqCst);
        }
    }
}

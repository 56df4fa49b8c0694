//! A host for workers that have nothing to ask for.

use std::io;
use std::os::fd::OwnedFd;

use migraine_plugin_api::{ErrorKind, PluginError};

use super::worker::{HostSide, Stream};

/// Serves nothing, and keeps what a command writes to standard output.
#[derive(Debug, Default)]
pub struct BareHost(pub Vec<u8>);

impl HostSide for BareHost {
    fn output(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        if stream == Stream::Out {
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn stray(&mut self, _: Stream, _: &[u8]) {}

    fn log(&mut self, _: &[u8]) {}

    fn service(&mut self, _: &str, _: &[u8]) -> Result<Vec<u8>, PluginError> {
        Err(unserved())
    }

    fn descriptor(&mut self, _: &str, _: &[u8]) -> Result<OwnedFd, PluginError> {
        Err(unserved())
    }
}

fn unserved() -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "nothing is served here")
}

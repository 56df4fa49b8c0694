//! `docker-logs`: what a container printed, each of its two streams on the caller's own.

use std::io::Write as _;
use std::pin::pin;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;
use migraine_plugin_api::{CommandContext, PluginError};

use crate::arguments::ContainerName;
use crate::errors::lift;
use crate::transport::Daemon;

/// What was asked for.
pub(crate) struct Logs {
    pub(crate) container: ContainerName,
    pub(crate) follow: bool,
    pub(crate) tail: Option<u32>,
}

impl Logs {
    /// Copies the log.
    ///
    /// # Errors
    /// The daemon does not answer, there is no such container, or nobody reads the output.
    pub(crate) fn run(&self, ctx: &CommandContext) -> Result<(), PluginError> {
        let tail = self.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::default().follow(self.follow).stdout(true).stderr(true).tail(&tail).build();
        let (mut out, mut err) = (ctx.out(), ctx.err());
        Daemon::open(ctx.host())?.run(async |docker| {
            let mut pieces = pin!(docker.logs(self.container.as_str(), Some(options)));
            while let Some(piece) = pieces.next().await {
                let piece =
                    piece.map_err(|error| lift(&format!("cannot read the log of {}", self.container), error))?;
                match &piece {
                    LogOutput::StdErr { message } => err.write_all(message)?,
                    // A container with a terminal has one stream.
                    LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message } => {
                        out.write_all(message)?;
                    }
                }
            }
            Ok(())
        })
    }
}

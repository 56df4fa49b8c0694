//! `docker-build-image`: an image from a granted directory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::thread;

use bollard::models::BuildInfo;
use bollard::query_parameters::BuildImageOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use migraine_plugin_api::{CommandContext, PluginError};
use tokio::sync::mpsc::{Sender, channel};

use crate::arguments::ImageName;
use crate::context::BuildContext;
use crate::errors::lift;
use crate::grants::absolute;
use crate::transport::Daemon;

/// The size of a piece of the archive, in bytes, and how many may wait for the daemon: the archive is never whole in
/// memory.
const PIECE: usize = 64 * 1024;
const WAITING: usize = 4;

/// What was asked for.
pub(crate) struct Build {
    pub(crate) file: Option<PathBuf>,
    pub(crate) tag: ImageName,
    pub(crate) context: Option<PathBuf>,
}

impl Build {
    /// Sends the context and shows what the daemon says.
    ///
    /// # Errors
    /// A directory is not granted, the context cannot be read, or the daemon cannot build it.
    pub(crate) fn run(&self, ctx: &CommandContext) -> Result<(), PluginError> {
        let caller = ctx.working_directory();
        let directory = absolute(caller, self.context.as_deref().unwrap_or(caller));
        let file = self.file.as_ref().map_or_else(|| directory.join("Dockerfile"), |file| absolute(caller, file));
        let context = BuildContext::open(ctx.host(), directory, &file)?;
        let daemon = Daemon::open(ctx.host())?;
        let options = BuildImageOptionsBuilder::default()
            .dockerfile(context.dockerfile())
            .t(self.tag.as_str())
            .rm(true)
            .forcerm(true)
            .build();
        let (send, mut receive) = channel(WAITING);
        let archiver = thread::Builder::new().spawn(move || archive(&context, &send))?;
        let body = bollard::body_try_stream(poll_fn(move |task| receive.poll_recv(task)));
        let mut out = ctx.out();
        let built = daemon.run(async |docker| {
            let mut steps = pin!(docker.build_image(options, None, Some(body)));
            while let Some(step) = steps.next().await {
                show(&mut out, &step.map_err(|error| lift(&format!("cannot build {}", self.tag), error))?)?;
            }
            Ok::<_, PluginError>(())
        });
        // The client is gone and with it the receiver, so the archiver ends even where the daemon did not want it all.
        let archived = archiver.join().map_err(|_| PluginError::failed("the context's reader panicked"))?;
        match archived {
            Ok(skipped) => {
                for path in skipped {
                    writeln!(ctx.err(), "docker-manager: {} is left out: no file, directory or link", path.display())?;
                }
                built
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => built,
            Err(error) => Err(PluginError::failed(format!("cannot send the context: {error}"))),
        }
    }
}

/// Writes the archive, on a thread of its own: reading files and compressing nothing, it waits for the daemon most of the
/// time. Gives the paths that were left out.
fn archive(context: &BuildContext, send: &Sender<io::Result<Bytes>>) -> io::Result<Vec<PathBuf>> {
    let mut pieces = io::BufWriter::with_capacity(PIECE, Pieces(send));
    let written = context.write(&mut pieces).and_then(|skipped| pieces.flush().map(|()| skipped));
    if let Err(error) = &written {
        // Without this the daemon would build from the half that it has.
        let _ = send.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
    }
    written
}

struct Pieces<'a>(&'a Sender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the daemon says while it builds; layers of a base image that it pulls have an id and a state.
fn show(out: &mut impl Write, step: &BuildInfo) -> io::Result<()> {
    if let Some(text) = &step.stream {
        out.write_all(text.as_bytes())?;
    }
    match (&step.status, &step.id) {
        // A moving bar would be a line for each of its steps.
        (Some(_), _) if step.progress_detail.as_ref().is_some_and(|detail| detail.current.is_some()) => Ok(()),
        (Some(status), Some(id)) => writeln!(out, "{id}: {status}"),
        (Some(status), None) => writeln!(out, "{status}"),
        (None, _) => Ok(()),
    }
}

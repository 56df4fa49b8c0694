//! Passes a command's output on as it comes and captures it, without losing any and without waiting for ever.
//!
//! A background child can hold the pipes long after the command has ended. What the command itself wrote is in the
//! pipes then, so at most one pipe's capacity is still read. The rest is passed on, unseen, until the run ends: closing
//! the pipe at once would kill a server that a step started and a later step needs.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::thread::{self, Builder, JoinHandle};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::window::{Closing, Window};
use crate::secrets::{Cutter, Secrets};

/// How much is read at once, in bytes; a pipe's usual capacity.
pub(super) const PIECE_MAX: usize = 64 << 10;
/// How much of a command's output is kept, in bytes; beyond it the first and the last half of that.
const CAPTURE_MAX: usize = 1 << 20;

/// Some output of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
    /// What was written.
    pub(super) bytes: &'a [u8],
}

/// The captured output of both streams, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    size: u64,
}

impl Capture {
    /// Adds output.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let room = (CAPTURE_MAX / 2).saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        self.tail.drain(..self.tail.len().saturating_sub(CAPTURE_MAX / 2));
    }

    /// The true size, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// What was kept; a line in the middle says how much was left out. No secret is cut in two by it: its parts could not
    /// be masked.
    pub(super) fn bytes(&self, secrets: &Secrets) -> Vec<u8> {
        let (front, back) = self.tail.as_slices();
        let (head, tail) = (self.head.as_slice(), [front, back].concat());
        let kept = u64::try_from(head.len() + tail.len()).unwrap_or(u64::MAX);
        if self.size <= kept {
            return [head, &tail].concat();
        }
        let (head, tail) = (&head[..secrets.safe_end(head)], &tail[secrets.safe_start(&tail)..]);
        let kept = u64::try_from(head.len() + tail.len()).unwrap_or(u64::MAX);
        let marker = format!("\n[... {} bytes left out ...]\n", self.size - kept);
        [head, marker.as_bytes(), tail].concat()
    }
}

/// The pieces of both streams, cut anew where a secret would lie across two of them.
pub(super) struct Cut<'a> {
    secrets: &'a Secrets,
    streams: [(&'static str, Cutter); 2],
}

impl<'a> Cut<'a> {
    pub(super) fn new(secrets: &'a Secrets) -> Self {
        Self { secrets, streams: [("stdout", Cutter::default()), ("stderr", Cutter::default())] }
    }

    /// Takes a piece as it came. Without secrets it goes on as it is.
    pub(super) fn pass(&mut self, piece: Piece<'_>, see: &mut dyn FnMut(Piece<'_>)) {
        match self.streams.iter_mut().find(|(stream, _)| *stream == piece.stream) {
            Some((stream, cutter)) if !self.secrets.is_empty() => {
                show(stream, &cutter.push(self.secrets, piece.bytes), see);
            }
            _ => see(piece),
        }
    }

    /// Gives what is left at the end of the command.
    pub(super) fn finish(mut self, see: &mut dyn FnMut(Piece<'_>)) {
        for (stream, cutter) in &mut self.streams {
            show(stream, &cutter.finish(), see);
        }
    }
}

fn show(stream: &'static str, bytes: &[u8], see: &mut dyn FnMut(Piece<'_>)) {
    if !bytes.is_empty() {
        see(Piece { stream, bytes });
    }
}

struct Source {
    stream: &'static str,
    pipe: File,
    sink: File,
}

enum Reading {
    Open(usize),
    Closed,
}

impl Source {
    /// Reads once, at most `limit` bytes, and passes it on. A sink that takes no more closes the pipe: the command then
    /// gets SIGPIPE, as it would have without us in between.
    fn forward(&mut self, limit: usize, buffer: &mut [u8], see: &mut dyn FnMut(Piece<'_>)) -> Reading {
        let end = limit.min(buffer.len());
        match self.pipe.read(&mut buffer[..end]) {
            Ok(0) => Reading::Closed,
            Ok(size) => {
                let bytes = &buffer[..size];
                let passed_on = write_all(&mut self.sink, bytes);
                see(Piece { stream: self.stream, bytes });
                if passed_on.is_ok() { Reading::Open(size) } else { Reading::Closed }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                Reading::Open(0)
            }
            Err(_) => Reading::Closed,
        }
    }
}

/// Another program may have made the terminal non-blocking; losing output for that is no answer.
fn write_all(sink: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(size) => bytes = &bytes[size..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready(&[sink.as_fd()], PollFlags::POLLOUT, PollTimeout::NONE)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until something can be done with one of the descriptors, and says with which.
fn ready(fds: &[BorrowedFd<'_>], flags: PollFlags, timeout: PollTimeout) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|&fd| PollFd::new(fd, flags)).collect();
    match poll(&mut polled, timeout) {
        Ok(_) => Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect()),
        Err(Errno::EINTR) => Ok(vec![false; fds.len()]),
        Err(errno) => Err(errno.into()),
    }
}

/// Serves the pipes of a child until it has ended. What it writes is passed on at once, and seen by `see`, on the calling
/// thread, as soon as that has time.
pub(super) fn tee(
    mut child: Child,
    sinks: (OwnedFd, OwnedFd),
    leftovers: &mut Leftovers,
    see: &mut dyn FnMut(Piece<'_>),
) -> io::Result<ExitStatus> {
    let (ended, tell_end) = io::pipe()?;
    let mut sources = Vec::with_capacity(2);
    let pipe = child.stdout.take().map(|pipe| (("stdout", OwnedFd::from(pipe)), sinks.0));
    let error_pipe = child.stderr.take().map(|pipe| (("stderr", OwnedFd::from(pipe)), sinks.1));
    for ((stream, pipe), sink) in pipe.into_iter().chain(error_pipe) {
        sources.push(Source { stream, pipe: File::from(pipe), sink: File::from(sink) });
    }
    let window = &Window::default();
    let awaited = &mut child;
    let outcome = thread::scope(|scope| {
        let server = Builder::new().spawn_scoped(scope, move || {
            let _closing = Closing(window);
            let served = serve(&mut sources, &ended, &mut |piece| window.push(piece));
            // Where it failed the pipes are closed: nobody reads them, and a full one would keep the command for ever.
            served.map(|()| sources)
        })?;
        let waiter = Builder::new().spawn_scoped(scope, move || {
            let status = awaited.wait();
            drop(tell_end);
            status
        })?;
        let closing = Closing(window);
        while let Some((stream, bytes)) = window.pop() {
            see(Piece { stream, bytes: &bytes });
        }
        drop(closing);
        let served = server.join().expect("passing output on does not panic");
        let status = waiter.join().expect("waiting for a child does not panic")?;
        for source in served? {
            leftovers.take(source);
        }
        Ok(status)
    });
    if outcome.is_err() {
        // Nobody serves it, so it must not go on; one that has ended is not touched.
        let _ = child.kill();
        let _ = child.wait();
    }
    outcome
}

fn serve(sources: &mut Vec<Source>, ended: &PipeReader, see: &mut dyn FnMut(Piece<'_>)) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_MAX];
    loop {
        let mut fds: Vec<BorrowedFd<'_>> = sources.iter().map(|source| source.pipe.as_fd()).collect();
        fds.push(ended.as_fd());
        let readable = ready(&fds, PollFlags::POLLIN, PollTimeout::NONE)?;
        let has_ended = readable.last().copied().unwrap_or(false);
        let mut at = readable.iter();
        sources.retain_mut(|source| {
            let reads = at.next().copied().unwrap_or(false);
            !reads || matches!(source.forward(PIECE_MAX, &mut buffer, see), Reading::Open(_))
        });
        if has_ended {
            return drain(sources, &mut buffer, see);
        }
    }
}

/// Reads what was in the pipes when the command ended, and no more: whoever still writes is somebody else.
fn drain(sources: &mut Vec<Source>, buffer: &mut [u8], see: &mut dyn FnMut(Piece<'_>)) -> io::Result<()> {
    let mut failure = None;
    sources.retain_mut(|source| {
        let capacity = fcntl(&source.pipe, FcntlArg::F_GETPIPE_SZ).ok().and_then(|size| usize::try_from(size).ok());
        let mut left = capacity.unwrap_or(PIECE_MAX);
        while left > 0 {
            match ready(&[source.pipe.as_fd()], PollFlags::POLLIN, PollTimeout::ZERO) {
                Ok(readable) if readable == [true] => {}
                Ok(_) => break,
                Err(error) => {
                    failure = Some(error);
                    return false;
                }
            }
            match source.forward(left, buffer, see) {
                Reading::Open(size) => left -= size.min(left),
                Reading::Closed => return false,
            }
        }
        true
    });
    failure.map_or(Ok(()), Err)
}

/// Pipes that background children still hold: passed on until this is dropped at the end of the run.
#[derive(Debug)]
pub(super) struct Leftovers {
    over: PipeReader,
    tell_over: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

impl Leftovers {
    pub(super) fn new() -> io::Result<Self> {
        let (over, tell_over) = io::pipe()?;
        Ok(Self { over, tell_over: Some(tell_over), threads: Vec::new() })
    }

    fn take(&mut self, mut source: Source) {
        // Without a descriptor to spare the pipe is closed, which is what its holder expects of a program that ends.
        let Ok(over) = self.over.try_clone() else { return };
        // Without a thread to spare neither.
        let copied = Builder::new().spawn(move || {
            let mut buffer = vec![0; PIECE_MAX];
            loop {
                let fds = [source.pipe.as_fd(), over.as_fd()];
                let Ok(readable) = ready(&fds, PollFlags::POLLIN, PollTimeout::NONE) else { return };
                if readable[1] {
                    return;
                }
                if readable[0] && matches!(source.forward(PIECE_MAX, &mut buffer, &mut |_| {}), Reading::Closed) {
                    return;
                }
            }
        });
        self.threads.extend(copied);
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        drop(self.tell_over.take());
        for thread in self.threads.drain(..) {
            // A panic in there is a lost copy of somebody's late output, nothing to end the run for.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

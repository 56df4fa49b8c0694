//! Frames: a fixed header, a body and a raw segment. One small frame is one write and one read.

use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;

use crate::controls::{Check, makes};

/// The largest body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// The largest raw segment, in bytes: the output cap of an event and its marker.
pub const RAW_MAX: usize = 1024 * 1024 + 4096;

const HEADER_LEN: usize = 16;
/// Frames up to this size are copied together and written at once; larger ones are gathered by the kernel.
const COPY_MAX: usize = 16 * 1024;
/// A reader's first buffer. A new worker pays for each page of it.
const FIRST_BUFFER: usize = 4 * 1024;
/// How much is read at once where more than the first buffer holds is waiting.
const READ_AHEAD: usize = 64 * 1024;

macro_rules! kinds {
    ($($variant:ident = $number:literal $meaning:literal;)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $(#[doc = $meaning] $variant,)* }

        impl Kind {
            fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

kinds! {
    Load = 1 "To the worker: load the library; the body is a `LoadBody`.";
    Hook = 2 "To the worker: an event; the body is the context, the raw segment the output.";
    Command = 3 "To the worker: a command; the body is the invocation.";
    Shutdown = 4 "To the worker: end.";
    Answer = 5 "To the worker: a host service answered.";
    Refusal = 6 "To the worker: a host service refused; the body is a `PluginError`.";
    Echo = 7 "To the worker: answer with the same body; measures the transport alone.";
    Provoke = 8 "To the worker: make a system call that no plugin may make; only one that has loaded nothing does.";
    Run = 9 "To a worker for programs: run one; the body is a `RunBody`, that of the reply a `RanBody`.";
    Sealed = 16 "From the worker: all layers are on; the body is a `SealReport`.";
    Loaded = 17 "From the worker: the plugin object exists; the body is a `LoadedBody`.";
    LoadFailed = 18 "From the worker: it does not; the body is a `LoadFailure`.";
    Reply = 19 "From the worker: the call's answer.";
    Failed = 20 "From the worker: the call's failure; the body is a `PluginError`.";
    Service = 21 "From the worker: a host service is called; `extra` is the length of its name at the body's start.";
    Out = 22 "From the worker: output of a command.";
    Err = 23 "From the worker: error output of a command.";
    Log = 24 "From the worker: a log line.";
    Oversized = 25 "From the worker: the answer is above the cap and was not sent; the body says how large it is.";
    Descriptor = 26 "From the worker: as `Service`, but the answer is a descriptor, sent over the worker's socket before it.";
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// The call it belongs to.
    pub call: u32,
    /// A number that some kinds use.
    pub extra: u16,
}

impl Header {
    /// A header without the extra number.
    #[must_use]
    pub fn new(kind: Kind, call: u32) -> Self {
        Self { kind, call, extra: 0 }
    }
}

/// A frame in the reader's buffer.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Its fixed part.
    pub header: Header,
    /// The body, at most [`BODY_MAX`] bytes.
    pub body: &'a [u8],
    /// The raw segment, at most [`RAW_MAX`] bytes.
    pub raw: &'a [u8],
}

/// A frame that took its reader's buffer along, so that its parts are never copied.
#[derive(Debug)]
pub struct OwnedFrame {
    /// Its fixed part.
    pub header: Header,
    buffer: Vec<u8>,
    body: Range<usize>,
    raw: Range<usize>,
}

impl OwnedFrame {
    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    /// The raw segment.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.buffer[self.raw.clone()]
    }

    /// The buffer, for the next frame.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side closed the pipe between two frames.
    #[error("the other side closed the channel")]
    Closed,
    /// The other side closed the pipe inside a frame.
    #[error("the channel ended in the middle of a message")]
    Cut,
    /// A tag that this program does not know.
    #[error("unknown message tag {0}")]
    UnknownKind(u16),
    /// A size above its cap.
    #[error("a message announces {size} bytes of {part}, the limit is {limit}")]
    TooLarge {
        /// `body` or `raw segment`.
        part: &'static str,
        /// What was announced.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The operating system refused.
    #[error("cannot use the channel: {0}")]
    Io(#[from] io::Error),
}

/// Reads frames, keeping what was read ahead.
#[derive(Debug)]
pub struct FrameReader<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> FrameReader<R> {
    /// A reader over a source.
    pub fn new(source: R) -> Self {
        Self { source, buffer: vec![0; FIRST_BUFFER], start: 0, end: 0 }
    }

    /// The next frame; blocks until it is whole.
    ///
    /// # Errors
    /// The channel ended or failed, or the frame is not one that the protocol allows; nothing is allocated for it then.
    pub fn next_frame(&mut self) -> Result<Frame<'_>, WireError> {
        self.fill(HEADER_LEN)?;
        let head = &self.buffer[self.start..self.start + HEADER_LEN];
        let kind_number = u16::from_le_bytes([head[0], head[1]]);
        let extra = u16::from_le_bytes([head[2], head[3]]);
        let call = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let body = size(&head[8..12], "body", BODY_MAX)?;
        let raw = size(&head[12..16], "raw segment", RAW_MAX)?;
        let kind = Kind::from_number(kind_number).ok_or(WireError::UnknownKind(kind_number))?;
        self.fill(HEADER_LEN + body + raw)?;
        let at = self.start + HEADER_LEN;
        self.start = at + body + raw;
        Ok(Frame {
            header: Header { kind, call, extra },
            body: &self.buffer[at..at + body],
            raw: &self.buffer[at + body..at + body + raw],
        })
    }

    /// As [`FrameReader::next_frame`], but hands out the whole buffer and goes on with `spare`.
    ///
    /// # Errors
    /// As [`FrameReader::next_frame`].
    pub fn next_owned(&mut self, mut spare: Vec<u8>) -> Result<OwnedFrame, WireError> {
        let frame = self.next_frame()?;
        let (header, body, raw) = (frame.header, frame.body.len(), frame.raw.len());
        let rest = self.start..self.end;
        let at = self.start - body - raw;
        let length = spare.len().max(self.buffer.len().min(READ_AHEAD)).max(rest.len());
        spare.resize(length, 0);
        spare[..rest.len()].copy_from_slice(&self.buffer[rest.clone()]);
        (self.start, self.end) = (0, rest.len());
        let buffer = std::mem::replace(&mut self.buffer, spare);
        Ok(OwnedFrame { header, buffer, body: at..at + body, raw: at + body..at + body + raw })
    }

    /// Reads until `wanted` bytes stand in the buffer.
    fn fill(&mut self, wanted: usize) -> Result<(), WireError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end - self.start >= wanted {
            return Ok(());
        }
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if wanted > self.buffer.len() {
                self.buffer.resize(wanted, 0);
            }
        }
        while self.end - self.start < wanted {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) if self.end == self.start => return Err(WireError::Closed),
                Ok(0) => return Err(WireError::Cut),
                Ok(count) => {
                    self.end += count;
                    if self.end == self.buffer.len() && self.end < READ_AHEAD {
                        self.buffer.resize(READ_AHEAD, 0);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn size(bytes: &[u8], part: &'static str, limit: usize) -> Result<usize, WireError> {
    let size = usize::try_from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).unwrap_or(usize::MAX);
    let is_too_large = size > limit && makes(Check::FrameSize);
    if is_too_large { Err(WireError::TooLarge { part, size, limit }) } else { Ok(size) }
}

/// Writes one frame.
///
/// # Errors
/// A part is above its cap (nothing was written then), or the channel failed.
pub fn write_frame(target: &mut impl Write, header: Header, body: &[u8], raw: &[u8]) -> Result<(), WireError> {
    let head = encode(header, body.len(), raw.len())?;
    let total = HEADER_LEN + body.len() + raw.len();
    if total <= COPY_MAX {
        let mut whole = Vec::with_capacity(total);
        whole.extend_from_slice(&head);
        whole.extend_from_slice(body);
        whole.extend_from_slice(raw);
        target.write_all(&whole)?;
        return Ok(());
    }
    let mut parts = [IoSlice::new(&head), IoSlice::new(body), IoSlice::new(raw)];
    let mut left = &mut parts[..];
    while !left.is_empty() {
        match target.write_vectored(left) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn encode(header: Header, body: usize, raw: usize) -> Result<[u8; HEADER_LEN], WireError> {
    let checked = |part, size, limit| match u32::try_from(size) {
        Ok(number) if size <= limit => Ok(number),
        _ => Err(WireError::TooLarge { part, size, limit }),
    };
    let mut head = [0; HEADER_LEN];
    head[0..2].copy_from_slice(&header.kind.number().to_le_bytes());
    head[2..4].copy_from_slice(&header.extra.to_le_bytes());
    head[4..8].copy_from_slice(&header.call.to_le_bytes());
    head[8..12].copy_from_slice(&checked("body", body, BODY_MAX)?.to_le_bytes());
    head[12..16].copy_from_slice(&checked("raw segment", raw, RAW_MAX)?.to_le_bytes());
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time: a frame may be cut anywhere.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((&first, rest)) = self.0.split_first() else { return Ok(0) };
            buffer[0] = first;
            self.0 = rest;
            Ok(1)
        }
    }

    fn written(parts: &[(Kind, &[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (call, (kind, body, raw)) in (1..).zip(parts) {
            write_frame(&mut bytes, Header { kind: *kind, call, extra: 7 }, body, raw).unwrap();
        }
        bytes
    }

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        let large = vec![b'x'; 300_000];
        let bytes = written(&[(Kind::Hook, b"{}", &large), (Kind::Reply, b"", b""), (Kind::Out, b"out", b"")]);
        let whole = FrameReader::new(&bytes[..]);
        let dripped = FrameReader::new(Drip(&bytes));
        check(whole, &large);
        check(dripped, &large);
    }

    #[test]
    fn an_owned_frame_leaves_what_follows_it() {
        let bytes = written(&[(Kind::Hook, b"{}", b"raw"), (Kind::Reply, b"next", b"")]);
        let mut reader = FrameReader::new(&bytes[..]);
        let first = reader.next_owned(Vec::new()).unwrap();
        assert_eq!((first.body(), first.raw()), (&b"{}"[..], &b"raw"[..]));
        let second = reader.next_owned(first.into_buffer()).unwrap();
        assert_eq!((second.header.kind, second.body()), (Kind::Reply, &b"next"[..]));
        assert!(matches!(reader.next_owned(second.into_buffer()), Err(WireError::Closed)));
    }

    fn check(mut reader: FrameReader<impl Read>, large: &[u8]) {
        let frame = reader.next_frame().unwrap();
        assert_eq!((frame.header.kind, frame.header.call, frame.header.extra), (Kind::Hook, 1, 7));
        assert_eq!((frame.body, frame.raw), (&b"{}"[..], large));
        assert_eq!(reader.next_frame().unwrap().header.call, 2);
        assert_eq!(reader.next_frame().unwrap().body, b"out");
        assert!(matches!(reader.next_frame(), Err(WireError::Closed)));
    }

    // A81, A82: sizes above the cap are refused before anything is allocated; half a header is an error.
    #[test]
    fn hostile_headers_are_refused() {
        let good = written(&[(Kind::Reply, b"body", b"")]);
        for (at, bytes) in [(8, [0xff; 4]), (12, [0xff; 4]), (8, 0x0010_0001_u32.to_le_bytes())] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&bytes);
            let mut reader = FrameReader::new(&bad[..]);
            assert!(matches!(reader.next_frame(), Err(WireError::TooLarge { .. })));
            assert_eq!(reader.buffer.len(), FIRST_BUFFER);
        }
        let mut unknown = good.clone();
        unknown[0..2].copy_from_slice(&999_u16.to_le_bytes());
        assert!(matches!(FrameReader::new(&unknown[..]).next_frame(), Err(WireError::UnknownKind(999))));
        for cut in 1..good.len() {
            assert!(matches!(FrameReader::new(&good[..cut]).next_frame(), Err(WireError::Cut)), "{cut}");
        }
        assert!(write_frame(&mut Vec::new(), Header::new(Kind::Out, 0), &vec![0; BODY_MAX + 1], b"").is_err());
    }
}

//! Waiting for a transfer: pieces are put together, kept for the next time where that makes sense, and shown.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::transfer::{Event, Head, Order, start};
use super::{FetchError, Settings, Wanted};
use crate::url::{FileVersion, Url};

/// How often a signal is looked for.
const TICK: Duration = Duration::from_millis(50);

/// What a download came to.
#[derive(Debug)]
pub enum Fetched {
    /// The file.
    File {
        /// All of it.
        bytes: Vec<u8>,
        /// Where it came from in the end.
        from: Url,
        /// Which version it is.
        version: FileVersion,
        /// Whether the server calls it a page for people to read.
        is_page: bool,
    },
    /// The server has the version that is there already.
    Known,
}

/// A part of a file that is there from an earlier download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The version, which is the same as long as this is; only a strong tag says that.
    pub etag: String,
    /// The bytes that are there.
    pub size: u64,
    /// The bytes of the whole.
    pub total: u64,
}

/// Keeps what came, for the next download of the same file. Best effort: what cannot be kept is fetched again.
pub trait Part {
    /// What is there.
    fn begun(&self) -> Option<Begun>;
    /// The bytes that are there.
    fn bytes(&mut self) -> Vec<u8>;
    /// A new version comes, from its first byte on.
    fn begin(&mut self, etag: &str, total: u64);
    /// A piece came.
    fn add(&mut self, piece: &[u8]);
    /// Nothing of it is needed any more.
    fn discard(&mut self);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unkept;

impl Part for Unkept {
    fn begun(&self) -> Option<Begun> {
        None
    }

    fn bytes(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn begin(&mut self, _etag: &str, _total: u64) {}
    fn add(&mut self, _piece: &[u8]) {}
    fn discard(&mut self) {}
}

/// Is told how a download goes on.
pub trait Watch {
    /// A server is asked.
    fn starts(&mut self);
    /// The server leads to another place.
    fn moved(&mut self, to: &Url);
    /// The file begins to come: its bytes, if they are known, and those that are there.
    fn begun(&mut self, url: &Url, total: Option<u64>, there: u64);
    /// So many bytes are there.
    fn there(&mut self, bytes: u64);
    /// Nothing more comes, for better or worse.
    fn ended(&mut self);
}

/// Fetches a file.
///
/// # Errors
/// The server is not reached or does not prove who it is, leads to a place that is not encrypted, sends something else than
/// it announced or more than was allowed, takes too long, or a signal came.
pub fn get(
    wanted: &Wanted,
    settings: &Settings,
    part: &mut dyn Part,
    watch: &mut dyn Watch,
) -> Result<Fetched, FetchError> {
    watch.starts();
    let until = Instant::now() + settings.deadline;
    let begun = part.begun().filter(|begun| begun.size < begun.total && begun.total <= wanted.most);
    let order = |begun| Order { wanted: wanted.clone(), settings: settings.clone(), begun, until };
    let mut download = Download { wanted, settings, until, part, watch };
    let first = download.run(&start(order(begun.clone())));
    let again = match &first {
        // The part that is there belongs to nothing that the server has, or not to what it has now.
        Err(FetchError::Status { status: 416 | 412, .. } | FetchError::Size { .. }) => begun.is_some(),
        _ => false,
    };
    if again {
        download.part.discard();
    }
    let fetched = if again { download.run(&start(order(None))) } else { first };
    // One that came too late to end the download would be lost.
    let is_interrupted = settings.interrupted.is_some_and(|flag| flag.load(Ordering::SeqCst));
    download.watch.ended();
    if fetched.is_ok() && is_interrupted {
        return Err(FetchError::Interrupted { url: wanted.url.clone(), is_kept: false });
    }
    fetched
}

struct Download<'a> {
    wanted: &'a Wanted,
    settings: &'a Settings,
    until: Instant,
    part: &'a mut dyn Part,
    watch: &'a mut dyn Watch,
}

impl Download<'_> {
    fn run(&mut self, events: &Receiver<Event>) -> Result<Fetched, FetchError> {
        let mut url = self.wanted.url.clone();
        let head = loop {
            match self.next(events, &url, false)? {
                Event::Moved(to) => {
                    self.watch.moved(&to);
                    url = to;
                }
                Event::Head(head) => break head,
                Event::End(end) => return Err(end.err().unwrap_or_else(|| broke_off(&url))),
                Event::Piece(_) => {}
            }
        };
        if head.is_known {
            return Ok(Fetched::Known);
        }
        let (mut bytes, is_kept) = self.begin(&url, &head)?;
        loop {
            match self.next(events, &url, is_kept)? {
                Event::Piece(piece) => {
                    if is_kept {
                        self.part.add(&piece);
                    }
                    bytes.extend(piece);
                    self.watch.there(size(&bytes));
                }
                Event::End(end) => {
                    if !end.as_ref().is_err_and(may_go_on) {
                        self.part.discard();
                    }
                    end?;
                    return Ok(Fetched::File { bytes, from: url, version: head.version, is_page: head.is_page });
                }
                Event::Moved(_) | Event::Head(_) => {}
            }
        }
    }

    /// What is there before the first piece, and whether pieces are kept.
    fn begin(&mut self, url: &Url, head: &Head) -> Result<(Vec<u8>, bool), FetchError> {
        let mut bytes = Vec::new();
        let strong = head.version.etag.as_deref().filter(|etag| etag.starts_with('"'));
        let is_kept = match (strong, head.total) {
            _ if head.from > 0 => {
                bytes = self.part.bytes();
                if size(&bytes) != head.from {
                    let why = "what was kept of it is not there any more".to_owned();
                    return Err(FetchError::Size { url: url.clone(), why });
                }
                true
            }
            (Some(etag), Some(total)) if head.is_divisible => {
                self.part.begin(etag, total);
                true
            }
            _ => {
                self.part.discard();
                false
            }
        };
        self.watch.begun(url, head.total, size(&bytes));
        Ok((bytes, is_kept))
    }

    fn next(&self, events: &Receiver<Event>, url: &Url, is_kept: bool) -> Result<Event, FetchError> {
        loop {
            if self.settings.interrupted.is_some_and(|flag| flag.load(Ordering::SeqCst)) {
                // Whoever keeps nothing was told to begin all the same.
                let is_kept = is_kept && self.part.begun().is_some();
                return Err(FetchError::Interrupted { url: url.clone(), is_kept });
            }
            match events.recv_timeout(TICK) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(broke_off(url)),
                // The transfer has the same deadline; a lookup of a name may not keep it.
                Err(RecvTimeoutError::Timeout) if Instant::now() > self.until + self.settings.idle => {
                    return Err(FetchError::Deadline { url: url.clone(), limit: self.settings.deadline });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Whether the next download may go on where this one ended.
fn may_go_on(error: &FetchError) -> bool {
    use FetchError::{Deadline, Failed, Idle, Short};
    matches!(error, Deadline { .. } | Failed { .. } | Idle { .. } | Short { .. })
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn broke_off(url: &Url) -> FetchError {
    FetchError::Failed { url: url.clone(), why: "the download ended without a word".to_owned() }
}

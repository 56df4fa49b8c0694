//! The transfer itself, in a thread of its own: whoever waits for it can stop waiting, even while a name is looked up.

use std::io::{self, Read as _};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use base64::Engine as _;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Body, Timeout};

use super::agent::{Connection, connection};
use super::get::Begun;
use super::{FetchError, REDIRECTIONS_MAX, Settings, Wanted};
use crate::url::{FileVersion, Url};

/// The most bytes of one piece.
const PIECE: usize = 64 << 10;
/// The longest tag or time of a version, in bytes.
const VERSION_MAX: usize = 256;
/// The most pieces that wait to be taken.
const PIECES_WAITING: usize = 4;

/// What happens, in this order: any number of moves, a head, pieces, the end. An end can come at any time.
pub(super) enum Event {
    Moved(Url),
    Head(Head),
    Piece(Vec<u8>),
    End(Result<(), FetchError>),
}

/// What the server says before the file.
pub(super) struct Head {
    /// The bytes before the first one that comes.
    pub(super) from: u64,
    /// The bytes of the whole, if they are known.
    pub(super) total: Option<u64>,
    /// Which version it is.
    pub(super) version: FileVersion,
    /// Whether a part can be asked for later.
    pub(super) is_divisible: bool,
    /// Whether it is the version that was known: no bytes come.
    pub(super) is_known: bool,
    /// Whether it is a page for people to read.
    pub(super) is_page: bool,
}

/// What the thread needs.
pub(super) struct Order {
    pub(super) wanted: Wanted,
    pub(super) settings: Settings,
    /// What is there from before.
    pub(super) begun: Option<Begun>,
    /// When the whole must have arrived.
    pub(super) until: Instant,
}

/// Starts a transfer. It ends by itself soon after the receiver is dropped.
pub(super) fn start(order: Order) -> Receiver<Event> {
    let (sender, receiver) = sync_channel(PIECES_WAITING);
    let (url, teller) = (order.wanted.url.clone(), sender.clone());
    let started = std::thread::Builder::new().spawn(move || {
        let end = order.run(&sender);
        // Nobody may be waiting any more.
        let _ = sender.send(Event::End(end));
    });
    if let Err(error) = started {
        let failed = FetchError::Failed { url, why: format!("no thread can be started for it: {error}") };
        // There is room for the first one.
        let _ = teller.send(Event::End(Err(failed)));
    }
    receiver
}

impl Order {
    fn run(&self, events: &SyncSender<Event>) -> Result<(), FetchError> {
        let mut url = self.wanted.url.clone();
        for _ in 0..=REDIRECTIONS_MAX {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(FetchError::Deadline { url, limit: self.settings.deadline });
            }
            let connection = connection(&url, &self.settings, left)?;
            let answer = self.ask(&connection, &url)?;
            let Some(place) = location(&answer) else { return self.receive(&url, answer, &connection, events) };
            url = url.redirected(&place).map_err(|source| FetchError::Redirection { url: url.clone(), source })?;
            let _ = events.send(Event::Moved(url.clone()));
        }
        Err(FetchError::Redirections { url, most: REDIRECTIONS_MAX })
    }

    fn ask(&self, connection: &Connection, url: &Url) -> Result<Response<Body>, FetchError> {
        // The connection ends with the answer, so that what comes after it is seen.
        let mut request = connection.agent.get(url.request()).header(header::CONNECTION, "close");
        if let Some(credentials) = url.credentials() {
            let basic = base64::engine::general_purpose::STANDARD.encode(credentials);
            request = request.header(header::AUTHORIZATION, format!("Basic {basic}"));
        }
        if let Some(begun) = &self.begun {
            request = request.header(header::RANGE, format!("bytes={}-", begun.size));
            request = request.header(header::IF_RANGE, begun.etag.clone());
        } else if let Some(known) = &self.wanted.known {
            for (name, value) in [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.modified)] {
                if let Some(value) = value {
                    request = request.header(name, value.clone());
                }
            }
        }
        request.call().map_err(|error| self.failure(url, error))
    }

    fn receive(
        &self,
        url: &Url,
        answer: Response<Body>,
        connection: &Connection,
        events: &SyncSender<Event>,
    ) -> Result<(), FetchError> {
        let head = self.head(url, &answer)?;
        let most = self.wanted.most;
        let (mut arrived, total, is_known) = (head.from, head.total, head.is_known);
        if total.is_some_and(|total| total > most) {
            return Err(FetchError::TooLarge { url: url.clone(), most });
        }
        if events.send(Event::Head(head)).is_err() || is_known {
            return Ok(());
        }
        let mut reader = answer.into_body().into_reader();
        let mut piece = vec![0; PIECE];
        loop {
            let size = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(FetchError::Short { url: url.clone(), arrived, total });
                }
                Err(error) => return Err(self.failure(url, error.into())),
            };
            arrived += u64::try_from(size).unwrap_or(u64::MAX);
            if arrived > most {
                return Err(FetchError::TooLarge { url: url.clone(), most });
            }
            if events.send(Event::Piece(piece[..size].to_vec())).is_err() {
                return Ok(());
            }
        }
        drop(reader);
        if total.is_some_and(|total| arrived < total) {
            return Err(FetchError::Short { url: url.clone(), arrived, total });
        }
        if total.is_some_and(|total| arrived > total) || connection.is_excess.load(Ordering::SeqCst) {
            let why = format!("more came than the {arrived} bytes that were announced");
            return Err(FetchError::Size { url: url.clone(), why });
        }
        Ok(())
    }

    fn head(&self, url: &Url, answer: &Response<Body>) -> Result<Head, FetchError> {
        let (status, headers) = (answer.status(), answer.headers());
        // It is kept with the plugin: nobody needs a longer one.
        let short = |name| text(headers, name).filter(|text| text.len() <= VERSION_MAX);
        let version = FileVersion { etag: short(header::ETAG), modified: short(header::LAST_MODIFIED) };
        let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let refuse = |why: &str| Err(FetchError::Size { url: url.clone(), why: why.to_owned() });
        let coded =
            |name| text(headers, name).is_some_and(|coding| !["identity", "chunked", ""].contains(&coding.as_str()));
        if coded(header::CONTENT_ENCODING) || coded(header::TRANSFER_ENCODING) {
            return refuse("the server compresses it on its way, so that its size says nothing");
        }
        let is_page = text(headers, header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let is_divisible = text(headers, header::ACCEPT_RANGES).is_none_or(|unit| unit != "none");
        let head = Head { from: 0, total: length, version, is_divisible, is_known: false, is_page };
        match (status, &self.begun) {
            (StatusCode::OK, _) => Ok(head),
            (StatusCode::PARTIAL_CONTENT, Some(begun)) => match rest(headers) {
                Some((from, last, total)) if from == begun.size && last + 1 == total && total == begun.total => {
                    Ok(Head { from, total: Some(total), ..head })
                }
                _ => refuse("the server gives another part of it than the one that was asked for"),
            },
            (StatusCode::NOT_MODIFIED, None) if self.wanted.known.is_some() => Ok(Head { is_known: true, ..head }),
            _ => Err(FetchError::Status { url: url.clone(), status: status.as_u16() }),
        }
    }

    fn failure(&self, url: &Url, error: ureq::Error) -> FetchError {
        let url = url.clone();
        match error {
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                FetchError::Idle { url, limit: self.settings.idle }
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                FetchError::Failed { url, why: "the server was not reached in time".to_owned() }
            }
            ureq::Error::Timeout(_) => FetchError::Deadline { url, limit: self.settings.deadline },
            ureq::Error::Rustls(error) => FetchError::Tls { url, why: reason(&error) },
            ureq::Error::Tls(why) => FetchError::Tls { url, why: why.to_owned() },
            ureq::Error::HostNotFound => FetchError::Failed { url, why: "there is no server of that name".to_owned() },
            ureq::Error::ConnectProxyFailed(why) => FetchError::Failed { url, why: format!("by the proxy: {why}") },
            ureq::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(inner) => FetchError::Tls { url, why: reason(inner) },
                None => FetchError::Failed { url, why: error.to_string() },
            },
            error => FetchError::Failed { url, why: error.to_string() },
        }
    }
}

/// Where an answer leads, if it leads elsewhere.
fn location(answer: &Response<Body>) -> Option<String> {
    let leads = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    leads.then(|| text(answer.headers(), header::LOCATION)).flatten()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.trim().to_owned())
}

/// First and last byte of a part, and the bytes of the whole (RFC 9110, 14.4).
fn rest(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let range = text(headers, header::CONTENT_RANGE)?;
    let (part, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, total.parse().ok()?))
}

/// Why there is no encrypted connection, in words for people.
fn reason(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let why = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => "nobody whom this machine trusts vouches for its certificate",
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "its certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "its certificate is for another host",
            Bad::Revoked => "its certificate was revoked",
            _ => return format!("its certificate is not valid: {error}"),
        },
        _ => return format!("there is no encrypted connection: {error}"),
    };
    why.to_owned()
}

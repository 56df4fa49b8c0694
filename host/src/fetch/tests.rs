//! Against a server of this machine that misbehaves as it is told to. Encrypted ones are in the end-to-end tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::code::{Code, Coded as _};

/// Answers each request with what a function writes; gives the heads of the requests once it was asked so often.
fn server(times: usize, answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> (Url, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a.mgp", listener.local_addr().unwrap()).parse().unwrap();
    let heads = std::thread::spawn(move || {
        let serve = |stream: std::io::Result<TcpStream>| {
            let mut stream = BufReader::new(stream.unwrap());
            let lines = stream.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let head = lines.collect::<Vec<_>>().join("\n").to_lowercase();
            answer(&head, stream.get_mut());
            head
        };
        listener.incoming().take(times).map(serve).collect()
    });
    (url, heads)
}

/// A server that always gives the same answer.
fn saying(answer: &'static str) -> Url {
    server(1, move |_, stream| drop(stream.write_all(answer.as_bytes()))).0
}

#[derive(Default)]
struct Quiet(Vec<String>);

impl Watch for Quiet {
    fn starts(&mut self) {
        self.0.clear();
    }

    fn moved(&mut self, to: &Url) {
        self.0.push(format!("moved {to}"));
    }

    fn begun(&mut self, _: &Url, total: Option<u64>, there: u64) {
        self.0.push(format!("begun {total:?} {there}"));
    }

    fn there(&mut self, bytes: u64) {
        self.0.push(format!("there {bytes}"));
    }

    fn ended(&mut self) {
        self.0.push("ended".to_owned());
    }
}

/// A part in memory.
#[derive(Default)]
struct Memory {
    begun: Option<(String, u64)>,
    bytes: Vec<u8>,
}

impl Part for Memory {
    fn begun(&self) -> Option<Begun> {
        let (etag, total) = self.begun.clone()?;
        Some(Begun { etag, size: self.bytes.len().try_into().unwrap(), total })
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.bytes.clone()
    }

    fn begin(&mut self, etag: &str, total: u64) {
        *self = Self { begun: Some((etag.to_owned(), total)), bytes: Vec::new() };
    }

    fn add(&mut self, piece: &[u8]) {
        self.bytes.extend(piece);
    }

    fn discard(&mut self) {
        *self = Self::default();
    }
}

fn wanted(url: &Url) -> Wanted {
    Wanted { url: url.clone(), most: 1000, known: None }
}

fn fetch(url: &Url) -> Result<Vec<u8>, FetchError> {
    file(get(&wanted(url), &Settings::default(), &mut Unkept, &mut Quiet::default()))
}

fn file(fetched: Result<Fetched, FetchError>) -> Result<Vec<u8>, FetchError> {
    fetched.map(|fetched| match fetched {
        Fetched::File { bytes, .. } => bytes,
        Fetched::Known => panic!("nothing was known"),
    })
}

#[test]
fn a_file_comes_whole_and_is_watched() {
    let (url, heads) = server(1, |_, stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"v1\"\r\n\r\nbytes"));
    });
    let mut watch = Quiet::default();
    let fetched = get(&wanted(&url), &Settings::default(), &mut Unkept, &mut watch).unwrap();
    let Fetched::File { bytes, version, from, is_page: false } = fetched else { panic!() };
    assert_eq!((bytes.as_slice(), version.etag.as_deref(), from), (b"bytes".as_slice(), Some("\"v1\""), url));
    assert_eq!(watch.0, ["begun Some(5) 0", "there 5", "ended"]);
    let head = heads.join().unwrap().remove(0);
    for line in ["get /a.mgp http/1.1", "user-agent: migraine/", "accept-encoding: identity", "connection: close"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(!head.contains("authorization") && !head.contains("range"), "{head}");
}

// covers: A162
#[test]
fn the_size_is_the_announced_one() {
    assert_eq!(
        fetch(&saying("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
            .unwrap(),
        b"abcde"
    );
    for (answer, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "it broke off after 5 bytes of 9"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", "it broke off after 5 bytes"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlonger", "more came than the 3 bytes that were announced"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", "larger than"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc", "compresses it"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "compresses it"),
        ("HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/3\r\n\r\nabc", "206"),
    ] {
        let error = fetch(&saying(answer)).unwrap_err();
        let code = if why == "206" { Code::DownloadFailed } else { Code::Size };
        assert!(error.code() == code && error.to_string().contains(why), "{answer}: {error}");
    }
    let (endless, _) = server(1, |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"8\r\nendless!\r\n").is_ok() {}
    });
    assert_eq!(fetch(&endless).unwrap_err().code(), Code::Size);
    // One without any announcement ends where the server ends.
    assert_eq!(fetch(&saying("HTTP/1.0 200 OK\r\n\r\nall of it")).unwrap(), b"all of it");
}

// covers: A163
#[test]
fn silence_and_trickling_have_an_end() {
    let slow = |pause: u64| {
        let (url, _) = server(1, move |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        url
    };
    let settings = |deadline, idle| Settings {
        deadline: Duration::from_millis(deadline),
        idle: Duration::from_millis(idle),
        ..Settings::default()
    };
    let run = |url, settings| file(get(&wanted(&url), &settings, &mut Unkept, &mut Quiet::default())).unwrap_err();
    let error = run(slow(20), settings(300, 60_000));
    assert!(matches!(error, FetchError::Deadline { .. }) && error.code() == Code::Timeout, "{error}");
    let error = run(slow(60_000), settings(60_000, 100));
    assert!(matches!(error, FetchError::Idle { .. }) && error.code() == Code::Timeout, "{error}");
    let (mute, _) = server(1, |_, _| std::thread::sleep(Duration::from_secs(60)));
    assert!(matches!(run(mute, settings(60_000, 100)), FetchError::Idle { .. }));
}

#[test]
fn a_signal_ends_it_and_what_came_is_kept() {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    let half = || {
        let (url, _) = server(1, |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\nETag: \"v1\"\r\n\r\nhalf");
            std::thread::sleep(Duration::from_secs(60));
        });
        wanted(&url)
    };
    struct Interrupting;
    impl Watch for Interrupting {
        fn starts(&mut self) {}
        fn moved(&mut self, _: &Url) {}
        fn begun(&mut self, _: &Url, _: Option<u64>, _: u64) {}
        fn there(&mut self, _: u64) {
            INTERRUPTED.store(true, Ordering::SeqCst);
        }
        fn ended(&mut self) {}
    }
    let settings = Settings { interrupted: Some(&INTERRUPTED), ..Settings::default() };
    let mut part = Memory::default();
    let error = get(&half(), &settings, &mut part, &mut Interrupting).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { is_kept: true, .. }), "{error}");
    assert_eq!(part.begun().unwrap(), Begun { etag: "\"v1\"".to_owned(), size: 4, total: 900 });
    // A dry run keeps nothing, and does not say that it did.
    INTERRUPTED.store(false, Ordering::SeqCst);
    let error = get(&half(), &settings, &mut Unkept, &mut Interrupting).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { is_kept: false, .. }) && error.help().is_none(), "{error}");
}

fn half(bytes: &[u8]) -> Memory {
    Memory { begun: Some(("\"v1\"".to_owned(), 10)), bytes: bytes.to_vec() }
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    let breaking = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"v1\"\r\n\r\n01234";
    let mut part = Memory::default();
    let broken = get(&wanted(&saying(breaking)), &Settings::default(), &mut part, &mut Quiet::default());
    assert!(matches!(broken.unwrap_err(), FetchError::Short { arrived: 5, total: Some(10), .. }));
    let (url, heads) = server(1, |_, stream| {
        let head =
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 5-9/10\r\nETag: \"v1\"\r\n\r\n";
        let _ = stream.write_all(format!("{head}56789").as_bytes());
    });
    let mut watch = Quiet::default();
    let whole = file(get(&wanted(&url), &Settings::default(), &mut part, &mut watch)).unwrap();
    assert_eq!(whole, b"0123456789");
    assert_eq!((part.begun(), watch.0[0].as_str()), (None, "begun Some(10) 5"));
    let head = heads.join().unwrap().remove(0);
    assert!(head.contains("range: bytes=5-") && head.contains("if-range: \"v1\""), "{head}");
}

#[test]
fn what_was_kept_is_dropped_where_it_fits_nothing() {
    // The server has another version, knows no ranges, has a shorter one, or gives another part.
    for first in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: \"v2\"\r\n\r\nnew",
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/3\r\n\r\nabc",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 5-7/10\r\n\r\nabc",
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let (url, _) = server(2, move |head, stream| {
            let whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew";
            let _ = stream.write_all(if head.contains("range: ") { first } else { whole }.as_bytes());
        });
        let mut part = half(b"01234");
        let got = file(get(&wanted(&url), &Settings::default(), &mut part, &mut Quiet::default()));
        assert_eq!((got.unwrap().as_slice(), part.begun()), (b"new".as_slice(), None), "{first}");
    }
    // A weak tag, or none, says nothing of bytes; so does a server that knows no ranges.
    for more in ["", "ETag: W/\"v1\"\r\n", "ETag: \"v1\"\r\nAccept-Ranges: none\r\n"] {
        let (url, _) = server(1, move |_, stream| {
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n{more}\r\nshort").as_bytes());
        });
        let mut part = Memory::default();
        assert!(get(&wanted(&url), &Settings::default(), &mut part, &mut Quiet::default()).is_err());
        assert_eq!(part.begun(), None, "{more}");
    }
}

#[test]
fn a_known_version_is_not_sent_again() {
    let (url, heads) = server(1, |_, stream| drop(stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")));
    let known =
        FileVersion { etag: Some("\"v1\"".to_owned()), modified: Some("Sun, 01 Feb 2026 00:00:00 GMT".to_owned()) };
    let wanted = Wanted { known: Some(known), ..wanted(&url) };
    let fetched = get(&wanted, &Settings::default(), &mut Unkept, &mut Quiet::default()).unwrap();
    assert!(matches!(fetched, Fetched::Known));
    let head = heads.join().unwrap().remove(0);
    assert!(head.contains("if-none-match: \"v1\"") && head.contains("if-modified-since: sun, 01 feb 2026"), "{head}");
    assert!(fetch(&saying("HTTP/1.1 304 Not Modified\r\n\r\n")).is_err(), "nothing was known");
}

// covers: A172
#[test]
fn nothing_leads_to_what_is_not_encrypted() {
    for place in ["http://127.0.0.1:1/a", "/a", "http://example.com/a", "//example.com/a"] {
        let (url, _) = server(1, move |_, stream| {
            let _ = stream.write_all(format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n").as_bytes());
        });
        let error = fetch(&url).unwrap_err();
        assert_eq!(error.code(), Code::Tls, "{place}: {error}");
    }
}

#[test]
fn names_and_passwords_travel_in_a_header_and_are_not_shown() {
    let (url, heads) = server(1, |_, stream| drop(stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")));
    let url: Url = url.kept().replace("http://", "http://ann:s%40cret@").parse().unwrap();
    let error = fetch(&url).unwrap_err();
    assert!(!error.to_string().contains("cret") && error.to_string().contains("403"), "{error}");
    // Of `ann:s@cret`.
    let head = heads.join().unwrap().remove(0);
    assert!(head.contains(&"authorization: Basic YW5uOnNAY3JldA==".to_lowercase()), "{head}");
    for (answer, absent) in [("404 Not Found", true), ("410 Gone", true), ("500 Oops", false)] {
        let (url, _) =
            server(1, move |_, stream| drop(stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())));
        assert_eq!(fetch(&url).unwrap_err().is_absence(), absent, "{answer}");
    }
}

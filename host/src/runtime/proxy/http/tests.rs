//! Heads of requests: what is taken, and what nobody may send on.

use super::*;

fn read(head: &str) -> Result<Request, Malformed> {
    match end_of_head(head.as_bytes())? {
        Some(end) if end == head.len() => parse(head.as_bytes()),
        other => panic!("{head:?} ends at {other:?}"),
    }
}

/// What a server gets.
fn forwarded(head: &str) -> (String, String) {
    match read(head) {
        Ok(Request::Forward { endpoint, head, .. }) => (endpoint.to_string(), String::from_utf8(head).unwrap()),
        other => panic!("{head:?} is {other:?}"),
    }
}

fn tunnel(head: &str) -> String {
    match read(head) {
        Ok(Request::Tunnel(endpoint)) => endpoint.to_string(),
        other => panic!("{head:?} is {other:?}"),
    }
}

fn refused(head: &str) -> String {
    match read(head) {
        Err(error) => error.to_string(),
        other => panic!("{head:?} is {other:?}"),
    }
}

#[test]
fn one_request_is_written_anew() {
    let (endpoint, head) = forwarded(
        "GET http://Example.COM./a/b?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\
         Proxy-Connection: Keep-Alive\r\nProxy-Authorization: Basic eDp5\r\nConnection: keep-alive, X-Own\r\nX-Own: 1\r\n\
         Upgrade: h2c\r\nTE: trailers\r\nKeep-Alive: 5\r\nX-Other: 2\r\n\r\n",
    );
    assert_eq!(endpoint, "example.com:80");
    assert_eq!(
        head,
        "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\nAccept: */*\r\nX-Other: 2\r\n\
         Connection: close\r\n\r\n"
    );
}

#[test]
fn targets_are_absolute() {
    for (target, endpoint, line) in [
        ("http://a.example", "a.example:80", "GET / HTTP/1.0\r\nHost: a.example\r\n"),
        ("HTTP://a.example:8080?q", "a.example:8080", "GET /?q HTTP/1.0\r\nHost: a.example:8080\r\n"),
        ("http://[::1]/", "[::1]:80", "GET / HTTP/1.0\r\nHost: [::1]\r\n"),
        ("http://[::ffff:127.0.0.1]:81/", "127.0.0.1:81", "GET / HTTP/1.0\r\nHost: 127.0.0.1:81\r\n"),
        ("http://a.example/http://b.example/", "a.example:80", "GET /http://b.example/ HTTP/1.0\r\n"),
    ] {
        let (asked, head) = forwarded(&format!("GET {target} HTTP/1.0\r\n\r\n"));
        assert_eq!(asked, endpoint);
        assert!(head.starts_with(line), "{head}");
    }
    assert!(forwarded("OPTIONS http://a.example HTTP/1.0\r\n\r\n").1.starts_with("OPTIONS * HTTP/1.0\r\n"));
    for target in [
        "/",
        "*",
        "a.example:80",
        "https://a.example/",
        "ftp://a.example/",
        "http:///path",
        "http://a.example:/",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://user@a.example/",
        "http://a.example@b.example/",
        "http://a.example#@b.example/",
        "http://a.example\\@b.example/",
        "http://a.example/\\",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://unix:/run/docker.sock",
        "http://a..example/",
        "http://exampl\u{e9}.com/",
    ] {
        refused(&format!("GET {target} HTTP/1.0\r\n\r\n"));
    }
}

#[test]
fn tunnels_name_a_port() {
    assert_eq!(tunnel("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"), "a.example:443");
    assert_eq!(tunnel("CONNECT a.example:443 HTTP/1.1\r\nHost: A.example\r\n\r\n"), "a.example:443");
    assert_eq!(tunnel("CONNECT [::1]:443 HTTP/1.0\r\n\r\n"), "[::1]:443");
    for head in [
        "CONNECT a.example HTTP/1.1\r\n\r\n",
        "CONNECT http://a.example:443/ HTTP/1.1\r\n\r\n",
        "CONNECT unix:/run/docker.sock HTTP/1.1\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 10\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        refused(head);
    }
}

// covers: A54
#[test]
fn no_second_request_is_hidden_in_a_head() {
    let get = |headers: &str| format!("GET http://a.example/ HTTP/1.1\r\n{headers}\r\n\r\n");
    let host = "Host: a.example\r\n";
    for (headers, why) in [
        ("Accept: x".to_owned(), "names its host"),
        ("Host: b.example".to_owned(), "another one"),
        ("Host: a.example:8080".to_owned(), "another one"),
        ("Host: a.example, b.example".to_owned(), "another one"),
        ("Host:".to_owned(), "another one"),
        (format!("{host}Host: a.example"), "host stands twice"),
        (format!("{host}Content-Length: 5\r\nContent-Length: 5"), "stands twice"),
        (format!("{host}Content-Length: 5\r\nTransfer-Encoding: chunked"), "not both"),
        (format!("{host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "stands twice"),
        (format!("{host}Transfer-Encoding: gzip, chunked"), "the only transfer coding"),
        (format!("{host}Transfer-Encoding: \u{b}chunked"), "control character"),
        (format!("{host}Transfer-Encoding : chunked"), "header name"),
        (format!("{host}Content-Length: +5"), "no number"),
        (format!("{host}Content-Length: 5\r\nConnection: Content-Length"), "the server needs"),
        (format!("{host}Connection: close , HOST"), "the server needs"),
        (format!("{host}GET http://b.example/ HTTP/1.1"), "header name"),
        (format!("{host}X: a\r\n b"), "folded"),
        (format!("{host}X: a\r\n\tb"), "folded"),
        (format!("{host}X: a\nHost: b.example"), "line feed"),
        (format!("{host}X: a\rHost: b.example"), "carriage return"),
        (format!("{host}X: a\0b"), "control character"),
        (format!("{host}X: \x7f"), "control character"),
        (format!("{host}: a"), "header name"),
    ] {
        let said = refused(&get(&headers));
        assert!(said.contains(why), "{headers:?}: {said}");
    }
    for head in [
        "GET http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET http://a.example/ HTTP/2.0\r\n\r\n",
        "GET http://a.example/ HTTP/0.9\r\n\r\n",
        "GET http://a.example/\r\n\r\n",
        "GET  http://a.example/ HTTP/1.0\r\n\r\n",
        "GET http://a.example/ x HTTP/1.0\r\n\r\n",
        "GET\thttp://a.example/ HTTP/1.0\r\n\r\n",
        "GET http://a.example\r\nHost: b.example/ HTTP/1.0\r\n\r\n",
        "CONNECT a.example:443\r\nGET http://b.example/ HTTP/1.1\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nGET http://b.example/ HTTP/1.1\r\n\r\n",
    ] {
        refused(head);
    }
}

// covers: A54
#[test]
fn large_heads_are_refused_before_they_end() {
    let long = format!("GET http://{}/ HTTP/1.1\r\n", "a".repeat(64 * 1024));
    assert!(end_of_head(&long.as_bytes()[..HEAD_MAX - 1]).unwrap().is_none());
    assert_eq!(end_of_head(long.as_bytes()).unwrap_err().to_string(), "the head is larger than 32 KiB");
    let ended = format!("{}\r\n\r\n", &long[..HEAD_MAX]);
    assert!(end_of_head(ended.as_bytes()).is_err());
    let many = format!("GET http://a.example/ HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
    refused(&many);
}

#[test]
fn bodies_go_with_their_requests() {
    let body =
        |headers: &str| match read(&format!("POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n")) {
            Ok(Request::Forward { body, head, .. }) => (body, String::from_utf8(head).unwrap()),
            other => panic!("{other:?}"),
        };
    assert_eq!(body("").0, Body::none());
    let (length, head) = body("Content-Length: 7\r\nExpect: 100-continue\r\n");
    assert_eq!(length, Body::of_length("7").unwrap());
    assert!(head.contains("Content-Length: 7\r\nExpect: 100-continue\r\n"), "{head}");
    let (chunked, head) = body("Transfer-Encoding: Chunked\r\n");
    assert_eq!(chunked, Body::chunked());
    assert!(head.contains("Transfer-Encoding: Chunked\r\n"), "{head}");
}

/// Random bytes that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

// Whatever comes, nothing panics, and what is passed on is one head for the server that was judged.
#[test]
fn random_changes_never_get_a_second_head_through() {
    let seeds: [&[u8]; 3] = [
        b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nConnection: close, te\r\nContent-Length: 3\r\n\r\nabc",
        b"POST http://[::1]:8080/ HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nX: y\r\n\r\n",
    ];
    let pieces: [&[u8]; 12] =
        [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"@", b"\xff", b"chunked", b"Host: b.example", b"http://b/"];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..50_000 {
        let mut bytes = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => drop(bytes.splice(at..at, pieces[random.below(pieces.len())].iter().copied())),
            }
        }
        let Ok(Some(end)) = end_of_head(&bytes) else { continue };
        match parse(&bytes[..end]) {
            Ok(Request::Forward { endpoint, head, mut body }) => {
                taken += 1;
                assert_eq!(end_of_head(&head), Ok(Some(head.len())), "{}", bytes.escape_ascii());
                let text = String::from_utf8_lossy(&head);
                let host = format!("\r\nHost: {}\r\n", host_text(&endpoint));
                assert!(text.contains(&host) && text.to_ascii_lowercase().matches("\r\nhost").count() == 1, "{text}");
                let _ = body.take(&bytes[end..]);
            }
            Ok(Request::Tunnel(_)) => taken += 1,
            Err(_) => refused += 1,
        }
        // As if it had come to the other reader.
        let _ = (super::super::socks::greeting(&bytes), super::super::socks::request(&bytes));
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
}

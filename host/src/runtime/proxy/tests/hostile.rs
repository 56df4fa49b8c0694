//! Bytes that are meant to reach a server unjudged.

use std::io::{Read as _, Write as _};

use super::{Site, rest, serve};

// covers: A54
#[test]
fn what_is_malformed_reaches_nobody() {
    let site = Site::start();
    let host = site.by_name();
    let served = serve(&[&host]);
    let get = format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n");
    let long = "a".repeat(64 * 1024);
    let attacks = [
        format!("{get}X: a\nHost: evil.example\r\n\r\n"),
        format!("{get}X: a\rHost: evil.example\r\n\r\n"),
        format!("{get}X: a\0\r\n\r\n"),
        format!("{get}X: a\r\n folded\r\n\r\n"),
        format!("{get}Host: evil.example\r\n\r\n"),
        format!("{get}X: {long}\r\n\r\n"),
        format!("GET http://{long}:80/ HTTP/1.1\r\n\r\n"),
        format!("GET http://{host}/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        // A second request behind the first.
        format!("{get}\r\nGET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("{get}Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("{get}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        format!("{get}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("{get}Transfer-Encoding: chunked\r\n\r\n1;a\r\nb\r\n0\r\n\r\n"),
        format!("CONNECT {host} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("CONNECT {host}\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
        format!("CONNECT {host} HTTP/1.1\r\nGET http://evil.example/ HTTP/1.1\r\n\r\n"),
        format!("\r\n\r\n{get}\r\n"),
        "\u{16}\u{3}\u{1} a greeting of TLS".to_owned(),
    ];
    for (index, attack) in attacks.iter().enumerate() {
        let shown: String = attack.chars().take(200).collect();
        let said = served.says(attack.as_bytes());
        assert!(
            said.starts_with("HTTP/1.1 400 Bad Request\r\n") && said.contains("protocol_error: "),
            "{shown}: {said}"
        );
        assert_eq!(served.records.count("a request to the proxy was refused: "), index + 1, "{shown}");
    }
    assert_eq!((site.connections(), site.heads()), (0, Vec::new()));
    // The same without the attack.
    assert!(served.says(format!("{get}\r\n").as_bytes()).starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(site.connections(), 1);
}

// covers: A54
#[test]
fn a_request_that_comes_later_is_not_passed_on() {
    let site = Site::start();
    let host = site.by_name();
    let served = serve(&[&host]);
    let mut stream = served.connect();
    // The server's part of it: it does not close, as it was asked to.
    let request = format!("GET http://{host}/keep-open HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = [0; 4];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP");
    stream.write_all(b"GET /second HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    let answers = rest(&mut stream);
    assert!(!answers.contains("second"), "{answers}");
    assert_eq!(site.heads().len(), 1, "{:?}", site.heads());
    served.records.hold("there is more than one request on a connection");
}

#[test]
fn socks_is_read_strictly() {
    let site = Site::start();
    let served = serve(&[&site.by_name()]);
    let ask = |bytes: &[u8]| {
        let mut stream = served.connect();
        stream.write_all(b"\x05\x01\x00").unwrap();
        let mut welcome = [0; 2];
        stream.read_exact(&mut welcome).unwrap();
        assert_eq!(welcome, [5, 0]);
        stream.write_all(bytes).unwrap();
        let mut reply = [0; 2];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[0], 5);
        (reply[1], stream)
    };
    let [high, low] = site.port().to_be_bytes();
    let request = [&[5, 1, 0, 3, 9], &b"localhost"[..], &[high, low]].concat();
    let changed = |at: usize, to: u8| {
        let mut bytes = request.clone();
        bytes[at] = to;
        bytes
    };
    for (bytes, reply) in [
        (changed(1, 2), 7),
        (changed(1, 3), 7),
        (changed(3, 9), 8),
        (changed(0, 4), 1),
        (changed(5, 0), 1),
        (changed(15, low ^ 1), 2),
        ([request.clone(), b"GET / HTTP/1.0\r\n\r\n".to_vec()].concat(), 1),
    ] {
        assert_eq!(ask(&bytes).0, reply, "{bytes:?}");
    }
    // Who insists on a password gets none.
    assert_eq!(served.says(b"\x05\x01\x02").as_bytes(), String::from_utf8_lossy(&[5, 0xff]).as_bytes());
    assert_eq!(site.connections(), 0);
    let (reply, mut stream) = ask(&request);
    assert_eq!(reply, 0);
    stream.write_all(b"GET /through HTTP/1.0\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&mut stream).contains("GET /through HTTP/1.0 and 0 bytes"));
}

//! How much a plugin's programs may use, and that nothing outlives the proxy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Served, Site, rest, serve, serve_within};
use crate::wire::ConnectionLimits;

/// Long enough for a slow machine to do what must be done before it, short enough to wait for.
const SHORT: Duration = Duration::from_millis(500);

/// Clients that have begun to say something.
fn half_open(served: &Served) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = served.connect();
        stream.write_all(b"GET http").unwrap();
        stream
    };
    (0..10).map(open).collect()
}

// covers: A55
#[test]
fn the_eleventh_connection_is_refused() {
    let served = serve(&["localhost:1"]);
    let _ten = half_open(&served);
    let refused = rest(&mut served.connect());
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(
        refused.contains("limit_network: a program may have 10 connections through the proxy at a time"),
        "{refused}"
    );
    served.records.hold("limit_network: a program may have 10 connections");
}

// covers: A55
#[test]
fn who_says_nothing_loses_its_place() {
    let site = Site::start();
    let served = serve_within(&[&site.by_name()], ConnectionLimits { request: SHORT, ..ConnectionLimits::PROGRAM });
    for stream in &mut half_open(&served) {
        assert_eq!(rest(stream), "");
    }
    assert!(served.curl(&[&format!("http://{}/", site.by_name())]).worked().starts_with("GET / "));
}

// covers: A55
#[test]
fn a_thousand_half_open_connections_are_all_there_are() {
    let served = serve_within(&["localhost:1"], ConnectionLimits { all: 1000, ..ConnectionLimits::PROGRAM });
    let half_open: Vec<TcpStream> = (0..1000)
        .map(|index| {
            let mut stream = served.connect();
            if index >= 10 {
                assert!(rest(&mut stream).contains("10 connections through the proxy at a time"));
            }
            stream
        })
        .collect();
    drop(half_open);
    for _ in 0..3 {
        let refused = rest(&mut served.connect());
        assert!(refused.contains("limit_network: a program may make 1000 connections through the proxy"), "{refused}");
    }
    assert_eq!(served.records.count("a program may make 1000 connections"), 1);
}

/// A server that does not stop sending, once it was asked anything.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
    });
    endpoint
}

// covers: A55
#[test]
fn an_endless_answer_is_cut() {
    let endpoint = endless();
    let served = serve_within(&[&endpoint], ConnectionLimits { bytes: 8 << 20, ..ConnectionLimits::PROGRAM });
    let mut stream = served.connect();
    let url = format!("http://{endpoint}/");
    write!(stream, "GET {url} HTTP/1.0\r\n\r\n").unwrap();
    let got = rest(&mut stream).len();
    assert!((1 << 20..=8 << 20).contains(&got), "{got} bytes");
    let line = "a program may move 8 MiB through the proxy, and these were moved";
    served.records.hold(&format!("limit_network: the connection to `{endpoint}` was closed: {line}"));
    // All connections together.
    served.curl(&["--fail-with-body", &url]).failed(&["503", "limit_network", line]);
}

// covers: A55
#[test]
fn a_silent_connection_is_closed() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("127.0.0.1:{}", silent.local_addr().unwrap().port());
    let served = serve_within(&[&endpoint], ConnectionLimits { idle: SHORT, ..ConnectionLimits::PROGRAM });
    let said = served.says(format!("CONNECT {endpoint} HTTP/1.1\r\n\r\n").as_bytes());
    assert_eq!(said, "HTTP/1.1 200 Connection established\r\n\r\n");
    served.records.hold(&format!("limit_network: the connection to `{endpoint}` was closed: nothing was sent for"));
    assert_eq!(silent.accept().unwrap().0.read(&mut [0]).unwrap(), 0);
}

#[test]
fn each_side_may_finish_first() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("127.0.0.1:{}", server.local_addr().unwrap().port());
    let served = serve(&[&endpoint]);
    let open = || {
        let mut client = served.connect();
        write!(client, "CONNECT {endpoint} HTTP/1.1\r\n\r\n").unwrap();
        client.read_exact(&mut [0; 39]).unwrap();
        (client, server.accept().unwrap().0)
    };
    let (mut client, mut there) = open();
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut there), "question");
    there.write_all(b"answer").unwrap();
    drop(there);
    assert_eq!(rest(&mut client), "answer");
    let (mut client, mut there) = open();
    there.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client), "");
    client.write_all(b"still here").unwrap();
    drop(client);
    assert_eq!(rest(&mut there), "still here");
}

#[test]
fn nothing_outlives_the_proxy() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("127.0.0.1:{}", server.local_addr().unwrap().port());
    let served = serve(&[&endpoint]);
    let mut half_open = served.connect();
    half_open.write_all(b"GET ").unwrap();
    let mut client = served.connect();
    write!(client, "CONNECT {endpoint} HTTP/1.1\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 39]).unwrap();
    let (mut there, _) = server.accept().unwrap();
    drop(served.proxy);
    assert_eq!((rest(&mut client).as_str(), rest(&mut half_open).as_str()), ("", ""));
    assert_eq!(there.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(served.at).is_err());
}

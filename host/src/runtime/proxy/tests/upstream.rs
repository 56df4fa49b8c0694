//! The user's own proxy behind this one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{Records, Served, Site, gate};
use crate::runtime::proxy::{Gate, Proxy};
use crate::wire::ConnectionLimits;

/// A proxy that takes the internet to be one server, and what it was asked for.
struct Upstream {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    fn start(internet: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || pass(client.unwrap(), internet, &kept));
            }
        });
        Self { at, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn pass(client: TcpStream, internet: SocketAddr, asked: &Mutex<Vec<String>>) {
    // Byte by byte: what follows the head is not for this reader.
    let mut head = BufReader::with_capacity(1, client);
    let mut lines = head.by_ref().lines().map_while(Result::ok);
    asked.lock().unwrap().push(lines.next().unwrap());
    lines.find(String::is_empty).unwrap();
    let mut client = head.into_inner();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut server = TcpStream::connect(internet).unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(std::net::Shutdown::Write)));
    let _ = std::io::copy(&mut server, &mut client);
}

fn serve(scopes: &[&str], upstream: &Upstream) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let records = Arc::new(Records::default());
    let through = Some(format!("localhost:{}", upstream.at.port()).parse().unwrap());
    let gate = Gate { upstream: through, ..gate(scopes, ConnectionLimits::PROGRAM, &records) };
    Served { proxy: Proxy::serve(listener, gate).unwrap(), at, records }
}

#[test]
fn what_is_public_is_reached_through_it() {
    let (public, local) = (Site::start(), Site::start());
    let upstream = Upstream::start(public.at);
    let served = serve(&["93.184.215.14:8080", "*.example.com:80", &local.by_name()], &upstream);
    let url = "http://93.184.215.14:8080/a";
    assert_eq!(served.curl(&[url]).worked(), "GET /a HTTP/1.1 and 0 bytes\n");
    assert!(served.urllib(url).worked().starts_with("GET /a HTTP/1.1"));
    let tunnel = ["--proxytunnel", url];
    assert_eq!(served.curl(&tunnel).worked(), "GET /a HTTP/1.1 and 0 bytes\n");
    assert_eq!(upstream.asked(), vec!["CONNECT 93.184.215.14:8080 HTTP/1.1"; 3]);
    // What is not granted, and what is not public, it never hears of.
    served.curl(&["--fail-with-body", "http://93.184.215.15:8080/"]).failed(&["403", "network=93.184.215.15:8080"]);
    assert!(served.curl(&[&format!("http://{}/b", local.by_name())]).worked().starts_with("GET /b"));
    assert_eq!((upstream.asked().len(), public.connections(), local.connections()), (3, 3, 1));
    served.records.hold("connected to `93.184.215.14:8080` through the proxy");
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let upstream = Upstream { at: closed, asked: Arc::default() };
    let served = serve(&["93.184.215.14:80"], &upstream);
    let said = format!("the proxy localhost:{} cannot be reached", closed.port());
    served.curl(&["--fail-with-body", "http://93.184.215.14/"]).failed(&["502", &said]);
}

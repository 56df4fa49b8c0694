//! curl and urllib, as they are.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};

use super::{CURL, Ran, Records, Site, gate, serve};
use crate::runtime::proxy::{Proxy, proxy_variables};
use crate::wire::ConnectionLimits;
use crate::worker::listen_inside;

#[test]
fn granted_servers_are_reached() {
    let site = Site::start();
    let served = serve(&[&site.by_name()]);
    let url = format!("http://{}/a?b", site.by_name());
    assert_eq!(served.curl(&[&url]).worked(), "GET /a?b HTTP/1.1 and 0 bytes\n");
    assert!(served.urllib(&url).worked().starts_with("GET /a?b HTTP/1.1 and 0 bytes\n"));
    for head in site.heads() {
        assert!(head.contains(&format!("\r\nHost: {}\r\n", site.by_name())), "{head}");
        assert!(head.ends_with("\r\nConnection: close\r\n\r\n") && !head.contains("Proxy-"), "{head}");
    }
    served.records.hold(&format!("connected to `{}` through the proxy", site.by_name()));
    // One host has one spelling; each of two addresses on one command line is judged.
    let other = format!("http://LocalHost.:{}/c", site.port());
    assert_eq!(served.curl(&[&url, &other]).worked(), "GET /a?b HTTP/1.1 and 0 bytes\nGET /c HTTP/1.1 and 0 bytes\n");
    assert_eq!(site.connections(), 4);
}

// covers: A49
#[test]
fn other_servers_are_refused_and_the_grant_is_named() {
    let (granted, other) = (Site::start(), Site::start());
    let served = serve(&[&granted.by_name(), "api.example.com:443"]);
    let missing = format!("network={}", other.by_name());
    let url = format!("http://{}/", other.by_name());
    let help = format!("migraine plugin enable reach --grant {missing}");
    served.curl(&["--fail-with-body", &url]).failed(&["permission_denied", &missing, &help, "error: 403"]);
    served.urllib(&url).failed(&[&format!("HTTP Error 403: {missing} was not granted")]);
    // Nobody looks at the body of an answer to CONNECT.
    let secure = format!("https://{}/", other.by_name());
    served.curl(&[&secure]).failed(&["CONNECT tunnel failed, response 403"]);
    served.urllib(&secure).failed(&[&format!("Tunnel connection failed: 403 {missing} was not granted")]);
    assert_eq!(served.records.count(&format!("permission_denied: `connect` needs the permission {missing}")), 4);
    assert_eq!((granted.connections(), other.connections()), (0, 0));
}

// covers: A53
#[test]
fn only_the_very_name_is_granted() {
    let served = serve(&["allowed.com:80"]);
    for host in ["evil-allowed.com", "allowed.com.evil.com", "sub.allowed.com", "allowed.co", "allowed.com:8080"] {
        served.curl(&["--fail-with-body", &format!("http://{host}/")]).failed(&["403", "permission_denied"]);
    }
    // curl takes what stands before the `@` for a user.
    served.curl(&["--fail-with-body", "http://allowed.com@evil.com/"]).failed(&["403", "network=evil.com:80"]);
    let raw = |target: &str| served.says(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes());
    for target in ["http://allowed.com@evil.com/", "http://allowed.com#@evil.com/", "http://\u{430}llowed.com/"] {
        assert!(raw(target).starts_with("HTTP/1.1 400 "), "{target}");
    }
    // What is granted goes on to the resolver.
    let served = serve(&["allowed.invalid:80"]);
    served.curl(&["--fail-with-body", "http://ALLOWED.invalid./"]).failed(&["502", "has no address"]);
}

// covers: A50
#[test]
fn addresses_inside_are_not_part_of_everything() {
    let site = Site::start();
    let served = serve(&["*:*", "*.test:*"]);
    let port = site.port();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1"]
    {
        let url = format!("http://{host}:{port}/");
        served.curl(&["--fail-with-body", &url]).failed(&["403", "is not a public address", "--grant network="]);
        let proxy = format!("socks5h://{}", served.at);
        served.curl(&["-x", &proxy, &url]).failed(&["(2)"]);
    }
    assert_eq!(site.connections(), 0);
    let by_number = format!("127.0.0.1:{port}");
    assert!(serve(&["*:*", &by_number]).curl(&[&format!("http://{by_number}/")]).worked().starts_with("GET / "));
}

#[test]
fn socks_reaches_what_is_granted() {
    let (granted, other) = (Site::start(), Site::start());
    let by_number = format!("127.0.0.1:{}", granted.port());
    let served = serve(&[&granted.by_name(), &by_number]);
    let ask = |scheme: &str, endpoint: &str| {
        served.curl(&["-x", &format!("{scheme}://{}", served.at), &format!("http://{endpoint}/x")])
    };
    assert!(ask("socks5h", &granted.by_name()).worked().starts_with("GET /x HTTP/1.1"));
    assert!(ask("socks5", &by_number).worked().starts_with("GET /x HTTP/1.1"));
    ask("socks5h", &other.by_name()).failed(&["SOCKS5 connection to", "(2)"]);
    ask("socks5h", "nobody.invalid:80").failed(&["(2)"]);
    // Version 4 is another protocol.
    ask("socks4", &by_number).failed(&[]);
    served.records.hold("a request to the proxy was refused: this is neither HTTP nor SOCKS5");
    assert_eq!((granted.connections(), other.connections()), (2, 0));
}

#[test]
fn requests_have_bodies() {
    let site = Site::start();
    let served = serve(&[&site.by_name()]);
    let url = format!("http://{}/", site.by_name());
    assert_eq!(served.curl(&["-d", "12345", &url]).worked(), "POST / HTTP/1.1 and 5 bytes\n");
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'x'; 3 << 20]).unwrap();
    let file = large.to_str().unwrap();
    // curl waits for a word of the server before it sends so much.
    assert_eq!(
        served.curl(&["-H", "Expect: 100-continue", "-T", file, &url]).worked(),
        "PUT /large HTTP/1.1 and 3145728 bytes\n"
    );
    let mut chunked = served.client("curl");
    chunked.args(CURL).args(["-T", "-", &url]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = chunked.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"12345").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(said, "PUT / HTTP/1.1 and 15 bytes\n");
    assert!(site.heads()[2].contains("Transfer-Encoding: chunked"), "{:?}", site.heads());
}

#[test]
fn nobody_there_is_said() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("127.0.0.1:{}", closed.port());
    let served = serve(&[&endpoint]);
    let said = ["502", "nobody answers at", "the service may not be running"];
    served.curl(&["--fail-with-body", &format!("http://{endpoint}/")]).failed(&said);
    served.records.hold(&format!("tried to connect: nobody answers at `{endpoint}`"));
}

// covers: A56
#[test]
fn it_is_the_only_way_out_of_a_namespace() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let site = Site::start();
    let url = format!("http://{}/", site.by_name());
    let (sender, made) = std::sync::mpsc::channel();
    let inside = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        sender.send(listen_inside().unwrap()).unwrap();
        let curl = |words: &[&str]| Ran::of(Command::new("curl").args(CURL).args(words).envs(proxy_variables()));
        curl(&["--noproxy", "*", &url]).failed(&["onnect"]);
        curl(&["--fail-with-body", "http://other.example/"]).failed(&["network=other.example:80"]);
        curl(&[&url]).worked()
    });
    let records = Arc::new(Records::default());
    let listener = TcpListener::from(made.recv().unwrap());
    let at = listener.local_addr().unwrap();
    let _proxy = Proxy::serve(listener, gate(&[&site.by_name()], ConnectionLimits::PROGRAM, &records)).unwrap();
    assert_eq!(inside.join().unwrap(), "GET / HTTP/1.1 and 0 bytes\n");
    // Nobody else sees it.
    assert!(std::net::TcpStream::connect(at).is_err());
}

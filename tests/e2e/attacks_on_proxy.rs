//! Listed attacks on the proxy, by a program that a plugin may run.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use migraine_host::wire::PROXY_PORT;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};

use crate::attacks_by_programs::{granted, python};

/// A server that answers every request and remembers what it was sent.
struct Site {
    port: u16,
    connections: Arc<AtomicU32>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (connections, bytes) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let site = Self { port: listener.local_addr().unwrap().port(), connections, bytes };
        let (connections, bytes) = (Arc::clone(&site.connections), Arc::clone(&site.bytes));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let bytes = Arc::clone(&bytes);
                std::thread::spawn(move || serve(stream, &bytes));
            }
        });
        site
    }

    fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// One answer; then everything that is sent until the other side leaves.
fn serve(mut stream: TcpStream, bytes: &Mutex<Vec<u8>>) {
    let mut piece = [0; 4096];
    let mut has_answered = false;
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        bytes.lock().unwrap_or_else(PoisonError::into_inner).extend(&piece[..count]);
        if !has_answered {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfound\n");
            has_answered = true;
        }
    }
}

/// `say(bytes)` is the first line that the proxy answers to them.
const SAY: &str = r"
import socket, sys, os, errno
def dial():
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(20)
    client.connect(('127.0.0.1', PORT))
    return client
def say(words):
    client = dial()
    try:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        answer = b''
        while b'\r\n' not in answer:
            piece = client.recv(4096)
            if not piece: break
            answer += piece
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return answer.split(b'\r\n')[0].decode('latin-1') or 'nothing'
";

/// The script with the proxy's port, and with the prelude.
fn script(text: &str) -> String {
    format!("{}{text}", SAY.replace("PORT", &PROXY_PORT.to_string()))
}

/// The last line of a script but that of its end, as the matrix has it.
fn word(done: &Done) -> String {
    let line = done.out.lines().rfind(|line| !line.starts_with("exit ")).unwrap_or_default();
    match line.split(' ').nth(1) {
        Some("200") => WORKS.to_owned(),
        Some("400") => "protocol_error".to_owned(),
        Some("403") => "permission_denied".to_owned(),
        Some("503") => "limit_network".to_owned(),
        Some("closed") => "closed".to_owned(),
        _ => line.to_owned(),
    }
}

// The server is `localhost`; what was granted only looks like it.
#[test]
fn a053_only_the_very_name_is_granted() {
    let site = Site::start();
    let ask = format!("print(say(b'CONNECT localhost:{} HTTP/1.1\\r\\n\\r\\n'))", site.port);
    let mut rows = Rows::of(53);
    for &user in kernel::users() {
        for (name, attack) in [
            ("evil-localhost", "a longer name"),
            ("localhost.evil.com", "a name above it"),
            ("localhos", "a shorter name"),
            ("xn--lcalhost-26g", "a look-alike of other letters"),
        ] {
            let mut home = granted(user, &["exec=python3", &format!("network={name}:{}", site.port)]);
            let stopped = python(&home, &script(&ask), &[]);
            stopped
                .ends(0)
                .says(&[&format!("permission_denied: `connect` needs the permission network=localhost:{}", site.port)]);
            // The name's address is judged for itself.
            home.leave_out("Scope,Address");
            let without = word(&python(&home, &script(&ask), &[]));
            rows.host(attack, user, &word(&stopped), "without Scope and Address", &without);
        }
    }
    rows.settle();
}

// Every way to write what was granted is that; every way to write an address is that address.
#[test]
fn a053_a_name_has_one_meaning() {
    let (site, other) = (Site::start(), Site::start());
    let hosts = [
        "LOCALHOST",
        "LocalHost.",
        "localhost",
        "localhost..",
        ".localhost",
        "localhost@evil.com",
        "evil.com@localhost",
        "localhost%00.evil.com",
        "localhost:80",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "127.0.0.1.",
        "[::1%25lo]",
        "loc\u{430}lhost",
        "\u{ff4c}ocalhost",
        "localhost\u{3002}",
        "ip6-localhost",
        "localhost.localdomain",
    ];
    let text = "
for host in sys.argv[2:]:
    for line in (b'CONNECT %s:%s HTTP/1.1\\r\\n\\r\\n', b'GET http://%s:%s/ HTTP/1.0\\r\\n\\r\\n'):
        print(host, say(line % (host.encode(), sys.argv[1].encode())))
";
    let judge = |home: &Home, port: u16, passing: &[&str]| {
        let port = port.to_string();
        let done = python(home, &script(text), &[&[port.as_str()], &hosts[..]].concat());
        for line in done.ends(0).out.lines().filter(|line| line.contains("HTTP/1.1 200")) {
            let host = line.split(' ').next().unwrap();
            assert!(passing.contains(&host), "{line}: {done:?}");
        }
        let reached = |host: &&&str| done.out.contains(&format!("{host} HTTP/1.1 200"));
        assert_eq!(passing.iter().filter(reached).count(), passing.len(), "{done:?}");
    };
    for &user in kernel::users() {
        let home = granted(user, &["exec=python3", &format!("network=localhost:{}", site.port)]);
        judge(&home, site.port, &["LOCALHOST", "LocalHost.", "localhost"]);
        judge(&home, other.port, &[]);
        // Everything is what is public.
        judge(&granted(user, &["exec=python3", "network=*:*"]), other.port, &[]);
        judge(&granted(user, &["exec=python3", "network"]), other.port, &[]);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn a054_what_is_malformed_reaches_nobody() {
    let mut rows = Rows::of(54);
    for &user in kernel::users() {
        let site = Site::start();
        let host = format!("localhost:{}", site.port);
        let home = granted(user, &["exec=python3", &format!("network={host}")]);
        let ask = |line: &str| python(&home, &script(&format!("print(say({}))", line.replace("HOST", &host))), &[]);
        let plain = word(&ask("b'CONNECT HOST HTTP/1.1\\r\\n\\r\\n'"));
        let connections = site.connections();
        for (attack, line) in [
            (
                "CR LF in a header",
                "b'GET http://HOST/ HTTP/1.1\\r\\nHost: HOST\\r\\nX: a\\nHost: evil.example\\r\\n\\r\\n'",
            ),
            ("CR LF in the host", "b'CONNECT localhost\\r\\nX: HOST HTTP/1.1\\r\\n\\r\\n'"),
            ("NUL in the host", "b'CONNECT local\\0HOST HTTP/1.1\\r\\n\\r\\n'"),
            ("a host of 64 KiB", "b'CONNECT ' + b'a' * 65536 + b':80 HTTP/1.1\\r\\n\\r\\n'"),
            ("a second line in CONNECT", "b'CONNECT HOST HTTP/1.1\\r\\nGET http://evil.example/ HTTP/1.1\\r\\n\\r\\n'"),
            ("another host than the target", "b'GET http://HOST/ HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n'"),
            ("another port than the target", "b'GET http://HOST/ HTTP/1.1\\r\\nHost: localhost:1\\r\\n\\r\\n'"),
            (
                "a request behind CONNECT",
                "b'CONNECT HOST HTTP/1.1\\r\\n\\r\\nGET http://evil.example/ HTTP/1.1\\r\\n\\r\\n'",
            ),
            (
                "two lengths",
                "b'POST http://HOST/ HTTP/1.1\\r\\nHost: HOST\\r\\nContent-Length: 3\\r\\nContent-Length: 9\\r\\n\\r\\nabc'",
            ),
            (
                "a length and chunks",
                "b'POST http://HOST/ HTTP/1.1\\r\\nHost: HOST\\r\\nContent-Length: 3\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n'",
            ),
        ] {
            let done = ask(line);
            done.ends(0).says(&["host: [reach] protocol_error: a request to the proxy was refused"]);
            rows.host(attack, user, &word(&done), "when it is well formed", &plain);
        }
        assert_eq!(site.connections(), connections, "{}", site.bytes());
        assert!(!site.bytes().contains("evil"), "{}", site.bytes());
    }
    rows.settle();
}

// Bytes at random, and requests with a few of them wrong. What does pass goes where it was granted.
#[test]
fn a054_no_bytes_harm_the_proxy() {
    let text = r"
import random
random.seed(7)
good = [b'CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n', b'GET http://%s/ HTTP/1.1\r\nHost: %s\r\nX: y\r\n\r\n', b'\x05\x01\x00\x05\x01\x00\x03%s%s']
host = sys.argv[1].encode()
for turn in range(150):
    words = bytearray(random.choice(good) % (host, host))
    if turn % 3 == 0: words = bytearray(random.randbytes(random.randrange(1, 300)))
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(words))
        how = random.randrange(3)
        if how == 0: words[at] = random.randrange(256)
        elif how == 1: del words[at]
        else: words.insert(at, random.choice(b'\r\n \t:/@[]%\0'))
        if not words: words = bytearray(b'x')
    say(bytes(words))
print(say(b'CONNECT %s HTTP/1.1\r\n\r\n' % host))
";
    let (site, other) = (Site::start(), Site::start());
    for &user in kernel::users() {
        let host = format!("localhost:{}", site.port);
        let home = granted(user, &["exec=python3", &format!("network={host}")]);
        let done = home.run([
            "plugin",
            "run",
            "--timeout",
            "60",
            "reach",
            "exec",
            "python3",
            "--",
            "-c",
            &script(text),
            &host,
        ]);
        done.ends(0).says(&["HTTP/1.1 200 Connection established\nexit 0\n"]);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn a055_connections_are_counted() {
    let site = Site::start();
    let host = format!("localhost:{}", site.port);
    let opened = format!(
        "
tunnels = []
for _ in range(int(sys.argv[1])):
    tunnels.append(dial())
    tunnels[-1].sendall(b'CONNECT {host} HTTP/1.1\\r\\n\\r\\n')
    print(tunnels[-1].recv(200).split(b'\\r\\n')[0].decode())
"
    );
    // Each of them has begun to say something; then an honest one.
    let half_open = "
held = []
refused = 0
for _ in range(1100):
    client = dial()
    client.settimeout(5)
    if len(held) < 10:
        client.sendall(b'GET ')
        held.append(client)
        continue
    try: refused += client.recv(4096).startswith(b'HTTP/1.1 503 ')
    except OSError: pass
    client.close()
print(refused)
for client in held: client.close()
import time
time.sleep(0.2)
print(say(b'CONNECT localhost:1 HTTP/1.1\\r\\n\\r\\n'))
";
    let mut rows = Rows::of(55);
    for &user in kernel::users() {
        let home = granted(user, &["exec=python3", &format!("network={host}")]);
        let tenth = python(&home, &script(&opened), &["10"]);
        let eleventh = python(&home, &script(&opened), &["11"]);
        eleventh.ends(0).says(&["limit_network: a program may have 10 connections through the proxy at a time"]);
        rows.host("an eleventh connection", user, &word(&eleventh), "as the tenth", &word(&tenth));
        let done = python(&home, &script(half_open), &[]);
        done.ends(0).says(&["limit_network: a program may make 1024 connections through the proxy", "1090\n"]);
        rows.host("1100 half-open ones", user, &word(&done), "as the tenth", &word(&tenth));
    }
    rows.settle();
}

/// A server that says this much to everybody, as fast as it is read, and then waits for the other side to leave.
fn speaker(bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                // It is closed from the other side, or never.
                let _ = stream.write_all(&vec![b'x'; bytes]);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    endpoint
}

/// Reads until so much came, or nothing more does; then one who asks slowly.
const PATIENT: &str = r"
import time
if sys.argv[1] == 'read':
    client = dial()
    client.sendall(b'CONNECT ' + sys.argv[2].encode() + b' HTTP/1.1\r\n\r\n')
    client.settimeout(4)
    got, most = 0, int(sys.argv[3])
    try:
        while got < most:
            piece = client.recv(65536)
            if not piece: break
            got += len(piece)
        print('x', 200 if got >= most else 503)
    except TimeoutError: print('x', 200)
if sys.argv[1] == 'ask':
    client = dial()
    try:
        for byte in b'CONNECT ' + sys.argv[2].encode() + b' HTTP/1.1\r\n\r\n':
            client.sendall(bytes([byte]))
            time.sleep(float(sys.argv[3]))
        print(client.recv(200).split(b'\r\n')[0].decode() or 'x closed')
    except OSError: print('x closed')
";

// The limits are those of every user, but smaller.
#[test]
fn a055_bytes_and_silence_are_bounded() {
    let (endless, silent) = (speaker(64 << 20), speaker(0));
    let mut rows = Rows::of(55);
    for &user in kernel::users() {
        let home = |policy: bool| {
            let grants = [&endless, &silent].map(|endpoint| format!("network={endpoint}"));
            let home = granted(user, &["exec=python3", &grants[0], &grants[1]]);
            if policy {
                home.policy("limits: {proxy_bytes: 4 MiB, proxy_idle: 1}");
            }
            home
        };
        let (bounded, free) = (home(true), home(false));
        for (attack, endpoint, most, line) in [
            ("a download without end", &endless, "8388608", "a program may move 4 MiB through the proxy"),
            ("a server that says nothing", &silent, "4096", "nothing was sent for 1 s"),
        ] {
            let read = |home: &Home| python(home, &script(PATIENT), &["read", endpoint, most]);
            let stopped = read(&bounded);
            let record = format!("host: [reach] limit_network: the connection to `{endpoint}` was closed: {line}");
            stopped.ends(0).says(&[&record]);
            let without = word(&read(&free));
            rows.host(attack, user, &word(&stopped), "with larger limits", &without);
        }
        // The plugin's own streams end with its worker.
        let talk = ["plugin", "run", "--timeout", "20", "reach", "talk", &endless, "x"];
        bounded.run(talk).ends(5).says(&["limit_network", "it moved more than 4 MiB over its connections in one call"]);
        let slow = python(&free, &script(PATIENT), &["ask", &silent, "0.4"]);
        let quick = python(&free, &script(PATIENT), &["ask", &silent, "0"]);
        rows.host("a request of a byte now and then", user, &word(&slow), "as one in one piece", &word(&quick));
    }
    rows.settle();
}

/// Holds its proxy until the other side of the file is there.
const HOLD: &str = "
import time
open(sys.argv[1] + '/ready', 'w').close()
while not os.path.exists(sys.argv[1] + '/over'): time.sleep(0.01)
";

#[test]
fn a056_a_proxy_is_for_its_own_programs() {
    let site = Site::start();
    let ask = format!("print(say(b'CONNECT localhost:{} HTTP/1.1\\r\\n\\r\\n'))", site.port);
    let endpoint = format!("network=localhost:{}", site.port);
    let mut rows = Rows::of(56);
    for &user in kernel::users() {
        let folder = tempfile::tempdir().unwrap();
        user.give(folder.path());
        let place = folder.path().canonicalize().unwrap();
        let mine = granted(user, &["exec=python3", &endpoint, &format!("filesystem=write:{}", place.display())]);
        let other = granted(user, &["exec=python3", "network=localhost:1"]);
        let without = granted(user, &["exec=python3"]);
        let own = word(&python(&mine, &script(&ask), &[]));
        let words = ["plugin", "run", "--timeout", "60", "reach", "exec", "python3", "--", "-c"];
        let hold = script(HOLD);
        let hold = [&words[..], &[&hold, place.to_str().unwrap()]].concat();
        let child = mine.command(hold).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !place.join("ready").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // While the first one's proxy listens: another plugin's program, one without a proxy, and another user.
        for (attack, stopped) in [
            ("a program of another plugin", word(&python(&other, &script(&ask), &[]))),
            ("a program without network", refusal(&python(&without, &script(&ask), &[]))),
            ("another process of the machine", outside()),
        ] {
            rows.host(attack, user, &stopped, "as its own program", &own);
        }
        fs::write(place.join("over"), "").unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    rows.settle();
}

/// The name of the error that a script ended with.
fn refusal(done: &Done) -> String {
    let line = done.err.lines().rfind(|line| line.contains("Error")).unwrap_or_default();
    match line.split(':').next().unwrap_or_default() {
        "PermissionError" => "EPERM".to_owned(),
        "ConnectionRefusedError" => "ECONNREFUSED".to_owned(),
        _ => panic!("it was not refused: {done:?}"),
    }
}

fn outside() -> String {
    match TcpStream::connect(("127.0.0.1", PROXY_PORT)) {
        Ok(_) => WORKS.to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => "ECONNREFUSED".to_owned(),
        Err(error) => error.to_string(),
    }
}

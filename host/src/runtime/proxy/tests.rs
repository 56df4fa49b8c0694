//! The proxy as real clients find it, in the test's own network namespace but for one test.

mod clients;
mod hostile;
mod limits;
mod secure;
mod upstream;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use migraine_plugin_api::{LogLevel, Permission};

use super::{Gate, Proxy, proxy_variables};
use crate::ids::PluginName;
use crate::runtime::Voice;
use crate::sandbox::CallUsage;
use crate::wire::{ConnectionLimits, PROXY_PORT};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps what was recorded.
#[derive(Debug, Default)]
struct Records(Mutex<Vec<String>>);

impl Records {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    #[track_caller]
    fn hold(&self, line: &str) {
        let all = self.all();
        assert!(all.iter().any(|record| record.contains(line)), "`{line}` is not in {all:#?}");
    }

    fn count(&self, line: &str) -> usize {
        self.all().iter().filter(|record| record.contains(line)).count()
    }
}

impl Voice for Records {
    fn stray(&self, _: &PluginName, _: bool, _: &[u8]) {}

    fn used(&self, _: &PluginName, _: &CallUsage) {}

    fn log(&self, _: &PluginName, _: LogLevel, _: &str) {}

    fn audit(&self, _: &PluginName, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    fn granted(&self, _: &PluginName, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// A proxy for a plugin with some grants.
struct Served {
    proxy: Proxy,
    at: SocketAddr,
    records: Arc<Records>,
}

fn serve(scopes: &[&str]) -> Served {
    serve_within(scopes, ConnectionLimits::PROGRAM)
}

fn serve_within(scopes: &[&str], limits: ConnectionLimits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let records = Arc::new(Records::default());
    let proxy = Proxy::serve(listener, gate(scopes, limits, &records)).unwrap();
    Served { proxy, at, records }
}

fn gate(scopes: &[&str], limits: ConnectionLimits, records: &Arc<Records>) -> Gate {
    let permissions: Vec<Permission> = scopes.iter().map(|scope| format!("network={scope}").parse().unwrap()).collect();
    let voice = Arc::clone(records) as Arc<dyn Voice>;
    Gate {
        plugin: "reach".parse().unwrap(),
        permissions,
        capped: Vec::new(),
        learner: None,
        voice,
        upstream: None,
        until: None,
        limits,
    }
}

impl Served {
    /// A program that finds this proxy by its variables.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let here = format!(":{}", self.at.port());
        let variables = proxy_variables().into_iter();
        command.envs(variables.map(|(name, value)| (name, value.replace(&format!(":{PROXY_PORT}"), &here))));
        command
    }

    fn curl(&self, words: &[&str]) -> Ran {
        Ran::of(self.client("curl").args(CURL).args(words))
    }

    /// What urllib reads from an address, or its error.
    fn urllib(&self, url: &str) -> Ran {
        let script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())";
        Ran::of(self.client("python3").args(["-c", script, url]))
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What the proxy says to some bytes until it closes the connection.
    fn says(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        rest(&mut stream)
    }
}

/// What comes until the end, which may be a reset.
fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let outcome = stream.read_to_end(&mut said);
    assert!(!outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "the proxy keeps it open");
    String::from_utf8_lossy(&said).into_owned()
}

const CURL: [&str; 4] = ["-q", "-sS", "--max-time", "20"];

/// A program that ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    #[track_caller]
    fn worked(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    fn failed(&self, says: &[&str]) {
        assert_ne!(self.code, Some(0), "{self:?}");
        for text in says {
            assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is missing: {self:?}");
        }
    }
}

/// A web server that answers each request with what it got, and keeps it. It closes no connection by itself unless told.
struct Site {
    at: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<u32>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let site = Self { at, heads: Arc::default(), connections: Arc::default() };
        let (heads, connections) = (Arc::clone(&site.heads), Arc::clone(&site.connections));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                *connections.lock().unwrap() += 1;
                let heads = Arc::clone(&heads);
                std::thread::spawn(move || answer(stream.unwrap(), &heads));
            }
        });
        site
    }

    fn port(&self) -> u16 {
        self.at.port()
    }

    fn by_name(&self) -> String {
        format!("localhost:{}", self.port())
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    fn connections(&self) -> u32 {
        *self.connections.lock().unwrap()
    }
}

/// Answers requests one by one, as long as they come and none asks for the end.
fn answer(mut stream: TcpStream, heads: &Mutex<Vec<String>>) {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !seen.windows(4).any(|part| part == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => seen.extend(&piece[..count]),
            }
        }
        let end = seen.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        seen.drain(..end);
        heads.lock().unwrap().push(head.clone());
        if head.contains("100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        }
        let length =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |l| l.parse().unwrap());
        let is_over = |seen: &[u8]| {
            if head.contains("chunked") { seen.ends_with(b"0\r\n\r\n") } else { seen.len() >= length }
        };
        while !is_over(&seen) {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => seen.extend(&piece[..count]),
            }
        }
        let body = format!("{} and {} bytes\n", head.lines().next().unwrap(), seen.len());
        seen.clear();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if head.contains("Connection: close") && !head.contains("keep-open") {
            return;
        }
    }
}

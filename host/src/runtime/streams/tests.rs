//! What the host sees of the streams that it copies, and what it does about them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{self, Receiver};

use migraine_plugin_api::LogLevel;

use super::*;
use crate::sandbox::CallUsage;

/// Long enough for a slow machine to do what must be done before it, short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// What was recorded.
#[derive(Default)]
struct Records(Mutex<Vec<String>>);

impl Voice for Records {
    fn stray(&self, _: &PluginName, _: bool, _: &[u8]) {}

    fn used(&self, _: &PluginName, _: &CallUsage) {}

    fn log(&self, _: &PluginName, _: LogLevel, _: &str) {}

    fn audit(&self, _: &PluginName, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    fn granted(&self, _: &PluginName, _: &str) {}
}

/// The streams of one plugin, and a server.
struct Bench {
    streams: Streams,
    limits: ConnectionLimits,
    plugin: PluginName,
    records: Arc<Records>,
    listener: TcpListener,
}

impl Bench {
    fn new(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            streams: Streams::default(),
            limits,
            plugin: "reach".parse().unwrap(),
            records: Arc::default(),
            listener,
        }
    }

    /// A stream to a server's stream, and what ends the worker.
    fn lead(&self, endpoint: &str, server: OwnedFd) -> (UnixStream, Receiver<Death>) {
        let (sender, deaths) = mpsc::channel();
        let voice = Arc::clone(&self.records) as Arc<dyn Voice>;
        let endpoint = endpoint.parse().unwrap();
        let end = Box::new(move |death| sender.send(death).unwrap());
        let ends = Ends { plugin: &self.plugin, endpoint: &endpoint, voice: &voice, limits: self.limits, end };
        (self.streams.serve(server, ends).unwrap().into(), deaths)
    }

    /// Both ends of a stream over the network, and what ends the worker.
    fn connect(&self) -> (UnixStream, TcpStream, Receiver<Death>) {
        let server = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, deaths) = self.lead("localhost:1", server.into());
        (stream, self.listener.accept().unwrap().0, deaths)
    }

    fn admit(&self) -> Result<(), String> {
        self.streams.admit(&self.plugin, 0, &self.limits)
    }
}

fn rest(mut stream: impl io::Read) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn each_side_may_finish_first() {
    let bench = Bench::new(ConnectionLimits::PLUGIN);
    let (mut mine, mut there, _) = bench.connect();
    mine.write_all(b"question").unwrap();
    mine.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&there), "question");
    there.write_all(b"answer").unwrap();
    drop(there);
    assert_eq!(rest(&mine), "answer");
    assert_eq!(bench.streams.moved(&bench.plugin), 14);
    bench.streams.begin(&bench.plugin);
    assert_eq!(bench.streams.moved(&bench.plugin), 0);
    // The server learns that nobody is there any more.
    let (mine, there, _) = bench.connect();
    drop(mine);
    assert_eq!(rest(&there), "");
}

#[test]
fn the_eleventh_waits_for_the_end_of_another() {
    let bench = Bench::new(ConnectionLimits::PLUGIN);
    let mut held: Vec<_> = (0..10)
        .map(|_| {
            bench.admit().unwrap();
            bench.connect()
        })
        .collect();
    assert_eq!(bench.admit().unwrap_err(), "a plugin may have 10 connections at a time");
    let other: PluginName = "other".parse().unwrap();
    bench.streams.admit(&other, 0, &bench.limits).unwrap();
    let (mine, _there, _) = held.remove(3);
    drop(mine);
    // A process that another test starts just now holds a copy of it until it has loaded its program.
    let since = std::time::Instant::now();
    while bench.admit().is_err() && since.elapsed() < SHORT {
        std::thread::sleep(Duration::from_millis(1));
    }
    bench.admit().unwrap();
    let error = bench.streams.admit(&bench.plugin, 1024, &bench.limits).unwrap_err();
    assert_eq!(error, "a call may make 1024 connections, and these were made");
}

// covers: A55
#[test]
fn too_many_bytes_end_the_worker() {
    let bench = Bench::new(ConnectionLimits { bytes: 1 << 20, ..ConnectionLimits::PLUGIN });
    let (mine, mut there, deaths) = bench.connect();
    std::thread::spawn(move || while there.write_all(&[b'x'; 4096]).is_ok() {});
    let got = rest(&mine).len();
    assert!(got <= 1 << 20, "{got} bytes");
    assert_eq!(deaths.recv().unwrap(), Death::Traffic(1 << 20));
}

// covers: A55
#[test]
fn silence_ends_a_stream_of_the_network_alone() {
    let bench = Bench::new(ConnectionLimits { idle: SHORT, ..ConnectionLimits::PLUGIN });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = UnixStream::connect(&path).unwrap();
    let (mut local, _deaths) = bench.lead(&format!("unix:{}", path.display()), server.into());
    let (mut daemon, _) = listener.accept().unwrap();
    let (mine, there, _) = bench.connect();
    assert_eq!((rest(&mine), rest(&there)), (String::new(), String::new()));
    assert_eq!(
        *bench.records.0.lock().unwrap(),
        ["limit_network: the connection to `localhost:1` was closed: nothing was sent for 0 s"]
    );
    daemon.write_all(b"event").unwrap();
    let mut said = [0; 5];
    local.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"event");
}

#[test]
fn last_words_arrive() {
    let bench = Bench::new(ConnectionLimits::PLUGIN);
    for length in [1, 100_000] {
        let (mut mine, there, _) = bench.connect();
        mine.write_all(&vec![b'x'; length]).unwrap();
        bench.streams.clear();
        assert_eq!(rest(&there).len(), length);
        assert_eq!(rest(&mine), "");
    }
    assert!(bench.admit().is_ok());
}

// A server that takes nothing keeps nobody.
#[test]
fn the_end_waits_for_no_server() {
    let bench = Bench::new(ConnectionLimits::PLUGIN);
    let (mut mine, _there, _) = bench.connect();
    mine.set_nonblocking(true).unwrap();
    let mut idle = 0;
    while idle < 20 {
        idle = if mine.write(&[0; 65536]).is_ok() { 0 } else { idle + 1 };
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.streams.clear();
}

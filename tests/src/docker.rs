//! A Docker daemon of the tests' own: in namespaces of its own, with nothing of the machine's daemon or network, and gone
//! with the process that started it.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{kernel, run};

/// What Debian's docker.io installs. Other clients of the machine are left alone.
const CLIENT: &str = "/usr/bin/docker";
const DAEMON: &str = "/usr/sbin/dockerd";
/// The programs that it needs, and the tests' own.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The longest that its start may take.
const START: Duration = Duration::from_secs(60);
/// The longest that any answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// A running daemon.
pub struct Daemon {
    keeper: Child,
    folder: PathBuf,
    /// The process that holds its namespaces.
    holder: i32,
    /// The web server as one file that needs no library, once it is asked for.
    web: OnceLock<PathBuf>,
}

impl Daemon {
    /// The one daemon of this test process; none, loudly, where this machine cannot run one.
    ///
    /// # Panics
    /// Where everything is enforced and it cannot be run, or it does not start.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Daemon>> = OnceLock::new();
        SHARED.get_or_init(|| can_run().then(|| Self::start("0"))).as_ref()
    }

    /// Starts one more. `name` tells the daemons of this process apart.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let parent = format!("migraine-docker-{}-{name}", std::process::id());
        // Short, and one that the plain user can enter: the socket lies in it.
        let folder = std::env::temp_dir().join(&parent);
        fs::DirBuilder::new().mode(0o755).create(&folder).expect("make a directory");
        let mut keeper = Command::new("sh");
        keeper.arg("-c").arg(include_str!("docker/keep.sh")).arg("keeper");
        keeper.arg(&folder).arg(run::PLAIN.to_string()).arg(&parent);
        keeper.env_clear().env("PATH", PATH).env("HOME", &folder).current_dir("/");
        // An interrupt at the terminal ends the tests; the keeper has to clean up after that.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().expect("start the daemon's keeper");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("piped")).read_line(&mut line).expect("read the holder's id");
        let holder = line.trim().parse().expect("the keeper prints an id");
        let daemon = Self { keeper, folder, holder, web: OnceLock::new() };
        daemon.wait();
        daemon
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.answers() {
            assert!(run::is_running(self.holder), "the daemon ended:\n{}", self.log());
            assert!(start.elapsed() < START, "the daemon does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let ask = || {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer.contains("200 OK"))
        };
        ask().unwrap_or(false)
    }

    /// Its socket, which root and the plain user may open.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// The folder of everything that it keeps.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process that holds its namespaces.
    #[must_use]
    pub fn holder(&self) -> i32 {
        self.holder
    }

    /// Runs Docker's own client; it must succeed. The value is what it printed.
    ///
    /// # Panics
    /// It did not.
    pub fn client(&self, args: &[&str]) -> String {
        let (code, out, err) = self.try_client(args);
        assert_eq!(code, 0, "docker {args:?}: {out}{err}\n{}", self.log());
        out
    }

    /// Runs Docker's own client: its exit code and what it printed.
    ///
    /// # Panics
    /// It cannot be started or does not end.
    #[must_use]
    pub fn try_client(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(CLIENT);
        command.arg("--host").arg(format!("unix://{}", self.socket().display())).args(args);
        command.env_clear().env("PATH", PATH).env("HOME", &self.folder).current_dir("/").stdin(Stdio::null());
        let ran = run::run(&mut command, START);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.code, text(&ran.out), text(&ran.err))
    }

    /// What `docker inspect` says of a container or an image.
    ///
    /// # Panics
    /// There is no such thing.
    #[must_use]
    pub fn inspect(&self, name: &str) -> Value {
        let all: Value = serde_json::from_str(&self.client(&["inspect", name])).expect("the client writes JSON");
        all[0].clone()
    }

    /// The ids of all containers, those that do not run included.
    #[must_use]
    pub fn containers(&self) -> Vec<String> {
        self.client(&["ps", "--all", "--quiet", "--no-trunc"]).lines().map(str::to_owned).collect()
    }

    /// What a web server answers on a port of the daemon's own network. It may still be starting.
    ///
    /// # Panics
    /// It does not answer in time.
    pub fn get(&self, port: u16) -> String {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.holder)).expect("the daemon has a network");
        // A thread that has entered another network cannot be used for anything else.
        let asking = std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("enter the daemon's network");
            let start = Instant::now();
            loop {
                match ask(port) {
                    Ok(answer) => return answer,
                    Err(error) => assert!(start.elapsed() < ANSWER, "port {port} does not answer: {error}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        asking.join().expect("the web server answers")
    }

    /// Builds an image of the web server with Docker's own client.
    ///
    /// # Panics
    /// It cannot be built.
    pub fn image(&self, tag: &str) {
        let folder = tempfile::tempdir().expect("make a directory");
        self.put_web(folder.path());
        self.client(&["build", "--quiet", "--tag", tag, folder.path().to_str().expect("a path is UTF-8")]);
    }

    /// Puts the web server and a Dockerfile of it into a folder.
    ///
    /// # Panics
    /// It cannot be built or copied.
    pub fn put_web(&self, folder: &Path) {
        fs::copy(self.web(), folder.join("web")).expect("copy the web server");
        fs::write(folder.join("Dockerfile"), "FROM scratch\nCOPY web /web\nCMD [\"/web\"]\n").expect("write a file");
    }

    fn web(&self) -> &Path {
        self.web.get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/web.rs");
            let output = self.folder.join("web");
            let mut rustc = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"));
            rustc.args(["--edition", "2024", "-C", "opt-level=s", "-C", "strip=symbols"]);
            rustc.args(["-C", "target-feature=+crt-static", "-o"]).arg(&output).arg(&source);
            let built = rustc.output().expect("run rustc");
            assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
            output
        })
    }

    /// The end of what it said.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Drop for Daemon {
    /// As at the end of the test process; then waits until nothing is left.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let ended = self.keeper.wait().is_ok_and(|status| status.success());
        assert!(ended || std::thread::panicking(), "the daemon's keeper failed");
    }
}

/// The containers that a test starts: removed with this value, and the daemon's log is shown if the test fails.
#[derive(Debug)]
pub struct Cleared<'a> {
    daemon: &'a Daemon,
    names: Vec<String>,
}

impl<'a> Cleared<'a> {
    /// Containers of these names.
    #[must_use]
    pub fn new(daemon: &'a Daemon, names: &[&str]) -> Self {
        Self { daemon, names: names.iter().map(|&name| name.to_owned()).collect() }
    }
}

impl Drop for Cleared<'_> {
    #[allow(clippy::print_stderr, reason = "what a failed test shows")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.daemon.log());
        }
        for name in &self.names {
            let _ = self.daemon.try_client(&["rm", "--force", "--volumes", name]);
        }
    }
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::Error::other(format!("no answer in {answer:?}")))
}

fn can_run() -> bool {
    let why = if !nix::unistd::geteuid().is_root() {
        "this is not root"
    } else if ![CLIENT, DAEMON].iter().all(|program| Path::new(program).exists()) {
        "docker.io is not installed"
    } else {
        return true;
    };
    kernel::skip("docker-manager on a real daemon", why);
    false
}

//! A plugin is connected to the endpoints that it was granted, and to no other.

use std::fs;
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::Rows;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

/// A server that sends everything back, each stream by a thread of its own, as long as the tests run.
struct Echo {
    endpoint: String,
    accepted: Arc<AtomicU32>,
}

impl Echo {
    fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self::start(format!("unix:{}", path.display()), move || listener.accept().unwrap().0.into())
    }

    fn tcp(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("{host}:{}", listener.local_addr().unwrap().port());
        Self::start(endpoint, move || listener.accept().unwrap().0.into())
    }

    fn start(endpoint: String, accept: impl Fn() -> OwnedFd + Send + 'static) -> Self {
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            loop {
                // The calls are the same for a stream of TCP.
                let mut stream = UnixStream::from(accept());
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // A client that leaves is no failure.
                    let _ = stream.try_clone().and_then(|mut reader| std::io::copy(&mut reader, &mut stream));
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { endpoint, accepted }
    }

    fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::SeqCst)
    }

    fn port(&self) -> &str {
        self.endpoint.split_once(':').unwrap().1
    }
}

/// A home with the plugin, granted these endpoints.
fn granted(scopes: &[&str]) -> Home {
    granted_in(Home::new(), scopes)
}

/// As [`granted`], in a home of somebody who runs the product.
fn granted_in(home: Home, scopes: &[&str]) -> Home {
    let permissions: Vec<String> = scopes.iter().map(|scope| format!("network={scope}")).collect();
    home.with_granted("reach", &permissions)
}

/// Runs a command of the plugin.
fn reach(home: &Home, words: &[&str]) -> Done {
    home.run([&["plugin", "run", "reach"], words].concat())
}

/// Runs a command of the plugin by a shell, started by these words, that does something first.
fn reach_after(home: &Home, shell: &[&str], first: &str, words: &[&str]) -> Done {
    let product = home.command([&["plugin", "run", "reach"], words].concat());
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", &format!("{first} && exec \"$0\" \"$@\"")]);
    command.arg(product.get_program()).args(product.get_args()).env_clear();
    command.envs(product.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Done::of(command.current_dir(home.work()).stdin(Stdio::null()))
}

#[test]
fn granted_endpoints_are_reached() {
    let folder = tempfile::tempdir().unwrap();
    let by_path = Echo::unix(&folder.path().join("socket"));
    let (by_name, by_number) = (Echo::tcp("localhost"), Echo::tcp("127.0.0.1"));
    let servers = [&by_path, &by_name, &by_number];
    let home = granted(&servers.map(|server| server.endpoint.as_str()));
    for server in servers {
        let done = reach(&home, &["talk", &server.endpoint, "hello there\n"]);
        assert_eq!((done.ends(0).out.as_str(), done.err.as_str()), ("hello there\n", ""), "{}", server.endpoint);
        assert_eq!(server.accepted(), 1);
    }
    // One host has one spelling.
    reach(&home, &["talk", &format!("LOCALHOST.:{}", by_name.port()), "x"]).ends(0);
    let done = home.run(["--verbose", "plugin", "run", "reach", "talk", &by_path.endpoint, "x"]);
    let connected = format!("host: [reach] connected to `{}`\n", by_path.endpoint);
    done.ends(0).says(&[&connected, ", 1 connections with 2 bytes\n"]);
}

#[test]
fn a049_other_endpoints_are_refused_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, other) = (Echo::unix(&folder.path().join("socket")), Echo::unix(&folder.path().join("socket2")));
    let (port, stranger) = (Echo::tcp("localhost"), Echo::tcp("localhost"));
    let home = granted(&[&asked.endpoint, &port.endpoint, "api.example.com:443"]);
    let check = |endpoint: &str| {
        let done = reach(&home, &["talk", endpoint, "x"]);
        let line = format!("`connect` needs the permission network={endpoint}, which was not granted");
        done.ends(6).says(&[
            &format!("host: [reach] permission_denied: {line}\n"),
            &format!("error[permission_denied]: plugin 'reach' failed: {line}\n"),
            &format!("migraine plugin enable reach --grant network={endpoint}\n"),
        ]);
    };
    check(&other.endpoint);
    check(&stranger.endpoint);
    for endpoint in [
        "evil-api.example.com:443",
        "api.example.com.evil.com:443",
        "api.example.com:444",
        "example.com:443",
        "unix:/run/docker.sock",
    ] {
        check(endpoint);
    }
    assert_eq!((other.accepted(), stranger.accepted()), (0, 0));
    for name in ["", "socket", "socket2"] {
        // The plain user must be stopped by the host, and not by the modes of the files.
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut rows = Rows::of(49);
    for &user in kernel::users() {
        let mut home = granted_in(Home::of(user), &[&asked.endpoint]);
        let talk = |home: &Home| home.word(["plugin", "run", "reach", "talk", &other.endpoint, "x"]);
        let stopped = talk(&home);
        home.leave_out("Scope");
        rows.host("connect to what is not granted", user, &stopped, "without Scope", &talk(&home));
    }
    rows.settle();
    // A plugin without any endpoint learns the same.
    let without = granted(&[]);
    reach(&without, &["talk", &asked.endpoint, "x"]).ends(6).says(&["permission_denied", &asked.endpoint]);
    assert_eq!(asked.accepted(), 0);
}

// covers: A54
#[test]
fn what_is_no_endpoint_is_said() {
    let home = granted(&["localhost:80"]);
    let long = format!("{}:80", "a".repeat(70_000));
    for endpoint in [
        "",
        "localhost",
        "localhost:",
        "localhost:0",
        "api.example.com@evil.com:80",
        "localhost:80\r\nHost: x",
        "http://localhost:80",
        "unix:relative",
        "unix:/a/../b",
        &long,
    ] {
        let done = reach(&home, &["talk", endpoint, "x"]);
        done.ends(5).says(&["error[plugin_failed]", "is not an endpoint"]).never_says(&["permission_denied"]);
    }
    reach(&home, &["plain-call", "localhost:80"]).ends(5).says(&["`connect` answers with a descriptor"]);
}

#[test]
fn nobody_there_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
    drop(UnixListener::bind(folder.path().join("closed")).unwrap());
    fs::write(folder.path().join("file"), "").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tcp = format!("127.0.0.1:{}", closed.port());
    let home = granted(&[&at("closed"), &at("none"), &at("file"), &tcp, "nobody.invalid:80"]);
    let check = |endpoint: &str, says: &str| {
        let done = reach(&home, &["talk", endpoint, "x"]);
        done.ends(5).says(&["error[plugin_failed]", says]).never_says(&["permission_denied", "--grant"]);
    };
    for endpoint in [&at("closed"), &tcp] {
        check(endpoint, &format!("nobody answers at `{endpoint}`: Connection refused (os error 111)"));
    }
    check(&at("none"), &format!("nobody answers at `{}`: No such file or directory (os error 2)", at("none")));
    check(&at("file"), "is not a socket");
    check("nobody.invalid:80", "`nobody.invalid:80` has no address");
}

#[test]
fn a_socket_that_accepts_nobody_does_not_hold_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    // All that its queue takes.
    let _queued = UnixStream::connect(&path).unwrap();
    let endpoint = format!("unix:{}", path.display());
    let home = granted(&[&endpoint]);
    let done = home.run(["plugin", "run", "--timeout", "1", "reach", "talk", &endpoint, "x"]);
    // The plugin may be told just before its time is over.
    assert!(done.code == 124 || done.code == 5 && done.err.contains("no answer in time"), "{done:?}");
}

#[test]
fn a_thousand_streams_leave_nothing_open() {
    let folder = tempfile::tempdir().unwrap();
    let server = Echo::unix(&folder.path().join("socket"));
    let home = granted(&[&server.endpoint]);
    // A host that kept one of each would run out of them.
    let done = reach_after(&home, &["sh"], "ulimit -n 128", &["many", &server.endpoint, "1000"]);
    assert_eq!(done.ends(0).out, "1000 streams\n");
    assert_eq!(server.accepted(), 1000);
    let done = reach(&home, &["many", &server.endpoint, "1025"]);
    done.ends(5).says(&["a call may make 1024 connections"]);
}

#[test]
fn each_thread_gets_a_stream_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (unix, tcp) = (Echo::unix(&folder.path().join("socket")), Echo::tcp("localhost"));
    let home = granted(&[&unix.endpoint, &tcp.endpoint]);
    for server in [unix, tcp] {
        assert_eq!(reach(&home, &["threads", &server.endpoint, "6"]).ends(0).out, "6 threads\n");
        assert_eq!(server.accepted(), 6);
    }
}

// covers: A55
#[test]
fn the_eleventh_stream_is_refused_until_one_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Echo::unix(&folder.path().join("socket"));
    let home = granted(&[&server.endpoint]);
    let done = reach(&home, &["keep", &server.endpoint]);
    let line = "a plugin may have 10 connections at a time";
    assert!(done.ends(0).out.starts_with(&format!("10 streams, then: {line}")), "{done:?}");
    done.says(&[&format!("host: [reach] limit_network: {line}\n")]);
}

#[test]
fn what_was_written_last_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let endpoint = format!("unix:{}", path.display());
    let home = granted(&[&endpoint]);
    let text = "x".repeat(50_000);
    reach(&home, &["tell", &endpoint, &text]).ends(0);
    let mut heard = String::new();
    listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, text);
}

// One that receives nothing is refused; it cannot make the host wait, nor pile up what it asked for.
#[test]
fn a_plugin_that_receives_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Echo::unix(&folder.path().join("socket"));
    let home = granted(&[&server.endpoint]);
    let done = reach(&home, &["hoard", &server.endpoint]);
    let passed: u32 = done.ends(0).out.split(' ').next().unwrap().parse().unwrap();
    let refused =
        ["the descriptor cannot be passed", "10 connections at a time"].iter().any(|line| done.out.contains(line));
    assert!((1..=10).contains(&passed) && refused, "{done:?}");
}

/// A shell in whose mounts nobody else sees what it lays over files of the system.
const OWN_MOUNTS: &[&str] = &["unshare", "-m", "sh"];

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        kernel::skip("names of the tests' own", "this is not root");
    }
    root
}

#[test]
fn a050_a_name_that_leads_inside_is_refused() {
    if !is_root() {
        return;
    }
    let server = Echo::tcp("rebound.test");
    let number = format!("127.0.0.1:{}", server.port());
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    fs::write(&hosts, "127.0.0.1 rebound.test localhost\n").unwrap();
    let lay = format!("mount --bind {} /etc/hosts", hosts.display());
    let words = ["talk", &server.endpoint, "x"];
    for scopes in [&[server.endpoint.as_str()][..], &["*:*"], &["*.test:*"], &[&server.endpoint, "127.0.0.1:1"]] {
        let done = reach_after(&granted(scopes), OWN_MOUNTS, &lay, &words);
        done.ends(6).says(&[
            "error[permission_denied]",
            "stands for 127.0.0.1, which is not a public address",
            &format!("--grant network={number}\n"),
        ]);
    }
    assert_eq!(server.accepted(), 0);
    let mut rows = Rows::of(50);
    for &user in kernel::users() {
        let mut home = granted_in(Home::of(user), &[&server.endpoint]);
        let stopped = reach_after(&home, OWN_MOUNTS, &lay, &words);
        stopped.ends(6);
        home.leave_out("Address");
        let without = if reach_after(&home, OWN_MOUNTS, &lay, &words).code == 0 { "works" } else { "refused" };
        rows.host("a granted name for 127.0.0.1", user, "permission_denied", "without Address", without);
    }
    rows.settle();
    assert_eq!(reach_after(&granted(&[&server.endpoint, &number]), OWN_MOUNTS, &lay, &words).ends(0).out, "x");
}

#[test]
fn a049_nobody_is_asked_about_a_name_that_is_not_granted() {
    if !is_root() {
        return;
    }
    let server = UdpSocket::bind("127.7.7.7:53").unwrap();
    server.set_nonblocking(true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (servers, order) = (folder.path().join("resolv.conf"), folder.path().join("nsswitch.conf"));
    fs::write(&servers, "nameserver 127.7.7.7\noptions timeout:1 attempts:1\n").unwrap();
    fs::write(&order, "hosts: files dns\n").unwrap();
    let bind = |file: &Path, over: &str| format!("mount --bind {} {over}", file.display());
    let lay = format!("{} && {}", bind(&servers, "/etc/resolv.conf"), bind(&order, "/etc/nsswitch.conf"));
    let home = granted(&["asked.test:80"]);
    reach_after(&home, OWN_MOUNTS, &lay, &["talk", "other.test:80", "x"]).ends(6);
    assert!(server.recv(&mut [0; 512]).is_err(), "the name server was asked");
    reach_after(&home, OWN_MOUNTS, &lay, &["talk", "asked.test:80", "x"]).ends(5).says(&["has no address"]);
    assert!(server.recv(&mut [0; 512]).is_ok(), "the name server was not asked about a granted name");
}

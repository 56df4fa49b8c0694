//! Listed attacks that a program makes which a plugin may run: on the proxy, on the machine and on others. The attacker is
//! Python, which makes any call; each script prints one line for each try.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use migraine_host::wire::PROXY_PORT;
use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};
use migraine_tests::package::remade;
use migraine_tests::run::User;
use serde_json::json;

/// A home of this user with the plugin, which holds these permissions and may combine them.
fn granted(user: User, permissions: &[&str]) -> Home {
    let home = Home::of(user);
    let parcel = remade("reach", &json!({"permissions": permissions, "config": {}}));
    let mut line = vec!["plugin", "install", parcel.typed(), "--yes"];
    line.extend(permissions.iter().flat_map(|permission| ["--grant", permission]));
    let holds = |kind: &str| permissions.iter().any(|permission| permission.starts_with(kind));
    for pair in ["filesystem+exec", "filesystem+network", "env_vars+exec", "env_vars+network"] {
        let (first, second) = pair.split_once('+').unwrap();
        line.extend((holds(first) && holds(second)).then_some(["--grant", pair]).into_iter().flatten());
    }
    home.ok(&line);
    home
}

/// Runs a script of Python's as a program of the plugin.
fn python(home: &Home, script: &str, args: &[&str]) -> Done {
    home.run([&["plugin", "run", "reach", "exec", "python3", "--", "-c", script], args].concat())
}

/// The same without any sandbox.
fn python_outside(user: User, script: &str) -> String {
    let output = user.command(Path::new("python3")).args(["-c", script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

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
            done.ends(0).says(&["[reach] host: protocol_error: a request to the proxy was refused"]);
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

/// Children that each take what one process may have of memory, all at once.
const CHILDREN: &str = "
import os, time
made = 0
for _ in range(24):
    if os.fork() == 0:
        taken = bytearray(os.urandom(1 << 20)) * 40
        time.sleep(3)
        os._exit(0)
    made += 1
for _ in range(made): os.wait()
print('works')
";

#[test]
fn a058_all_children_share_one_limit() {
    let mut rows = Rows::of(58);
    for &user in kernel::users() {
        let home = granted(user, &["exec=python3"]);
        let done = python(&home, CHILDREN, &[]);
        done.ends(5).says(&["the program `python3` reached its memory limit of 256 MiB"]);
        let outside = word_of(&python_outside(user, CHILDREN));
        rows.host("24 children of 40 MiB each", user, "limit_memory", "outside of the sandbox", &outside);
    }
    rows.settle();
}

fn word_of(out: &str) -> String {
    out.lines().last().unwrap_or_default().to_owned()
}

/// Makes processes until one is refused, at most 60, and ends them.
const FORKS: &str = "
import errno, os, signal, sys
children = []
try:
    while len(children) < 60:
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
    result = 'works'
except OSError as error:
    result = errno.errorcode[error.errno]
if len(sys.argv) > 1:
    open(sys.argv[1] + '/full', 'w').close()
    while not os.path.exists(sys.argv[1] + '/over'): os.sched_yield()
for child in children:
    os.kill(child, signal.SIGKILL)
    os.wait()
print(len(children))
print(result)
";

// While a program has all the processes that it may have, the same user makes others.
#[test]
fn a063_a_program_cannot_take_all_processes() {
    let mut rows = Rows::of(63);
    for &user in kernel::users() {
        let folder = tempfile::tempdir().unwrap();
        user.give(folder.path());
        let place = folder.path().canonicalize().unwrap();
        let home = granted(user, &["exec=python3", &format!("filesystem=write:{}", place.display())]);
        let words = ["plugin", "run", "--timeout", "60", "reach", "exec", "python3", "--", "-c", FORKS];
        let child = home.command([&words[..], &[place.to_str().unwrap()]].concat()).stdout(Stdio::piped()).spawn();
        let child = child.unwrap();
        while !place.join("full").exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(user.command(Path::new("sh")).args(["-c", "true & wait"]).status().unwrap().success());
        fs::write(place.join("over"), "").unwrap();
        let out = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
        let stopped = word_of(out.trim_end().trim_end_matches("exit 0").trim_end());
        rows.host(
            "60 processes of a program",
            user,
            &stopped,
            "outside of the sandbox",
            &word_of(&python_outside(user, FORKS)),
        );
    }
    rows.settle();
}

// The program is root's and runs as its owner; outside, whoever starts it becomes root.
#[test]
fn a027_a_granted_program_makes_nobody_another_user() {
    if !nix::unistd::geteuid().is_root() {
        return kernel::skip("a program of root's", "this is not root");
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().canonicalize().unwrap().join("id");
    fs::copy("/usr/bin/id", &program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let typed = program.display().to_string();
    let mut rows = Rows::of(27);
    let home = granted(User::Plain, &[&format!("exec={typed}"), "exec=id"]);
    let id = |program: &str| home.run(["plugin", "run", "reach", "exec", program, "--", "-u"]).ends(0).out.clone();
    let stopped = if id(&typed) == id("id") { "nobody else" } else { WORKS };
    assert_ne!(id(&typed), "0\nexit 0\n");
    let outside = User::Plain.command(&program).arg("-u").output().unwrap().stdout;
    let outside = if outside == b"0\n" { WORKS } else { "nobody else" };
    rows.host("a granted program of root's", User::Plain, stopped, "outside of the sandbox", outside);
    for name in ["su", "mount", "passwd"] {
        let done = home.run(["plugin", "run", "reach", "exec", name, "--", "--version"]);
        assert_ne!(done.code, 0, "{done:?}");
    }
    rows.settle();
}

/// Tries everything beside the grants, a line for each.
const EVERYTHING: &str = r"
import errno, mmap, os, resource, signal, socket, stat, sys
port, place, read, host = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
def attempt(name, act):
    try: print(name, 'worked', act() or '')
    except ValueError as error: print(name, 'refused', error)
    except OSError as error: print(name, 'refused', errno.errorcode.get(error.errno, error))
def descriptors():
    found = []
    for fd in range(3, 4096):
        try: found.append('%d:%o' % (fd, os.fstat(fd).st_mode))
        except OSError: pass
    return ' '.join(found) or 'none'
attempt('descriptors', descriptors)
attempt('processes', lambda: ' '.join(os.listdir('/proc')) or 'none')
def families():
    made = set()
    for family in range(47):
        for kind in (1, 2, 3, 5):
            try: socket.socket(family, kind).close(); made.add('%d/%d' % (family, kind))
            except OSError: pass
    return ' '.join(sorted(made)) or 'none'
attempt('families', families)
def dial(family, *where):
    client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(2)
    client.connect(*where)
attempt('tcp', lambda: dial(socket.AF_INET, ('127.0.0.1', port)))
attempt('tcp6', lambda: dial(socket.AF_INET6, ('::1', port)))
attempt('unix', lambda: dial(socket.AF_UNIX, place + '/socket'))
def listen():
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(('127.0.0.1', 0))
    server.listen()
attempt('listen', listen)
def reuse():
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind(('127.0.0.1', 3128))
    server.listen()
attempt('take the proxy', reuse)
def execute(path):
    child = os.fork()
    if child == 0:
        try: os.execv(path, [path])
        except OSError as error: os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code: raise OSError(code, '')
attempt('run what is there', lambda: execute(place + '/program'))
def written():
    with open(read + '/program', 'rb') as source, open(place + '/copy', 'wb') as copy: copy.write(source.read())
    os.chmod(place + '/copy', 0o755)
    execute(place + '/copy')
attempt('run what was written', written)
attempt('run from a read one', lambda: execute(read + '/program'))
attempt('run a shell', lambda: execute('/bin/sh'))
def mapped():
    with open(place + '/program', 'rb') as file: mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
attempt('map it', mapped)
attempt('set-id', lambda: os.chmod(place + '/program', 0o4755))
attempt('symlink', lambda: os.symlink('/etc/shadow', place + '/link'))
attempt('mkfifo', lambda: os.mkfifo(place + '/pipe'))
attempt('device', lambda: os.mknod(place + '/device', 0o666 | stat.S_IFCHR, os.makedev(1, 3)))
attempt('write the read one', lambda: open(read + '/program', 'ab').close())
attempt('move it out', lambda: os.rename(place + '/file', read + '/file'))
attempt('climb', lambda: os.listdir(place + '/..'))
attempt('home', lambda: os.listdir(host))
attempt('raise a limit', lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1 << 20, 1 << 20)))
attempt('priority', lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
attempt('groups', lambda: os.setgroups([0]))
for signum in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    for target in (1, os.getppid()):
        try: os.kill(target, signum)
        except OSError: pass
print('environment', 'worked', ' '.join(sorted(name for name in os.environ if 'SECRET' in name or 'TOKEN' in name)))
";

// Each grant by itself is bounded; here they are together, and each must stay what it is.
#[test]
fn grants_that_stand_together_open_nothing_else() {
    let site = Site::start();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let port = stranger.local_addr().unwrap().port().to_string();
    for &user in kernel::users() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (place, read) = (root.join("place"), root.join("read"));
        for directory in [&place, &read] {
            fs::create_dir(directory).unwrap();
            fs::copy("/bin/true", directory.join("program")).unwrap();
            user.give(&directory.join("program"));
        }
        fs::write(place.join("file"), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(place.join("socket")).unwrap();
        for path in [&root, &place, &read, &place.join("file"), &place.join("socket")] {
            user.give(path);
        }
        let [write, look] =
            [("write", &place), ("read", &read)].map(|(how, path)| format!("filesystem={how}:{}", path.display()));
        let endpoint = format!("network=localhost:{}", site.port);
        let home = granted(user, &["exec=python3", &endpoint, &write, &look, "env_vars=TOKEN"]);
        let host = home.path().display().to_string();
        let places = [place.to_str().unwrap(), read.to_str().unwrap(), &host];
        let words = ["plugin", "run", "reach", "exec", "python3", "--", "-c", EVERYTHING, &port];
        let mut command = home.command([&words[..], &places].concat());
        let done = Done::of(command.env("TOKEN", "t0k3n").env("SECRET", "s3cr3t"));
        let lines: Vec<&str> = done.ends(0).out.lines().collect();
        assert_eq!(
            lines,
            [
                "descriptors worked none",
                "processes refused EACCES",
                "families worked 10/1 2/1",
                "tcp refused EACCES",
                "tcp6 refused EACCES",
                "unix refused EPERM",
                "listen refused EPERM",
                "take the proxy refused EPERM",
                "run what is there refused EACCES",
                "run what was written refused EACCES",
                "run from a read one refused EACCES",
                "run a shell refused EACCES",
                "map it refused EPERM",
                "set-id refused EPERM",
                "symlink refused EPERM",
                "mkfifo refused EPERM",
                "device refused EPERM",
                "write the read one refused EROFS",
                "move it out refused EXDEV",
                "climb refused EACCES",
                "home refused ENOENT",
                "raise a limit refused not allowed to raise maximum limit",
                "priority refused EPERM",
                "groups refused EPERM",
                "environment worked TOKEN",
                "exit 0"
            ],
            "as {user}: {done:?}"
        );
        assert!(stranger.accept().is_err());
        fs::remove_file(place.join("copy")).unwrap();
    }
}

// A variable of the user's that says where a proxy is would lead a program past its own, and show a password.
#[test]
fn the_users_proxy_variables_do_not_reach_a_program() {
    let site = Site::start();
    let endpoint = format!("network=localhost:{}", site.port);
    let home = granted(User::Root, &["exec=python3", &endpoint, "env_vars"]);
    let text = "import os; print([value for name, value in os.environ.items() if name.lower().endswith('_proxy')])";
    let words = ["plugin", "run", "reach", "exec", "python3", "--", "-c", text];
    let mut command = home.command(words);
    for name in ["http_proxy", "HTTPS_PROXY", "all_proxy", "NO_PROXY"] {
        command.env(name, "http://user:s3cr3t@proxy.example:1");
    }
    let done = Done::of(&mut command);
    done.ends(0).never_says(&["s3cr3t", "proxy.example"]);
}

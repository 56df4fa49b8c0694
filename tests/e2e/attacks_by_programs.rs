//! Attacks that a program makes which a plugin may run, on the machine and on others. The attacker is Python, which makes any
//! call; each script prints one line for each try.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use migraine_tests::home::{Done, Home};
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};
use migraine_tests::package::remade;
use migraine_tests::run::User;
use serde_json::json;

/// A home of this user with the plugin, which holds these permissions and may combine them.
pub(super) fn granted(user: User, permissions: &[&str]) -> Home {
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
pub(super) fn python(home: &Home, script: &str, args: &[&str]) -> Done {
    home.run([&["plugin", "run", "reach", "exec", "python3", "--", "-c", script], args].concat())
}

/// The same without any sandbox.
fn python_outside(user: User, script: &str) -> String {
    let output = user.command(Path::new("python3")).args(["-c", script]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
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
        let endpoint = "network=localhost:1".to_owned();
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
    let endpoint = "network=localhost:1".to_owned();
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

//! What an attack must not touch: a directory of the user's own, a process, listening sockets. Looked at from outside.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tempfile::TempDir;

use crate::run::{Background, User};

/// The scene of one attack.
#[derive(Debug)]
pub struct Scene {
    directory: TempDir,
    before: BTreeMap<String, [u64; 7]>,
    victim: Option<Background>,
    /// Who the host may connect a stream to: by `{peer}`, and by `{dir}/peer`. Nobody answers.
    peers: (TcpListener, UnixListener),
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    abstract_name: String,
    abstract_socket: UnixListener,
}

impl Scene {
    /// A fresh scene that belongs to a user; with another process in it where the attack's arguments name one.
    ///
    /// # Panics
    /// The machine refuses files, sockets or processes.
    #[must_use]
    pub fn new(user: User, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("migraine-scene-").tempdir().expect("make a directory");
        let path = directory.path();
        fs::write(path.join("file"), "the user's own").expect("write a file");
        std::os::unix::fs::symlink("/etc", path.join("link")).expect("make a link");
        let unix = listen(&path.join("socket"));
        let peers = (TcpListener::bind("127.0.0.1:0").expect("listen on a port"), listen(&path.join("peer")));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open the directory");
        fs::copy("/bin/true", path.join("program")).expect("copy a program");
        for name in ["", "file", "link", "socket", "peer", "program"] {
            user.give(&path.join(name));
        }
        if nix::unistd::geteuid().is_root() {
            let (null, mode) = (makedev(1, 3), Mode::from_bits_truncate(0o666));
            mknod(&path.join("null"), SFlag::S_IFCHR, mode, null).expect("make a device");
            fs::set_permissions(path.join("null"), fs::Permissions::from_mode(0o666)).expect("open the device");
        }
        let abstract_name = format!("migraine-scene-{}", path.display());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a short name");
        let scene = Self {
            before: snapshot(path),
            directory,
            victim: arguments.iter().any(|argument| argument.contains("{victim}")).then(|| sleeper(user)),
            tcp: TcpListener::bind("127.0.0.1:0").expect("listen on a port"),
            udp: UdpSocket::bind("127.0.0.1:0").expect("bind a port"),
            unix,
            peers,
            abstract_name,
            abstract_socket: UnixListener::bind_addr(&address).expect("listen on a name"),
        };
        for outcome in [
            scene.tcp.set_nonblocking(true),
            scene.udp.set_nonblocking(true),
            scene.unix.set_nonblocking(true),
            scene.abstract_socket.set_nonblocking(true),
        ] {
            outcome.expect("make a socket non-blocking");
        }
        scene
    }

    /// An attack's argument with the names of this scene.
    ///
    /// # Panics
    /// A socket has no address.
    #[must_use]
    pub fn fill(&self, argument: &str) -> String {
        argument
            .replace("{dir}", &self.directory.path().display().to_string())
            .replace("{victim}", &self.victim.as_ref().map_or(0, |victim| victim.0.id()).to_string())
            .replace("{peer}", &self.peers.0.local_addr().expect("bound").to_string())
            .replace("{tcp}", &self.tcp.local_addr().expect("bound").to_string())
            .replace("{udp}", &self.udp.local_addr().expect("bound").to_string())
            .replace("{abstract}", &self.abstract_name)
            .replace("{run}", &self.directory.path().file_name().unwrap_or_default().to_string_lossy())
    }

    /// What was touched, if anything.
    #[must_use]
    pub fn touched(&mut self) -> Option<String> {
        let now = snapshot(self.directory.path());
        if now != self.before {
            return Some(format!("the directory changed from {:?} to {now:?}", self.before));
        }
        if self.victim.as_mut().is_some_and(|victim| !victim.is_alive()) {
            return Some("the other process died".to_owned());
        }
        let quiet = |outcome: std::io::Result<()>| outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        let heard = [
            ("the TCP socket", quiet(self.tcp.accept().map(drop))),
            ("the UDP socket", quiet(self.udp.recv(&mut [0; 8]).map(drop))),
            ("the socket file", quiet(self.unix.accept().map(drop))),
            ("the abstract socket", quiet(self.abstract_socket.accept().map(drop))),
        ];
        heard.iter().find(|(_, quiet)| !quiet).map(|(name, _)| format!("{name} was reached"))
    }
}

/// A socket file that everybody may connect to.
fn listen(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).expect("listen on a path");
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("open the socket");
    listener
}

/// Another process of the same user.
fn sleeper(user: User) -> Background {
    let sleeper = Background::start(user.command(Path::new("sleep")).arg("300"));
    // Until it is the sleeping program, signals and rights are those of what starts it.
    let name = format!("/proc/{}/comm", sleeper.0.id());
    while fs::read_to_string(&name).is_ok_and(|name| name.trim() != "sleep") {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    sleeper
}

/// Everything that a look from outside can tell about each name.
fn snapshot(path: &Path) -> BTreeMap<String, [u64; 7]> {
    let names = fs::read_dir(path).expect("list the directory").map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .chain([".".to_owned()])
        .map(|name| {
            let metadata = fs::symlink_metadata(path.join(&name)).expect("an entry exists");
            let time = |seconds: i64, nanos: i64| u64::try_from(seconds * 1_000_000_000 + nanos).unwrap_or_default();
            let changed = time(metadata.ctime(), metadata.ctime_nsec());
            let modified = time(metadata.mtime(), metadata.mtime_nsec());
            let owner = u64::from(metadata.uid()) << 32 | u64::from(metadata.gid());
            let facts =
                [metadata.ino(), metadata.mode().into(), metadata.nlink(), owner, metadata.len(), changed, modified];
            (name, facts)
        })
        .collect()
}

//! The self-check: attributes are asked for, and forbidden acts are tried, before the plugin is near. Nothing here reads
//! /proc: what it shows could be another's.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{Common, StepError, at};
use crate::sys;
use crate::wire::{Directory, Layer, PROXY_PORT, Probe, Programs};

/// A name that nobody uses.
const PROBE: &str = ".migraine-probe";

/// What every machine has, those places left out that a grant leads to or through.
fn ungranted(common: &Common) -> impl Iterator<Item = &'static str> {
    let interprets = |path: &str| common.interpreter.as_ref().is_some_and(|found| found.lies_in(Path::new(path)));
    let granted = move |path: &str| {
        let shows = |shown: &Directory| shown.path.starts_with(path) || Path::new(path).starts_with(&shown.path);
        common.directories.iter().any(shows) || common.programs.lie_in(Path::new(path)) || interprets(path)
    };
    let runs_programs = common.programs.are_run() || common.interpreter.is_some();
    let everywhere: &[&str] =
        if runs_programs { &["/etc/passwd", "/etc/group", "/var", "/sys"] } else { &["/etc", "/usr", "/sys"] };
    everywhere.iter().copied().filter(move |path| !granted(path))
}

/// Tries to run what was written to the scratch directory, which the working directory is.
fn run_own() -> io::Result<()> {
    File::create_new(PROBE)?.set_permissions(fs::Permissions::from_mode(0o700))?;
    let started = Command::new(Path::new(".").join(PROBE)).spawn();
    fs::remove_file(PROBE)?;
    started.map(drop)
}

/// Tries to run a program of the system that was not granted.
fn run_another(granted: &[PathBuf]) -> Option<io::Result<()>> {
    let others = ["/usr/bin/env", "/usr/bin/true", "/usr/bin/id"].map(Path::new);
    let other = others.into_iter().find(|other| other.exists() && !granted.iter().any(|file| file == other))?;
    Some(Command::new(other).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(drop))
}

/// Tries to make a socket.
fn make_socket() -> io::Result<()> {
    Ok(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).map(drop)?)
}

/// Tries to make a file; one that was there is left alone.
fn create(path: &Path) -> io::Result<()> {
    File::create_new(path)?;
    let _ = fs::remove_file(path);
    Ok(())
}

/// What was tried so far.
struct Tried(Vec<Probe>);

impl Tried {
    /// An act that must end in an error.
    fn act<T>(&mut self, layer: Layer, act: &str, ended: io::Result<T>) {
        let (refused, outcome) = match ended {
            Ok(_) => (false, "it worked".to_owned()),
            Err(error) => (true, name_of(&error)),
        };
        self.0.push(Probe { layer, act: act.to_owned(), outcome, refused });
    }

    /// An attribute that stands for the acts it rules out.
    fn attribute(&mut self, layer: Layer, act: &str, read: impl Display, refused: bool) {
        self.0.push(Probe { layer, act: act.to_owned(), outcome: read.to_string(), refused });
    }
}

/// As errno(3) writes it.
fn name_of(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| format!("{:?}", Errno::from_raw(number)))
}

/// Whether the process gave up dumpability, where it must.
///
/// # Errors
/// The attribute cannot be read.
pub(super) fn dumpable(common: &Common) -> Result<Option<Probe>, StepError> {
    if !common.layers.privileges || common.learns {
        return Ok(None);
    }
    let (_, _, dumpable) = at("read attributes", sys::privileges::attributes())?;
    let mut tried = Tried(Vec::new());
    let named = format!("dumpable is {dumpable}");
    tried.attribute(Layer::Privileges, "be traced or leave a core", named, dumpable == 0);
    Ok(tried.0.pop())
}

/// Tries what must be refused, and says what came of each. [`dumpable`] comes later.
///
/// # Errors
/// An attribute cannot be read.
pub(super) fn probe(common: &Common) -> Result<Vec<Probe>, StepError> {
    let Common { layers, directories, programs, interpreter, .. } = common;
    // A child of a script's worker would take the one exec that it has.
    let starts_none = interpreter.is_none() && !programs.are_run();
    let mut tried = Tried(Vec::new());
    let (no_new_privileges, seccomp, _) = at("read attributes", sys::privileges::attributes())?;
    if layers.privileges {
        let none = at("read capabilities", sys::privileges::has_no_capabilities())?;
        tried.attribute(Layer::Privileges, "hold a capability", if none { "none is left" } else { "some are" }, none);
        let named = format!("no_new_privs is {no_new_privileges}");
        tried.attribute(Layer::Privileges, "gain rights from a program", named, no_new_privileges == 1);
    }
    if layers.namespaces {
        let (own, effective) = (nix::unistd::getuid(), nix::unistd::geteuid());
        let other = !own.is_root() && !effective.is_root();
        tried.attribute(Layer::Namespaces, "be user id 0", format!("user id {own}"), other);
        let pid = std::process::id();
        tried.attribute(Layer::Namespaces, "see other processes", format!("process id {pid}"), pid == 1);
        for path in ungranted(common) {
            tried.act(Layer::Namespaces, &format!("look at {path}"), fs::symlink_metadata(path));
        }
    }
    if layers.namespaces || layers.landlock {
        let layer = if layers.namespaces { Layer::Namespaces } else { Layer::Landlock };
        tried.act(layer, "write into the root", File::create("/probe"));
        for directory in directories.iter().filter(|directory| !directory.writable) {
            tried.act(layer, "change a directory to read", create(&directory.path.join(PROBE)));
        }
    }
    if layers.rlimits {
        let (descriptors, _) = at("read limits", getrlimit(Resource::RLIMIT_NOFILE))?;
        let beyond = FcntlArg::F_DUPFD_CLOEXEC(i32::try_from(descriptors).unwrap_or(i32::MAX));
        let copied = fcntl(io::stdin(), beyond).map_err(io::Error::from);
        tried.act(Layer::Rlimits, "open one descriptor too many", copied);
    }
    if layers.landlock {
        tried.act(Layer::Landlock, "list the root", fs::read_dir("/"));
    }
    if programs.are_run() {
        tried.act(Layer::Landlock, "run what was written", run_own());
    }
    if let Programs::Only(granted) = programs
        && let Some(ended) = run_another(granted)
    {
        tried.act(Layer::Landlock, "run another program", ended);
    }
    if layers.namespaces && common.listens {
        let other = TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY_PORT + 1));
        tried.act(Layer::Namespaces, "connect past the proxy", other);
    }
    if layers.seccomp && common.listens {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        tried.act(Layer::Seccomp, "wait for connections", taken);
    }
    if layers.seccomp {
        let named = format!("mode {seccomp}");
        tried.attribute(Layer::Seccomp, "make unfiltered system calls", named, seccomp == 2);
        tried.act(Layer::Seccomp, "make a socket", make_socket());
        let unshared = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).map_err(io::Error::from);
        tried.act(Layer::Seccomp, "make a namespace", unshared);
        if starts_none {
            tried.act(Layer::Seccomp, "start a program", sys::process::try_fork());
        }
    }
    Ok(tried.0)
}

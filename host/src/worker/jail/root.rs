//! The private root: a read-only tmpfs that holds nothing of the host but three harmless devices, the directories that were
//! granted and, for programs, those of the system (pivot_root(2)).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};

use super::directories::{self, TakeError, Tree};
use super::{StepError, at, system};
use crate::sys;
use crate::sys::mount::{Use, mount_setattr, move_mount, open_file, open_tree};
use crate::wire::{LauncherSpec, LoadBy, Rlimits};
use crate::worker::numbers;

/// Where a worker finds its code: among its descriptors, or as a copy of its own. No granted directory lies in `/dev`.
pub(in crate::worker) const CODE: &str = "/dev/code";
/// That copy.
pub(in crate::worker) const CODE_COPY: &str = "/dev/code/library.so";

const DEVICES: [&str; 3] = ["null", "zero", "urandom"];
/// Directories that exist on every system and can carry the new root for a moment.
const CARRIERS: [&str; 4] = ["/tmp", "/run", "/mnt", "/proc"];

/// What the launcher has of its new root.
pub(in crate::worker) struct Entered {
    pub(in crate::worker) load_by: LoadBy,
    /// procfs, where the root does not show it and it could be mounted: its working directory may lead there for a moment.
    pub(in crate::worker) procfs: Option<OwnedFd>,
}

/// Builds the root and moves into it; called by the launcher, before any worker.
///
/// # Errors
/// The first mount that failed, or a directory that could not be attached.
pub(in crate::worker) fn enter(spec: &LauncherSpec, trees: &[Tree]) -> Result<Entered, TakeError> {
    let forced = spec.load_by;
    let shows_system = spec.programs.are_run() || spec.interpreter.is_some();
    let links = if shows_system { at("read the system's links", system::links())? } else { Vec::new() };
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    // Nothing that is mounted from here on may reach the host's tree.
    at(
        "make mounts private",
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>),
    )?;
    let carrier = CARRIERS.iter().find(|path| Path::new(path).is_dir()).copied().unwrap_or("/");
    let options = format!("mode=0755,size=64k,nr_inodes={}", 32 + links.len() + directories::count_names(trees));
    at("mount the root", mount(Some("tmpfs"), carrier, Some("tmpfs"), quiet, Some(options.as_str())))?;
    let host_devices = Path::new("/dev");
    let new = |name: &str| Path::new(carrier).join(name.trim_start_matches('/'));
    for directory in ["/proc", CODE, spec.scratch()] {
        at("make the root's directories", fs::create_dir_all(new(directory)))?;
    }
    for device in DEVICES {
        let target = new("dev").join(device);
        at("make the root's devices", File::create(&target).map(drop))?;
        at("bind the root's devices", show_device(&host_devices.join(device), &target))?;
    }
    at("make the system's links", system::make_links(&links, Path::new(carrier)))?;
    directories::attach(trees, Path::new(carrier))?;
    let procfs = if shows_system { at("hide procfs", hidden_proc(&new("proc")))? } else { None };
    let load_by = match forced {
        // A program would see its own descriptors' names there, and the host program's path in the launcher's.
        _ if shows_system => LoadBy::Copy,
        Some(LoadBy::Copy) => LoadBy::Copy,
        // Before the pivot: afterwards no visible procfs is left that the kernel could compare with.
        _ => mount_proc(&new("proc")),
    };
    if forced == Some(LoadBy::Procfs) && load_by != LoadBy::Procfs {
        return Ok(at("mount procfs", Err(io::Error::from(io::ErrorKind::PermissionDenied)))?);
    }
    at("enter the root", chdir(carrier))?;
    at("pivot the root", pivot_root(".", "."))?;
    // The old root lies over the new one now.
    at("detach the host's tree", umount2(".", MntFlags::MNT_DETACH))?;
    at("enter the root", chdir("/"))?;
    let sealed = quiet | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    at("make the root read-only", mount(None::<&str>, "/", None::<&str>, sealed, None::<&str>))?;
    Ok(Entered { load_by, procfs })
}

/// procfs at no path, for the launcher alone; nothing where it may not be mounted.
fn hidden_proc(target: &Path) -> io::Result<Option<OwnedFd>> {
    if mount_proc(target) != LoadBy::Procfs {
        return Ok(None);
    }
    let place = open_file(AT_FDCWD, target).and_then(|place| sys::fd::lift(&place, numbers::LAUNCHER));
    // No worker may see it.
    umount2(target, MntFlags::MNT_DETACH)?;
    place.map(Some)
}

/// The mount is read-only: what is written to a device still reaches it, but its times and mode, which are the machine's,
/// stay. Only adds attributes: those that the machine's mount has cannot be taken away in a user namespace.
fn show_device(device: &Path, target: &Path) -> io::Result<()> {
    let opened = open_file(AT_FDCWD, device)?;
    let tree = open_tree(opened.as_fd(), false)?;
    mount_setattr(&tree, Use::Device, None)?;
    move_mount(&tree, &open_file(AT_FDCWD, target)?)
}

/// procfs shows a worker itself and nothing else. Containers often refuse it; then each worker copies its code.
fn mount_proc(target: &Path) -> LoadBy {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("proc"), target, Some("proc"), flags, Some("hidepid=invisible,subset=pid")) {
        Ok(()) => LoadBy::Procfs,
        Err(_) => LoadBy::Copy,
    }
}

/// The worker's own writable directory: bounded in size and files, and nothing in it can be executed or mapped as code.
///
/// # Errors
/// The mount failed.
pub(super) fn mount_scratch(place: &str, limits: &Rlimits) -> Result<(), StepError> {
    let options = format!("mode=0700,size={},nr_inodes={}", limits.scratch, limits.scratch_files);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    at("mount the scratch", mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options.as_str())))?;
    at("enter the scratch", chdir(place))
}

/// Shows the worker's own descriptors where a copy of the code would lie, and hides procfs: its links and file data would
/// tell a plugin where the host program lies, whose home that is and how full the disk is (readlink(2), stat(2) and
/// statfs(2) are not Landlock's).
///
/// # Errors
/// The first mount that failed.
pub(super) fn show_descriptors() -> Result<(), StepError> {
    let bind = |from, to| mount(Some(from), to, None::<&str>, MsFlags::MS_BIND, None::<&str>);
    at("bind the descriptors", bind("/proc/self/fd", CODE))?;
    at("cover procfs", bind("/dev", "/proc"))
}

/// Copies the verified bytes to a tmpfs of the worker's own and makes that read-only.
///
/// # Errors
/// The first step that failed.
pub(super) fn copy_code() -> Result<(), StepError> {
    let code = File::from(at("open the code", sys::fd::take_inherited(numbers::CODE))?);
    let outcome = copy_from(&code);
    // The number stays the loader's.
    std::mem::forget(code);
    outcome
}

fn copy_from(code: &File) -> Result<(), StepError> {
    let length = at("measure the code", code.metadata())?.len();
    let options = format!("mode=0700,size={},nr_inodes=4", length + 65536);
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    at("mount the code", mount(Some("tmpfs"), CODE, Some("tmpfs"), flags, Some(options.as_str())))?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o400).open(CODE_COPY);
    let mut target = at("copy the code", target)?;
    let mut piece = vec![0; 128 * 1024];
    let mut offset = 0;
    while offset < length {
        let count = at("copy the code", code.read_at(&mut piece, offset))?;
        if count == 0 {
            return at("copy the code", Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        at("copy the code", target.write_all(&piece[..count]))?;
        offset += u64::try_from(count).unwrap_or_default();
    }
    drop(target);
    let sealed = flags | MsFlags::MS_RDONLY | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    at("make the code read-only", mount(None::<&str>, CODE, None::<&str>, sealed, None::<&str>))
}

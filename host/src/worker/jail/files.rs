//! The verified files of a script, and what its interpreter runs first: a read-only copy of the worker's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use nix::mount::{MsFlags, mount};

use super::root::CODE;
use super::{StepError, at};
use crate::sys;
use crate::wire::{Interpreter, unbundle};
use crate::worker::{numbers, script};

/// What a file or directory takes beside its content, in bytes: its pages are whole ones.
const OVERHEAD: usize = 8192;

/// Unpacks the bundle that came as the worker's code.
///
/// # Errors
/// The first step that failed.
pub(super) fn unpack(interpreter: &Interpreter) -> Result<(), StepError> {
    let mut bytes = Vec::new();
    let mut bundle = File::from(at("open the code", sys::fd::take_inherited(numbers::CODE))?);
    at("read the code", io::Seek::rewind(&mut bundle).and_then(|()| bundle.read_to_end(&mut bytes)))?;
    let runner = script::runner(interpreter.language);
    let own = at("read the code", unbundle(&bytes))?;
    let names: usize = own.iter().map(|(path, _)| path.split('/').count()).sum::<usize>() + 8 * (runner.len() + 1);
    let size = bytes.len() + runner.iter().map(|(_, text)| text.len()).sum::<usize>() + OVERHEAD * names;
    let options = format!("mode=0700,size={size},nr_inodes={}", names + 8);
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    if !interpreter.is_plugins_own() {
        flags |= MsFlags::MS_NOEXEC;
    }
    at("mount the code", mount(Some("tmpfs"), CODE, Some("tmpfs"), flags, Some(options.as_str())))?;
    for (path, text) in runner {
        write(Path::new(CODE), path, text.as_bytes(), 0o400)?;
    }
    at("make the code's directories", fs::create_dir_all(Interpreter::PLUGIN))?;
    let mode = if interpreter.is_plugins_own() { 0o500 } else { 0o400 };
    for (path, content) in own {
        write(Path::new(Interpreter::PLUGIN), path, content, mode)?;
    }
    let sealed = flags | MsFlags::MS_RDONLY | MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    at("make the code read-only", mount(None::<&str>, CODE, None::<&str>, sealed, None::<&str>))
}

fn write(folder: &Path, path: &str, content: &[u8], mode: u32) -> Result<(), StepError> {
    let is_plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || path.is_empty() {
        return at("copy the code", Err(io::Error::from(io::ErrorKind::InvalidInput)));
    }
    let place = folder.join(path);
    at("make the code's directories", fs::create_dir_all(place.parent().unwrap_or(folder)))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(place);
    at("copy the code", file.and_then(|mut file| file.write_all(content)))
}

//! Landlock (landlock(7)): the second lock on the doors that the mount and net namespaces close, and it must hold alone.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::{Common, StepError, at, directories, root, system};
use crate::sys;
use crate::wire::{Level, LoadBy, PROXY_PORT};

/// The oldest version that is enough: it knows truncate(2).
const LEAST: ABI = ABI::V3;
/// The oldest version that is enough where it stands alone: it keeps signals and abstract sockets inside.
const LEAST_ALONE: ABI = ABI::V6;
/// The newest version whose rights are named here; an older kernel gets all that it knows.
const NEWEST: ABI = ABI::V6;

/// Denies every right that this kernel knows, but for the scratch directory, the granted ones and three devices. Programs
/// may also read the system's directories and execute what was granted.
///
/// # Errors
/// The kernel's Landlock is missing, switched off or too old; a granted directory is gone.
pub(super) fn restrict(own_root: bool, common: &Common) -> Result<u32, StepError> {
    let least = if common.level == Level::Full { LEAST } else { LEAST_ALONE };
    at("restrict with Landlock", build(own_root, common, least).map_err(|error| plain(error.as_ref(), least)))
}

/// Why it failed, where the kernel's version of Landlock says more than the library does.
fn plain(error: &(dyn std::error::Error + Send + Sync), least: ABI) -> io::Error {
    let least = least as u32;
    match sys::landlock::version() {
        Err(error) => error,
        Ok(version) if version < least => io::Error::other(format!(
            "this kernel has version {version} of Landlock, and version {least} is the least that is enough"
        )),
        Ok(_) => io::Error::other(error.to_string()),
    }
}

fn build(own_root: bool, common: &Common, least: ABI) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // No programs, links, pipes, sockets or devices, in a granted directory neither.
    let change = AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let mut required =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(least))?;
    // Older versions know no right of these kinds, and an empty set is an error.
    let (net, scopes) = (AccessNet::from_all(least), Scope::from_all(least));
    if !net.is_empty() {
        required = required.handle_access(net)?;
    }
    if !scopes.is_empty() {
        required = required.scope(scopes)?;
    }
    let mut ruleset = required
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    if own_root {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(common.scratch)?, change))?;
    }
    for directory in &common.directories {
        let rights = if directory.writable { change } else { read };
        ruleset = ruleset.add_rule(PathBeneath::new(directories::open(directory)?, rights))?;
    }
    if common.programs.are_run() {
        for path in system::readable() {
            ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, readable(path, read)))?;
        }
        for path in system::executable(&common.programs) {
            let rights = readable(&path, read) | AccessFs::Execute;
            ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, rights))?;
        }
    } else if own_root && common.load_by == LoadBy::Copy {
        // The dynamic loader opens it by path; its mount is read-only.
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(root::CODE_COPY)?, AccessFs::ReadFile))?;
    }
    for (device, rights) in [
        ("/dev/null", AccessFs::ReadFile | AccessFs::WriteFile),
        ("/dev/zero", AccessFs::ReadFile.into()),
        ("/dev/urandom", AccessFs::ReadFile.into()),
    ] {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(device)?, rights))?;
    }
    if common.listens {
        // In whatever network: nothing else may be connected to, and no port may be taken.
        ruleset = ruleset.add_rule(NetPort::new(PROXY_PORT, AccessNet::ConnectTcp))?;
    }
    let status = ruleset.restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("Landlock is not enforced".into());
    }
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => Ok(u32::try_from(effective_abi as i32)?),
        other => Err(format!("{other:?}").into()),
    }
}

/// A rule for a file names no right that only directories have.
fn readable(path: &Path, directory: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { directory } else { AccessFs::ReadFile.into() }
}

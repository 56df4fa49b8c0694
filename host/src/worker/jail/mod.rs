//! The jail: one file per layer, one ordered list of steps. A wrong order is a hole, so each step says why it stands
//! where it stands.

mod check;
pub(super) mod directories;
mod files;
pub(super) mod filter;
mod landlock;
pub(super) mod limits;
mod mounts;
pub(super) mod network;
pub(super) mod root;
pub(super) mod spaces;
pub(super) mod system;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::sys;
use crate::sys::seccomp::Instruction;
use crate::wire::{
    Directory, FailedStep, Interpreter, Language, Layers, Level, LoadBy, Programs, SealReport, WorkerSpec,
};

/// A step that failed: the worker or launcher must not go on.
#[derive(Debug)]
pub(crate) struct StepError {
    pub(super) step: &'static str,
    pub(super) source: io::Error,
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.source)
    }
}

impl From<StepError> for FailedStep {
    fn from(StepError { step, source }: StepError) -> Self {
        Self { step: step.to_owned(), reason: source.to_string(), errno: source.raw_os_error() }
    }
}

/// Names the step of an error.
pub(super) fn at<T, E: Into<io::Error>>(step: &'static str, outcome: Result<T, E>) -> Result<T, StepError> {
    outcome.map_err(|source| StepError { step, source: source.into() })
}

/// What a worker says to the launcher when its filter stands, or cannot stand.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// The number of the filter's listener, to be fetched by the launcher; absent when the layer is off. And whether the
    /// worker is in its control group.
    Sealed { listener: Option<i32>, is_grouped: bool },
    /// It cannot.
    Failed(FailedStep),
}

/// What all workers of one launcher have in common.
pub(super) struct Common {
    pub(super) layers: Layers,
    pub(super) level: Level,
    pub(super) load_by: LoadBy,
    /// Where the scratch directory lies.
    pub(super) scratch: &'static str,
    /// What is shown of the machine's tree.
    pub(super) directories: Vec<Directory>,
    /// What may be executed; where anything may, the workers run programs and no plugins.
    pub(super) programs: Programs,
    /// What takes the place of each worker of a script.
    pub(super) interpreter: Option<Interpreter>,
    /// Whether the proxy is reached in their network namespace.
    pub(super) listens: bool,
    /// Whether the host records by which paths they reach files.
    pub(super) learns: bool,
}

impl Common {
    /// Whether a worker stays, and the program that it runs is its child.
    pub(super) fn is_kept(&self) -> bool {
        match &self.interpreter {
            Some(interpreter) => interpreter.language == Language::Command,
            None => self.programs.are_run(),
        }
    }
}

/// Seals the calling worker with the compiled filter of its profile: everything that follows runs inside.
///
/// # Errors
/// The first step that failed.
pub(super) fn seal<'a>(
    spec: &WorkerSpec,
    common: &'a Common,
    program: &[Instruction],
) -> Result<Sealing<'a>, StepError> {
    let layers = common.layers;
    // A session of its own first: kill(0) would reach the launcher's process group.
    at("setsid", nix::unistd::setsid().map(drop))?;
    if layers.namespaces {
        // Mounts need the launcher's user namespace, so they come before the worker's own.
        root::mount_scratch(common.scratch, &spec.rlimits)?;
        match (&common.interpreter, common.load_by) {
            (Some(interpreter), _) => files::unpack(interpreter)?,
            // It loads no code.
            (None, _) if common.programs.are_run() => {}
            (None, LoadBy::Copy) => root::copy_code()?,
            (None, LoadBy::Procfs) => root::show_descriptors()?,
        }
        // Its own user namespace, without id maps: processes are counted, and rights over other processes decided, per
        // worker. As a clone flag it would come before the mounts and make the scratch unwritable.
        spaces::own_user_namespace()?;
    }
    if layers.rlimits {
        // After the user namespace: RLIMIT_NPROC counts per user and namespace.
        limits::apply(spec, common.level)?;
    }
    if layers.privileges {
        // The new user namespace came with a full set of capabilities over itself. Without one there is none that could
        // empty the bounding set.
        let dropped = match common.level {
            Level::Full => sys::privileges::drop_all_capabilities(),
            Level::Reduced => sys::privileges::drop_held_capabilities(),
        };
        at("drop capabilities", dropped)?;
        // After the last change of ids, which would have cleared it.
        at("set parent death signal", sys::privileges::die_with_parent())?;
    }
    if layers.privileges || layers.landlock || layers.seccomp {
        at("set no new privileges", sys::privileges::set_no_new_privileges())?;
    }
    let landlock_abi = if layers.landlock { landlock::restrict(layers.namespaces, common)? } else { 0 };
    // Last: it refuses what the steps above needed.
    let listener =
        if layers.seccomp { Some(at("install seccomp filter", sys::seccomp::install(program))?) } else { None };
    Ok(Sealing { spec: *spec, common, landlock_abi, listener, launcher: None })
}

/// A worker whose layers stand, but whose filter's listener the launcher has not fetched yet.
pub(super) struct Sealing<'a> {
    spec: WorkerSpec,
    common: &'a Common,
    landlock_abi: u32,
    pub(super) listener: Option<OwnedFd>,
    /// Where the launcher says that it has the listener.
    pub(super) launcher: Option<OwnedFd>,
}

impl Sealing<'_> {
    /// What takes the worker's place.
    pub(super) fn interpreter(&self) -> Option<&Interpreter> {
        self.common.interpreter.as_ref()
    }

    /// Whether the host will pass descriptors.
    pub(super) fn receives_descriptors(&self) -> bool {
        self.spec.receives_descriptors
    }

    /// Ends the sealing: tries what must fail, gives up dumpability and closes what the plugin must not find. The report
    /// says whether all of it failed.
    ///
    /// # Errors
    /// A step failed; the launcher is gone, or could not fetch the listener: nobody would answer a notification.
    pub(super) fn finish(self) -> Result<SealReport, StepError> {
        let Self { common, landlock_abi, listener, launcher, .. } = self;
        // While the launcher fetches the listener. The host that records must have it before a file is looked at.
        let early = if common.learns { None } else { Some(check::probe(common)?) };
        if let Some(launcher) = &launcher {
            // read(2), since not every filter allows recvmsg(2).
            let mut word = [0; 2];
            let length = at("wait for the launcher", nix::unistd::read(launcher, &mut word))?;
            if length != word.len() {
                at("wait for the launcher", Err(io::Error::from(io::ErrorKind::UnexpectedEof)))?;
            }
        }
        drop((listener, launcher));
        // The host could not read the recorded paths of a process that is not dumpable.
        if common.layers.privileges && !common.learns {
            // Only now: the launcher could not have fetched the listener from a process that is not dumpable.
            at("give up dumpability", sys::privileges::set_dumpable(false))?;
        }
        let mut probes = early.map_or_else(|| check::probe(common), Ok)?;
        probes.extend(check::dumpable(common)?);
        Ok(SealReport { layers: common.layers, landlock_abi, probes })
    }
}

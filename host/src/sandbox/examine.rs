//! Finds out what this machine can do, by doing it: a launcher and a worker without a plugin are really started, and the
//! worker really tries what it must not be able to do.

use std::fs;
use std::sync::Arc;

use super::LimitedBy;
use super::bare_host::BareHost;
use super::code::seal_code;
use super::error::{Death, SandboxError};
use super::launcher::Launcher;
use super::stage::Stage;
use super::worker::Worker;
use crate::wire::{LauncherSpec, Layer, Level, LoadBy, Probe, Programs, Rlimits, SealReport, WorkerSpec};

/// What was found out.
#[derive(Debug)]
pub struct Examination {
    /// Each part of the building, in order.
    pub steps: Vec<Step>,
    /// Each forbidden act that the worker tried.
    pub acts: Vec<Probe>,
    /// Each that a worker for programs tried, which is otherwise allowed nothing but the way to the proxy.
    pub program_acts: Vec<Probe>,
    /// The user id that workers have outside of their namespace.
    pub sandbox_user: Option<u32>,
    /// The kernel's version of Landlock.
    pub landlock_abi: Option<u32>,
    /// How workers open their code.
    pub load_by: Option<LoadBy>,
    /// What limits memory and processes.
    pub limited_by: Option<LimitedBy>,
    /// Why no plugin can run here, if so.
    pub failure: Option<SandboxError>,
}

/// One part of the building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// What came of it.
    pub outcome: Outcome,
    /// More about it, for people.
    pub detail: String,
}

/// What came of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It may not be done here, and something as good was done instead.
    Replaced,
    /// It failed.
    Failed,
    /// An earlier one failed.
    NotTried,
}

/// Builds the sandbox at a level with a worker that never loads anything, and takes it down again.
#[must_use]
pub fn examine(level: Level) -> Examination {
    let mut found = Found::default();
    let native = found.build(level);
    let programs = native.and_then(|()| if level == Level::Full { of_programs() } else { Ok(Vec::new()) });
    let (program_acts, failure) = programs.map_or_else(|error| (Vec::new(), Some(error)), |acts| (acts, None));
    let Found { load_by, sandbox_user, limited_by, seal, kill } = found;
    let landlock_abi = seal.as_ref().map(|seal| seal.landlock_abi);
    let mut acts = seal.map(|seal| seal.probes).unwrap_or_default();
    acts.extend(kill);
    let mut examination =
        Examination { steps: Vec::new(), acts, program_acts, sandbox_user, landlock_abi, load_by, limited_by, failure };
    examination.steps = Stage::ALL.into_iter().map(|stage| examination.step(stage)).collect();
    examination
}

#[derive(Default)]
struct Found {
    load_by: Option<LoadBy>,
    sandbox_user: Option<u32>,
    limited_by: Option<LimitedBy>,
    seal: Option<SealReport>,
    kill: Option<Probe>,
}

impl Found {
    fn build(&mut self, level: Level) -> Result<(), SandboxError> {
        let launcher = Arc::new(Launcher::start(&LauncherSpec { level, ..LauncherSpec::default() })?);
        self.load_by = Some(launcher.ready()?);
        let code = seal_code(b"").map_err(SandboxError::Code)?;
        let spec = WorkerSpec { rlimits: Rlimits::NATIVE, receives_descriptors: false, reads_input: false };
        let mut worker = launcher.spawn(&spec, &code, Arc::new(|_| {}))?;
        // Only now is it known whether workers can join a group.
        self.limited_by = Some(launcher.limited_by());
        self.seal = Some(worker.seal().clone());
        self.sandbox_user = worker.pid().and_then(user_of);
        let kill = provoked(&mut worker)?;
        let refused = kill.refused;
        let reason = format!("it could {}: {}", kill.act, kill.outcome);
        self.kill = Some(kill);
        if refused {
            return Ok(());
        }
        Err(SandboxError::not_sealed(reason))
    }
}

/// What a worker for programs tries, where not one is granted.
fn of_programs() -> Result<Vec<Probe>, SandboxError> {
    let spec = LauncherSpec { programs: Programs::Only(Vec::new()), listens: true, ..LauncherSpec::default() };
    let launcher = Arc::new(Launcher::start(&spec)?);
    let input = seal_code(b"").map_err(SandboxError::Code)?;
    let spec = WorkerSpec { rlimits: Rlimits::PROGRAM, receives_descriptors: false, reads_input: false };
    let worker = launcher.spawn(&spec, &input, Arc::new(|_| {}))?;
    Ok(worker.seal().probes.clone())
}

/// The one act that is answered with the end of whoever tries it.
fn provoked(worker: &mut Worker) -> Result<Probe, SandboxError> {
    let (refused, outcome) = match worker.provoke(&mut BareHost::default()) {
        Ok(()) => (false, "it lived on".to_owned()),
        Err(SandboxError::Died(Death::Refused(call))) => (true, format!("killed for {}", call.name)),
        Err(SandboxError::Died(death)) => (false, format!("it {death}")),
        Err(error) => return Err(error),
    };
    Ok(Probe { layer: Layer::Seccomp, act: "unmount a file system".to_owned(), outcome, refused })
}

/// The real user id of a process of this pid namespace.
fn user_of(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

impl Examination {
    /// What is said of it when something failed that was found out elsewhere.
    #[must_use]
    pub fn failing(mut self, failure: SandboxError) -> Self {
        self.failure = Some(failure);
        self.steps = Stage::ALL.into_iter().map(|stage| self.step(stage)).collect();
        self
    }

    /// The part that failed.
    #[must_use]
    pub fn failed(&self) -> Option<Stage> {
        match self.failure.as_ref()? {
            SandboxError::Unavailable(failed) => Some(Stage::of(&failed.step).unwrap_or(Stage::Start)),
            SandboxError::NotSealed(failed) => Some(Stage::of(&failed.step).unwrap_or(Stage::Worker)),
            SandboxError::LayerMissing => Some(Stage::Check),
            SandboxError::Untried(_) => Some(Stage::Engines),
            _ if self.load_by.is_none() => Some(Stage::Start),
            _ => Some(Stage::Worker),
        }
    }

    fn step(&self, stage: Stage) -> Step {
        let outcome = match self.failed() {
            Some(failed) if failed == stage => Outcome::Failed,
            Some(failed) if failed < stage => Outcome::NotTried,
            _ if stage == Stage::Procfs && self.load_by == Some(LoadBy::Copy) => Outcome::Replaced,
            _ => Outcome::Ok,
        };
        let detail = match (outcome, stage) {
            (Outcome::Failed, _) => match &self.failure {
                Some(SandboxError::Unavailable(failed) | SandboxError::NotSealed(failed)) => failed.to_string(),
                other => other.as_ref().map(ToString::to_string).unwrap_or_default(),
            },
            (Outcome::Replaced, _) => "refused: each worker copies its code".to_owned(),
            (Outcome::Ok, Stage::Drop) => {
                self.sandbox_user.map(|user| format!("the sandbox runs as user {user}")).unwrap_or_default()
            }
            (Outcome::Ok, Stage::Landlock) => {
                self.landlock_abi.map(|version| format!("version {version}")).unwrap_or_default()
            }
            _ => String::new(),
        };
        Step { stage, outcome, detail }
    }
}

//! The launchers of a host: one that most plugins share, one for each plugin that was granted directories, and one for the
//! programs of each plugin that runs some.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use migraine_plugin_api::{Permission, PermissionKind};

use super::directories::{Protected, granted};
use super::learn::Learner;
use super::programs;
use super::script::Engine;
use crate::ids::PluginName;
use crate::sandbox::{Launcher, SandboxError};
use crate::wire::{Directory, FailedStep, Interpreter, LauncherSpec, Level, Programs};

/// Each is started when it is first needed.
#[derive(Debug)]
pub(super) struct Launchers {
    protected: Protected,
    learner: Option<Arc<Learner>>,
    /// Why only the reduced sandbox is built, if so.
    reduced: Option<FailedStep>,
    shared: Option<Arc<Launcher>>,
    /// With the directories that each was started for.
    own: BTreeMap<PluginName, (Vec<Directory>, Arc<Launcher>)>,
    /// Those of scripts, with what each was started for.
    scripts: BTreeMap<(PluginName, Engine), (LauncherSpec, Arc<Launcher>)>,
    /// With what each was started for. A running call starts them.
    programs: RefCell<BTreeMap<PluginName, (LauncherSpec, Arc<Launcher>)>>,
}

impl Launchers {
    pub(super) fn new(protected: Protected, learner: Option<Arc<Learner>>) -> Self {
        Self {
            protected,
            learner,
            reduced: None,
            shared: None,
            own: BTreeMap::new(),
            scripts: BTreeMap::new(),
            programs: RefCell::default(),
        }
    }

    /// The launcher for a plugin with these grants. Returns without waiting for it, so that its start overlaps with what
    /// follows.
    ///
    /// # Errors
    /// A grant names what no plugin may have, or the process cannot be started.
    pub(super) fn get(&mut self, plugin: &PluginName, grants: &[Permission]) -> Result<Arc<Launcher>, SandboxError> {
        self.check_level(grants)?;
        let directories = self.directories(grants)?;
        let running = match self.own.get(plugin) {
            Some((shown, launcher)) if *shown == directories => Some(launcher),
            // Started for grants that were changed meanwhile.
            Some(_) => self.own.remove(plugin).and(None),
            None if directories.is_empty() => self.shared.as_ref(),
            None => None,
        };
        if let Some(launcher) = running {
            return Ok(Arc::clone(launcher));
        }
        let level = if self.reduced.is_some() { Level::Reduced } else { Level::Full };
        let (spec, launcher) = self.start(LauncherSpec { directories, level, ..LauncherSpec::default() })?;
        if spec.directories.is_empty() {
            self.shared = Some(Arc::clone(&launcher));
        } else {
            self.own.insert(plugin.clone(), (spec.directories, Arc::clone(&launcher)));
        }
        Ok(launcher)
    }

    /// The launcher for the scripts of a plugin that one engine answers. With grants of programs, scripts start them
    /// themselves, and reach granted servers through the proxy where the script can ask the host for no stream.
    ///
    /// # Errors
    /// As [`Launchers::get`].
    pub(super) fn for_scripts(
        &mut self,
        plugin: &PluginName,
        engine: &Engine,
        interpreter: Interpreter,
        grants: &[Permission],
    ) -> Result<Arc<Launcher>, SandboxError> {
        if let Some(failed) = &self.reduced {
            return Err(SandboxError::ScriptsNeedFull(failed.clone()));
        }
        // What scripts need is not learned: they see what was granted.
        let directories = granted(grants, &self.protected)?;
        let starts_programs = grants.iter().any(|grant| grant.kind() == PermissionKind::Exec);
        let programs = if starts_programs { programs::granted(grants, &directories) } else { Programs::None };
        // A worker that is passed streams of the machine's own network makes none itself.
        let is_connected = grants.iter().any(|grant| grant.kind() == PermissionKind::Network);
        let listens = starts_programs && is_connected && !interpreter.asks_host();
        let interpreter = Some(interpreter);
        let spec = LauncherSpec { directories, programs, interpreter, listens, ..LauncherSpec::default() };
        let key = (plugin.clone(), engine.clone());
        if let Some((_, launcher)) = self.scripts.get(&key).filter(|(running, _)| *running == spec) {
            return Ok(Arc::clone(launcher));
        }
        let launcher = Arc::new(Launcher::start(&spec)?);
        self.scripts.insert(key, (spec, Arc::clone(&launcher)));
        Ok(launcher)
    }

    /// The launcher for such scripts, where one runs.
    pub(super) fn of_scripts(&self, plugin: &PluginName, engine: &Engine) -> Option<Arc<Launcher>> {
        self.scripts.get(&(plugin.clone(), engine.clone())).map(|(_, launcher)| Arc::clone(launcher))
    }

    /// The directory that scripts of a plugin start in: where the user is, if that was granted.
    pub(super) fn start_of(&self, grants: &[Permission], here: Option<&Path>) -> Option<PathBuf> {
        let here = here?.canonicalize().ok()?;
        let shown = granted(grants, &self.protected).ok()?;
        shown.iter().any(|directory| here.starts_with(&directory.path)).then_some(here)
    }

    /// What the reduced sandbox cannot bound is not run in it: whatever reaches beyond the plugin's own process.
    fn check_level(&self, grants: &[Permission]) -> Result<(), SandboxError> {
        use PermissionKind::{EnvVars, TaskRead, TaskWrite};
        let Some(failed) = &self.reduced else { return Ok(()) };
        let mut kinds = grants.iter().map(Permission::kind);
        let beyond = kinds.find(|kind| !matches!(kind, EnvVars | TaskRead | TaskWrite));
        beyond.map_or(Ok(()), |permission| Err(SandboxError::NeedsFull { permission, failed: failed.clone() }))
    }

    /// From now on only the reduced sandbox is built, if this error is a reason for that and it was not done before.
    pub(super) fn reduce(&mut self, error: &SandboxError) -> bool {
        let Some(failed) = error.lacks_full().filter(|_| self.reduced.is_none()) else { return false };
        self.clear();
        self.reduced = Some(failed.clone());
        true
    }

    /// Why only the reduced sandbox is built, if so.
    pub(super) fn reduced(&self) -> Option<&FailedStep> {
        self.reduced.as_ref()
    }

    /// What the programs of a plugin with these grants see and may execute.
    ///
    /// # Errors
    /// A grant names what no plugin may have.
    pub(super) fn of_programs(&self, grants: &[Permission]) -> Result<LauncherSpec, SandboxError> {
        let directories = self.directories(grants)?;
        let programs = programs::granted(grants, &directories);
        let listens = grants.iter().any(|grant| grant.kind() == PermissionKind::Network);
        Ok(LauncherSpec { directories, programs, listens, ..LauncherSpec::default() })
    }

    /// The launcher for the programs of a plugin.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(super) fn for_programs(&self, plugin: &PluginName, spec: &LauncherSpec) -> Result<Arc<Launcher>, SandboxError> {
        let mut all = self.programs.borrow_mut();
        if let Some((_, launcher)) = all.get(plugin).filter(|(running, _)| running == spec) {
            return Ok(Arc::clone(launcher));
        }
        let (spec, launcher) = self.start(spec.clone())?;
        all.insert(plugin.clone(), (spec, Arc::clone(&launcher)));
        Ok(launcher)
    }

    /// What of the machine's tree a plugin with these grants sees.
    fn directories(&self, grants: &[Permission]) -> Result<Vec<Directory>, SandboxError> {
        match &self.learner {
            Some(learner) => Ok(learner.shown()),
            None => granted(grants, &self.protected),
        }
    }

    /// Starts a launcher. One that learns leaves out what turns out to have no place in the sandbox.
    fn start(&self, mut spec: LauncherSpec) -> Result<(LauncherSpec, Arc<Launcher>), SandboxError> {
        let Some(learner) = &self.learner else {
            let launcher = Arc::new(Launcher::start(&spec)?);
            return Ok((spec, launcher));
        };
        loop {
            let recorder = Learner::recorder(learner, spec.programs.are_run());
            let launcher = Launcher::start_recording(&spec, Some(recorder))?;
            match launcher.ready() {
                Err(SandboxError::Directory { directory, .. }) if learner.leave_out(&directory) => {
                    spec.directories.retain(|shown| shown.path != directory);
                }
                // Any other failure is told by whoever needs it first.
                _ => return Ok((spec, Arc::new(launcher))),
            }
        }
    }

    /// Gives up the launcher for the programs of a plugin, which failed.
    pub(super) fn forget_programs(&self, plugin: &PluginName) {
        self.programs.borrow_mut().remove(plugin);
    }

    /// Whether a plugin has a launcher of its own.
    pub(super) fn has_own(&self, plugin: &PluginName) -> bool {
        self.own.contains_key(plugin) || self.scripts.keys().any(|(owner, _)| owner == plugin)
    }

    /// Gives up the launcher of a plugin, which failed and took every worker along.
    pub(super) fn forget(&mut self, plugin: &PluginName) {
        let had_own = self.has_own(plugin);
        self.own.remove(plugin);
        self.scripts.retain(|(owner, _), _| owner != plugin);
        if !had_own {
            self.shared = None;
        }
    }

    /// As [`Launcher::leave`], for all.
    pub(super) fn leave(&self) {
        self.own.values().map(|(_, launcher)| launcher).chain(&self.shared).for_each(|launcher| launcher.leave());
        self.scripts.values().for_each(|(_, launcher)| launcher.leave());
        self.programs.borrow().values().for_each(|(_, launcher)| launcher.leave());
    }

    /// Lets go of all; each ends with its last worker.
    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.scripts.clear();
        self.programs.borrow_mut().clear();
        self.shared = None;
    }
}

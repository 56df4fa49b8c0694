//! Learning what a plugin needs: it runs with what a permission could grant, and what it uses of that is noted.
//!
//! Endpoints, programs and the workflow's variables are noted where the host is asked for them; directories by the calls
//! with which files are reached. What cannot be seen is what the plugin reads of its environment, and what it would do in
//! another run.

mod files;
mod view;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use migraine_plugin_api::{Permission, PermissionKind};

use self::files::Needs;
use super::programs::{self, ProgramError};
use crate::policy::{Places, Policy, scope_findings};
use crate::sandbox::{Recorded, Recorder};
use crate::wire::{Directory, FileUse};

/// What every program sees of the machine without any grant, and what is not shown to them while they are recorded.
const OF_PROGRAMS: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc"];

/// What a plugin was seen to need.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Learned {
    /// The fewest permissions with which the run would have passed, sorted.
    pub permissions: Vec<Permission>,
    /// What it tried and no permission grants, in words; not made safe to show.
    pub refused: Vec<String>,
}

/// Notes what plugins use, in place of judging by what they were granted.
#[derive(Debug)]
pub struct Learner {
    places: Places,
    policy: Policy,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    shown: Vec<Directory>,
    permissions: BTreeSet<Permission>,
    needs: Needs,
    /// Files of programs that were asked for by the name that is granted.
    ran: BTreeSet<PathBuf>,
    refused: BTreeSet<String>,
}

impl Learner {
    /// A learner that has seen nothing. `user_homes` and `store` hold what no plugin may have; what the policy takes away of
    /// every grant is not opened.
    #[must_use]
    pub fn new(user_homes: &[PathBuf], store: &Path, policy: Policy) -> Self {
        let places = super::directories::places(user_homes, store);
        let known = Known { shown: view::shown(&places, &policy), ..Known::default() };
        Self { places, policy, known: Mutex::new(known) }
    }

    /// What was learned so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        let known = self.known();
        let directories = known.needs.smallest(&self.places).into_iter().filter_map(|scope| scope.permission().ok());
        let permissions: BTreeSet<Permission> = known.permissions.iter().cloned().chain(directories).collect();
        let mut refused: BTreeSet<String> = known.refused.clone();
        refused.extend(known.needs.refused().cloned());
        Learned { permissions: permissions.into_iter().collect(), refused: refused.into_iter().collect() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directories that plugins see meanwhile.
    pub(super) fn shown(&self) -> Vec<Directory> {
        self.known().shown.clone()
    }

    /// Shows a directory no more; `false` when it was not shown.
    pub(super) fn leave_out(&self, directory: &Path) -> bool {
        let mut known = self.known();
        let before = known.shown.len();
        known.shown.retain(|shown| shown.path != directory);
        known.shown.len() < before
    }

    /// What the plugin is told that it holds: everything that can be learned, so that it does not give up by itself; and the
    /// variables that it was granted, since what is read of an environment cannot be seen. What its programs may run is told
    /// by these alone, so nothing that the policy takes away is among them.
    pub(super) fn pretended(&self, granted: &[Permission]) -> Vec<Permission> {
        use PermissionKind::{EnvVars, Exec, Filesystem, Network, TaskRead};
        let variables: Vec<Permission> = granted.iter().filter(|held| held.kind() == EnvVars).cloned().collect();
        self.known().permissions.extend(variables.iter().cloned());
        // Each endpoint is judged when it is asked for; all of them together are only those that are public.
        let judged_later = Permission::bare(Network);
        let (left, _) = self.policy.in_force(&[Filesystem, Exec, TaskRead].map(Permission::bare));
        left.into_iter().chain([judged_later]).chain(variables).collect()
    }

    /// Notes a permission that is missing; `false` when it is known, or is none that could be granted.
    pub(super) fn learn(&self, missing: &str) -> bool {
        let permission = missing.parse::<Permission>().ok();
        let permission = permission.filter(|permission| {
            let asked = std::slice::from_ref(permission);
            scope_findings(asked).is_empty() && self.policy.in_force(asked).0 == asked
        });
        permission.is_some_and(|permission| self.known().permissions.insert(permission))
    }

    fn held(&self) -> Vec<Permission> {
        self.known().permissions.iter().cloned().collect()
    }

    /// Notes a program, and what runs it, by the name that it was asked for.
    pub(super) fn run(self: &Arc<Self>, program: &str) -> Result<(), ProgramError> {
        let file = judged(Some(self), &[], ProgramError::missing, |granted| programs::judge(granted, &[], program))?;
        self.known().ran.insert(file);
        Ok(())
    }

    /// Notes the calls of workers.
    pub(super) fn recorder(learner: &Arc<Self>, runs_programs: bool) -> Arc<dyn Recorder> {
        Arc::new(Calls { learner: Arc::clone(learner), runs_programs })
    }
}

/// Asks for something by what was granted; or, where that is learned, again with what was missing.
pub(super) fn judged<T, E>(
    learner: Option<&Arc<Learner>>,
    granted: &[Permission],
    missing: impl Fn(&E) -> Option<String>,
    mut ask: impl FnMut(&[Permission]) -> Result<T, E>,
) -> Result<T, E> {
    let Some(learner) = learner else { return ask(granted) };
    loop {
        match ask(&learner.held()) {
            Err(error) if missing(&error).is_some_and(|missing| learner.learn(&missing)) => {}
            done => return done,
        }
    }
}

/// The calls of workers of one kind.
#[derive(Debug)]
struct Calls {
    learner: Arc<Learner>,
    runs_programs: bool,
}

impl Recorder for Calls {
    fn note(&self, call: Recorded<'_>) {
        match call {
            Recorded::Refused { number } => {
                self.learner.known().refused.insert(format!("the system call number {number}, which ended it"));
            }
            Recorded::File { path, file_use: FileUse::Run, .. } => self.ran(path),
            Recorded::File { path, .. } if self.runs_programs && OF_PROGRAMS.iter().any(|of| path.starts_with(of)) => {}
            Recorded::File { path, file_use, flags } => {
                let known = &mut *self.learner.known();
                known.needs.note(path, file_use, flags, &known.shown, &self.learner.places);
            }
        }
    }
}

impl Calls {
    /// A program that another one runs. Shells try each directory of their PATH: what is not there is not run.
    fn ran(&self, path: &Path) {
        let Ok(file) = path.canonicalize() else { return };
        let is_known = self.learner.known().ran.contains(&file);
        if let Some(program) = path.to_str().filter(|_| !is_known && file.is_file()) {
            // One that no permission grants is refused when it is run.
            let _ = self.learner.run(program);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learner() -> Arc<Learner> {
        Arc::new(Learner::new(&[], Path::new("/nowhere/store"), Policy::default()))
    }

    fn texts(learner: &Learner) -> Vec<String> {
        learner.learned().permissions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_missing_is_asked_for_again_and_noted() {
        let learner = learner();
        let mut asked = 0;
        let missing = |error: &&str| Some((*error).to_owned());
        let done = judged(Some(&learner), &[], missing, |held| {
            asked += 1;
            let has = |text: &str| held.iter().any(|permission| permission.to_string() == text);
            match (has("network=a.example:80"), has("network=10.0.0.1:80")) {
                (false, _) => Err("network=a.example:80"),
                (_, false) => Err("network=10.0.0.1:80"),
                _ => Ok(held.len()),
            }
        });
        assert_eq!((done, asked), (Ok(2), 3));
        assert_eq!(texts(&learner), ["network=10.0.0.1:80", "network=a.example:80"]);
        // What no permission can say is an error at once, and so is what is missing for ever.
        for never in ["network=http://x", "network=a.example:80", "nothing"] {
            assert_eq!(judged(Some(&learner), &[], missing, |_| Err::<(), _>(never)), Err(never));
        }
        assert_eq!(judged(None, &[], missing, |_| Err::<(), _>("task_read")), Err("task_read"));
    }

    #[test]
    fn a_program_is_noted_by_its_name_with_what_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let learner = learner();
        learner.run("env").unwrap();
        learner.run(script.to_str().unwrap()).unwrap();
        assert!(learner.run("no-such-program-anywhere").is_err());
        let recorder = Learner::recorder(&learner, true);
        let ran = |path: &str| {
            recorder.note(Recorded::File { path: Path::new(path), file_use: FileUse::Run, flags: 0 });
        };
        ran("/usr/bin/env");
        ran("/usr/local/bin/no-such-program");
        ran("/usr/bin/cat");
        let script = format!("exec={}", script.display());
        let learned = texts(&learner);
        for wanted in ["exec=env", "exec=/bin/sh", "exec=/usr/bin/cat", &script] {
            assert!(learned.iter().any(|permission| permission == wanted), "{wanted}: {learned:?}");
        }
        assert!(!learned.iter().any(|permission| permission == "exec=/usr/bin/env"), "{learned:?}");
    }

    #[test]
    fn granted_variables_are_kept_and_everything_else_is_pretended() {
        let learner = learner();
        let granted: Vec<Permission> = ["env_vars=A", "network"].map(|text| text.parse().unwrap()).to_vec();
        let pretended = learner.pretended(&granted);
        for wanted in ["network=a:1", "exec=env", "task_read", "filesystem=write:/srv", "env_vars=A"] {
            assert!(pretended.iter().any(|held| held.covers(&wanted.parse().unwrap())), "{wanted}");
        }
        assert!(!pretended.iter().any(|held| held.covers(&"env_vars=B".parse().unwrap())));
        assert_eq!(texts(&learner), ["env_vars=A"]);
    }

    #[test]
    fn what_the_policy_takes_away_is_not_pretended() {
        let file =
            crate::policy::PolicyFile::parse("permissions: {exec: [sh], task_read: false, network: [a:1]}").unwrap();
        let policy = Policy::new(vec![("/etc/migraine/policy.yaml".into(), file)]);
        let learner = Learner::new(&[], Path::new("/nowhere/store"), policy);
        let pretended: Vec<String> = learner.pretended(&[]).iter().map(ToString::to_string).collect();
        assert_eq!(pretended, ["filesystem", "exec=sh", "network"]);
    }
}

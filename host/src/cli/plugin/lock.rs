//! `plugin lock`, `plugin bundle`, and the installation of what they name.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::install::{remarks, text};
use super::{InstallArgs, LockArgs};
use crate::cli::session::{now, plugin_name};
use crate::cli::{Failure, Session};
use crate::code::{Code, Coded as _};
use crate::ids::PluginName;
use crate::manage::{
    self, Bundle, BundleReport, Bundled, Consenting, Followed, InstallReport, LOCK_FILE, Lock, LockReport, LockRequest,
    Locked, LockedFrom, LockedRequest, ManageError, Online, Warning, install_locked, locked_folders,
};
use crate::package::scripts::ANY_TARGET;
use crate::store::{Home, Status};
use crate::text::safe_line;

/// What was installed of a lock or a bundle.
#[derive(Serialize)]
struct Installed {
    plugins: Vec<InstallReport>,
}

fn names(words: &[PathBuf]) -> Result<Vec<PluginName>, Failure> {
    words.iter().map(|word| plugin_name(&word.to_string_lossy())).collect()
}

/// The directory that the user stands in: the project.
pub(super) fn project() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        let help = Some("run the command in a directory that exists".to_owned());
        Failure::new(Code::Io, format!("the working directory cannot be found: {error}"), help)
    })
}

impl LockArgs {
    /// The project whose lock follows a change, if there is a lock: of the user's own plugins it is that of the directory
    /// that the user stands in.
    ///
    /// # Errors
    /// The lock cannot be read: it could not be kept up to date.
    pub(super) fn project(&self, home: &Home) -> Result<Option<PathBuf>, Failure> {
        // In a directory that is gone there is no lock.
        let here = std::env::current_dir().ok().filter(|_| !self.no_lock && !home.is_system());
        let Some(project) = here else { return Ok(None) };
        let refused = |error: ManageError| {
            let help = error.help().map(|help| format!("{help}, or leave it as it is with --no-lock"));
            Failure::new(
                error.code(),
                error.to_string(),
                help.or(Some("add --no-lock to leave it as it is".to_owned())),
            )
        };
        Ok(Lock::of(&project).map_err(refused)?.map(|_| project))
    }
}

/// The line of a report on a lock that followed.
pub(super) fn line(followed: &Followed) -> String {
    let path = |lock: &LockReport| safe_line(&lock.path.to_string_lossy());
    followed.changed().map(|lock| format!("  lock       {} updated\n", path(lock))).unwrap_or_default()
}

/// The failure that ends a command whose change was made, where the lock did not follow.
pub(super) fn behind(followed: &Followed) -> Result<(), Failure> {
    let help = || Some("bring it up to date with `migraine plugin lock`".to_owned());
    followed.problem.as_ref().map_or(Ok(()), |why| Err(Failure::new(Code::Io, why.clone(), help())))
}

pub(super) fn lock(words: &[PathBuf], force: bool, session: &Session) -> Result<(), Failure> {
    let request = LockRequest { names: &names(words)?, force };
    let report = manage::lock(&session.home()?, &project()?, request)?;
    told(&report.warnings, session);
    session.out.report(&report, |LockReport { path, plugins, changed, .. }| {
        let shown = safe_line(&path.to_string_lossy());
        let done = if *changed { format!("{shown} written\n") } else { format!("{shown} is up to date\n") };
        let lines = plugins.iter().map(|one| format!("  {} {} {}\n", one.name, one.version, one.digest));
        session.out.done(&done) + &lines.collect::<String>()
    })
}

pub(super) fn bundle(out: &Path, words: &[PathBuf], force: bool, session: &Session) -> Result<(), Failure> {
    let request = LockRequest { names: &names(words)?, force };
    let report = manage::bundle(&session.home()?, out, request)?;
    told(&report.warnings, session);
    session.out.report(&report, |BundleReport { path, size, plugins, keys, .. }| {
        let shown = safe_line(&path.to_string_lossy());
        let mut text = session.out.done(&format!("{shown} written ({size} bytes)\n"));
        for Bundled { locked: Locked { name, version, digest, .. }, targets, .. } in plugins {
            let machines: Vec<&str> =
                targets.iter().map(|one| if one == ANY_TARGET { "any machine" } else { one }).collect();
            text.push_str(&format!("  {name} {version} {digest} for {}\n", machines.join(", ")));
        }
        keys.iter().for_each(|key| text.push_str(&format!("  key {key}\n")));
        text
    })
}

fn told(warnings: &[Warning], session: &Session) {
    for Warning { name, message } in warnings {
        session.out.warning(format!("{} {message}", safe_line(name)).trim());
    }
}

/// The lock of the project; beside a bundle, which has one too, it is the one that counts.
fn own_lock(project: &Path, has_bundle: bool) -> Result<Lock, ManageError> {
    match Lock::of(project)? {
        None if has_bundle => {
            let why = "there is no such file; without --locked, the lock in the bundle counts".to_owned();
            Err(ManageError::Lock { path: project.join(LOCK_FILE), why })
        }
        None => Lock::needed(project),
        Some(lock) => Ok(lock),
    }
}

/// `install --bundle` and `install --locked`.
pub(super) fn install(args: &InstallArgs, session: &Session) -> Result<(), Failure> {
    let (home, project) = (session.home()?, project()?);
    let (names, bundle) = (names(&args.path)?, args.bundle.as_deref().map(Bundle::open).transpose()?);
    let own = args.locked.then(|| own_lock(&project, bundle.is_some())).transpose()?;
    let lock = match (&own, &bundle) {
        (Some(own), _) => own,
        (None, Some(bundle)) => &bundle.lock,
        (None, None) => return Err(Failure::usage("name a plugin, or use --bundle or --locked".to_owned())),
    };
    let folders = match bundle {
        Some(_) => args.from.clone(),
        None => locked_folders(&home, &home.read()?, &project, &args.from),
    };
    let now = now();
    let (trust_keys, trust_key) = (args.trust_locked_keys, args.trust_key);
    let request = LockedRequest { lock, names: &names, trust_keys, trust_key, is_dry_run: args.dry_run, now: &now };
    // Whoever names a folder or a bundle means that, and nothing else.
    let is_open = bundle.is_none() && args.from.is_empty();
    let from = LockedFrom { folders: &folders, bundle: bundle.as_ref(), project: is_open.then_some(&*project) };
    let (settings, mut bar) = (args.download.settings(), args.download.bar(&session.out));
    let mut online = Online { settings: &settings, watch: &mut bar };
    let act = |consenting: &mut Consenting<'_>| install_locked(&home, &request, &from, consenting, &mut online);
    let plugins = if args.dry_run { args.consent.alone(&home, act) } else { args.consent.with(&home, act) }?;
    let report = Installed { plugins };
    session.out.report(&report, |report| {
        let nothing = session.out.done("Everything is installed as it is locked\n");
        let texts: Vec<String> = report.plugins.iter().map(|one| text(one, &session.out)).collect();
        if texts.is_empty() { nothing } else { texts.concat() }
    })?;
    report.plugins.iter().for_each(|one| remarks(one, session));
    match report.plugins.into_iter().find(|one| one.status == Status::Installed) {
        Some(InstallReport { name, asks, .. }) => {
            let command = match &args.bundle {
                _ if !args.dry_run => format!("migraine plugin enable {name}"),
                Some(bundle) => format!("migraine plugin install --bundle {}", safe_line(&bundle.to_string_lossy())),
                None => "migraine plugin install --locked".to_owned(),
            };
            Err(ManageError::Consent { name, missing: asks, other_maker: None, command }.into())
        }
        None => Ok(()),
    }
}

//! `plugin install`.

use std::path::Path;

use super::audit::words;
use super::show::trust_line;
use super::{InstallArgs, lock};
use crate::cli::session::now;
use crate::cli::{Failure, Out, Session};
use crate::ids::PluginName;
use crate::manage::{Allowed, InstallReport, InstallRequest, Lock, LockReport, ManageError, install, relock};
use crate::store::{Home, Status, Trust};
use crate::text::safe_line;

pub(super) fn run(args: InstallArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    note_folder(&home, session);
    if args.locked || args.bundle.is_some() {
        return lock::install(&args, session);
    }
    let [source] = args.path.as_slice() else {
        return Err(Failure::usage("one plugin is installed at a time; what it needs comes along".to_owned()));
    };
    if !args.no_lock {
        // Before anything is installed: a lock that cannot be read could not be kept up to date.
        Lock::of(&lock::project()?)?;
    }
    let request = InstallRequest {
        source: source.clone(),
        allow_unsigned: args.allow_unsigned,
        trust_key: args.trust_key,
        allowed: Allowed { downgrade: args.allow_downgrade, reuse: args.allow_reuse },
        now: now(),
    };
    let report = args.consent.with(&home, |consenting| install(&home, &request, consenting))?;
    let locked = if args.no_lock { None } else { relock(&home, &lock::project()?, &names_of(&report))? };
    session.out.report(&report, |report| {
        let changed = locked.filter(|locked| locked.changed);
        let line = |locked: LockReport| format!("  lock       {} updated\n", safe_line(&locked.path.to_string_lossy()));
        text(report, &session.out) + &changed.map(line).unwrap_or_default()
    })?;
    remarks(&report, session);
    if report.status == Status::Installed {
        let command = format!("migraine plugin enable {}", report.name);
        return Err(ManageError::Consent { name: report.name, missing: report.asks, command }.into());
    }
    Ok(())
}

/// The plugins that an installation changed.
fn names_of(report: &InstallReport) -> Vec<PluginName> {
    report.along.iter().map(|companion| companion.name.clone()).chain([report.name.clone()]).collect()
}

/// What the user should know besides.
pub(super) fn remarks(report: &InstallReport, session: &Session) {
    if report.trust == Trust::Unsigned {
        session.out.warning(&format!("{} is not signed: nobody vouches for it", report.name));
    }
    for finding in &report.findings {
        session.out.warning(&words(finding));
    }
    report.warnings.iter().for_each(|warning| session.out.warning(warning));
    for key in &report.dropped_config {
        session.out.warning(&format!("the setting `{key}` is gone: version {} does not take it", report.version));
    }
}

/// A project may come with a folder like the user's own. Who put it there may expect it to be read.
fn note_folder(home: &Home, session: &Session) {
    let folder = Path::new(".migraine");
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    let is_own = folder.canonicalize().is_ok_and(|path| home.path().canonicalize().is_ok_and(|own| own == path));
    if !is_own && ["keys", "config", "policy.yaml"].into_iter().any(has) {
        session
            .out
            .warning("the folder .migraine in this directory is not read: nothing in a project says whom you trust");
    }
}

pub(super) fn text(report: &InstallReport, out: &Out) -> String {
    let InstallReport { name, version, .. } = report;
    let mut text = out.done(&format!("Plugin '{name}' installed successfully\n"));
    let replaced = report.replaced.as_ref().filter(|before| *before != version);
    let replaced = replaced.map(|before| format!(" (was {before})")).unwrap_or_default();
    text.push_str(&format!("  version    {version}{replaced}\n  signature  {}\n", trust_line(&report.trust)));
    text.push_str(&format!("  status     {}\n", report.status));
    for companion in &report.along {
        text.push_str(&format!("  along      {}\n", companion.words()));
    }
    for words in &report.granted {
        text.push_str(&format!("  may        {words}\n"));
    }
    text
}

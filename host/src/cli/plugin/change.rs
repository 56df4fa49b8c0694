//! `plugin enable`, `plugin disable`, `plugin revoke`, `plugin uninstall` and `plugin forget`.

use super::lock::{behind, line};
use super::{ConsentArgs, LockArgs};
use crate::cli::session::{directories, plugin_name};
use crate::cli::{Failure, Session};
use crate::manage::{self, EnableReport, Removal};
use crate::policy::Grant;
use crate::store::Status;
use crate::text::safe_whole;

pub(super) fn enable(name: &str, consent: &ConsentArgs, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let report = consent.with(&home, |consenting| manage::enable(&home, &name, consenting))?;
    session.out.report(&report, |report| {
        // Also of one that was enabled when it was installed: what was asked for holds.
        let text = format!("Plugin '{name}' enabled successfully\n");
        let granted: String = report.granted.iter().map(|words| format!("  may  {words}\n")).collect();
        session.out.done(&text) + &granted
    })
}

pub(super) fn disable(name: &str, force: bool, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let report = manage::disable(&home, &name, force)?;
    session.out.report(&report, |report| {
        let text = match report {
            EnableReport { changed: true, .. } => format!("Plugin '{name}' disabled successfully\n"),
            EnableReport { status: Status::Installed, .. } => format!("Plugin '{name}' was never enabled\n"),
            _ => format!("Plugin '{name}' is disabled already\n"),
        };
        session.out.done(&text)
    })
}

pub(super) fn revoke(name: &str, grants: &[Grant], session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let report = manage::revoke(&home, &name, grants, &directories(&home)?)?;
    session.out.report(&report, |report| {
        let text = format!("Grants of plugin '{name}' taken back successfully\n");
        let lines = |head: &str, texts: &[String]| {
            texts.iter().map(|text| format!("  {head:<9}{}\n", safe_whole(text))).collect::<String>()
        };
        let status = format!("  status   {}\n", report.status);
        session.out.done(&text) + &lines("revoked", &report.revoked) + &lines("may", &report.granted) + &status
    })
}

pub(super) fn uninstall(
    name: &str,
    (purge, force): (bool, bool),
    lock: &LockArgs,
    session: &Session,
) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let project = lock.project(&home)?;
    let report = manage::uninstall(&home, &name, Removal { purge, force, project: project.as_deref() })?;
    session.out.report(&report, |report| {
        let text = match (&report.version, report.purged) {
            (Some(_), false) => format!("Plugin '{name}' uninstalled successfully\n"),
            (Some(_), true) => format!("Plugin '{name}' uninstalled successfully, its data is removed\n"),
            (None, false) if report.data_waits => format!("Data of plugin '{name}' is to be removed\n"),
            (None, false) => format!("Plugin '{name}' is not installed, and not locked any more\n"),
            (None, true) => format!("Data of plugin '{name}' removed successfully\n"),
        };
        session.out.done(&text) + &line(&report.followed)
    })?;
    if report.data_waits {
        session.out.warning(&format!("the disk is full: the data of {name} goes with the next change that finds room"));
    }
    behind(&report.followed)
}

pub(super) fn forget(name: &str, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let report = manage::forget(&home, &name)?;
    session.out.report(&report, |report| {
        let text = session.out.done(&format!("History of plugin '{name}' forgotten successfully\n"));
        let kept = report.installed.as_ref().map(|version| format!("  installed  {version}, which stays known\n"));
        format!("{text}  newest     {}\n{}", report.newest, kept.unwrap_or_default())
    })
}

//! `plugin upgrade`, `plugin outdated`, `plugin rollback` and `plugin pin`.

use super::lock::{behind, line};
use super::{ConsentArgs, LockArgs, PinArgs, UpgradeArgs, install};
use crate::cli::download::DownloadArgs;
use crate::cli::session::{now, plugin_name};
use crate::cli::{Failure, Out, Session};
use crate::manage::{self, Followed, ManageError, Online, Outdated, Upgrade, UpgradeOutcome, Warning};
use crate::store::Status;
use crate::text::{LINE_CELLS, counted, display_safe, safe_line};

pub(super) fn outdated(download: DownloadArgs, session: &Session) -> Result<(), Failure> {
    let (settings, mut bar) = (download.settings(), download.bar(&session.out));
    let mut online = Online { settings: &settings, watch: &mut bar };
    let report = manage::outdated(&session.home()?, &now(), &mut online)?;
    warn(&report.warnings, session);
    session.out.report(&report, |report| {
        if report.plugins.is_empty() {
            return session.out.done(&format!("No newer version of {} was found\n", counted(report.checked, "plugin")));
        }
        let line = |plugin: &Outdated| {
            let (installed, available) = (plugin.installed.to_string(), plugin.available.to_string());
            let source = safe_line(&plugin.source.to_string_lossy());
            let other = plugin.other_maker.as_ref().map(|other| format!("  {other}\n")).unwrap_or_default();
            format!("{:<20} {installed:<10} {available:<10} {source}\n{other}", plugin.name)
        };
        let head = session.out.heading(&format!("{:<20} {:<10} {:<10} Found in", "Name", "Installed", "Available"));
        format!("{head}\n{}", report.plugins.iter().map(line).collect::<String>())
    })
}

pub(super) fn upgrade(args: &UpgradeArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let name = args.name.as_deref().map(plugin_name).transpose()?;
    let project = args.lock.project(&home)?;
    let (settings, mut bar) = (args.download.settings(), args.download.bar(&session.out));
    let mut online = Online { settings: &settings, watch: &mut bar };
    let mut report = args.consent.with(&home, |consenting| {
        let place = (project.as_deref(), &*now());
        manage::upgrade(&home, name.as_ref(), place, consenting, &mut online)
    })?;
    warn(&report.warnings, session);
    let mut refused: Vec<ManageError> = report.plugins.iter_mut().filter_map(|plugin| plugin.error.take()).collect();
    // Of one plugin, the error says it all.
    if name.is_none() || refused.is_empty() {
        session
            .out
            .report(&report, |report| report.plugins.iter().map(|plugin| text(plugin, &session.out)).collect())?;
    }
    report.plugins.iter().filter_map(|plugin| plugin.installed.as_ref()).for_each(|new| install::remarks(new, session));
    // One of several stands for all: the others are in the report.
    if refused.is_empty() {
        report.plugins.iter().map(followed).try_for_each(behind)
    } else {
        Err(refused.swap_remove(0).into())
    }
}

/// What became of the lock of the project, by an installation or without one.
fn followed(plugin: &Upgrade) -> &Followed {
    plugin.installed.as_ref().map_or(&plugin.followed, |new| &new.followed)
}

fn text(plugin: &Upgrade, out: &Out) -> String {
    let Upgrade { name, version, outcome, installed, reason, .. } = plugin;
    let reason = reason.as_deref().map(safe_line).unwrap_or_default();
    match (outcome, installed) {
        (UpgradeOutcome::Upgraded, Some(report)) => install::text(report, out),
        (UpgradeOutcome::Pinned, _) => format!("{name} {version} is pinned\n"),
        (UpgradeOutcome::Refused, _) => format!("{name} stays at {version}: {reason}\n"),
        _ => format!("{name} {version} is the newest: {reason}\n") + &line(&plugin.followed),
    }
}

fn warn(warnings: &[Warning], session: &Session) {
    for Warning { name, message } in warnings {
        // Two fingerprints are longer than other lines.
        let message = display_safe(message, 2 * LINE_CELLS);
        session.out.warning(&format!("{} cannot be installed: {message}", safe_line(name)));
    }
}

pub(super) fn rollback(
    name: &str,
    force: bool,
    lock: &LockArgs,
    consent: &ConsentArgs,
    session: &Session,
) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let project = lock.project(&home)?;
    let project = project.as_deref();
    let report = consent.with(&home, |consenting| manage::rollback(&home, &name, force, project, consenting))?;
    session.out.report(&report, |report| {
        let mut text = session.out.done(&format!("Plugin '{name}' rolled back successfully\n"));
        text.push_str(&format!("  version    {} (was {})\n", report.version, report.replaced));
        text.push_str(&format!("  status     {}\n", report.status));
        text.extend(report.granted.iter().map(|words| format!("  may        {words}\n")));
        text + &line(&report.followed)
    })?;
    if let Some(other) = &report.other_maker {
        session.out.warning(&format!("{name}: {other}"));
    }
    for key in &report.dropped_config {
        session.out.warning(&format!(
            "the setting `{}` is gone: version {} does not take it",
            safe_line(key),
            report.version
        ));
    }
    if report.status == Status::Enabled {
        session.out.warning(&format!(
            "the next upgrade may bring {} again; to stay, run: migraine plugin pin {name}",
            report.replaced
        ));
    }
    behind(&report.followed)
}

pub(super) fn pin(args: PinArgs, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(&args.name)?, session.home()?);
    let report = if args.off { manage::unpin(&home, &name)? } else { manage::pin(&home, &name, args.version)? };
    session.out.report(&report, |report| {
        let text = match &report.pinned {
            Some(pinned) => format!("Plugin '{name}' pinned to {pinned} successfully\n"),
            None if report.changed => format!("Plugin '{name}' unpinned successfully\n"),
            None => format!("Plugin '{name}' was not pinned\n"),
        };
        session.out.done(&text)
    })
}

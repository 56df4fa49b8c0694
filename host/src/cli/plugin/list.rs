//! `plugin list` and `plugin refresh`.

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr as _;

use super::ListArgs;
use crate::cli::{Failure, Out, Session};
use crate::manage::{self, ListReport, ListRequest, PluginInfo, RefreshReport, Signature, Warning};
use crate::store::{Status, StoreName};
use crate::text::{LINE_CELLS, display_safe, safe_line};

const HEADS: [&str; 4] = ["Name", "Version", "Status", "Description"];
/// The least cells of a column, so that lists of different plugins look alike.
const LEAST: [usize; 3] = [20, 10, 12];

pub(super) fn run(args: &ListArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let folders = if args.all { vec![PathBuf::from("plugins")] } else { Vec::new() };
    let working = std::env::current_dir().ok();
    let report = manage::list(&home, &ListRequest { status: args.status, built_in: args.all, working, folders })?;
    warn(&report.warnings, session);
    session.out.report(&report, |report| table(report, &session.out))
}

pub(super) fn refresh(session: &Session) -> Result<(), Failure> {
    let report = manage::refresh(&session.home()?, std::env::current_dir().ok().as_deref())?;
    warn(&report.warnings, session);
    session.out.report(&report, |report| refreshed(report, &session.out))
}

fn warn(warnings: &[Warning], session: &Session) {
    for Warning { name, message } in warnings {
        session.out.warning(&format!("plugin {} cannot be loaded: {message}", safe_line(name)));
    }
}

pub(super) fn table(report: &ListReport, out: &Out) -> String {
    let own = report.built_in.iter().map(|own| [own.name, own.version, "built in", own.description].map(str::to_owned));
    let rows: Vec<[String; 4]> = report.plugins.iter().map(|plugin| row(plugin, out)).chain(own).collect();
    let mut widths = LEAST;
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = format!("{}\n=========\n", out.heading("Plugins:"));
    let rest = widths.iter().sum::<usize>() + widths.len();
    let room = out.columns().map_or(LINE_CELLS, |columns| usize::from(columns).saturating_sub(rest + 1).max(10));
    let mut line = |cells: [&str; 4]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| pad(cell, width));
        let line = padded.collect::<String>() + &display_safe(cells[3], room);
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(HEADS);
    line(HEADS.map(|head| &"-----------"[..head.len()]));
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
    let summary = report.summary;
    text.push_str(&format!(
        "\nSummary: {} total, {} enabled, {} disabled, {} errors\n",
        summary.total, summary.enabled, summary.disabled, summary.errors
    ));
    text
}

fn pad(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat((width + 1).saturating_sub(cell.width())))
}

fn row(plugin: &PluginInfo, out: &Out) -> [String; 4] {
    let description = match (plugin.status, &plugin.signature, &plugin.problem) {
        (Status::Discovered | Status::Error | Status::Quarantined, _, Some(problem)) => safe_line(problem),
        _ if plugin.store == Some(StoreName::System) => {
            let unsigned = if plugin.signature == Signature::Unsigned { ", unsigned" } else { "" };
            format!("(system{unsigned}) {}", safe_line(&plugin.description))
        }
        _ if plugin.link.is_some() => format!("(linked, unsigned) {}", safe_line(&plugin.description)),
        (_, Signature::Unsigned, _) => format!("(unsigned) {}", safe_line(&plugin.description)),
        _ => safe_line(&plugin.description),
    };
    let version = if plugin.version.is_empty() { "-".to_owned() } else { safe_line(&plugin.version) };
    [safe_line(&plugin.name), version, out.status(plugin.status), description]
}

fn refreshed(report: &RefreshReport, out: &Out) -> String {
    let mut text = out.done(&format!("{} plugins checked\n", report.checked));
    for change in &report.changed {
        text.push_str(&format!("  {}: {} -> {}\n", change.name, change.before, change.after));
    }
    for plugin in &report.discovered {
        let path = plugin.path.as_ref().map(|path| safe_line(&path.to_string_lossy())).unwrap_or_default();
        text.push_str(&format!("  {} {}: {} ({path})\n", safe_line(&plugin.name), plugin.version, plugin.status));
    }
    text
}

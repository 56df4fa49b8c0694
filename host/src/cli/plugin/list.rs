//! `plugin list` and `plugin refresh`.

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr as _;

use super::ListArgs;
use crate::cli::{Failure, Out, Session};
use crate::manage::{self, ListRequest, ListRow, ListTable, RefreshReport, Warning};
use crate::store::Status;
use crate::text::{LINE_CELLS, counted, display_safe, safe_line};

const HEADS: [&str; 4] = ["Name", "Version", "Status", "Description"];
/// The least cells of a column, so that lists of different plugins look alike.
const LEAST: [usize; 3] = [20, 10, 12];

pub(super) fn run(args: &ListArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let folders = if args.all { vec![PathBuf::from("plugins")] } else { Vec::new() };
    let working = std::env::current_dir().ok();
    let request = ListRequest { status: args.status, built_in: args.all, working, folders };
    if session.out.is_json() {
        return session.out.report(&manage::list(&home, &request)?, |_| String::new());
    }
    let found = manage::list_table(&home, &request)?;
    warn(&found.warnings, session);
    session.out.text(&table(&found, &session.out))
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

pub(super) fn table(found: &ListTable, out: &Out) -> String {
    let own = found.built_in.iter().map(|own| [own.name, own.version, "built in", own.description].map(str::to_owned));
    let rows: Vec<[String; 4]> = found.rows.iter().map(|plugin| row(plugin, out)).chain(own).collect();
    let mut widths = LEAST;
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cells(cell).max(*width);
        }
    }
    let mut text = format!("{}\n=========\n", out.heading("Plugins:"));
    let rest = widths.iter().sum::<usize>() + widths.len();
    let room = out.columns().map_or(LINE_CELLS, |columns| usize::from(columns).saturating_sub(rest + 1).max(10));
    let mut line = String::new();
    let mut add = |row: [&str; 4]| {
        line.clear();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', (width + 1).saturating_sub(cells(cell))));
        }
        line.push_str(&display_safe(row[3], room));
        text.push_str(line.trim_end());
        text.push('\n');
    };
    add(HEADS);
    add(HEADS.map(|head| &"-----------"[..head.len()]));
    for row in &rows {
        add(row.each_ref().map(String::as_str));
    }
    let summary = found.summary;
    text.push_str(&format!(
        "\nSummary: {} total, {} enabled, {} disabled, {} errors\n",
        summary.total, summary.enabled, summary.disabled, summary.errors
    ));
    text
}

/// The cells that a text without controls takes.
fn cells(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

fn row(plugin: &ListRow, out: &Out) -> [String; 4] {
    let description = match (plugin.status, &plugin.problem) {
        (Status::Discovered | Status::Error | Status::Quarantined, Some(problem)) => safe_line(problem),
        _ if plugin.is_system && plugin.is_unsigned => format!("(system, unsigned) {}", safe_line(&plugin.description)),
        _ if plugin.is_system => format!("(system) {}", safe_line(&plugin.description)),
        _ if plugin.is_linked => format!("(linked, unsigned) {}", safe_line(&plugin.description)),
        _ if plugin.is_unsigned => format!("(unsigned) {}", safe_line(&plugin.description)),
        _ => safe_line(&plugin.description),
    };
    let version = if plugin.version.is_empty() { "-".to_owned() } else { safe_line(&plugin.version) };
    [safe_line(&plugin.name), version, out.status(plugin.status), description]
}

fn refreshed(report: &RefreshReport, out: &Out) -> String {
    let mut text = out.done(&format!("{} checked\n", counted(report.checked, "plugin")));
    for change in &report.changed {
        text.push_str(&format!("  {}: {} -> {}\n", change.name, change.before, change.after));
    }
    for plugin in &report.discovered {
        let path = plugin.path.as_ref().map(|path| safe_line(&path.to_string_lossy())).unwrap_or_default();
        text.push_str(&format!("  {} {}: {} ({path})\n", safe_line(&plugin.name), plugin.version, plugin.status));
    }
    text
}

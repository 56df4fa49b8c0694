//! `plugin fsck`.

use crate::cli::session::now;
use crate::cli::{Failure, Out, Session};
use crate::code::Code;
use crate::manage::{self, FsckFinding, FsckReport};
use crate::text::{counted, safe_line};

pub(super) fn run(repair: bool, session: &Session) -> Result<(), Failure> {
    let report = manage::fsck(&session.home()?, repair, &now())?;
    session.out.report(&report, |report| text(report, &session.out))?;
    let Some(first) = report.first_left() else { return Ok(()) };
    let left = report.findings.iter().filter(|finding| finding.code.is_some() && !finding.repaired).count();
    let problems = if left == 1 { "1 problem is".to_owned() } else { format!("{left} problems are") };
    let message = format!("{problems} left; the first: {}: {}", safe_line(&first.path), safe_line(&first.problem));
    Err(Failure::new(first.code.unwrap_or(Code::Integrity), message, first.help.clone()))
}

fn text(report: &FsckReport, out: &Out) -> String {
    let FsckReport { plugins, trees, files, findings } = report;
    let checked = format!(
        "{}, {} and {} checked\n",
        counted(*plugins, "plugin"),
        counted(*trees, "tree"),
        counted(*files, "file")
    );
    let head = if report.first_left().is_none() { out.done(&checked) } else { checked };
    head + &findings.iter().map(line).collect::<String>()
}

fn line(finding: &FsckFinding) -> String {
    let FsckFinding { path, plugin, problem, code, repaired, help } = finding;
    let word = match (repaired, code) {
        (true, _) => "repaired",
        (false, Some(_)) => "damaged",
        (false, None) => "note",
    };
    let plugin = plugin.as_ref().map(|plugin| format!(" ({plugin})")).unwrap_or_default();
    let help = help.as_ref().filter(|_| !repaired).map(|help| format!("            {}\n", safe_line(help)));
    format!("  {word:<10}{}{plugin}: {}\n{}", safe_line(path), safe_line(problem), help.unwrap_or_default())
}

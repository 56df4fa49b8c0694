//! `plugin audit`, and how findings are shown.

use std::path::Path;

use crate::cli::{Failure, Session};
use crate::manage::{AuditReport, audit};
use crate::package::scan::{Finding, Scan};
use crate::text::safe_line;

pub(super) fn run(target: &Path, session: &Session) -> Result<(), Failure> {
    let report = audit(&session.home()?, target)?;
    session.out.report(&report, |AuditReport { name, version, scan }| {
        let title = match version {
            Some(version) => format!("{} {version}", safe_line(name)),
            None => safe_line(name),
        };
        format!("{}\n{}", session.out.heading(&title), text(scan))
    })
}

fn text(scan: &Scan) -> String {
    let mut text = String::new();
    let mut line = |head: &str, value: &str| text.push_str(&format!("  {head:<14}{value}\n"));
    scan.scanned.iter().for_each(|file| line("looked at", &safe_line(file)));
    scan.not_scanned.iter().for_each(|file| line("not looked at", &safe_line(file)));
    scan.findings.iter().for_each(|finding| line("finding", &words(finding)));
    let count = match scan.findings.len() {
        0 => "no findings".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    };
    text.push_str(&format!("{count}; what its scripts may do is decided by its grants alone\n"));
    text
}

/// One finding in one line.
pub(in crate::cli) fn words(finding: &Finding) -> String {
    safe_line(&format!("{}:{} {}: {}", finding.file, finding.line, finding.rule.as_str(), finding.message))
}

//! `plugin audit`, and how findings are shown.

use std::path::Path;

use serde::Serialize;

use super::show::{of_rules, subscription, time_limit};
use crate::cli::{Failure, Out, Session};
use crate::code::Exit;
use crate::manage::{AuditReport, Offer, Signature, TrustFacts, audit, audit_all};
use crate::package::scan::{Finding, Severity};
use crate::text::{safe_line, safe_whole};

pub(super) fn run(target: Option<&Path>, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let has_errors = match target {
        Some(target) => {
            let report = audit(&home, target)?;
            session.out.report(&report, |report| text(report, &session.out))?;
            report.has_errors()
        }
        None => {
            let all = All { plugins: audit_all(&home)? };
            session.out.report(&all, |all| {
                let texts: Vec<String> = all.plugins.iter().map(|report| text(report, &session.out)).collect();
                if texts.is_empty() { "no plugins are installed\n".to_owned() } else { texts.join("\n") }
            })?;
            all.plugins.iter().any(AuditReport::has_errors)
        }
    };
    if has_errors { Err(Failure::Said(Exit::Invalid)) } else { Ok(()) }
}

#[derive(Serialize)]
struct All {
    plugins: Vec<AuditReport>,
}

/// The host's own lines first, then the findings in the order of the stages.
fn text(report: &AuditReport, out: &Out) -> String {
    let title = match &report.version {
        Some(version) => format!("{} {version}", safe_line(&report.name)),
        None => safe_line(&report.name),
    };
    let mut text = format!("{}\n", out.heading(&title));
    let mut line = |head: &str, value: &str| text.push_str(&format!("  {head:<14}{value}\n"));
    if let Some(trust) = &report.trust {
        facts(trust, &mut line);
    }
    let is_installed = report.trust.as_ref().is_some_and(|trust| trust.status.is_some());
    offer(&report.offer, is_installed, &mut line);
    report.scan.scanned.iter().for_each(|file| line("looked at", &safe_line(file)));
    report.scan.not_scanned.iter().for_each(|file| line("not looked at", &safe_line(file)));
    let findings: Vec<&Finding> = report.checks.iter().chain(&report.scan.findings).collect();
    findings.iter().for_each(|finding| line(finding.severity.as_str(), &words(finding)));
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [(Severity::Error, "errors"), (Severity::Warning, "warnings"), (Severity::Note, "notes")];
    let counts: Vec<String> = counts.into_iter().map(|(severity, word)| format!("{} {word}", of(severity))).collect();
    let count = match findings.len() {
        0 => "no findings".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings: {}", counts.join(", ")),
    };
    text.push_str(&format!("{count}; what it may do is decided by its grants alone\n"));
    text
}

fn facts(trust: &TrustFacts, line: &mut impl FnMut(&str, &str)) {
    let TrustFacts { signature, level, scopes, problem, status, installed_at, grants, sandbox } = trust;
    line(
        "signature",
        &match signature {
            Signature::Signed { key, label } => format!("signed by {} ({key})", safe_line(label)),
            Signature::Unsigned => "unsigned".to_owned(),
            Signature::NotTrusted => "not trusted".to_owned(),
        },
    );
    if let Some(level) = level {
        line("key", &format!("{level}, for {}", safe_line(&scopes.join(", "))));
    }
    problem.iter().for_each(|problem| line("problem", &safe_line(problem)));
    if let Some(status) = status {
        let since = installed_at.as_ref().map(|at| format!(", installed {at}")).unwrap_or_default();
        line("status", &format!("{status}{since}"));
        grants.iter().for_each(|grant| line("granted", &safe_whole(grant)));
    }
    line("sandbox", &sandbox.join(", or "));
}

/// What it asks for and takes part in, and what is in force of that.
fn offer(offer: &Offer, is_installed: bool, line: &mut impl FnMut(&str, &str)) {
    let Offer { permissions, hooks, commands, rules } = offer;
    permissions.iter().for_each(|permission| line("asks for", &safe_whole(&permission.to_string())));
    hooks.iter().for_each(|hook| line("hook", &subscription(hook)));
    for command in commands {
        if let Some(asked) = command.timeout {
            let time = time_limit(asked, command.granted_timeout, is_installed);
            line("time", &format!("{} {time}", safe_line(&command.name)));
        }
    }
    rules.iter().for_each(|rules| of_rules(rules, line));
}

/// One finding in one line.
pub(in crate::cli) fn words(finding: &Finding) -> String {
    let Finding { file, line, rule, message, .. } = finding;
    let place = if *line == 0 { file.clone() } else { format!("{file}:{line}") };
    safe_line(&format!("{place} {}: {message}", rule.as_str()))
}

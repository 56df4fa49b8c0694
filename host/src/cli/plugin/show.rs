//! `plugin info` and `plugin verify`.

use std::path::Path;

use migraine_plugin_api::{HookSpec, Timeout};
use serde::Serialize;

use crate::cli::session::now;
use crate::cli::{Failure, Out, Session};
use crate::code::Code;
use crate::manage::{self, Limit, PluginInfo, PluginKind, RebuildReport, Rules, Signature, VerifyReport};
use crate::policy::SYSTEM_STORE;
use crate::runtime::{Requirement, RequirementState, shown};
use crate::store::{StoreName, Trust};
use crate::text::{safe_line, safe_whole};

pub(super) fn info(target: &Path, session: &Session) -> Result<(), Failure> {
    let report = manage::info(&session.home()?, target)?;
    session.out.report(&report, |report| text(report, &session.out))
}

pub(super) fn verify(target: &Path, source: Option<&Path>, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    // What else an installation would refuse is refused first: no toolchain is started for it.
    let verified = match source {
        Some(_) => manage::verify_to_compare(&home, target, &now())?,
        None => manage::verify(&home, target, &now())?,
    };
    let rebuilt = source.map(|source| manage::rebuild(&home, target, source)).transpose()?;
    let report = Verified { verified, rebuilt };
    session.out.report(&report, |report| verified_text(report, &session.out))?;
    match report.rebuilt {
        Some(rebuilt) if !rebuilt.same => {
            let message = format!("the package of {} {} is not what the source makes", rebuilt.name, rebuilt.version);
            let help = "compare the compilers, and the source's version with the package's: the same sources, compiler and linker give the same bytes";
            Err(Failure::new(Code::ContentMismatch, message, Some(help.to_owned())))
        }
        _ => Ok(()),
    }
}

fn verified_text(Verified { verified, rebuilt }: &Verified, out: &Out) -> String {
    let VerifyReport { name, version, digest, targets, files, .. } = verified;
    let what = if verified.installed { "Plugin" } else { "Package of plugin" };
    let (line, signature) = match (&verified.trust, &verified.untrusted_key) {
        (Some(trust), _) => {
            (out.done(&format!("{what} '{name}' {version} verified successfully\n")), trust_line(trust))
        }
        (None, key) => {
            let key = key.as_ref().map(ToString::to_string).unwrap_or_default();
            (
                format!("{what} '{name}' {version} is whole, and NOT TRUSTED\n"),
                format!("{key}, which is not trusted here"),
            )
        }
    };
    let noun = if *files == 1 { "file" } else { "files" };
    format!(
        "{line}  signature  {signature}\n  digest     {digest}\n  targets    {}\n  compared   {files} {noun}\n{}",
        targets.join(", "),
        rebuilt.as_ref().map(rebuilt_text).unwrap_or_default()
    )
}

/// Both reports, as one value.
#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    verified: VerifyReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebuilt: Option<RebuildReport>,
}

fn rebuilt_text(report: &RebuildReport) -> String {
    let mut text = String::new();
    let mut line = |head: &str, value: &str| text.push_str(&format!("  {head:<11}{}\n", safe_line(value)));
    for file in &report.files {
        line("rebuilt", &format!("{}: {}", file.path, file.outcome.as_str()));
    }
    report.compilers.iter().for_each(|compiler| line("made by", compiler));
    report.compiler.iter().for_each(|compiler| line("here is", compiler));
    if report.same {
        text.push_str("The source makes this package\n");
    }
    text
}

pub(super) fn trust_line(trust: &Trust) -> String {
    match trust {
        Trust::Signed { key, label } => format!("signed by {} ({key})", safe_line(label)),
        Trust::Unsigned => "unsigned".to_owned(),
    }
}

/// The host's own lines first; what the author wrote comes after them, quoted.
fn text(plugin: &PluginInfo, out: &Out) -> String {
    let mut text = format!("{}\n", out.heading(&format!("{} {}", plugin.name, plugin.version)));
    let mut line = |head: &str, value: &str| text.push_str(&format!("  {head:<13}{value}\n"));
    line("status", &out.status(plugin.status));
    if plugin.kind == PluginKind::Script {
        line("kind", &safe_line(&format!("{}: {}", plugin.kind.as_str(), plugin.runs.join(", "))));
    }
    plugin.interpreters.iter().for_each(|one| line("run by", &shown(one)));
    plugin.interpreter_changes.iter().for_each(|change| line("", change));
    if let Some(problem) = &plugin.problem {
        line("problem", &safe_line(problem));
    }
    let signature = match &plugin.signature {
        Signature::Signed { key, label } => format!("signed by {} ({key})", safe_line(label)),
        Signature::Unsigned => "unsigned".to_owned(),
        Signature::NotTrusted => "not trusted".to_owned(),
    };
    line("signature", &signature);
    if let Some(path) = &plugin.path {
        line("file", &safe_line(&path.to_string_lossy()));
    }
    if let Some(url) = &plugin.url {
        line("from", &safe_line(url));
    }
    if let Some(digest) = &plugin.digest {
        line("digest", &digest.to_string());
    }
    stores(plugin, &mut line);
    receipt(plugin, &mut line);
    if !plugin.targets.is_empty() {
        line("targets", &plugin.targets.join(", "));
    }
    for file in &plugin.files {
        line("holds", &safe_line(file));
    }
    for permission in &plugin.permissions {
        line("asks for", &safe_whole(&permission.to_string()));
    }
    for permission in &plugin.grants {
        line("granted", &safe_whole(&permission.to_string()));
    }
    if let Some(rules) = &plugin.rules {
        of_rules(rules, &mut line);
    }
    plugin.hooks.iter().for_each(|hook| line("hook", &subscription(hook)));
    for (key, value) in &plugin.config {
        line("config", &safe_line(&format!("{key} = {value}")));
    }
    for dependency in plugin.dependencies.iter().filter(|_| plugin.requirements.is_empty()) {
        line("needs", &format!("\"{}\"", safe_line(dependency)));
    }
    for requirement in &plugin.requirements {
        line("needs", &needed(requirement));
    }
    for requirement in &plugin.install_requires {
        line("requires", &format!("\"{}\"", safe_line(requirement)));
    }
    for (head, text) in [("author", &plugin.author), ("license", &plugin.license)] {
        if !text.is_empty() {
            line(head, &format!("\"{}\"", safe_line(text)));
        }
    }
    line("description", &format!("\"{}\"", safe_line(&plugin.description)));
    for command in &plugin.commands {
        line("command", &format!("{}: \"{}\"", safe_line(&command.name), safe_line(&command.description)));
        line("", &safe_line(&command.usage));
        if let Some(asked) = command.timeout {
            line("", &time_limit(asked, command.granted_timeout, plugin.installed_at.is_some()));
        }
    }
    text
}

/// Which store it is in, unless that is the user's own, and what it hides there.
fn stores(plugin: &PluginInfo, line: &mut impl FnMut(&str, &str)) {
    if plugin.store == Some(StoreName::System) {
        line("store", &format!("the system's, {SYSTEM_STORE}"));
    }
    if let Some(version) = &plugin.hides {
        line("hides", &format!("version {version} of the system store"));
    }
}

/// A subscription, whole.
pub(super) fn subscription(hook: &HookSpec) -> String {
    let pattern = hook.pattern.as_ref().map(|pattern| format!(" matching `{pattern}`")).unwrap_or_default();
    let runs = hook.command.as_ref().map(|command| format!(" runs `{command}`")).unwrap_or_default();
    safe_whole(&format!("{}{pattern}{runs}, priority {}", hook.event, hook.priority))
}

/// What is in force.
pub(super) fn of_rules(rules: &Rules, line: &mut impl FnMut(&str, &str)) {
    let Rules { can, cannot, capped, limits } = rules;
    can.iter().for_each(|words| line("can", words));
    cannot.iter().for_each(|words| line("cannot", words));
    capped.iter().for_each(|words| line("capped", words));
    for Limit { what, most, capped_by } in limits {
        let by = capped_by.as_ref().map(|path| format!(", capped by {}", safe_line(&path.to_string_lossy())));
        line("limit", &format!("{what}: {most}{}", by.unwrap_or_default()));
    }
}

fn needed(requirement: &Requirement) -> String {
    let Requirement { needs, state, found, .. } = requirement;
    let needs = safe_line(needs);
    match state {
        RequirementState::Met => format!("\"{needs}\": {found}"),
        RequirementState::Missing if requirement.is_in_the_way() => {
            format!("\"{needs}\": MISSING, and it cannot run without: {found}")
        }
        RequirementState::Missing => format!("\"{needs}\": missing: {found}"),
        RequirementState::Unknown => format!("\"{needs}\""),
    }
}

/// What is known of its installation.
fn receipt(plugin: &PluginInfo, line: &mut impl FnMut(&str, &str)) {
    if let Some(installed_at) = &plugin.installed_at {
        line("installed", installed_at);
    }
    if let Some(path) = &plugin.link {
        line("linked to", &safe_line(&path.to_string_lossy()));
    }
    if let Some(path) = &plugin.installed_from {
        line("from", &safe_line(&path.to_string_lossy()));
    }
    if let Some(pinned) = &plugin.pinned {
        line("pinned", &format!("to {pinned}"));
    }
    if let Some(previous) = &plugin.previous {
        line("previous", &format!("{previous}: migraine plugin rollback {}", plugin.name));
    }
}

/// The time that a command asks for, and what came of it.
pub(super) fn time_limit(asked: Timeout, granted: Option<Timeout>, is_installed: bool) -> String {
    let words = |timeout| match timeout {
        Timeout::Seconds(seconds) => format!("{seconds} seconds"),
        Timeout::None => "no time limit".to_owned(),
    };
    match granted {
        _ if !is_installed => format!("asks for {}", words(asked)),
        Some(granted) if granted == asked => format!("asks for {}: granted", words(asked)),
        Some(granted) => format!("asks for {}: granted {}", words(asked), words(granted)),
        None => format!("asks for {}: not granted", words(asked)),
    }
}

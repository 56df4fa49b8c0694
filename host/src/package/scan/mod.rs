//! Looks at scripts before they are installed, and says what a careful reader would stop at. It is a lint, and no boundary:
//! what a script may do is decided by its grants and enforced by the sandbox, whether it was found here or not. Of a library
//! the structures are looked at, not its instructions.
//!
//! Nothing is run. Both languages are read by one parser, whose memory grows with the text and whose stack does not.

mod bash;
mod native;
mod python;
mod text;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use migraine_plugin_api::{BashSource, Executable, Handler, Manifest, Permission, PermissionKind};
use serde::Serialize;
use tree_sitter::{Language, Node, ParseOptions, Parser, Tree, TreeCursor};

use super::ElfFacts;

pub use python::{ALLOWED_MODULES, is_allowed_module};

/// The largest script that is looked at, in bytes.
const SCRIPT_MAX: usize = 1 << 20;
/// How often the parser may report back before it is stopped; it does so every few hundred steps.
const PARSER_REPORTS_MAX: u32 = 100_000;
/// The most findings of one script.
const FINDINGS_MAX: usize = 50;

/// Something that a reader should know of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, or the place in the manifest that holds the script.
    pub file: String,
    /// Counted from 1, within the script; 0 for what stands in no line.
    #[serde(skip_serializing_if = "is_zero")]
    pub line: usize,
    /// What kind of finding: a stable word.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, in words; parts of the script in it are not made safe to show.
    pub message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(line: &usize) -> bool {
    *line == 0
}

impl Finding {
    /// Whether an installation would refuse the plugin for it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Whether it is shown before anything is allowed.
    #[must_use]
    pub fn is_shown_before_consent(&self) -> bool {
        self.severity != Severity::Note
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// An installation would refuse the plugin.
    Error,
    /// A careful reader would stop at it; it is shown before anything is allowed.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The script cannot be parsed, so nothing else can be said of it.
    Syntax,
    /// It is written so that a reader sees something else than the interpreter.
    Hidden,
    /// A module that is not on the list of modules.
    Import,
    /// Code that is put together while the script runs.
    Dynamic,
    /// Ways around the rules of the language, into the interpreter.
    Interpreter,
    /// Starts programs, and the plugin does not ask for `exec`.
    Program,
    /// Reaches the network by itself.
    Network,
    /// Names a place that holds secrets or belongs to the system.
    Place,
    /// Destroys what it cannot know.
    Destructive,
    /// Asks for rights that no plugin has.
    Privilege,
    /// A library was linked or compiled without a protection against its own faults.
    Hardening,
    /// Something in it is refused.
    Refused,
    /// The manifest leaves something open.
    Manifest,
    /// A policy file, or a default of it, does not allow it.
    Policy,
    /// Something that it needs is not there.
    Dependency,
    /// It asks for something dangerous.
    Permission,
}

impl Rule {
    /// The stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Hidden => "hidden",
            Self::Import => "import",
            Self::Dynamic => "dynamic",
            Self::Interpreter => "interpreter",
            Self::Program => "program",
            Self::Network => "network",
            Self::Place => "place",
            Self::Destructive => "destructive",
            Self::Privilege => "privilege",
            Self::Hardening => "hardening",
            Self::Refused => "refused",
            Self::Manifest => "manifest",
            Self::Policy => "policy",
            Self::Dependency => "dependency",
            Self::Permission => "permission",
        }
    }
}

/// What was found in the scripts of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Scan {
    /// By file and line.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub scanned: Vec<String>,
    /// Programs in languages that are not known, and compiled ones: nobody has looked at them.
    pub not_scanned: Vec<String>,
}

/// Looks at every Python file, every Bash file and every script in the manifest.
#[must_use]
pub fn scan<'a>(manifest: &Manifest, entry: &str, files: impl Iterator<Item = (&'a str, &'a [u8])> + Clone) -> Scan {
    let own: BTreeSet<&str> = files.clone().filter_map(|(path, _)| top_module(path)).collect();
    let may_exec = manifest.permissions.iter().any(|asked| asked.kind() == PermissionKind::Exec);
    let mut found = Scan::default();
    for (place, script) in inline_scripts(manifest) {
        let name = format!("{entry} {place}");
        found.findings.extend(scan_bash(&name, script.as_bytes()));
        found.scanned.push(name);
    }
    let bash_files: BTreeSet<String> = manifest
        .handlers()
        .filter_map(|handler| match handler {
            Handler::Bash(BashSource::File(file)) => Some(file),
            _ => None,
        })
        .collect();
    let programs: BTreeSet<String> = manifest
        .handlers()
        .filter_map(|handler| match handler {
            Handler::Executable(Executable { program, .. }) => Some(program),
            _ => None,
        })
        .collect();
    for (path, content) in files {
        if path.ends_with(".py") {
            // A plugin's own tests, which are no part of its calls, have the one module that they cannot do without.
            let tests: Option<BTreeSet<&str>> =
                path.starts_with("tests/").then(|| own.iter().copied().chain(["unittest"]).collect());
            found.findings.extend(scan_python(path, content, tests.as_ref().unwrap_or(&own), may_exec));
        } else if bash_files.contains(path) || path.ends_with(".sh") || path.ends_with(".bash") {
            found.findings.extend(scan_bash(path, content));
        } else if programs.contains(path) {
            found.not_scanned.push(path.to_owned());
            continue;
        } else {
            continue;
        }
        found.scanned.push(path.to_owned());
    }
    found.findings.sort();
    found
}

/// Looks at a library, given the permissions that it asks for.
#[must_use]
pub fn scan_library(path: &str, facts: &ElfFacts, permissions: &[Permission]) -> Scan {
    let asks_for = |kind| permissions.iter().any(|asked| asked.kind() == kind);
    let findings = native::check(path, facts, asks_for);
    Scan { findings, scanned: vec![path.to_owned()], not_scanned: Vec::new() }
}

/// What is said of a library that is refused.
#[must_use]
pub fn refused_library(path: &str, why: &str) -> Scan {
    Scan { findings: vec![native::refused(path, why)], ..Scan::default() }
}

/// The scripts that stand in a manifest, each with its place.
fn inline_scripts(manifest: &Manifest) -> Vec<(String, String)> {
    let script = |handler: Handler| match handler {
        Handler::Bash(BashSource::Script(script)) => Some(script),
        _ => None,
    };
    let own = manifest.handler.clone().and_then(script).map(|script| ("handler".to_owned(), script));
    let commands = manifest.commands.iter().filter_map(|command| {
        let script = command.handler.clone().and_then(script)?;
        Some((format!("commands.{}", command.name), script))
    });
    let hooks = manifest.hooks.iter().enumerate().flat_map(|(at, hook)| {
        let scripts = hook.scripts().into_iter().filter_map(script);
        scripts.map(move |script| (format!("hooks[{at}]"), script))
    });
    own.into_iter().chain(commands).chain(hooks).collect()
}

/// The module that a file is, or is part of, as an import names it.
fn top_module(path: &str) -> Option<&str> {
    match path.split_once('/') {
        Some((directory, _)) if path.ends_with(".py") => Some(directory),
        Some(_) => None,
        None => path.strip_suffix(".py"),
    }
}

/// Looks at one Python file; `own` are the modules of the plugin itself.
#[must_use]
pub fn scan_python(file: &str, content: &[u8], own: &BTreeSet<&str>, may_exec: bool) -> Vec<Finding> {
    let mut findings = Findings::new(file);
    if let Some(text) = text::readable(content, &mut findings) {
        text::check_encoding(text, &mut findings);
        match parse(&tree_sitter_python::LANGUAGE.into(), text) {
            Some(tree) => python::check(&tree, text, own, may_exec, &mut findings),
            None => findings.add(1, Rule::Syntax, "it cannot be parsed in a reasonable time".to_owned()),
        }
    }
    findings.found
}

/// Looks at one Bash script.
#[must_use]
pub fn scan_bash(file: &str, content: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::new(file);
    if let Some(text) = text::readable(content, &mut findings) {
        match parse(&tree_sitter_bash::LANGUAGE.into(), text) {
            Some(tree) => bash::check(&tree, text, &mut findings),
            None => findings.add(1, Rule::Syntax, "it cannot be parsed in a reasonable time".to_owned()),
        }
    }
    findings.found
}

fn parse(language: &Language, text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    let mut reports = 0;
    let mut stop = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > PARSER_REPORTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut stop);
    let mut rest = |at: usize, _| text.as_bytes().get(at..).unwrap_or_default();
    parser.parse_with_options(&mut rest, None, Some(options))
}

/// Visits every node, parents first, with the name of its field in its parent.
fn visit<'t>(tree: &'t Tree, mut look: impl FnMut(Node<'t>, Option<&str>)) {
    let mut cursor: TreeCursor<'t> = tree.walk();
    loop {
        look(cursor.node(), cursor.field_name());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

/// The first place where the parser had to guess.
fn first_error(tree: &Tree) -> Option<usize> {
    if !tree.root_node().has_error() {
        return None;
    }
    let mut first = None;
    visit(tree, |node, _| {
        if first.is_none() && (node.is_error() || node.is_missing()) {
            first = Some(line_of(node));
        }
    });
    Some(first.unwrap_or(1))
}

fn line_of(node: Node<'_>) -> usize {
    node.start_position().row + 1
}

fn text_of<'a>(node: Node<'_>, text: &'a str) -> &'a str {
    text.get(node.byte_range()).unwrap_or_default()
}

/// Places that hold secrets, or are the system's own: a script that names one wants more than its directories.
const PLACES: [&str; 18] = [
    "/etc/shadow",
    "/etc/passwd",
    "/etc/sudoers",
    "/etc/cron",
    "/var/spool/cron",
    "/.ssh",
    "/.aws",
    "/.gnupg",
    "/.kube",
    "/.docker/config",
    "/.netrc",
    "/.bash_history",
    "/.bashrc",
    "/.migraine",
    "/.mozilla",
    "/proc/",
    "/dev/mem",
    "docker.sock",
];

fn named_place(text: &str) -> Option<&'static str> {
    PLACES.into_iter().find(|place| text.contains(place))
}

struct Findings {
    file: String,
    found: Vec<Finding>,
}

impl Findings {
    fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// One line is said once of each kind.
    fn add(&mut self, line: usize, rule: Rule, message: String) {
        let known = self.found.iter().any(|found| found.line == line && found.rule == rule);
        if !known && self.found.len() < FINDINGS_MAX {
            self.found.push(Finding { file: self.file.clone(), line, rule, severity: Severity::Warning, message });
        }
    }
}

#[cfg(test)]
mod tests;

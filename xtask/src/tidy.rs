//! `cargo xtask tidy`: rules about the source that neither rustc nor clippy knows. Also runs as a test.

mod headers;
mod layers;
mod layers_table;
mod paths;
mod sizes;
mod source;
#[cfg(test)]
mod tests;
mod unsafe_code;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::ui;
use source::Source;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    advice: String,
}

impl Finding {
    fn new(source: &Source, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.advice)
    }
}

/// Checks the tree and prints what is wrong.
///
/// # Errors
/// A rule is broken, or a file cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let (findings, files) = check(root)?;
    for finding in &findings {
        ui::warn(finding);
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings in {files} files", findings.len());
    }
    ui::say(format!("tidy: {files} files are fine"));
    Ok(())
}

/// All findings in the tree below `root`, in order, and how many files were read.
fn check(root: &Path) -> Result<(Vec<Finding>, usize)> {
    let sources = source::read_tree(root)?;
    let mut findings: Vec<Finding> = sources.iter().flat_map(check_source).collect();
    findings.sort();
    Ok((findings, sources.len()))
}

fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = words::check(source);
    if !source.is_rust() {
        return findings;
    }
    findings.extend(headers::check(source));
    match source.parse() {
        Ok(parsed) => {
            findings.extend(layers::check(source, &parsed.tokens));
            findings.extend(unsafe_code::check(source, &parsed.tokens));
            findings.extend(sizes::check(source, &parsed.file));
            findings.extend(words::check_ignored(source, &parsed.tokens));
        }
        Err(error) => findings.push(Finding::new(source, error.line, "parse", error.message)),
    }
    findings
}

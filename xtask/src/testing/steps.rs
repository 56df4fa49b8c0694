//! The checks and the commands behind each.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{needs, report};
use crate::project::Project;
use crate::{cmd, fuzz, quickstart, tidy, ui};

/// The package that holds the end-to-end suites.
pub(super) const TESTS: &str = "migraine-tests";

/// What is compiled only where layers and checks can be left out.
const CONTROLLED: &[&str] = &[
    "-p",
    "migraine-host",
    "-p",
    TESTS,
    "-p",
    "xtask",
    "--lib",
    "--bins",
    "--features",
    "migraine-host/attack-controls,migraine-tests/attack-controls,xtask/attack-controls",
];

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// Programs that the others need.
    Setup,
    Fmt,
    Tidy,
    Clippy,
    /// All tests, those in documents included.
    Tests,
    Doc,
    /// The tests in documents alone; [`Check::Tests`] runs them too.
    Doctests,
    Deny,
    /// Every fuzz target for a few seconds.
    Fuzz,
    Quickstart,
    /// One end-to-end suite.
    Suite(String),
    /// The tests of one package.
    Package(String),
}

impl Check {
    /// A whole run: what is fast and fails often comes first.
    pub(super) const ALL: &[Self] = &[
        Self::Setup,
        Self::Fmt,
        Self::Tidy,
        Self::Clippy,
        Self::Tests,
        Self::Doc,
        Self::Deny,
        Self::Fuzz,
        Self::Quickstart,
    ];

    /// What can be asked for by name.
    pub(super) const VERBS: &[Self] = &[
        Self::Setup,
        Self::Fmt,
        Self::Clippy,
        Self::Tidy,
        Self::Tests,
        Self::Doc,
        Self::Doctests,
        Self::Deny,
        Self::Fuzz,
        Self::Quickstart,
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::VERBS.iter().find(|check| check.name() == name).cloned()
    }

    pub(super) fn name(&self) -> String {
        let fixed = match self {
            Self::Setup => "setup",
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Tests => "tests",
            Self::Doc => "doc",
            Self::Doctests => "doctests",
            Self::Deny => "deny",
            Self::Fuzz => "fuzz",
            Self::Quickstart => "quickstart",
            Self::Suite(name) => return format!("suite {name}"),
            Self::Package(name) => return format!("package {name}"),
        };
        fixed.to_owned()
    }

    /// Runs it; `closing` gets the lines that cargo ends its test runs with.
    pub(super) fn run(&self, project: &Project, closing: &mut Vec<String>) -> Result<()> {
        match self {
            Self::Setup => needs::install(),
            Self::Fmt => {
                run(cargo(project, &["fmt", "--all", "--check"]))?;
                // A workspace of its own.
                run(cargo(project, &["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"]))
            }
            Self::Tidy => tidy::run(&project.root),
            Self::Clippy => {
                run(cargo(project, &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
                run(cargo(project, &[&["clippy", "--locked"], CONTROLLED, &["--", "-D", "warnings"]].concat()))
            }
            Self::Tests => test(project, &["--workspace"], closing),
            Self::Doc => {
                let mut command = cargo(project, &["doc", "--locked", "--workspace", "--no-deps"]);
                command.env("RUSTDOCFLAGS", "-D warnings");
                run(command)
            }
            Self::Doctests => test(project, &["--workspace", "--doc"], closing),
            Self::Deny => deny(project),
            Self::Fuzz => fuzz::smoke(project),
            Self::Quickstart => quickstart::run(project),
            Self::Suite(name) => test(project, &["--package", TESTS, "--test", name], closing),
            Self::Package(name) => test(project, &["--package", name], closing),
        }
    }
}

fn cargo(project: &Project, arguments: &[&str]) -> Command {
    let mut command = cmd::cargo();
    command.args(arguments).current_dir(&project.root);
    command
}

fn run(mut command: Command) -> Result<()> {
    show(&command);
    cmd::run(&mut command)
}

fn test(project: &Project, what: &[&str], closing: &mut Vec<String>) -> Result<()> {
    let command = cargo(project, &[&["test", "--locked", "--no-fail-fast"], what].concat());
    show(&command);
    let (status, output) = cmd::tee(command)?;
    closing.extend(report::closing_lines(&output));
    if !status.success() {
        bail!("cargo test ended with {}", cmd::ending(status));
    }
    Ok(())
}

/// Bans, licences and sources need no network; advisories are judged only by a database that is already here.
fn deny(project: &Project) -> Result<()> {
    needs::cargo_deny().context("cargo-deny is missing")?;
    // The graph names crates of every machine; each must be in cargo's cache before an offline look at it.
    run(cargo(project, &["fetch", "--locked"]))?;
    let checks = ["deny", "--offline", "--workspace", "check", "bans", "licenses", "sources"];
    run(cargo(project, &checks))?;
    if std::env::var_os("MIGRAINE_ADVISORY_DB").is_some() {
        run(cargo(project, &["deny", "--offline", "--workspace", "check", "--disable-fetch", "advisories"]))
    } else {
        ui::say("advisories are not checked: MIGRAINE_ADVISORY_DB names no database");
        Ok(())
    }
}

fn show(command: &Command) {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    ui::say(format!("$ cargo {}", words.join(" ")));
}

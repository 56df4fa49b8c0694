//! Runs a command of a plugin library in the arena, and holds every run to what must always be true.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::artifacts;
use crate::matrix::WORKS;
use crate::run::{Ran, User, run};

/// The variable by which the controlled programs, and no product, leave checks of the host out.
pub const CONTROLS: &str = "MIGRAINE_ATTACK_CONTROLS";

/// Which layers are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The whole sandbox.
    All,
    /// What a policy can allow where namespaces are forbidden.
    Reduced,
    /// Nothing: what works here is what the sandbox stops.
    Nothing,
    /// The first half: namespaces with the private root, limits, no capabilities.
    Spaces,
    /// The second half: Landlock and the system call filter, in the caller's own namespaces and with its own ids.
    Filters,
    /// These layers alone, by the arena's names, separated by commas.
    Only(&'static str),
    /// All but these layers.
    Without(&'static str),
}

impl On {
    fn options(self) -> Vec<&'static str> {
        match self {
            Self::All => Vec::new(),
            Self::Reduced => vec!["--reduced"],
            Self::Nothing => vec!["--without", "namespaces,rlimits,privileges,landlock,seccomp"],
            Self::Spaces => vec!["--only", "namespaces,rlimits,privileges"],
            Self::Filters => vec!["--only", "landlock,seccomp"],
            Self::Only(layers) => vec!["--only", layers],
            Self::Without(layers) => vec!["--without", layers],
        }
    }
}

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Arena {
    on: On,
    user: User,
    options: Vec<String>,
    variables: Vec<(String, String)>,
    library: PathBuf,
}

/// What a run ended with.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// What the plugin wrote and the arena's line about the end.
    pub out: String,
    /// Stray output, logs and traces, and what was left behind.
    pub err: String,
    /// How long it took, the start of everything included.
    pub took: Duration,
    /// Processes that outlived the sandbox.
    pub left: u64,
    /// Ended processes that nobody had waited for.
    pub zombies: u64,
    /// Peak resident memory of the host process.
    pub peak_kib: u64,
}

impl Arena {
    /// A run of the hostile plugin.
    #[must_use]
    pub fn new(on: On, user: User) -> Self {
        let library = artifacts::library("hostile").to_owned();
        Self { on, user, options: Vec::new(), variables: Vec::new(), library }
    }

    /// Another library.
    #[must_use]
    pub fn library(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.library);
        self
    }

    /// Options of the arena program.
    #[must_use]
    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// A variable in the host's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a check of the host out.
    #[must_use]
    pub fn without(self, check: &str) -> Self {
        self.variable(CONTROLS, check)
    }

    /// The command line.
    #[must_use]
    pub fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut program = self.user.command(artifacts::arena());
        program.envs(self.variables.iter().cloned());
        program.args(self.on.options()).args(&self.options).arg(&self.library).arg(command).args(args);
        program
    }

    /// Runs a command and checks what holds for all: nothing is left behind and the host's memory stays small.
    ///
    /// # Panics
    /// Something was left behind.
    #[must_use]
    pub fn run(&self, command: &str, args: &[&str]) -> Outcome {
        let outcome = self.run_unchecked(command, args);
        let left = (outcome.left, outcome.zombies);
        assert_eq!(left, (0, 0), "{self:?} {command} left processes behind: {outcome:?}");
        assert!(outcome.peak_kib < 48 * 1024, "{self:?} {command} made the host large: {outcome:?}");
        outcome
    }

    /// As [`Arena::run`], for runs that are known to leave something behind.
    ///
    /// # Panics
    /// The arena itself failed or leaked descriptors.
    #[must_use]
    pub fn run_unchecked(&self, command: &str, args: &[&str]) -> Outcome {
        let Ran { code, out, err, took } = run(&mut self.command(command, args), Duration::from_secs(120));
        let (out, err) = (text(&out), text(&err));
        let numbers: Vec<u64> = err
            .lines()
            .rfind(|line| line.starts_with("left: "))
            .unwrap_or_else(|| panic!("the arena broke down: {self:?} {command}: {code} {out} {err}"))
            .split(|letter: char| !letter.is_ascii_digit() && letter != '-')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [left, zombies, descriptors, groups, peak_kib] = numbers[..] else { panic!("not five numbers: {err}") };
        assert_eq!((descriptors, groups), (0, 0), "{self:?} {command} leaked: {err}");
        Outcome { code, out, err, took, left, zombies, peak_kib }
    }
}

/// Floods are cut: nobody reads a megabyte in a failure message.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() < 200_000 {
        return text.into_owned();
    }
    let tail: String = text.chars().skip(text.chars().count() - 2000).collect();
    format!("[{} bytes] {tail}", text.len())
}

impl Outcome {
    /// The last line on standard output.
    #[must_use]
    pub fn last(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// The outcome in one word, as the matrix has it.
    #[must_use]
    pub fn word(&self) -> String {
        let last = self.last();
        match last.rsplit_once(": refused ") {
            _ if last.starts_with("sandbox_violation:") => "killed".to_owned(),
            Some((_, errno)) => errno.split(':').next().unwrap_or_default().to_owned(),
            None if self.code == 0 => WORKS.to_owned(),
            None => last.split(": ").next().unwrap_or_default().to_owned(),
        }
    }

    /// Whether an attack says that it worked.
    #[must_use]
    pub fn worked(&self) -> bool {
        self.code == 0 && self.out.contains(": worked")
    }

    /// Whether an attack was stopped: refused by the kernel, or ended by the filter.
    #[must_use]
    pub fn stopped(&self) -> bool {
        let refused = self.code == 0 && self.last().contains(": refused E");
        refused || self.last().starts_with("sandbox_violation:")
    }
}

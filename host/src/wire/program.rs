//! Programs of the system that are run for a plugin: which a launcher lets run, and one run of one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Variable;

/// How many files a launcher can let run by name.
pub const PROGRAMS_MAX: usize = 192;

/// What the processes of a launcher may execute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Programs {
    /// Nothing: its workers run plugins.
    #[default]
    None,
    /// These files: absolute, no part of them is a symbolic link. Whatever loads a program is among them.
    Only(Vec<PathBuf>),
    /// Everything in the system's directories.
    All,
}

impl Programs {
    /// Whether its workers run programs and not plugins.
    #[must_use]
    pub fn are_run(&self) -> bool {
        *self != Self::None
    }

    /// Whether one of the files lies in a directory.
    #[must_use]
    pub fn lie_in(&self, directory: &Path) -> bool {
        matches!(self, Self::Only(files) if files.iter().any(|file| file.starts_with(directory)))
    }
}

/// One run of a program; its standard input takes the place of a plugin's code.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunBody {
    /// The file, as in [`Programs::Only`].
    pub file: PathBuf,
    /// What the program finds as its own name.
    pub name: String,
    /// The arguments after the name.
    pub arguments: Vec<String>,
    /// Where it starts, if not in the scratch directory.
    pub directory: Option<PathBuf>,
    /// Variables that are added to the environment that every plugin has.
    pub environment: Vec<Variable>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RanBody {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It could not be started; the number is that of errno(3).
    NotStarted(i32),
}

//! What can be wrong before or while a workflow runs, apart from a command that fails.

use std::path::PathBuf;

use crate::code::{Code, Coded};
use crate::secrets::SecretError;
use crate::text::{safe_line, safe_path};

/// A workflow that cannot be found, read or carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// No workflow of that name, or no project file.
    #[error("{}", not_found(wanted.as_deref(), folder))]
    NotFound {
        /// What was asked for; absent for the project file.
        wanted: Option<String>,
        /// Where it was looked for.
        folder: PathBuf,
        /// The names that are there.
        known: Vec<String>,
    },
    /// A file that is not a workflow.
    #[error("{}{}: {}", safe_path(path), place(*line, *column), safe_line(reason))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where the file as a whole is meant.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", safe_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A `-v` that is not `KEY=VALUE`.
    #[error("`{}` is not KEY=VALUE", safe_line(text))]
    BadFlag {
        /// What was given.
        text: String,
    },
    /// Variables without a value, found when a command needs them.
    #[error("{} needs a value for {}", safe_line(who), list(names))]
    VariableMissing {
        /// The step.
        who: String,
        /// The variables.
        names: Vec<String>,
    },
    /// A variable that is declared secret and cannot be kept so.
    #[error("the secret variable `{}` has a value that cannot be masked: {reason}", safe_line(name))]
    BadSecret {
        /// The variable.
        name: String,
        /// Why.
        reason: SecretError,
    },
    /// An action that the workflow does not have.
    #[error("the workflow has no action `{}`", safe_line(name))]
    UnknownAction {
        /// What was asked for.
        name: String,
        /// The actions that are there.
        known: Vec<String>,
    },
    /// An `on_success` or `on_fail` of an unknown form.
    #[error("{}: `{}` is neither `action:NAME` nor `run:COMMAND`", safe_line(who), safe_line(text))]
    BadStepHook {
        /// The step and the field.
        who: String,
        /// What is written there.
        text: String,
    },
}

fn not_found(wanted: Option<&str>, folder: &std::path::Path) -> String {
    match wanted {
        Some(name) => format!("there is no workflow `{}` in {}", safe_line(name), safe_path(folder)),
        None => format!("there is no migraine.yml, migraine.yaml or migraine.json in {}", safe_path(folder)),
    }
}

fn place(line: usize, column: usize) -> String {
    if line == 0 { String::new() } else { format!(":{line}:{column}") }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", safe_line(name))).collect::<Vec<_>>().join(", ")
}

impl Coded for WorkflowError {
    fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::WorkflowNotFound,
            Self::Invalid { .. } | Self::BadStepHook { .. } => Code::WorkflowInvalid,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Code::FileNotFound,
            Self::Io { .. } => Code::Io,
            Self::BadFlag { .. } => Code::Usage,
            Self::VariableMissing { .. } => Code::VariableMissing,
            Self::BadSecret { .. } => Code::ValueInvalid,
            Self::UnknownAction { .. } => Code::WorkflowNotFound,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NotFound { wanted, known, .. } if known.is_empty() => Some(match wanted {
                Some(name) => format!("write ./workflows/{}.yaml, or name a file", safe_line(name)),
                None => "name a workflow: migraine run NAME".to_owned(),
            }),
            Self::NotFound { known, .. } => Some(format!("there are: {}", list(known))),
            Self::VariableMissing { names, .. } => {
                let flags: Vec<_> = names.iter().map(|name| format!("-v '{}=…'", safe_line(name))).collect();
                Some(format!("give {} or set it under config.variables", flags.join(" ")))
            }
            Self::BadSecret { .. } => {
                Some("use a longer value, or do not declare the variable secret under config.variables".to_owned())
            }
            Self::UnknownAction { known, .. } if known.is_empty() => Some("it has none at all".to_owned()),
            Self::UnknownAction { known, .. } => Some(format!("there are: {}", list(known))),
            _ => None,
        }
    }
}

//! Workflows: from a file to a model, to values for its variables, to commands that run and events that fire.
#![forbid(unsafe_code)]

pub mod discover;
pub mod env_file;
mod error;
mod exec;
mod file;
mod report;
mod run;
mod tee;
mod variables;
mod window;

pub use discover::{Found, discover};
pub use error::WorkflowError;
pub use exec::{Streams, find_shell};
pub use file::{FILE_MAX, Step, StepHook, VariableSpec, Workflow, parse};
pub use report::{
    CommandReport, CommandStatus, Failure, HookEntry, PreChecks, Reporter, RunReport, Section, Started, Status, Steps,
};
pub use run::{RunRequest, names_in_use, run};
pub use variables::{Sources, Variables, parse_flag};

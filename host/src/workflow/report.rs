//! What a run tells while it goes on ([`Reporter`]) and what it amounts to ([`RunReport`]).

use std::time::Duration;

use serde::Serialize;

use crate::code::{Code, Exit};
use crate::hooks::HookReport;

/// A part of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Run first.
    PreChecks,
    /// Run then.
    Steps,
    /// Run on request or from a step.
    Actions,
}

impl Section {
    /// The name of the section in the workflow file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreChecks => "pre_checks",
            Self::Steps => "steps",
            Self::Actions => "actions",
        }
    }
}

/// A run that begins.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// The workflow's name.
    pub workflow: &'a str,
    /// Its description; may be empty.
    pub description: &'a str,
    /// The run's id.
    pub id: &'a str,
    /// RFC 3339, UTC.
    pub start_time: &'a str,
}

/// Shows a run. Texts come from files and plugins: whoever shows them makes them safe.
pub trait Reporter {
    /// The run begins.
    fn started(&mut self, run: &Started<'_>);
    /// A section with at least one command begins.
    fn section(&mut self, section: Section);
    /// A command is about to run.
    fn command_started(&mut self, label: &str);
    /// A command has ended or was refused.
    fn command_ended(&mut self, report: &CommandReport);
    /// A hook ran.
    fn hook(&mut self, event: &str, report: &HookReport);
    /// Something that the user should know and that does not end the run.
    fn warning(&mut self, text: &str);
    /// The run is over.
    fn finished(&mut self, report: &RunReport);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything was done.
    Ok,
    /// Something failed.
    Failed,
    /// A signal ended it.
    Interrupted,
}

impl Status {
    /// The word used in reports and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandStatus {
    /// With exit code 0.
    Ok,
    /// With another, or it could not be started.
    Failed,
    /// A hook did not let it run.
    Refused,
}

/// One command of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandReport {
    /// The part of the workflow.
    pub section: Section,
    /// What people call the step.
    pub name: String,
    /// As written, before substitution: a value may be a secret.
    pub command: String,
    /// How it ended.
    pub status: CommandStatus,
    /// 128 + N for signal N; absent when it did not run.
    pub exit_code: Option<i32>,
    /// Wall-clock time.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

/// One hook of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookEntry {
    /// The event.
    pub event: String,
    /// The plugin.
    pub plugin: String,
    /// Its handler; empty where a command ran.
    pub handler: String,
    /// The plugin's command that ran, before its variables were filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether it did its work.
    pub success: bool,
    /// The stable code of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What it asked for in vain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Wall-clock time of the call.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
}

/// Why a run did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The stable code.
    #[serde(serialize_with = "code_text")]
    pub code: Code,
    /// What failed and why.
    pub message: String,
    /// What the user can do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Counts of pre-checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PreChecks {
    /// That passed.
    pub passed: usize,
    /// That failed.
    pub failed: usize,
    /// That the workflow has.
    pub total: usize,
}

/// Counts of steps, or of the actions that were asked for instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Steps {
    /// That succeeded.
    pub done: usize,
    /// That were to run.
    pub total: usize,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The workflow's name.
    pub workflow: String,
    /// The run's id.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// RFC 3339, UTC.
    pub start_time: String,
    /// Wall-clock time.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The pre-checks.
    pub pre_checks: PreChecks,
    /// The steps.
    pub steps: Steps,
    /// Every command that was reached.
    pub commands: Vec<CommandReport>,
    /// The first thousand hooks that ran.
    pub hooks: Vec<HookEntry>,
    /// How many more ran.
    pub hooks_left_out: u64,
    /// What was warned of.
    pub warnings: Vec<String>,
    /// Why it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// How many hooks a report lists; a hook on output may run a million times.
pub(super) const HOOKS_MAX: usize = 1000;

impl RunReport {
    /// What the program ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.error.as_ref().map_or(Exit::Ok, |failure| failure.code.exit())
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn microseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn code_text<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

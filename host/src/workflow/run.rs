//! Runs a workflow: pre-checks, then steps or actions, with the events around them.
//!
//! | event | when | `data` |
//! |---|---|---|
//! | `workflow-load` | first | `path` |
//! | `variable-resolution` | then | `missing`: names in use without a value |
//! | `pre-workflow` | before the first command | |
//! | `pre-command` | before each command | `section` |
//! | `command-output` | with each piece of its output | `section`, `stream` |
//! | `post-command` | after it, with its output | `section` |
//! | `command-error` | after that, if it failed | `section` |
//! | `pre-check-status` | after a pre-check | `section`, `ok` |
//! | `workflow-progress` | after a step that succeeded | `done`, `total` |
//! | `workflow:pre-NAME`, `workflow:post-NAME` | around an action, the second failed or not | `action`, `ok` in the second |
//! | `workflow-error` | when the run has failed | `code`, `message` |
//! | `post-workflow` | at the end, failed or not | `status` |
//!
//! An interrupt ends the run when the command did not handle it itself: an editor that stays and ends with 0 did. It also
//! ends the plugin's call that runs at that time. The events after it are fired as ever; a second interrupt ends theirs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::error::WorkflowError;
use super::exec::{Streams, exit_code, inherited, teed};
use super::file::{Step, StepHook, Workflow};
use super::report::{
    CommandReport, CommandStatus, Failure, PreChecks, Reporter, RunReport, Section, Started, Status, Steps,
};
use super::tee::{Capture, Cut, Leftovers, Piece};
use super::variables::{Variables, names_in};
use crate::code::{Code, Coded};
use crate::hooks::{HookCaller, Registry};
use crate::sys::ulimit::behind_error;
use crate::text::safe_line;

mod events;

/// Everything a run needs to know.
pub struct RunRequest<'a> {
    /// What is run.
    pub workflow: &'a Workflow,
    /// The file it comes from.
    pub path: &'a Path,
    /// What was odd about finding it; told again in the report.
    pub warnings: &'a [String],
    /// Unique for each run.
    pub id: &'a str,
    /// Actions to run instead of the steps, in this order.
    pub actions: &'a [String],
    /// The values of its variables.
    pub variables: &'a Variables,
    /// Runs the commands, with `-c`.
    pub shell: &'a Path,
    /// What the commands get as standard streams.
    pub streams: &'a Streams,
    /// Whether hooks may see output; commands keep the terminal otherwise.
    pub capture: bool,
    /// The time of day.
    pub clock: &'a dyn Fn() -> Timestamp,
    /// Set when an interrupt arrives.
    pub interrupted: &'a AtomicBool,
}

/// The names of the variables that a run can come to need.
#[must_use]
pub fn names_in_use(workflow: &Workflow, actions: &[String]) -> BTreeSet<String> {
    let asked: Vec<&Step> = actions.iter().filter_map(|name| workflow.actions.get(name)).collect();
    let steps = if actions.is_empty() { workflow.steps.iter().collect() } else { asked };
    let mut names = BTreeSet::new();
    for step in workflow.pre_checks.iter().chain(steps) {
        names.extend(names_in(&step.command));
        for hook in [&step.on_success, &step.on_fail] {
            match StepHook::parse(hook) {
                Ok(Some(StepHook::Run(command))) => names.extend(names_in(command)),
                Ok(Some(StepHook::Action(name))) => {
                    names.extend(workflow.actions.get(name).into_iter().flat_map(|action| names_in(&action.command)));
                }
                Ok(None) | Err(_) => {}
            }
        }
    }
    names
}

/// Runs a workflow to its end. Whatever goes wrong is in the report.
pub fn run(
    request: &RunRequest<'_>,
    registry: &Registry,
    caller: &mut dyn HookCaller,
    reporter: &mut dyn Reporter,
) -> RunReport {
    let started = Instant::now();
    // Before anything is handed to a plugin.
    caller.keep_secret(request.variables.secrets());
    let steps = if request.actions.is_empty() { request.workflow.steps.len() } else { request.actions.len() };
    let report = RunReport {
        workflow: request.workflow.name.clone(),
        id: request.id.to_owned(),
        status: Status::Ok,
        start_time: time(request),
        duration: Duration::ZERO,
        pre_checks: PreChecks { total: request.workflow.pre_checks.len(), ..PreChecks::default() },
        steps: Steps { done: 0, total: steps },
        commands: Vec::new(),
        hooks: Vec::new(),
        hooks_left_out: 0,
        warnings: Vec::new(),
        error: None,
    };
    let mut runner = Runner {
        request,
        registry,
        caller,
        reporter,
        report,
        leftovers: None,
        signalled: false,
        is_interrupted: false,
    };
    let result = runner.whole();
    runner.finish(result);
    let Runner { mut report, leftovers, reporter, .. } = runner;
    drop(leftovers);
    report.duration = started.elapsed();
    reporter.finished(&report);
    report
}

fn time(request: &RunRequest<'_>) -> String {
    format!("{:.3}", (request.clock)())
}

struct Runner<'a> {
    request: &'a RunRequest<'a>,
    registry: &'a Registry,
    caller: &'a mut dyn HookCaller,
    reporter: &'a mut dyn Reporter,
    report: RunReport,
    leftovers: Option<Leftovers>,
    /// Whether an interrupt came while the current command ran.
    signalled: bool,
    /// Whether the run ends because of an interrupt.
    is_interrupted: bool,
}

/// One command about to run.
struct Task<'a> {
    section: Section,
    index: usize,
    step: &'a Step,
    resolved: String,
}

/// How a command ended.
struct Ended {
    exit_code: i32,
    capture: Option<Capture>,
}

impl Runner<'_> {
    fn whole(&mut self) -> Result<(), Failure> {
        let request = self.request;
        let workflow = request.workflow;
        self.reporter.started(&Started {
            workflow: &workflow.name,
            description: &workflow.description,
            id: request.id,
            start_time: &self.report.start_time,
        });
        self.warn_early();
        let path = request.path.display().to_string();
        self.fire("workflow-load", |data| data("path", json!(path)))?;
        let values = request.variables.values();
        let names = names_in_use(workflow, request.actions);
        let missing: Vec<_> = names.into_iter().filter(|name| !values.contains_key(name)).collect();
        self.fire("variable-resolution", |data| data("missing", json!(missing)))?;
        self.fire("pre-workflow", |_| {})?;
        self.pre_checks()?;
        if request.actions.is_empty() {
            self.steps()?;
        } else {
            self.asked_actions()?;
        }
        self.stop_if_interrupted()
    }

    fn warn_early(&mut self) {
        let request = self.request;
        let workflow = request.workflow;
        for issue in self.registry.issues() {
            self.warn(issue.to_string());
        }
        for warning in request.warnings.iter().chain(request.variables.warnings()) {
            self.warn(warning.clone());
        }
        for step in workflow.pre_checks.iter().chain(&workflow.steps).chain(workflow.actions.values()) {
            for (field, text) in [("on_success", &step.on_success), ("on_fail", &step.on_fail)] {
                if let Err(text) = StepHook::parse(text) {
                    self.warn(bad_step_hook(step, field, text).to_string());
                }
            }
        }
        if workflow.pre_checks.is_empty() && self.report.steps.total == 0 {
            self.warn("the workflow has nothing to run".to_owned());
        }
    }

    fn pre_checks(&mut self) -> Result<(), Failure> {
        for (index, step) in self.request.workflow.pre_checks.iter().enumerate() {
            if index == 0 {
                self.reporter.section(Section::PreChecks);
            }
            let result = self.step(Section::PreChecks, index, step);
            match &result {
                Ok(()) => self.report.pre_checks.passed += 1,
                Err(_) => self.report.pre_checks.failed += 1,
            }
            result?;
        }
        Ok(())
    }

    fn steps(&mut self) -> Result<(), Failure> {
        for (index, step) in self.request.workflow.steps.iter().enumerate() {
            if index == 0 {
                self.reporter.section(Section::Steps);
            }
            self.step(Section::Steps, index, step)?;
            self.progress()?;
        }
        Ok(())
    }

    fn asked_actions(&mut self) -> Result<(), Failure> {
        let request = self.request;
        // All are looked up before the first runs: half of what was asked for helps nobody.
        let actions: Vec<_> = request
            .actions
            .iter()
            .map(|name| Ok((name, find_action(request.workflow, name)?)))
            .collect::<Result<_, Failure>>()?;
        self.reporter.section(Section::Actions);
        for (index, (name, step)) in actions.into_iter().enumerate() {
            self.around_action(name, |runner| runner.step(Section::Actions, index, step))?;
            self.progress()?;
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<(), Failure> {
        self.report.steps.done += 1;
        let Steps { done, total } = self.report.steps;
        self.fire("workflow-progress", |data| {
            data("done", json!(done));
            data("total", json!(total));
        })
    }

    fn around_action(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        self.fire(&format!("workflow:pre-{name}"), |data| data("action", json!(name)))?;
        let result = run(self);
        let ok = result.is_ok();
        let told = self.fire(&format!("workflow:post-{name}"), |data| {
            data("action", json!(name));
            data("ok", json!(ok));
        });
        result.and(told)
    }

    /// A step with its `on_success` and `on_fail`.
    fn step(&mut self, section: Section, index: usize, step: &Step) -> Result<(), Failure> {
        let result = self.command(section, index, step);
        match &result {
            Ok(()) => self.follow(step, "on_success", &step.on_success),
            Err(failure) => {
                let failed = matches!(failure.code, Code::CommandFailed | Code::PreCheckFailed);
                if failed && let Err(second) = self.follow(step, "on_fail", &step.on_fail) {
                    self.warn(format!("{}: on_fail: {}", label(step), second.message));
                }
                result
            }
        }
    }

    fn follow(&mut self, step: &Step, field: &'static str, text: &str) -> Result<(), Failure> {
        match StepHook::parse(text) {
            Ok(None) => Ok(()),
            Err(text) => Err(failure(&bad_step_hook(step, field, text))),
            Ok(Some(StepHook::Run(command))) => {
                let name = format!("{}: {field}", step.label());
                let called = Step { command: command.to_owned(), name, ..Step::default() };
                self.command(Section::Actions, 0, &called)
            }
            Ok(Some(StepHook::Action(name))) => {
                let action = find_action(self.request.workflow, name)?;
                self.around_action(name, |runner| runner.command(Section::Actions, 0, action))
            }
        }
    }

    /// One command with its events.
    fn command(&mut self, section: Section, index: usize, step: &Step) -> Result<(), Failure> {
        self.stop_if_interrupted()?;
        let variables = self.request.variables;
        let resolved = variables.substitute(&label(step), &step.command).map_err(|error| failure(&error))?;
        let task = Task { section, index, step, resolved };
        self.reporter.command_started(step.label());
        if let Err(refusal) = self.fire_command("pre-command", &task, None, |_| {}) {
            self.ended(&task, CommandStatus::Refused, None, Duration::ZERO);
            return Err(refusal);
        }
        self.stop_if_interrupted()?;
        let started = Instant::now();
        self.signalled = false;
        let (result, told) = self.execute(&task);
        self.heed_interrupt(result.as_ref().ok());
        let ok = matches!(&result, Ok(ended) if ended.exit_code == 0);
        let status = if ok { CommandStatus::Ok } else { CommandStatus::Failed };
        let code = result.as_ref().ok().map(|ended| ended.exit_code);
        self.ended(&task, status, code, started.elapsed());
        let ended = result.map_err(|error| self.cannot_start(&task, &error))?;
        let told = told.and(self.after(&task, &ended));
        let failed = self.verdict(&task, &ended);
        match (failed, told) {
            (Err(failed), Err(second)) => {
                self.warn(second.message);
                Err(failed)
            }
            (failed, told) => failed.and(told),
        }
    }

    /// The events after a command; all of them, whatever the first answers.
    fn after(&mut self, task: &Task<'_>, ended: &Ended) -> Result<(), Failure> {
        let ok = ended.exit_code == 0;
        let mut told = self.fire_command("post-command", task, Some(ended), |_| {});
        if !ok {
            told = told.and(self.fire_command("command-error", task, Some(ended), |_| {}));
        }
        if task.section == Section::PreChecks {
            told = told.and(self.fire_command("pre-check-status", task, Some(ended), |data| data("ok", json!(ok))));
        }
        told
    }

    fn verdict(&mut self, task: &Task<'_>, ended: &Ended) -> Result<(), Failure> {
        if ended.exit_code == 0 {
            return Ok(());
        }
        self.stop_if_interrupted()?;
        let (code, what) = match task.section {
            Section::PreChecks => (Code::PreCheckFailed, "the pre-check"),
            Section::Steps | Section::Actions => (Code::CommandFailed, "the command"),
        };
        let signal = match ended.exit_code - 128 {
            signal @ 1..=64 => format!(" (signal {signal})"),
            _ => String::new(),
        };
        let message = format!("{}: {what} failed with exit code {}{signal}", label(task.step), ended.exit_code);
        Err(Failure { code, message, help: None })
    }

    fn cannot_start(&self, task: &Task<'_>, error: &std::io::Error) -> Failure {
        let shell = self.request.shell.display();
        let message = format!("{}: cannot run the command with {shell}: {error}", label(task.step));
        let code = if task.section == Section::PreChecks { Code::PreCheckFailed } else { Code::CommandFailed };
        let help = behind_error(error).unwrap_or_else(|| "set SHELL to the path of a shell".to_owned());
        Failure { code, message, help: Some(help) }
    }

    /// What an interrupt during a command means. The flag is taken down: set, it would end the hooks that follow.
    fn heed_interrupt(&mut self, ended: Option<&Ended>) {
        let signalled = self.request.interrupted.swap(false, Ordering::SeqCst) || self.signalled;
        // A command that ended well got the interrupt too and dealt with it.
        self.is_interrupted |= match ended.map(|ended| ended.exit_code) {
            Some(0) => false,
            code => signalled || code == Some(128 + libc::SIGINT),
        };
    }

    fn stop_if_interrupted(&mut self) -> Result<(), Failure> {
        self.is_interrupted |= self.request.interrupted.swap(false, Ordering::SeqCst);
        if !self.is_interrupted {
            return Ok(());
        }
        Err(Failure { code: Code::Interrupted, message: "the run was interrupted".to_owned(), help: None })
    }

    /// Runs the shell; the second value says whether a hook on the output wants the run to end.
    fn execute(&mut self, task: &Task<'_>) -> (std::io::Result<Ended>, Result<(), Failure>) {
        let request = self.request;
        let wants = |event| request.capture && self.registry.wants_output(event, &task.resolved);
        // A command that is bound to it sees no output, and yet has to know when there is some.
        let live = request.capture && self.registry.has_any("command-output", Some(&task.resolved));
        let whole = wants("post-command") || wants("command-error");
        let ended = |status: ExitStatus, capture| Ended { exit_code: exit_code(status), capture };
        if !live && !whole {
            let status = inherited(request.shell, &task.resolved, request.streams);
            return (status.map(|status| ended(status, None)), Ok(()));
        }
        let mut leftovers = match self.leftovers.take().map_or_else(Leftovers::new, Ok) {
            Ok(leftovers) => leftovers,
            Err(error) => return (Err(error), Ok(())),
        };
        let mut capture = Capture::default();
        let mut told = Ok(());
        let mut see = |piece: Piece<'_>| {
            if whole {
                capture.add(piece.bytes);
            }
            if live && told.is_ok() {
                told = self.fire_output(task, piece);
            }
        };
        let mut cut = Cut::new(request.variables.secrets());
        let mut cut_and_see = |piece: Piece<'_>| cut.pass(piece, &mut see);
        let status = teed(request.shell, &task.resolved, request.streams, &mut leftovers, &mut cut_and_see);
        cut.finish(&mut see);
        self.leftovers = Some(leftovers);
        (status.map(|status| ended(status, whole.then_some(capture))), told)
    }

    fn ended(&mut self, task: &Task<'_>, status: CommandStatus, exit_code: Option<i32>, duration: Duration) {
        let report = CommandReport {
            section: task.section,
            name: task.step.label().to_owned(),
            command: task.step.command.clone(),
            status,
            exit_code,
            duration,
        };
        self.reporter.command_ended(&report);
        self.report.commands.push(report);
    }

    fn finish(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            if failure.code == Code::Interrupted {
                // Done with: the hooks of the end are called as ever.
                self.request.interrupted.store(false, Ordering::SeqCst);
            }
            self.report.status = if failure.code == Code::Interrupted { Status::Interrupted } else { Status::Failed };
            let (code, message) = (failure.code, failure.message.clone());
            self.report.error = Some(failure);
            let told = self.fire("workflow-error", |data| {
                data("code", json!(code.as_str()));
                data("message", json!(message));
            });
            self.keep_first(told);
        }
        let status = self.report.status.as_str();
        let told = self.fire("post-workflow", |data| data("status", json!(status)));
        self.keep_first(told);
    }

    /// A hook at the end can make a good run fail; a failed one keeps its first reason.
    fn keep_first(&mut self, told: Result<(), Failure>) {
        match told {
            Err(failure) if self.report.error.is_none() => {
                self.report.status = Status::Failed;
                self.report.error = Some(failure);
            }
            Err(failure) => self.warn(failure.message),
            Ok(()) => {}
        }
    }

    fn warn(&mut self, text: String) {
        self.reporter.warning(&text);
        self.report.warnings.push(text);
    }
}

fn failure(error: &WorkflowError) -> Failure {
    Failure { code: error.code(), message: error.to_string(), help: error.help() }
}

fn find_action<'w>(workflow: &'w Workflow, name: &str) -> Result<&'w Step, Failure> {
    workflow.actions.get(name).ok_or_else(|| {
        failure(&WorkflowError::UnknownAction {
            name: name.to_owned(),
            known: workflow.actions.keys().cloned().collect(),
        })
    })
}

fn bad_step_hook(step: &Step, field: &str, text: &str) -> WorkflowError {
    WorkflowError::BadStepHook { who: format!("{}: {field}", step.label()), text: text.to_owned() }
}

fn label(step: &Step) -> String {
    format!("`{}`", safe_line(step.label()))
}

#[cfg(test)]
mod tests;

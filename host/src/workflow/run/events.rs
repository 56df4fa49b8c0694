//! The events of a run: what each carries, and what the answers mean for the run.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use migraine_plugin_api::{CommandInfo, Context, StepInfo, WorkflowInfo};
use serde_json::{Value, json};

use super::super::report::{Failure, HOOKS_MAX, HookEntry};
use super::super::tee::Piece;
use super::{Ended, RunRequest, Runner, Task, time};
use crate::code::Code;
use crate::hooks::{FireReport, HookReport, Outcome, Stop};
use crate::text::safe_line;

/// Adds one entry to an event's `data`.
pub(super) type AddData<'a> = &'a mut dyn FnMut(&str, Value);

impl Runner<'_> {
    pub(super) fn fire(&mut self, event: &str, data: impl FnOnce(AddData<'_>)) -> Result<(), Failure> {
        let (request, start_time) = (self.request, self.report.start_time.as_str());
        let fired = self.registry.fire(self.caller, event, None, || filled(base(request, start_time, event), data));
        self.record(event, fired)
    }

    pub(super) fn fire_command(
        &mut self,
        event: &str,
        task: &Task<'_>,
        ended: Option<&Ended>,
        data: impl FnOnce(AddData<'_>),
    ) -> Result<(), Failure> {
        let (request, start_time) = (self.request, self.report.start_time.as_str());
        let fired = self.registry.fire(self.caller, event, Some(&task.resolved), || {
            let mut context = task.describe(base(request, start_time, event), ended.map(|ended| ended.exit_code));
            if let Some(capture) = ended.and_then(|ended| ended.capture.as_ref()) {
                context.output = Some(capture.bytes(request.variables.secrets()));
                context.output_size = Some(capture.size());
            }
            filled(context, data)
        });
        self.record(event, fired)
    }

    pub(super) fn fire_output(&mut self, task: &Task<'_>, piece: Piece<'_>) -> Result<(), Failure> {
        // Meant for the command as long as that runs; set, it would end every call of the hook.
        self.signalled |= self.request.interrupted.swap(false, Ordering::SeqCst);
        let event = "command-output";
        let (request, start_time) = (self.request, self.report.start_time.as_str());
        let fired = self.registry.fire(self.caller, event, Some(&task.resolved), || {
            let mut context = task.describe(base(request, start_time, event), None);
            context.output = Some(piece.bytes.to_vec());
            context.output_size = u64::try_from(piece.bytes.len()).ok();
            filled(context, |data| data("stream", json!(piece.stream)))
        });
        self.record(event, fired)
    }

    fn record(&mut self, event: &str, fired: FireReport) -> Result<(), Failure> {
        for hook in fired.hooks {
            self.reporter.hook(event, &hook);
            if self.report.hooks.len() < HOOKS_MAX {
                self.report.hooks.push(entry(event, hook));
            } else {
                self.report.hooks_left_out += 1;
            }
        }
        fired.stop.map_or(Ok(()), |stop| Err(stopped(event, &stop)))
    }
}

impl Task<'_> {
    fn describe(&self, mut context: Context, exit_code: Option<i32>) -> Context {
        context.step = Some(StepInfo {
            name: self.step.label().to_owned(),
            description: self.step.description.clone(),
            index: u32::try_from(self.index).unwrap_or(u32::MAX),
        });
        context.command =
            Some(CommandInfo { original: self.step.command.clone(), resolved: self.resolved.clone(), exit_code });
        context.data = BTreeMap::from([("section".to_owned(), json!(self.section.as_str()))]);
        context
    }
}

/// What every event of the run carries.
fn base(request: &RunRequest<'_>, start_time: &str, event: &str) -> Context {
    let mut context = Context::new(event);
    context.timestamp = time(request);
    context.variables = request.variables.values().clone();
    context.workflow = Some(WorkflowInfo {
        name: request.workflow.name.clone(),
        id: request.id.to_owned(),
        start_time: start_time.to_owned(),
    });
    context
}

fn filled(mut context: Context, data: impl FnOnce(AddData<'_>)) -> Context {
    data(&mut |key, value| {
        context.data.insert(key.to_owned(), value);
    });
    context
}

fn entry(event: &str, hook: HookReport) -> HookEntry {
    let code = match &hook.outcome {
        Outcome::Succeeded => None,
        Outcome::Failed { code, .. } => Some(code.as_str()),
    };
    HookEntry {
        event: event.to_owned(),
        plugin: hook.plugin.to_string(),
        handler: hook.handler,
        command: hook.command,
        success: code.is_none(),
        code,
        message: hook.message,
        notes: hook.notes.iter().map(ToString::to_string).collect(),
        duration: hook.duration,
    }
}

fn stopped(event: &str, stop: &Stop) -> Failure {
    let said = safe_line(&stop.message);
    let message = match (&stop.plugin, stop.code) {
        (None, _) => said,
        (Some(plugin), Code::CommandVetoed) => format!("plugin `{plugin}` refused at `{}`: {said}", safe_line(event)),
        (Some(plugin), _) => format!("plugin `{plugin}` failed at `{}`: {said}", safe_line(event)),
    };
    Failure { code: stop.code, message, help: stop.help.as_deref().map(safe_line) }
}

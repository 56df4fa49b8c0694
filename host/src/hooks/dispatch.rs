//! Fires events: calls the subscribed hooks in order and says what their answers amount to.
//!
//! A subscription that is bound to a command runs it instead of a handler. The command gets no context: exactly the
//! variables that it names are filled in, literally, of those that the event carries, and so it needs no `task_read`. It
//! succeeds as a hook when the command does; it can neither veto nor end the chain.

use std::time::{Duration, Instant};

use migraine_plugin_api::{Context, HookResult, PermissionKind, success};
use serde_json::Value;

use super::catalogue::{Catalogue, EventSpec, Field, Reply, canonical};
use super::chain::{self, Next, Note, Rules, Step, VetoRule};
use super::error::HookError;
use super::plan::{OrderIssue, Plan, Planned, Subscriber, Target};
use crate::bound::FillError;
use crate::code::Code;
use crate::controls::{Check, makes};
use crate::ids::PluginName;
use crate::secrets::Secrets;

/// How deep hooks may fire events that call hooks.
pub const MAX_DEPTH: u8 = 8;

/// Calls a plugin's hook; starts the plugin first if it is not running.
pub trait HookCaller {
    /// Calls the handler that the context names.
    ///
    /// # Errors
    /// There is no answer: the plugin could not be started, crashed, broke a limit or returned an error.
    fn call(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallFailure>;

    /// Runs a command of the plugin, its name first. Its output goes where a command's goes.
    ///
    /// # Errors
    /// As [`HookCaller::call`], and the command failed.
    fn command(&mut self, plugin: &PluginName, words: &[String]) -> Result<(), CallFailure>;

    /// From here on, plugins that do not hold `user_auth` see a mask in place of these values, and so does whoever reads what
    /// plugins say. Called before the first event.
    fn keep_secret(&mut self, secrets: &Secrets);

    /// In how many hook calls this caller already is: 0 at first, one more for a caller that serves a running hook.
    fn depth(&self) -> u8 {
        0
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// The stable code.
    pub code: Code,
    /// What failed and why.
    pub message: String,
    /// What the user can do next.
    pub help: Option<String>,
}

/// How one hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did its work.
    Succeeded,
    /// It said that it failed, or gave no answer.
    Failed {
        /// The stable code.
        code: Code,
        /// What the user can do next.
        help: Option<String>,
    },
}

/// One hook that ran. Texts are the plugin's: whoever shows them makes them safe.
#[derive(Debug, Clone, PartialEq)]
pub struct HookReport {
    /// The plugin.
    pub plugin: PluginName,
    /// Its handler; empty where a command ran.
    pub handler: String,
    /// The command that ran, as the manifest writes it: a value may be a secret.
    pub command: Option<String>,
    /// Wall-clock time of the call.
    pub duration: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// What it wants the user to read, or why it failed.
    pub message: Option<String>,
    /// Its data, for the history.
    pub data: Option<Value>,
    /// Whether its failure is to be shown as a warning.
    pub warn: bool,
    /// What it asked for in vain.
    pub notes: Vec<Note>,
}

/// Why the application must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The plugin that caused it; absent when hooks were nested too deep.
    pub plugin: Option<PluginName>,
    /// The stable code.
    pub code: Code,
    /// Why, in the plugin's words.
    pub message: String,
    /// What the user can do next.
    pub help: Option<String>,
}

/// What firing an event led to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FireReport {
    /// The hooks that ran, in order.
    pub hooks: Vec<HookReport>,
    /// Set when the application must not go on.
    pub stop: Option<Stop>,
}

/// The events of an application together with who subscribes to them.
#[derive(Debug)]
pub struct Registry {
    catalogue: Catalogue,
    plan: Plan,
}

impl Registry {
    /// Checks and orders all subscriptions.
    ///
    /// # Errors
    /// See [`Plan::new`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a registry replaces its subscribers; the caller has no more use for them"
    )]
    pub fn new(catalogue: Catalogue, subscribers: Vec<Subscriber>) -> Result<Self, HookError> {
        let plan = Plan::new(&catalogue, &subscribers)?;
        Ok(Self { catalogue, plan })
    }

    /// Wishes about the order that could not be fulfilled.
    #[must_use]
    pub fn issues(&self) -> &[OrderIssue] {
        self.plan.issues()
    }

    /// Whether a hook runs for this event; for a command event, with this command.
    #[must_use]
    pub fn has_any(&self, event: &str, command: Option<&str>) -> bool {
        !self.plan.is_empty() && self.plan.matching(event, command).next().is_some()
    }

    /// Whether a hook of this event sees the output of this command; a bound command sees none.
    #[must_use]
    pub fn wants_output(&self, event: &str, command: &str) -> bool {
        let mut hooks = self.plan.matching(event, Some(command));
        hooks.any(|hook| matches!(hook.target, Target::Handler(_)))
            && self.catalogue.find(event).is_some_and(|spec| spec.has(Field::Output))
    }

    /// Calls the hooks of an event in order. The context is built only if there is a hook; each hook gets the fields
    /// that the event carries and that its plugin may see.
    pub fn fire(
        &self,
        caller: &mut dyn HookCaller,
        event: &str,
        command: Option<&str>,
        context: impl FnOnce() -> Context,
    ) -> FireReport {
        let mut report = FireReport::default();
        if !self.has_any(event, command) {
            return report;
        }
        let Some(spec) = self.catalogue.find(event) else { return report };
        if caller.depth() >= MAX_DEPTH {
            report.stop = Some(too_deep(event));
            return report;
        }
        let mut context = only_carried(spec, event, context());
        for hook in self.plan.matching(event, command) {
            let (answered, next) = call(caller, spec, hook, &mut context);
            report.stop = stop(&answered, next);
            report.hooks.push(answered);
            if next != Next::GoOn {
                break;
            }
        }
        report
    }
}

fn too_deep(event: &str) -> Stop {
    Stop {
        plugin: None,
        code: Code::HookDepth,
        message: format!("event `{event}`: hooks fired events {MAX_DEPTH} deep"),
        help: Some("a hook triggers itself: disable one of the plugins involved".to_owned()),
    }
}

/// Drops what the event does not carry, whatever the application put in.
fn only_carried(spec: &EventSpec, event: &str, mut full: Context) -> Context {
    let mut context = Context::new(&canonical(event));
    context.timestamp = std::mem::take(&mut full.timestamp);
    for carried in spec.carries() {
        swap(carried.field, &mut full, &mut context);
    }
    context
}

/// Exchanges one field, so that withholding costs no copy of what may be a mebibyte.
fn swap(field: Field, left: &mut Context, right: &mut Context) {
    match field {
        Field::Workflow => std::mem::swap(&mut left.workflow, &mut right.workflow),
        Field::Step => std::mem::swap(&mut left.step, &mut right.step),
        Field::Command => std::mem::swap(&mut left.command, &mut right.command),
        Field::Output => {
            std::mem::swap(&mut left.output, &mut right.output);
            std::mem::swap(&mut left.output_size, &mut right.output_size);
        }
        Field::Variables => std::mem::swap(&mut left.variables, &mut right.variables),
        Field::Data => std::mem::swap(&mut left.data, &mut right.data),
    }
}

fn call(caller: &mut dyn HookCaller, spec: &EventSpec, hook: &Planned, context: &mut Context) -> (HookReport, Next) {
    let started = Instant::now();
    let answer = match &hook.target {
        Target::Handler(handler) => call_handler(caller, spec, hook, handler, context),
        Target::Command { text, command } => {
            let filled = command.fill(&context.variables).map_err(|error| not_filled(text, &error));
            filled.and_then(|words| caller.command(&hook.plugin, &words)).map(|()| success())
        }
    };
    let duration = started.elapsed();
    let judged = match &answer {
        // No policy may go on where the user wants the end.
        Err(failure) if failure.code == Code::Interrupted => {
            Step { next: Next::FailWorkflow, warn: false, notes: Vec::new() }
        }
        _ => chain::step(rules(spec, hook), answer.as_ref().ok()),
    };
    (report(hook, duration, answer, judged.warn, judged.notes), judged.next)
}

/// The handler sees the fields that its plugin may see.
fn call_handler(
    caller: &mut dyn HookCaller,
    spec: &EventSpec,
    hook: &Planned,
    handler: &str,
    context: &mut Context,
) -> Result<HookResult, CallFailure> {
    let held_back: Vec<Field> = spec
        .carries()
        .iter()
        .filter(|carried| carried.needs.is_some_and(|kind| !hook.has(kind)))
        .map(|carried| carried.field)
        .collect();
    let mut stash = Context::new("");
    for &field in &held_back {
        swap(field, context, &mut stash);
    }
    context.withheld = held_back.iter().map(|field| field.as_str().to_owned()).collect();
    handler.clone_into(&mut context.handler);
    let answer = caller.call(&hook.plugin, context);
    for &field in &held_back {
        swap(field, context, &mut stash);
    }
    answer
}

fn not_filled(text: &str, error: &FillError) -> CallFailure {
    let (code, help) = match error {
        FillError::Missing { name } => (Code::VariableMissing, format!("set it with -v {name}=VALUE")),
        FillError::Option { name } => {
            (Code::ValueInvalid, format!("set another with -v {name}=VALUE; values reach a plugin as they are"))
        }
        FillError::Nul { name } => (Code::ValueInvalid, format!("set another with -v {name}=VALUE")),
    };
    CallFailure { code, message: format!("its command `{text}` cannot run: {error}"), help: Some(help) }
}

fn rules(spec: &EventSpec, hook: &Planned) -> Rules {
    let veto = match spec.reply() {
        Reply::Recorded => VetoRule::NotTaken,
        Reply::Veto(kind) if hook.has(kind) => VetoRule::Taken,
        Reply::Veto(_) => VetoRule::NotGranted,
    };
    let may_end_chain = hook.has(PermissionKind::TaskWrite) || !makes(Check::ChainEnd);
    Rules { policy: hook.policy, may_end_chain, veto }
}

fn report(
    hook: &Planned,
    duration: Duration,
    answer: Result<HookResult, CallFailure>,
    warn: bool,
    notes: Vec<Note>,
) -> HookReport {
    let (outcome, message, data) = match answer {
        Ok(result) if result.success => (Outcome::Succeeded, result.message, result.result_data),
        Ok(result) => (Outcome::Failed { code: Code::PluginFailed, help: None }, result.message, result.result_data),
        Err(failure) => (Outcome::Failed { code: failure.code, help: failure.help }, Some(failure.message), None),
    };
    let (handler, command) = match &hook.target {
        Target::Handler(handler) => (handler.clone(), None),
        Target::Command { text, .. } => (String::new(), Some(text.clone())),
    };
    HookReport { plugin: hook.plugin.clone(), handler, command, duration, outcome, message, data, warn, notes }
}

fn stop(hook: &HookReport, next: Next) -> Option<Stop> {
    let (code, help) = match (&hook.outcome, next) {
        (_, Next::GoOn | Next::EndChain) | (Outcome::Succeeded, _) => return None,
        (_, Next::Veto) => (Code::CommandVetoed, None),
        (Outcome::Failed { code, help }, Next::FailWorkflow) => (*code, help.clone()),
    };
    let message = hook.message.clone().unwrap_or_else(|| "no reason given".to_owned());
    Some(Stop { plugin: Some(hook.plugin.clone()), code, message, help })
}

#[cfg(test)]
mod tests;

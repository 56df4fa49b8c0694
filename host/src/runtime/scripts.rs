//! Calls of scripts: which handler of a hook is tried after which, all within one deadline, and what their answers mean.

use std::borrow::Cow;
use std::sync::Arc;

use migraine_plugin_api::{Context, ErrorKind, HookResult, Invocation, PluginError};

use super::admission::Admitted;
use super::error::CallError;
use super::host::{Host, Request};
use super::masked;
use super::script::{Engine, Scripts, Told, hook_result};
use super::services::Side;
use crate::ids::PluginName;
use crate::sandbox::awake;
use crate::sandbox::{CallLimits, Death, HostSide as _, Launcher, SandboxError, Stream};
use crate::text::safe_line;
use crate::wire::Kind;

/// How much of what a failed script printed its error repeats, in bytes.
const SAID_MAX: usize = 4096;

impl Host {
    /// What a script's engine is told of its plugin; the environment is added by whoever starts one.
    pub(super) fn told<'a>(&self, plugin: &'a PluginName, admitted: &'a Admitted) -> Told<'a> {
        let here = self.settings.working_directory.as_deref();
        let directory = self.launchers.start_of(&admitted.permissions, here);
        let permissions = admitted.permissions.as_slice();
        let config = match masked::kept_from(&self.settings.secrets, permissions) {
            Some(secrets) => Cow::Owned(masked::config(Some(secrets), admitted.config.clone())),
            None => Cow::Borrowed(&admitted.config),
        };
        Told { plugin: plugin.as_str(), config, permissions, environment: Vec::new(), directory }
    }

    pub(super) fn script_launcher(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        scripts: &Scripts,
        engine: &Engine,
    ) -> Result<Arc<Launcher>, CallError> {
        let interpreter =
            scripts.interpreter(engine).map_err(|source| CallError::Interpreter { plugin: plugin.clone(), source })?;
        let started = self.launchers.for_scripts(plugin, engine, interpreter, &admitted.permissions);
        started.map_err(|source| super::host::sandbox(plugin, source))
    }

    /// Tries the handlers of a hook one after the other, until one answers.
    pub(super) fn script_hook(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        scripts: &Scripts,
        context: &Context,
        json: &[u8],
    ) -> Result<HookResult, CallError> {
        let started = awake::now();
        let mut last = None;
        for number in scripts.of_hook(&context.handler) {
            let engine = scripts.engine(number);
            if let Some(error) = last.take() {
                self.tell_of_fallback(plugin, &error);
            }
            let told = self.told(plugin, admitted);
            let (body, raw) = scripts.hook_body(&engine, context, json, &told);
            let request = Request { raw, ..Request::of_hook((&engine, number), &body, context) };
            let whole = self.limits(&request, admitted);
            let wall = whole.wall.map(|wall| wall.saturating_sub(awake::now().saturating_sub(started)));
            let answer = self.call_within(plugin, admitted, &request, &CallLimits { wall, ..whole });
            match answer.and_then(|answer| self.read_hook(plugin, &engine, &answer)) {
                Ok(result) => return Ok(result),
                // Nothing is left for the next one, or nothing more is wanted.
                Err(error) if matches!(error.death(), Some(Death::Time(_) | Death::Interrupted)) => {
                    return Err(of_whole(error, &whole));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let error = PluginError::new(ErrorKind::Unsupported, format!("it has no handler `{}`", context.handler));
            CallError::Plugin { plugin: plugin.clone(), error }
        }))
    }

    fn tell_of_fallback(&self, plugin: &PluginName, error: &CallError) {
        let reason = error.to_string();
        let reason = reason.lines().next().unwrap_or_default();
        self.settings.voice.audit(plugin, &format!("its next handler is tried: {reason}"));
    }

    fn read_hook(&mut self, plugin: &PluginName, engine: &Engine, answer: &[u8]) -> Result<HookResult, CallError> {
        if *engine != Engine::Bash {
            return self.hook_answer(plugin, engine, answer);
        }
        let Some((status, output)) = status_of(answer) else {
            return Err(self.unreadable(plugin, engine, "its answer has no exit status"));
        };
        if status != 0 {
            return Err(self.failed(plugin, status, output));
        }
        let text = String::from_utf8_lossy(output);
        // What starts as JSON does must be JSON, and nothing else beside it.
        if text.trim_start().starts_with(['{', '\u{feff}']) {
            return self.hook_answer(plugin, engine, output);
        }
        let success = HookResult::success();
        let result = if text.is_empty() { success } else { success.with_message(text) };
        Ok(masked::answer(&self.settings.secrets, result))
    }

    fn hook_answer(&mut self, plugin: &PluginName, engine: &Engine, json: &[u8]) -> Result<HookResult, CallError> {
        let result = hook_result(json).map_err(|reason| self.unreadable(plugin, engine, &reason))?;
        Ok(masked::answer(&self.settings.secrets, result))
    }

    fn failed(&self, plugin: &PluginName, status: u8, output: &[u8]) -> CallError {
        // Masked before it is cut: no value may lie across the cut.
        let output = masked::text(&self.settings.secrets, &String::from_utf8_lossy(output)).into_owned();
        let said = output.get(output.ceil_char_boundary(output.len().saturating_sub(SAID_MAX))..).unwrap_or_default();
        let message = match said.trim() {
            "" => format!("its script ended with exit status {status}"),
            said => format!("its script ended with exit status {status}: {said}"),
        };
        CallError::Plugin { plugin: plugin.clone(), error: PluginError::failed(message) }
    }

    pub(super) fn script_command(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        scripts: &Scripts,
        (invocation, json): (&Invocation, &[u8]),
        is_hook: bool,
    ) -> Result<(), CallError> {
        let command = Some(invocation.command.as_str());
        let Some(number) = scripts.of_command(&invocation.command) else {
            let message = format!("it has no handler for its command `{}`", safe_line(&invocation.command));
            let error = PluginError::new(ErrorKind::Unsupported, message);
            return Err(CallError::Plugin { plugin: plugin.clone(), error });
        };
        let engine = scripts.engine(number);
        if scripts.is_run(&engine) {
            return self.script_program(plugin, admitted, scripts, &engine, (invocation, is_hook));
        }
        let body = scripts.command_body(&engine, invocation, json, &self.told(plugin, admitted));
        let (kind, stdin) = (Kind::Command, invocation.stdin);
        let engine = (&engine, number);
        let request = Request { engine, kind, body: &body, raw: b"", command, is_hook, variables: None, stdin };
        let limits = self.limits(&request, admitted);
        let answer = self.call_within(plugin, admitted, &request, &limits)?;
        let engine = request.engine.0;
        let read = match engine {
            Engine::Bash => status_of(&answer).map(|(status, output)| (i32::from(status), output.to_vec())),
            Engine::Program(_) if scripts.speaks_lines(engine) => printed(&answer),
            _ => return Ok(()),
        };
        let Some((status, output)) = read else {
            return Err(self.unreadable(plugin, engine, "it has no exit status"));
        };
        if u64::try_from(output.len()).unwrap_or(u64::MAX) > limits.command_output {
            let death = Death::CommandOutput(limits.command_output);
            return Err(super::host::sandbox(plugin, SandboxError::Died(death)));
        }
        if !output.is_empty() {
            let mut side: Side<'_> = self.side(plugin, Some(admitted), &limits);
            let line = [output.as_slice(), b"\n"].concat();
            let written = side.output(Stream::Out, &line);
            written.map_err(|error| super::host::sandbox(plugin, SandboxError::Output(error)))?;
        }
        if status == 0 { Ok(()) } else { Err(ended(plugin, status)) }
    }
}

/// A limit of the whole hook, as the user gave it, and not what an earlier handler left of it.
fn of_whole(error: CallError, limits: &CallLimits) -> CallError {
    match error {
        CallError::Sandbox { plugin, source } => {
            CallError::Sandbox { plugin, source: Box::new(super::host::of_whole_call(*source, limits)) }
        }
        other => other,
    }
}

/// The exit status and the output in an answer of the Bash runner.
pub(super) fn status_of(answer: &[u8]) -> Option<(u8, &[u8])> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let status = std::str::from_utf8(&answer[..end]).ok()?.parse().ok()?;
    Some((status, &answer[end + 1..]))
}

/// The exit code and the output in an answer to a command: a map of both, either of which may be missing, or nothing.
fn printed(answer: &[u8]) -> Option<(i32, Vec<u8>)> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Printed {
        exit_code: i32,
        output: String,
    }
    // As a map first: a list would pass for the fields in their order.
    let fields: Option<serde_json::Map<_, _>> = serde_json::from_slice(answer).ok()?;
    let Printed { exit_code, output } = serde_json::from_value(fields.unwrap_or_default().into()).ok()?;
    Some((exit_code, output.into_bytes()))
}

/// The end of a command: 1 is what a wrong command line ends with everywhere.
pub(super) fn ended(plugin: &PluginName, status: i32) -> CallError {
    let message = format!("it ended with exit code {status}");
    let kind = if status == 1 { ErrorKind::Usage } else { ErrorKind::Failed };
    super::host::plugin_error(plugin, PluginError::new(kind, message))
}

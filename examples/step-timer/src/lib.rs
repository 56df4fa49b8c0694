//! Measures how long each command of a workflow takes, says so after it, and keeps the figures from run to run.
#![forbid(unsafe_code)]

mod settings;
mod table;
mod timings;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use migraine_plugin_api::prelude::*;

use crate::settings::Settings;
use crate::timings::{Timings, label};

/// Commands that run at the same time in one worker; more than that were never ended by their workflow.
const RUNNING_MAX: usize = 256;

/// The plugin.
#[derive(Debug)]
pub struct StepTimer {
    settings: Settings,
    /// When each command that runs now was started, by workflow run and step.
    running: HashMap<(String, u32), Instant>,
}

#[plugin(config(slow_after_ms = 10000, only_slow = false, keep = 100))]
impl StepTimer {
    #[init]
    fn new(host: &Host) -> Result<Self, PluginError> {
        Ok(Self { settings: Settings::read(host)?, running: HashMap::new() })
    }

    /// Runs last, so that the time of other plugins is not the command's.
    #[hook(event = "pre-command", pattern = ".", priority = -1000, on_failure = "warn")]
    fn start(&mut self, context: &Context) {
        if self.running.len() >= RUNNING_MAX {
            self.running.clear();
        }
        if let Some(place) = place(context) {
            self.running.insert(place, Instant::now());
        }
    }

    /// Runs first, for the same reason. A command that fails may be told by either event; the first one counts.
    #[hook(event = "post-command", pattern = ".", priority = 1000, on_failure = "warn")]
    #[hook(event = "command-error", pattern = ".", priority = 1000, on_failure = "warn")]
    fn stop(&mut self, context: &Context, host: &Host) -> Result<HookResult, PluginError> {
        let now = Instant::now();
        let started = place(context).and_then(|place| self.running.remove(&place));
        let (Some(started), Some(command)) = (started, &context.command) else { return Ok(success()) };
        let took = now.duration_since(started);
        let label = label(&command.original);
        let mut timings = Timings::load(host)?;
        timings.record(&label, took, self.settings.keep);
        timings.store(host)?;
        Ok(self.message(&label, took))
    }

    /// Show how long commands took
    ///
    /// One row for each command, as it is written in the workflow: how often it ran, the last, the mean and the total time.
    /// The longest total comes first.
    #[command]
    fn report(
        &self,
        ctx: &mut CommandContext,
        /// Write JSON, times in milliseconds
        json: bool,
    ) -> Result<(), PluginError> {
        let timings = Timings::load(ctx.host())?;
        let mut out = ctx.out();
        if json {
            writeln!(out, "{}", timings.to_json())?;
        } else if timings.is_empty() {
            writeln!(out, "No command has been timed yet.")?;
        } else {
            out.write_all(table::render(&timings, usize::from(ctx.terminal_width())).as_bytes())?;
        }
        Ok(())
    }

    /// Forget all times
    #[command]
    fn reset(&self, ctx: &mut CommandContext) -> Result<(), PluginError> {
        let count = Timings::load(ctx.host()).map_or(0, |timings| timings.len());
        Timings::remove(ctx.host())?;
        writeln!(ctx.out(), "Forgot the times of {count} command{}.", if count == 1 { "" } else { "s" })?;
        Ok(())
    }
}

impl StepTimer {
    fn message(&self, label: &str, took: Duration) -> HookResult {
        let slow = self.settings.is_slow(took);
        if self.settings.only_slow && !slow {
            return success();
        }
        let mark = if slow { " (slow)" } else { "" };
        success().with_message(format!("step-timer: {label} took {}{mark}", timings::show(took)))
    }
}

/// Which command this is: events of one command agree on the run and the step.
fn place(context: &Context) -> Option<(String, u32)> {
    let step = context.step.as_ref()?;
    let run = context.workflow.as_ref().map(|workflow| workflow.id.clone()).unwrap_or_default();
    Some((run, step.index))
}

#[cfg(test)]
mod tests;

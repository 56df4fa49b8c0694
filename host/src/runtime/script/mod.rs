//! The built-in adapter plugin: scripts and programs answer what a library answers elsewhere. To the rest of the host they
//! are plugins like any other.

mod answer;
mod bash;
mod found;
mod interpreter;
mod lines;
mod python;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use migraine_plugin_api::{BashSource, Context, Handler, Invocation, Manifest, Permission, Protocol};
use serde_json::Value;

use crate::sandbox::seal_code;
use crate::wire::{Interpreter, Language, ScriptLoadBody, Variable, bundle};

pub(super) use answer::hook_result;
pub use found::{changes, interpreters, shown};
pub use interpreter::InterpreterError;
pub(super) use interpreter::bash as find_bash;
pub use python::Python;

/// Where scripts that stand in a manifest lie among the plugin's files.
const INLINE: &str = ".migraine";

/// What answers calls: one worker for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Engine {
    /// The plugin's library.
    Library,
    /// Python, for all of its handlers.
    Python,
    /// Bash, for all of its handlers.
    Bash,
    /// A program of its own.
    Program(String),
}

/// A plugin without a library.
#[derive(Debug)]
pub(super) struct Scripts {
    manifest: Manifest,
    /// Each once; a call carries the number of one.
    handlers: Vec<Handler>,
    /// Its files, sealed.
    pub(super) files: OwnedFd,
}

impl Scripts {
    /// The scripts of a verified tree, by path and content.
    ///
    /// # Errors
    /// The kernel refused memory.
    pub(super) fn new<'a>(
        manifest: Manifest,
        files: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> std::io::Result<Self> {
        let mut handlers: Vec<Handler> = Vec::new();
        for handler in manifest.handlers() {
            if !handlers.contains(&handler) {
                handlers.push(handler);
            }
        }
        let inline: Vec<(String, String)> = handlers.iter().enumerate().filter_map(inline).collect();
        let inline = inline.iter().map(|(path, text)| (path.as_str(), text.as_bytes()));
        let own: Vec<(&str, &[u8])> = files.collect();
        let files = seal_code(&bundle(own.iter().copied().chain(inline)))?;
        Ok(Self { manifest, handlers, files })
    }

    /// The numbers of the handlers of a hook, in the order in which they are tried.
    pub(super) fn of_hook(&self, name: &str) -> Vec<u16> {
        let own = self.manifest.script_hook(name).map(migraine_plugin_api::HookSpec::scripts);
        own.unwrap_or_default().iter().filter_map(|handler| self.number(handler)).collect()
    }

    /// The number of the handler of a command.
    pub(super) fn of_command(&self, name: &str) -> Option<u16> {
        let own = self.manifest.command(name).and_then(|command| command.handler.as_ref());
        self.number(own.or(self.manifest.handler.as_ref())?)
    }

    fn number(&self, wanted: &Handler) -> Option<u16> {
        let place = self.handlers.iter().position(|handler| handler == wanted)?;
        u16::try_from(place).ok()
    }

    /// All of them, each once.
    pub(super) fn handlers(&self) -> &[Handler] {
        &self.handlers
    }

    pub(super) fn handler(&self, number: u16) -> &Handler {
        &self.handlers[usize::from(number)]
    }

    /// What answers a handler.
    pub(super) fn engine(&self, number: u16) -> Engine {
        match self.handler(number) {
            Handler::Python { .. } => Engine::Python,
            Handler::Bash(_) => Engine::Bash,
            Handler::Executable(program) => Engine::Program(program.program.clone()),
            // A later kind: the manifest's own check knows no other today.
            _ => Engine::Library,
        }
    }

    /// How a program is called and answers; `None` for another engine.
    fn protocol(&self, engine: &Engine) -> Option<Protocol> {
        let Engine::Program(path) = engine else { return None };
        self.handlers.iter().find_map(|handler| match handler {
            Handler::Executable(program) if program.program == *path => Some(program.protocol),
            _ => None,
        })
    }

    /// Whether a call is a line of JSON.
    pub(super) fn speaks_lines(&self, engine: &Engine) -> bool {
        self.protocol(engine) == Some(Protocol::Json)
    }

    /// Whether each call is a process of its own.
    pub(super) fn is_run(&self, engine: &Engine) -> bool {
        self.protocol(engine) == Some(Protocol::Argv)
    }

    /// What takes the place of the workers of an engine.
    ///
    /// # Errors
    /// It is not on this machine.
    pub(super) fn interpreter(&self, engine: &Engine) -> Result<Interpreter, InterpreterError> {
        match engine {
            Engine::Python | Engine::Library => Python::find()?.interpreter(),
            Engine::Bash => interpreter::bash(),
            Engine::Program(path) => {
                let found = self.handlers.iter().find_map(|handler| match handler {
                    Handler::Executable(program) if program.program == *path => Some(program),
                    _ => None,
                });
                let language = match self.protocol(engine) {
                    Some(Protocol::Frames) => Language::Frames,
                    Some(Protocol::Json) => Language::Lines,
                    _ => Language::Command,
                };
                interpreter::program(path, found.and_then(|program| program.interpreter.as_deref()), language)
            }
        }
    }

    /// The body of the frame that an engine is told first.
    pub(super) fn load(&self, engine: &Engine, told: &Told<'_>) -> Vec<u8> {
        match engine {
            Engine::Bash => bash::load(self, told),
            _ => {
                let function = |handler: &Handler| match handler {
                    Handler::Python { module, function } => Some((module.clone(), function.clone())),
                    _ => None,
                };
                let body = ScriptLoadBody {
                    plugin: told.plugin.to_owned(),
                    config: told.config.clone().into_owned(),
                    permissions: told.permissions.iter().map(ToString::to_string).collect(),
                    environment: told.environment.clone(),
                    directory: told.directory.clone(),
                    handlers: self.handlers.iter().map(function).collect(),
                };
                serde_json::to_vec(&body).unwrap_or_default()
            }
        }
    }

    /// The configuration as variables of an environment.
    pub(super) fn variables(told: &Told<'_>) -> Vec<Variable> {
        bash::config(told).map(|(name, value)| Variable { name, value: value.into() }).collect()
    }

    /// The body of a hook call and its raw segment, in the form that its engine reads.
    pub(super) fn hook_body<'a>(
        &self,
        engine: &Engine,
        context: &'a Context,
        json: &[u8],
        told: &Told<'_>,
    ) -> (Vec<u8>, &'a [u8]) {
        let output = context.output.as_deref().unwrap_or_default();
        match engine {
            Engine::Bash => bash::hook(context, json, told),
            Engine::Program(_) if self.speaks_lines(engine) => (lines::hook(context, json, told), b""),
            _ => (json.to_vec(), output),
        }
    }

    /// The body of a call of a command, in the form that its engine reads.
    pub(super) fn command_body(
        &self,
        engine: &Engine,
        invocation: &Invocation,
        json: &[u8],
        told: &Told<'_>,
    ) -> Vec<u8> {
        match engine {
            Engine::Bash => bash::command(invocation, told),
            Engine::Program(_) if self.speaks_lines(engine) => lines::command(json, told),
            _ => json.to_vec(),
        }
    }
}

/// What an engine is told of its plugin.
pub(super) struct Told<'a> {
    pub(super) plugin: &'a str,
    pub(super) config: Cow<'a, BTreeMap<String, Value>>,
    pub(super) permissions: &'a [Permission],
    pub(super) environment: Vec<Variable>,
    /// Where it starts, if not in the scratch directory.
    pub(super) directory: Option<PathBuf>,
}

/// A script that stands in the manifest, as a file.
fn inline((number, handler): (usize, &Handler)) -> Option<(String, String)> {
    match handler {
        Handler::Bash(BashSource::Script(text)) => Some((inline_path(number), text.clone())),
        _ => None,
    }
}

fn inline_path(number: usize) -> String {
    format!("{INLINE}/handler-{number}.sh")
}

//! Commands that a program of the plugin's own answers as programs do: arguments in, output and an exit code out. Each call
//! is a process of its own, in the sandbox of the plugin.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use migraine_plugin_api::{Invocation, PluginError};

use super::admission::Admitted;
use super::environment;
use super::error::CallError;
use super::exec::proxy_environment;
use super::host::{Host, sandbox};
use super::input;
use super::masked;
use super::script::{Engine, Scripts};
use super::scripts::ended;
use super::services::Filters;
use crate::ids::PluginName;
use crate::sandbox::{CallLimits, CallUsage, Death, SandboxError, Stray, StraySink, Stream};
use crate::wire::{RanBody, RunBody};

impl Host {
    /// Runs the program that answers a command.
    pub(super) fn script_program(
        &mut self,
        plugin: &PluginName,
        admitted: &Admitted,
        scripts: &Scripts,
        engine: &Engine,
        (invocation, is_hook): (&Invocation, bool),
    ) -> Result<(), CallError> {
        let failed = |source| match source {
            SandboxError::Died(Death::Output(limit)) => {
                sandbox(plugin, SandboxError::Died(Death::CommandOutput(limit)))
            }
            other => sandbox(plugin, other),
        };
        let limits: CallLimits = self.command_limits(&invocation.command, is_hook, admitted);
        // What it prints on its own descriptors is what the command writes.
        let limits = CallLimits { output: limits.command_output, ..limits };
        let missing = |source| CallError::Interpreter { plugin: plugin.clone(), source };
        let interpreter = scripts.interpreter(engine).map_err(missing)?;
        let kept = masked::kept_from(&self.settings.secrets, &admitted.permissions);
        let environment = environment::granted(&admitted.permissions, std::env::vars_os());
        let mut environment = masked::environment(kept, environment);
        let launcher = self.launcher(plugin, admitted, engine)?;
        let told = self.told(plugin, admitted);
        environment.extend(Scripts::variables(&told));
        environment.extend(proxy_environment(launcher.listens()));
        let mut arguments = interpreter.arguments;
        arguments.push(invocation.command.clone());
        arguments.extend(invocation.args.iter().cloned());
        let name = interpreter.program.display().to_string();
        let run = RunBody { file: interpreter.program, name, arguments, directory: told.directory, environment };
        let stdout_is_taken = self.settings.stdout_is_taken;
        let printed = Arc::default();
        let sink = passing_on(stdout_is_taken, Arc::clone(&printed));
        let unread = |error| failed(SandboxError::Start(error));
        let piped = invocation.stdin.then(input::pipe).transpose().map_err(unread)?;
        let (theirs, ours) = piped.unzip();
        let mut worker = self.spawn(plugin, admitted, engine, (theirs.as_ref(), sink))?;
        drop(theirs);
        let proxy = self.side(plugin, Some(admitted), &limits).proxy(&launcher).map_err(failed)?;
        let (over, tell_over) = io::pipe().map_err(unread)?;
        let kept = masked::kept_from(&self.settings.secrets, &admitted.permissions);
        let caller = worker.caller();
        let run = thread::scope(|scope| {
            let copy = |ours| thread::Builder::new().spawn_scoped(scope, || input::copy(ours, &over, kept));
            let copier = ours.map(copy).transpose()?;
            let ran = worker.run(&run, &caller, &limits);
            drop(tell_over);
            Ok((ran, copier.map(|copier| copier.join().expect("copying does not panic"))))
        });
        let (ran, copied) = run.map_err(unread)?;
        let mut used = worker.usage();
        used.bytes_out += printed.load(Ordering::Relaxed);
        used.bytes_in += copied.as_ref().and_then(|copied| copied.as_ref().ok()).copied().unwrap_or_default();
        if let Some(Err(error)) = copied
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            self.settings.voice.audit(plugin, &format!("standard input could not be read to its end: {error}"));
        }
        let traffic = proxy.map(|proxy| proxy.traffic()).unwrap_or_default();
        self.settings.voice.used(plugin, &CallUsage { traffic, ..used });
        worker.end();
        match ran.map_err(failed)? {
            RanBody::Exited(0) => Ok(()),
            RanBody::Exited(code) => Err(ended(plugin, code)),
            RanBody::Signalled(signal) => Err(ended(plugin, 128 + signal)),
            RanBody::NotStarted(number) => {
                let error = io::Error::from_raw_os_error(number);
                let error = PluginError::failed(format!("its program cannot be started: {error}"));
                Err(CallError::Plugin { plugin: plugin.clone(), error })
            }
        }
    }
}

/// Shows what a program prints as the output of the command that it is, and counts it.
fn passing_on(stdout_is_taken: bool, printed: Arc<AtomicU64>) -> StraySink {
    let filters = Mutex::new(Filters::default());
    Arc::new(move |stray: Stray<'_>| {
        printed.fetch_add(u64::try_from(stray.bytes.len()).unwrap_or_default(), Ordering::Relaxed);
        let stream = if stray.is_stderr { Stream::Err } else { Stream::Out };
        let mut filters = filters.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever read it has gone: the program is not to blame, and ends by itself.
        let _ = filters.write(stream, stdout_is_taken, stray.bytes);
    })
}

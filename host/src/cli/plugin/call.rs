//! `plugin run PLUGIN COMMAND [ARGS...]`: what can be answered from the store is answered without starting anything.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use migraine_plugin_api::Invocation;

use crate::cli::session::plugin_name;
use crate::cli::voice::Aside;
use crate::cli::{Failure, Session};
use crate::code::{Code, Coded as _};
use crate::ids::PluginName;
use crate::manage::{ManageError, command_of, usage};
use crate::runtime::{CallError, Host, Settings};
use crate::store::{Entry, Home};
use crate::text::safe_line;

pub(super) fn run(words: Vec<OsString>, timeout: Option<u64>, session: &Session) -> Result<(), Failure> {
    let mut words = words.into_iter().map(|word| {
        word.into_string().map_err(|word| {
            let word = safe_line(&word.to_string_lossy());
            Failure::new(Code::Usage, format!("`{word}` is not UTF-8 text, which plugins take"), None)
        })
    });
    let name = plugin_name(&words.next().transpose()?.unwrap_or_default())?;
    let command = words.next().transpose()?;
    let args = words.collect::<Result<Vec<String>, Failure>>()?;
    let home = session.home()?;
    let entry = home.read()?.plugins.remove(&name).ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
    match command.as_deref() {
        None => Err(with_usage(Code::Usage, &format!("{name}: a command is missing"), &name, &entry)),
        Some("--help" | "-h") => session.out.text(&usage(&name, &entry)),
        Some(command) => match command_of(&name, &entry, command) {
            Ok(spec) => call(home, &name, &invocation(command, args, spec.stdin, session), timeout, session),
            Err(error @ ManageError::NoCommand { .. }) => {
                Err(with_usage(error.code(), &error.to_string(), &name, &entry))
            }
            Err(error) => Err(error.into()),
        },
    }
}

fn with_usage(code: Code, message: &str, name: &PluginName, entry: &Entry) -> Failure {
    Failure::new(code, format!("{message}\n\n{}", usage(name, entry)), None)
}

fn invocation(command: &str, args: Vec<String>, stdin: bool, session: &Session) -> Invocation {
    let mut invocation = Invocation::new(command, &[]);
    invocation.args = args;
    // For showing and for resolving names only: without it, the plugin still works.
    invocation.working_directory = std::env::current_dir().unwrap_or_else(|_| "/".into());
    invocation.terminal_width = session.out.columns().unwrap_or(invocation.terminal_width);
    invocation.stdout_is_terminal = std::io::stdout().is_terminal();
    invocation.stdin = stdin;
    invocation
}

fn call(
    home: Home,
    name: &PluginName,
    invocation: &Invocation,
    timeout: Option<u64>,
    session: &Session,
) -> Result<(), Failure> {
    let mut settings = Settings::new(Arc::new(Aside::new(&session.out, session.verbose)));
    if let Some(seconds) = timeout {
        settings.command_wall = Duration::from_secs(seconds);
    }
    let mut host = Host::new(home, settings);
    let done = host.command(name, invocation);
    host.leave();
    done.map_err(|error| match error {
        // The plugin's own words about its arguments: they stand for themselves.
        CallError::Usage { .. } => Failure::usage(error.to_string()),
        error if error.reader_left() => Failure::BrokenPipe,
        error => {
            let trace = error.trace().map(str::to_owned);
            Failure::Error { code: error.code(), message: error.to_string(), help: error.help(), trace }
        }
    })
}

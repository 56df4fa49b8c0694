//! `plugin run PLUGIN COMMAND [ARGS...]`: what can be answered from the store is answered without starting anything.

use std::ffi::OsString;
use std::sync::Arc;

use migraine_plugin_api::{CommandSpec, Timeout};

use super::learn;
use crate::cli::session::plugin_name;
use crate::cli::voice::Aside;
use crate::cli::{Failure, Session};
use crate::code::{Code, Coded as _};
use crate::ids::PluginName;
use crate::manage::{ManageError, check_link, command_of, usage};
use crate::runtime::{CallError, Host, Settings};
use crate::store::{Entry, Home};
use crate::text::safe_line;

pub(super) fn run(
    words: Vec<OsString>,
    timeout: Option<Timeout>,
    is_learned: bool,
    session: &Session,
) -> Result<(), Failure> {
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
    let entry = home.read()?.plugins.remove(&name)?.ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
    check_link(&name, entry.link.as_deref(), &entry.digest)?;
    match command.as_deref() {
        None => Err(with_usage(Code::Usage, &format!("{name}: a command is missing"), &name, &entry)),
        Some("--help" | "-h") => session.out.text(&usage(&name, &entry)),
        Some(command) => match command_of(&name, &entry, command) {
            Ok(spec) => {
                let mut settings = Settings::new(Arc::new(Aside::new(&session.out, session.verbose)));
                settings.command_timeout = timeout;
                settings.columns = session.out.columns();
                if is_learned {
                    return learn::run(home, (&name, &entry), spec, args, settings, session);
                }
                call(home, &name, spec, args, settings)
            }
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

/// Calls a command of an installed plugin.
pub(super) fn call(
    home: Home,
    name: &PluginName,
    spec: &CommandSpec,
    args: Vec<String>,
    settings: Settings,
) -> Result<(), Failure> {
    let mut host = Host::new(home, settings);
    let mut invocation = host.invocation(&spec.name, args);
    invocation.stdin = spec.stdin;
    let done = host.command(name, &invocation);
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

//! What can be called: the commands of an enabled plugin, and its usage text.

use migraine_plugin_api::CommandSpec;

use super::ManageError;
use crate::ids::PluginName;
use crate::store::{Entry, Status};
use crate::text::safe_line;

/// The declaration of a command that may be called now.
///
/// # Errors
/// The plugin may not run, or it has no such command.
pub fn command_of<'a>(name: &PluginName, entry: &'a Entry, command: &str) -> Result<&'a CommandSpec, ManageError> {
    let found = entry.commands.iter().find(|spec| spec.name == command);
    let spec = found.ok_or_else(|| ManageError::NoCommand { name: name.clone(), command: command.to_owned() })?;
    match entry.status() {
        Status::Enabled => Ok(spec),
        status => {
            let reason = entry.problem.as_ref().map(|problem| problem.reason.clone());
            Err(ManageError::NotRunnable { name: name.clone(), status, reason })
        }
    }
}

/// The usage line of a command, the author's or else the plain one; safe to show.
pub(super) fn usage_line(name: &str, spec: &CommandSpec) -> String {
    match spec.usage.as_str() {
        "" => format!("migraine plugin run {name} {} [ARGS...]", safe_line(&spec.name)),
        usage => safe_line(usage),
    }
}

/// The usage text of a plugin, from its manifest; the plugin is not started for it.
#[must_use]
pub fn usage(name: &PluginName, entry: &Entry) -> String {
    let mut text = format!("Usage: migraine plugin run {name} <COMMAND> [ARGS...]\n");
    if !entry.description.is_empty() {
        text = format!("{name} {}: {}\n\n{text}", entry.version, safe_line(&entry.description));
    }
    if entry.commands.is_empty() {
        text.push_str("\nThe plugin has no commands.\n");
        return text;
    }
    text.push_str("\nCommands:\n");
    let width = entry.commands.iter().map(|spec| spec.name.chars().count()).max().unwrap_or(0);
    for spec in &entry.commands {
        let line = format!("  {:width$}  {}", safe_line(&spec.name), safe_line(&spec.description));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("\nRun `migraine plugin run {name} COMMAND --help` for the arguments of a command.\n"));
    text
}

//! What a manifest says of scripts and programs: who answers what, the files that this needs, and what a manifest of the
//! short form leaves out.

use std::collections::BTreeSet;

use migraine_plugin_api::{
    BashSource, Executable, Handler, HookHandler, HookSpec, Manifest, Permission, PermissionKind, Protocol,
};
use serde_json::Value;

use super::Findings;
use crate::package::path;

/// The longest script inside a manifest, in bytes.
const SCRIPT_MAX: usize = 64 << 10;
/// The longest name of a module, a function or an interpreter, in bytes.
const NAME_MAX: usize = 200;
/// The sizes that a configuration may be written in.
const UNITS: [(&str, u64); 3] = [("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];

/// One of these files must be in the package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NeededFile {
    /// What needs it, in words.
    pub of: String,
    /// The paths that would do, in order.
    pub paths: Vec<String>,
}

/// The files that the handlers of a plugin are in, each once.
#[must_use]
pub fn needed_files(manifest: &Manifest) -> Vec<NeededFile> {
    let files: BTreeSet<_> = manifest.handlers().filter_map(|handler| needed_file(&handler)).collect();
    files.into_iter().collect()
}

fn needed_file(handler: &Handler) -> Option<NeededFile> {
    let (of, paths) = match handler {
        Handler::Python { module, .. } => {
            let base = module.replace('.', "/");
            (format!("the Python module `{module}`"), vec![format!("{base}.py"), format!("{base}/__init__.py")])
        }
        Handler::Bash(BashSource::File(file)) => (format!("the Bash script `{file}`"), vec![file.clone()]),
        Handler::Executable(Executable { program, .. }) => (format!("the program `{program}`"), vec![program.clone()]),
        _ => return None,
    };
    Some(NeededFile { of, paths })
}

/// Fills in what a manifest may leave out: the handler of all where one names none, and, without a key `permissions`,
/// changing the directory of every configuration value that is a path.
pub(super) fn fill_in(manifest: &mut Manifest, has_permissions: bool) {
    if !manifest.is_script() {
        return;
    }
    if let Some(handler) = &manifest.handler {
        for command in manifest.commands.iter_mut().filter(|command| command.handler.is_none()) {
            command.handler = Some(handler.clone());
        }
        let unanswered = |hook: &&mut HookSpec| hook.handler.is_empty() && hook.command.is_none();
        for hook in manifest.hooks.iter_mut().filter(unanswered) {
            hook.handler = HookHandler::Script(handler.clone());
        }
    }
    if !has_permissions {
        let paths = manifest.config.iter().filter(|(_, value)| value.as_str().is_some_and(is_path));
        // A scope that is too long for one is a key that is refused as well.
        let scopes = paths.map(|(key, _)| format!("write:{{{{directory config.{key}}}}}"));
        let asked = scopes.filter_map(|scope| Permission::scoped(PermissionKind::Filesystem, &scope).ok());
        manifest.permissions = asked.collect();
        manifest.permissions.sort();
    }
}

/// Whether a configuration value names a file or a directory, and is not merely a word.
fn is_path(value: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start)) || matches!(value, "." | ".." | "~")
}

/// Checks all that concerns scripts.
pub(super) fn check(manifest: &Manifest, findings: &mut Findings) {
    check_kind(manifest, findings);
    if !manifest.is_script() {
        return;
    }
    if let Some(handler) = &manifest.handler {
        check_handler("handler", handler, findings);
    }
    for command in &manifest.commands {
        match &command.handler {
            Some(handler) => {
                let place = format!("commands: `{}`", command.name);
                check_handler(&place, handler, findings);
                if command.stdin && !reads_input(handler) {
                    findings.add(format!(
                        "{place}: `stdin` is for Python functions and for programs with `protocol: argv` or `frames`"
                    ));
                }
            }
            None => findings.add(format!("commands: nothing answers `{}`; give it a handler", command.name)),
        }
    }
    for (at, hook) in manifest.hooks.iter().enumerate() {
        check_hook(at, hook, findings);
    }
    for (key, value) in &manifest.config {
        if let Err(why) = check_size(key, value) {
            findings.add(format!("config: `{}`: {why}", key.escape_debug()));
        }
    }
}

/// `EVENT-interceptor` is the one kind there is.
fn check_kind(manifest: &Manifest, findings: &mut Findings) {
    let Some(kind) = &manifest.kind else { return };
    let shown: String = kind.chars().take(80).collect();
    let shown = shown.escape_debug();
    let plain = |event: &str| event.replace('_', "-");
    match kind.strip_suffix("-interceptor") {
        Some(event) if manifest.hooks.iter().any(|hook| plain(&hook.event) == plain(event)) => {}
        Some(event) => {
            let event: String = event.chars().take(80).collect();
            let event = event.escape_debug();
            findings.add(format!("type: `{shown}` without a subscription to `{event}`; add one under `hooks`"));
        }
        None => findings.add(format!("type: `{shown}` is none; it is written like command-output-interceptor")),
    }
}

fn check_hook(at: usize, hook: &HookSpec, findings: &mut Findings) {
    let place = format!("hooks[{at}]");
    if hook.command.is_some() {
        if hook.script.is_some() || hook.on_error.is_some() {
            findings.add(format!("{place}: a bound command has no `script` and no `on_error`"));
        }
        return;
    }
    match (hook.handler.script(), hook.handler.is_empty()) {
        (Some(_), _) => {}
        (None, true) => findings.add(format!("{place}: nothing answers it; give it a handler or a script")),
        (None, false) => {
            findings.add(format!("{place}: it names a handler of a library, and this plugin has scripts instead"));
        }
    }
    for handler in hook.scripts() {
        check_handler(&place, &handler, findings);
        if matches!(&handler, Handler::Executable(program) if program.protocol == Protocol::Argv) {
            findings.add(format!(
                "{place}: a program answers hooks by `protocol: json` or `protocol: frames`; for one that takes \
                 arguments, bind a `command`"
            ));
        }
    }
}

fn check_handler(place: &str, handler: &Handler, findings: &mut Findings) {
    match handler {
        Handler::Python { module, function } => {
            if module.len() > NAME_MAX || !module.split('.').all(is_identifier) {
                let shown = short(module);
                findings.add(format!("{place}: `{shown}` is no Python module; it is written like `a` or `a.b`"));
            }
            if function.len() > NAME_MAX || !is_identifier(function) {
                findings.add(format!("{place}: `{}` is no name of a Python function", short(function)));
            }
        }
        Handler::Bash(BashSource::Script(script)) => {
            if script.len() > SCRIPT_MAX {
                findings.add(format!("{place}: the script has more than {SCRIPT_MAX} bytes; put it into a file"));
            } else if script.trim().is_empty() || script.contains('\0') {
                findings.add(format!("{place}: the script is empty, or has a NUL byte"));
            }
        }
        Handler::Bash(BashSource::File(file)) => check_file(place, file, findings),
        Handler::Executable(program) => {
            check_file(place, &program.program, findings);
            if program.interpreter.as_deref().is_some_and(|interpreter| !is_interpreter(interpreter)) {
                let shown = short(program.interpreter.as_deref().unwrap_or_default());
                findings.add(format!("{place}: `{shown}` is no interpreter; write a name such as `perl`, or its path"));
            }
        }
        _ => findings.add(format!("{place}: this version does not know that kind of handler")),
    }
}

/// Whether a command that it answers can read the caller's standard input.
fn reads_input(handler: &Handler) -> bool {
    match handler {
        Handler::Python { .. } => true,
        Handler::Executable(program) => program.protocol != Protocol::Json,
        _ => false,
    }
}

fn check_file(place: &str, file: &str, findings: &mut Findings) {
    if let Err(error) = path::check(file) {
        findings.add(format!("{place}: {error}"));
    }
}

/// Checks a configuration value that says a size: text under a key that ends in `size` is one like `10MB`.
///
/// # Errors
/// Why it is none.
pub fn check_size(key: &str, value: &Value) -> Result<(), String> {
    let Value::String(text) = value else { return Ok(()) };
    let names_size = key.to_ascii_lowercase().ends_with("size");
    if !names_size || bytes(text).is_some() {
        return Ok(());
    }
    Err(format!("`{}` is no size; it is a whole number with KB, MB or GB, such as 10MB", short(text)))
}

/// The bytes that a size such as `10MB` stands for.
#[must_use]
pub fn bytes(size: &str) -> Option<u64> {
    let (digits, unit) = UNITS.iter().find_map(|(name, unit)| Some((size.strip_suffix(name)?, unit)))?;
    // `+5` and ` 5` would parse as well.
    let number = digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// One program: a name that is looked up, or an absolute path without `.` and `..`.
fn is_interpreter(text: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    };
    text.len() <= NAME_MAX && text.strip_prefix('/').unwrap_or(text).split('/').all(plain) && {
        text.starts_with('/') || !text.contains('/')
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests;

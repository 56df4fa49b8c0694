//! What runs the scripts of a plugin on this machine: recorded when it is installed, and looked up anew at each run, since the
//! machine's programs come and go. Nothing is run for it: whatever `python3` in PATH is, it would run outside of any sandbox.

use migraine_plugin_api::{Executable, Handler};

use super::interpreter::{InterpreterError, bash, program};
use super::python::Python;
use crate::store::KnownInterpreter;
use crate::text::{safe_line, safe_path};
use crate::wire::Language;

/// What runs a handler now, where something of the machine does.
fn behind(handler: &Handler) -> Result<Option<KnownInterpreter>, InterpreterError> {
    let (name, path, version) = match handler {
        Handler::Python { .. } => {
            let python = Python::find()?;
            ("python", python.program, Some(python.version))
        }
        Handler::Bash(_) => ("bash", bash()?.program, None),
        Handler::Executable(Executable { program: path, interpreter: Some(name), .. }) => {
            (name.as_str(), program(path, Some(name), Language::Command)?.program, None)
        }
        _ => return Ok(None),
    };
    Ok(Some(KnownInterpreter { name: name.to_owned(), path, version }))
}

/// What runs these handlers now, each once, and what is missing.
#[must_use]
pub fn interpreters<'a>(
    handlers: impl IntoIterator<Item = &'a Handler>,
) -> (Vec<KnownInterpreter>, Vec<InterpreterError>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for handler in handlers {
        match behind(handler) {
            Ok(Some(one)) if !found.contains(&one) => found.push(one),
            Err(error) if !missing.contains(&error) => missing.push(error),
            _ => {}
        }
    }
    (found, missing)
}

/// What is different from when the plugin was installed, a line for each.
#[must_use]
pub fn changes(before: &[KnownInterpreter], now: &[KnownInterpreter]) -> Vec<String> {
    let line = |before: &KnownInterpreter| match now.iter().find(|now| now.name == before.name) {
        Some(now) if now == before => None,
        Some(now) => Some(format!("it was installed with {}, and is run by {} now", shown(before), shown(now))),
        None => Some(format!("it was installed with {}, which is gone", shown(before))),
    };
    before.iter().filter_map(line).collect()
}

/// One in words: name, version, file.
#[must_use]
pub fn shown(one: &KnownInterpreter) -> String {
    let version = one.version.as_deref().map(|version| format!(" {}", safe_line(version))).unwrap_or_default();
    format!("{}{version} ({})", safe_line(&one.name), safe_path(&one.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, path: &str, version: Option<&str>) -> KnownInterpreter {
        KnownInterpreter { name: name.to_owned(), path: path.into(), version: version.map(str::to_owned) }
    }

    #[test]
    fn what_is_different_is_said() {
        let python = known("python", "/usr/bin/python3.11", Some("3.11"));
        let bash = known("bash", "/usr/bin/bash", None);
        let before = [python.clone(), bash.clone()];
        assert_eq!(changes(&before, &before), Vec::<String>::new());
        let newer = known("python", "/usr/bin/python3.12", Some("3.12"));
        assert_eq!(
            changes(&before, &[newer]),
            [
                "it was installed with python 3.11 (/usr/bin/python3.11), and is run by python 3.12 (/usr/bin/python3.12) now",
                "it was installed with bash (/usr/bin/bash), which is gone",
            ]
        );
        // One that was not there at the installation is no change.
        assert_eq!(changes(&[], &before), Vec::<String>::new());
    }
}

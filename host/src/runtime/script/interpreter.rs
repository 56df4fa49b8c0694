//! The program that takes a worker's place, and what it must see of the machine to run: nothing else of it is shown.

use std::path::{Path, PathBuf};

use crate::code::{Code, Coded};
use crate::runtime::programs::loader;
use crate::text::safe_path;
use crate::wire::{Interpreter, Language};

/// Directories and files that code is mapped from, where they exist.
const LIBRARIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/etc/ld.so.cache",
];
/// The same on machines without directories for each architecture.
const PLAIN_LIBRARIES: [&str; 2] = ["/usr/lib", "/lib"];
/// What every language's library reads.
const FILES: [&str; 2] = ["/usr/lib/locale/C.utf8", "/usr/share/zoneinfo"];
/// What the kernel starts to load a program of this machine.
const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };
/// Where languages keep what their programs read.
const SHARED: [&str; 4] = ["/usr/lib", "/usr/share", "/usr/local/lib", "/usr/local/share"];
/// Where Bash is.
const BASH: [&str; 3] = ["/usr/bin/bash", "/bin/bash", "/usr/local/bin/bash"];

/// Why nothing can run a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InterpreterError {
    /// It is not on this machine.
    #[error("it needs {name}, which is not on this machine: looked for {looked_for}")]
    Missing {
        /// What is missing.
        name: String,
        /// Where it was looked for.
        looked_for: String,
    },
    /// What was found is no interpreter that can be shown to a worker.
    #[error("`{}` cannot run it: {reason}", safe_path(path))]
    Unusable {
        /// What was found.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Coded for InterpreterError {
    fn code(&self) -> Code {
        Code::InterpreterMissing
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Missing { name, .. } => {
                Some(format!("install {name}, or put its directory into PATH; `migraine doctor` shows what is found"))
            }
            Self::Unusable { .. } => Some("`migraine doctor` shows what is found".to_owned()),
        }
    }
}

/// What is there of a list, each at its real path, once.
fn present(paths: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = paths.iter().filter_map(|path| Path::new(path).canonicalize().ok()).collect();
    found.sort();
    found.dedup();
    found
}

/// The system's libraries.
fn libraries() -> Vec<PathBuf> {
    let found = present(&LIBRARIES);
    let has_any = found.iter().any(|path| path.is_dir());
    if has_any { found } else { found.into_iter().chain(present(&PLAIN_LIBRARIES)).collect() }
}

/// An interpreter of the system, with what it needs beside the system's libraries.
pub(super) fn of_system(
    language: Language,
    program: PathBuf,
    arguments: Vec<String>,
    more: impl IntoIterator<Item = PathBuf>,
    read: &[&str],
) -> Result<Interpreter, InterpreterError> {
    let Some(loader) = loader(&program) else {
        return Err(InterpreterError::Unusable {
            path: program,
            reason: "it is no program of this machine".to_owned(),
        });
    };
    let mut libraries = libraries();
    for place in more {
        if !libraries.contains(&place) {
            libraries.push(place);
        }
    }
    let executed = vec![program.clone(), loader];
    let files = present(&[&FILES, read].concat());
    Ok(Interpreter { language, program, arguments, libraries, files, executed })
}

/// Bash.
///
/// # Errors
/// It is not on this machine.
pub(in crate::runtime) fn bash() -> Result<Interpreter, InterpreterError> {
    let found = BASH.iter().find_map(|path| Path::new(path).canonicalize().ok().filter(|path| path.is_file()));
    let Some(program) = found else {
        return Err(InterpreterError::Missing { name: "bash".to_owned(), looked_for: BASH.join(", ") });
    };
    // No file of the user's is read, and nothing in the environment can be a function or an option.
    let arguments = ["--norc", "--noprofile", "-p", "/dev/code/runner.sh"].map(str::to_owned).to_vec();
    of_system(Language::Bash, program, arguments, [], &[])
}

/// A program of the plugin's own, or what runs it.
///
/// # Errors
/// What runs it is not on this machine.
pub(super) fn program(
    path: &str,
    interpreter: Option<&str>,
    language: Language,
) -> Result<Interpreter, InterpreterError> {
    let own = Path::new(Interpreter::PLUGIN).join(path);
    let Some(name) = interpreter else {
        let loader = Path::new(LOADER).canonicalize().ok();
        let executed = loader.into_iter().collect();
        let (arguments, libraries) = (Vec::new(), libraries());
        return Ok(Interpreter { language, program: own, arguments, libraries, files: present(&FILES), executed });
    };
    let Some(program) = crate::runtime::programs::real(name) else {
        let looked_for = crate::runtime::programs::search_path();
        return Err(InterpreterError::Missing { name: name.to_owned(), looked_for });
    };
    of_system(language, program, vec![own.display().to_string()], [], &SHARED)
}

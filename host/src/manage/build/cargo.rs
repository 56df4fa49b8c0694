//! The programs of the toolchain.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::manage::ManageError;
use crate::text::safe_line;

/// The cargo that runs us, or the one of the PATH.
pub(super) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(super) fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

/// Where cargo keeps what it downloads.
#[must_use]
pub fn cargo_home() -> Option<PathBuf> {
    let own = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    own.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// Runs a program in the folder that is built and gives its standard output; its standard error stays visible.
pub(super) fn capture(command: &mut Command, folder: &Path) -> Result<String, ManageError> {
    let failed = |reason: String| ManageError::Build { path: folder.to_owned(), reason };
    let program = command.get_program().to_string_lossy().into_owned();
    let run = command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = run.map_err(|error| failed(format!("cannot run {}: {error}", safe_line(&program))))?;
    if !output.status.success() {
        return Err(failed(format!("{} ended with {}", safe_line(&program), output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed(format!("{} did not print UTF-8", safe_line(&program))))
}

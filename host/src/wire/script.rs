//! Scripts: the program that takes a worker's place to run them, and the verified files that it finds.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Variable;

/// What runs the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// One warm Python, which speaks frames.
    Python,
    /// One warm Bash, which speaks frames and reads bodies of its own form.
    Bash,
    /// One warm program of the plugin's own, which speaks frames.
    Frames,
    /// One warm program of the plugin's own, which speaks lines of JSON.
    Lines,
    /// A program of the plugin's own, started anew for each command.
    Command,
}

/// The program that takes the place of each worker of a launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// What runs.
    pub language: Language,
    /// The file that is executed: absolute, no part of it is a symbolic link; or one of the plugin's, below
    /// [`Interpreter::PLUGIN`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Directories and files that code may be mapped from.
    pub libraries: Vec<PathBuf>,
    /// Directories and files to read.
    pub files: Vec<PathBuf>,
    /// The files that the one exec leads to: the program, if it is the system's, and what loads it.
    pub executed: Vec<PathBuf>,
}

impl Interpreter {
    /// Where the plugin's files are, as the interpreter sees them.
    pub const PLUGIN: &str = "/dev/code/plugin";

    /// Whether it makes processes: a shell is nothing without.
    #[must_use]
    pub fn forks(&self) -> bool {
        matches!(self.language, Language::Bash | Language::Command)
    }

    /// Whether it can ask the host for something, such as a connected stream: a shell, and a program that is called by
    /// arguments, cannot.
    #[must_use]
    pub fn asks_host(&self) -> bool {
        !matches!(self.language, Language::Bash | Language::Command)
    }

    /// Whether the program is one of the plugin's own files.
    #[must_use]
    pub fn is_plugins_own(&self) -> bool {
        self.program.starts_with(Self::PLUGIN)
    }

    /// Everything that it reads of the machine's tree.
    pub fn places(&self) -> impl Iterator<Item = &PathBuf> {
        self.libraries.iter().chain(&self.files).chain(&self.executed)
    }

    /// Whether something of it lies in a directory.
    #[must_use]
    pub fn lies_in(&self, directory: &Path) -> bool {
        self.places().any(|place| place.starts_with(directory))
    }
}

/// What the runner of a Python plugin is told first.
#[derive(Debug, Serialize, Deserialize)]
pub struct ScriptLoadBody {
    /// The plugin's name, for messages.
    pub plugin: String,
    /// Its effective configuration.
    pub config: std::collections::BTreeMap<String, serde_json::Value>,
    /// The permissions that it has.
    pub permissions: Vec<String>,
    /// Variables that are added to the environment.
    pub environment: Vec<Variable>,
    /// Where it starts, if not in the scratch directory.
    pub directory: Option<PathBuf>,
    /// The module and function of each handler, by the number that calls carry; none for one in another language.
    pub handlers: Vec<Option<(String, String)>>,
}

/// Lays files one after the other, each behind its size and its path.
#[must_use]
pub fn bundle<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (path, content) in files {
        bytes.extend_from_slice(format!("{} {path}\n", content.len()).as_bytes());
        bytes.extend_from_slice(content);
    }
    bytes
}

/// Takes such files apart.
///
/// # Errors
/// These are not the bytes that [`bundle`] made.
pub fn unbundle(mut bytes: &[u8]) -> io::Result<Vec<(&str, &[u8])>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut files = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| damaged())?;
        let (size, path) = head.split_once(' ').ok_or_else(damaged)?;
        let size = size.parse().map_err(|_| damaged())?;
        let (content, rest) = bytes[end + 1..].split_at_checked(size).ok_or_else(damaged)?;
        files.push((path, content));
        bytes = rest;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_comes_apart_as_it_was() {
        let files: [(&str, &[u8]); 3] = [("a.py", b"print()\n"), ("dir/b c.sh", b""), ("c", b"\0\n5 x\n")];
        let bytes = bundle(files);
        assert_eq!(unbundle(&bytes).unwrap(), files);
        for cut in 1..bytes.len() {
            assert!(unbundle(&bytes[..cut]).is_err() || unbundle(&bytes[..cut]).unwrap().len() < 3, "{cut}");
        }
        assert!(unbundle(b"x a\n").is_err());
    }
}

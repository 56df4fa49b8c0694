//! Which Python runs scripts: the first `python3` of PATH, followed through links, virtual environments and the shims of
//! pyenv to the real interpreter. Nothing is run for it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::interpreter::{InterpreterError, of_system};
use crate::controls::{Check, makes};
use crate::wire::{Interpreter, Language};

const NAME: &str = "python3";

/// An interpreter that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The real program.
    pub program: PathBuf,
    /// Where it was found: a link, a virtual environment's or a shim, or the same.
    pub found: PathBuf,
    /// Its version, as far as its files tell: `3.11`, or `3.11.7` where their directory is named so.
    pub version: String,
    /// Its standard library.
    pub library: PathBuf,
    /// The packages of a virtual environment.
    pub packages: Option<PathBuf>,
}

impl Python {
    /// The user's own, by this program's PATH.
    ///
    /// # Errors
    /// There is none, or it is none that can be shown to a worker.
    pub fn find() -> Result<Self, InterpreterError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_in(&path)
    }

    /// The first in these directories.
    ///
    /// # Errors
    /// As [`Python::find`].
    pub fn find_in(path: &OsStr) -> Result<Self, InterpreterError> {
        let places = std::env::split_paths(path).filter(|place| place.is_absolute());
        let Some(found) = places.map(|place| place.join(NAME)).find(|place| place.is_file()) else {
            let looked_for = format!("`{NAME}` in {}", crate::text::safe_whole(&path.to_string_lossy()));
            return Err(InterpreterError::Missing { name: "Python 3".to_owned(), looked_for });
        };
        Self::at(&found)
    }

    /// The interpreter behind a path.
    ///
    /// # Errors
    /// As [`Python::find`].
    pub fn at(found: &Path) -> Result<Self, InterpreterError> {
        let unusable = |reason: &str| InterpreterError::Unusable { path: found.to_owned(), reason: reason.to_owned() };
        let behind = behind_shim(found).unwrap_or_else(|| found.to_owned());
        let environment = virtual_environment(&behind);
        let real = environment.as_ref().map_or(behind, |(_, home)| home.join(NAME));
        let program = real.canonicalize().map_err(|error| unusable(&error.to_string()))?;
        let (library, short) = library_of(&program).ok_or_else(|| unusable("its standard library is not beside it"))?;
        let packages = environment.map(|(prefix, _)| prefix.join(format!("lib/python{short}/site-packages")));
        let packages = packages.and_then(|packages| packages.canonicalize().ok());
        let version = full_version(&program, &short).unwrap_or(short);
        Ok(Self { program, found: found.to_owned(), version, library, packages })
    }

    /// What a worker needs of it.
    ///
    /// # Errors
    /// It is no program of this machine.
    pub fn interpreter(&self) -> Result<Interpreter, InterpreterError> {
        // Isolated from the environment and the user's own files, without `site`, and nothing compiled is written.
        let mut arguments: Vec<String> = ["-I", "-S", "-B", "/dev/code/runner.py"].map(str::to_owned).to_vec();
        if !makes(Check::Imports) {
            arguments.push("--any-import".to_owned());
        }
        arguments.extend(self.packages.iter().map(|packages| packages.display().to_string()));
        let shared = self.program.parent().and_then(Path::parent).map(|prefix| prefix.join("lib"));
        // Only an own prefix has its libraries beside it; the system's are shown anyway.
        let own = shared.filter(|lib| *lib != Path::new("/usr/lib"));
        let places = own.or(Some(self.library.clone())).into_iter().chain(self.packages.clone());
        of_system(Language::Python, self.program.clone(), arguments, places, &[])
    }
}

/// What a shim of pyenv stands for: it would choose by the environment and the directory that it is called in; here the
/// user's own choice for everywhere counts.
fn behind_shim(shim: &Path) -> Option<PathBuf> {
    let shims = shim.parent().filter(|folder| folder.file_name() == Some(OsStr::new("shims")))?;
    let root = shims.parent()?;
    let chosen = std::env::var("PYENV_VERSION").ok();
    let chosen = chosen.or_else(|| fs::read_to_string(root.join("version")).ok())?;
    let wanted = chosen.split([':', '\n', ' ']).find(|word| !word.is_empty())?;
    if wanted == "system" {
        return Path::new("/usr/bin").join(NAME).canonicalize().ok();
    }
    let versions = root.join("versions");
    let exact = versions.join(wanted);
    // `3.11` stands for the newest 3.11.x.
    let prefix = format!("{wanted}.");
    let newest = || {
        let all = fs::read_dir(&versions).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let patch = |name: &String| name.strip_prefix(&prefix).and_then(|patch| patch.parse::<u32>().ok());
        all.filter(|name| patch(name).is_some()).max_by_key(patch).map(|name| versions.join(name))
    };
    let home = if exact.is_dir() { exact } else { newest()? };
    Some(home.join("bin").join(NAME)).filter(|program| program.is_file())
}

/// The prefix of a virtual environment and the directory of the interpreter that it was made from (PEP 405).
fn virtual_environment(program: &Path) -> Option<(PathBuf, PathBuf)> {
    let prefix = program.parent()?.parent()?;
    let settings = fs::read_to_string(prefix.join("pyvenv.cfg")).ok()?;
    let home = settings.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    })?;
    Some((prefix.to_owned(), home))
}

/// The standard library of an interpreter, and the version that it is named after: by its landmark, as the interpreter
/// itself looks for it.
fn library_of(program: &Path) -> Option<(PathBuf, String)> {
    let prefix = program.parent()?.parent()?;
    let named = program.file_name()?.to_str()?.strip_prefix("python").unwrap_or_default().to_owned();
    let lib = prefix.join("lib");
    let listed = fs::read_dir(&lib).into_iter().flatten().flatten().filter_map(|entry| {
        entry
            .file_name()
            .to_str()?
            .strip_prefix("python")
            .filter(|version| version.starts_with("3."))
            .map(str::to_owned)
    });
    let library = |version: &String| lib.join(format!("python{version}"));
    let found = std::iter::once(named).chain(listed).find(|version| library(version).join("os.py").is_file())?;
    Some((library(&found), found))
}

/// The version that a directory of the path is named after, as pyenv does.
fn full_version(program: &Path, short: &str) -> Option<String> {
    let mut parts = program.components().filter_map(|part| part.as_os_str().to_str());
    parts.rfind(|part| part.starts_with(&format!("{short}."))).map(str::to_owned)
}

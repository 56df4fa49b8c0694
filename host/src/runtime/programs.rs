//! Which programs of this machine grants open, and where each of them is.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use migraine_plugin_api::{Permission, PermissionKind};

use crate::package::elf;
use crate::policy::{program_set, scope_findings};
use crate::text::safe_path;
use crate::wire::{Directory, PROGRAMS_MAX, Programs};

/// Where names are looked up, in this order: never where the user's own PATH leads.
const LOOKED_UP: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// The PATH of a program: what it starts by name is what a grant of that name opens.
pub(super) fn search_path() -> String {
    LOOKED_UP.join(":")
}

/// What a grant of all programs opens.
const SYSTEM: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];
/// How much of a file tells what it is: a page, as the kernel looks at it, and a program's table of segments.
const HEAD: u64 = 4096;
/// The longest name of what loads a program (PATH_MAX).
const LOADER_MAX: usize = 4096;

/// Why a program is not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    /// The text names no program.
    #[error("`{0}` is not a program's name or absolute path")]
    Name(String),
    /// No grant opens it.
    #[error("`exec` needs the permission exec={0}, which was not granted")]
    NotGranted(String),
    /// It is granted and not there.
    #[error("there is no program `{program}`{}", looked_up(program))]
    NotFound {
        /// As it was asked for.
        program: String,
    },
    /// All programs were granted, and this one is not of the system.
    #[error("`{program}` is none of the system's programs: it needs the permission exec={program} as well")]
    Elsewhere {
        /// Where it is.
        program: String,
    },
    /// The plugin could have written it.
    #[error("`{}` lies in a directory that the plugin can change", safe_path(file))]
    Writable {
        /// The file.
        file: PathBuf,
    },
    /// It is run by another program, which no grant opens.
    #[error(
        "`{}` is a script: it needs the permission exec={interpreter} for what runs it, which was not granted",
        safe_path(file)
    )]
    Interpreter {
        /// The file.
        file: PathBuf,
        /// What its first line names.
        interpreter: String,
    },
}

fn looked_up(program: &str) -> String {
    if program.contains('/') { String::new() } else { format!(" in {}", LOOKED_UP.join(", ")) }
}

impl ProgramError {
    /// The permission that is missing, where one is.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            Self::NotGranted(program)
            | Self::Elsewhere { program }
            | Self::Interpreter { interpreter: program, .. } => Some(format!("exec={program}")),
            _ => None,
        }
    }
}

/// A program as it stands on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// Its name in its own directory: one file can be many programs, by the name that leads to it.
    place: PathBuf,
    /// The file, without links.
    file: PathBuf,
}

/// Looks a program up.
fn find(program: &str) -> Option<Found> {
    if program.contains('/') {
        return at(Path::new(program));
    }
    LOOKED_UP.iter().find_map(|directory| at(&Path::new(directory).join(program)))
}

fn at(path: &Path) -> Option<Found> {
    let place = path.parent()?.canonicalize().ok()?.join(path.file_name()?);
    let file = place.canonicalize().ok()?;
    let metadata = fs::metadata(&file).ok()?;
    (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(Found { place, file })
}

/// The file behind a name in the directories that programs are looked up in, or behind an absolute path.
pub(super) fn real(program: &str) -> Option<PathBuf> {
    find(program).map(|found| found.file)
}

/// What grants open: each program, or all of them.
fn scopes(grants: &[Permission]) -> impl Iterator<Item = Option<&str>> {
    let own = grants.iter().filter(|grant| grant.kind() == PermissionKind::Exec).map(Permission::scope);
    own.flat_map(|scope| match scope.and_then(program_set) {
        Some(set) => set.iter().copied().map(Some).collect(),
        None => vec![scope],
    })
}

fn is_granted(grants: &[Permission], found: &Found) -> bool {
    let same = |scope: &str| find(scope).is_some_and(|granted| granted.place == found.place);
    scopes(grants).any(|scope| scope.is_none_or(same))
}

/// The file to execute for a program that a plugin asks for.
///
/// # Errors
/// It is not granted, not there, or one that no plugin may run.
pub(super) fn judge(grants: &[Permission], directories: &[Directory], program: &str) -> Result<PathBuf, ProgramError> {
    let name = Permission::scoped(PermissionKind::Exec, program).ok();
    if name.is_none_or(|name| !scope_findings(&[name]).is_empty()) {
        return Err(ProgramError::Name(crate::text::safe_line(program)));
    }
    let is_named = |scope: Option<&str>| scope.is_none_or(|scope| scope == program);
    let Some(found) = find(program) else {
        // Whether something is there is nobody's business who was not granted it.
        return Err(match scopes(grants).any(is_named) {
            true => ProgramError::NotFound { program: program.to_owned() },
            false => ProgramError::NotGranted(program.to_owned()),
        });
    };
    if !is_granted(grants, &found) {
        return Err(ProgramError::NotGranted(program.to_owned()));
    }
    let file = found.file;
    if directories.iter().any(|directory| directory.writable && file.starts_with(&directory.path)) {
        return Err(ProgramError::Writable { file });
    }
    if scopes(grants).any(|scope| scope.is_none()) && !SYSTEM.iter().any(|system| file.starts_with(system)) {
        return Err(ProgramError::Elsewhere { program: found.place.display().to_string() });
    }
    if let Some(Start::By(interpreter)) = start_of(&file)
        && !at(&interpreter).is_some_and(|interpreter| is_granted(grants, &interpreter))
    {
        return Err(ProgramError::Interpreter { file, interpreter: interpreter.display().to_string() });
    }
    Ok(file)
}

/// What a launcher for programs must let run: those that grants open, with what loads them. Those that are not there, and
/// those that the plugin could have written, are left out.
pub(super) fn granted(grants: &[Permission], directories: &[Directory]) -> Programs {
    if scopes(grants).any(|scope| scope.is_none()) {
        return Programs::All;
    }
    let is_written = |file: &Path| directories.iter().any(|dir| dir.writable && file.starts_with(&dir.path));
    let found = scopes(grants).flatten().filter_map(find).map(|found| found.file);
    let mut files: Vec<PathBuf> = found.filter(|file| !is_written(file)).collect();
    let loaders: Vec<PathBuf> = files.iter().filter_map(|file| loader(file)).collect();
    files.extend(loaders);
    files.sort();
    files.dedup();
    files.truncate(PROGRAMS_MAX);
    Programs::Only(files)
}

/// The file that the kernel starts in place of a program, to load it.
pub(super) fn loader(file: &Path) -> Option<PathBuf> {
    match start_of(file)? {
        Start::Loaded(loader) => loader.canonicalize().ok(),
        Start::By(_) => None,
    }
}

/// How the kernel starts a file that needs another one.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// It is loaded by this file.
    Loaded(PathBuf),
    /// It is a script for this program.
    By(PathBuf),
}

fn start_of(file: &Path) -> Option<Start> {
    let file = File::open(file).ok()?;
    let mut head = Vec::new();
    (&file).take(HEAD).read_to_end(&mut head).ok()?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let word = words.into_iter().find(|word| !word.is_empty())?;
        return Some(Start::By(PathBuf::from(std::ffi::OsStr::from_bytes(word))));
    }
    let (offset, length) = elf::interpreter(&head)?;
    let mut name = vec![0; usize::try_from(length).ok().filter(|length| *length <= LOADER_MAX)?];
    file.read_exact_at(&mut name, offset).ok()?;
    name.truncate(name.iter().position(|byte| *byte == 0)?);
    Some(Start::Loaded(PathBuf::from(std::ffi::OsStr::from_bytes(&name))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn permissions(texts: &[&str]) -> Vec<Permission> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn judged(granted: &[&str], program: &str) -> Result<PathBuf, ProgramError> {
        judge(&permissions(granted), &[], program)
    }

    fn real(path: &str) -> PathBuf {
        Path::new(path).canonicalize().unwrap()
    }

    #[test]
    fn a_program_is_granted_by_its_name_or_path() {
        for (granted, program) in [
            ("exec=env", "env"),
            ("exec=env", "/usr/bin/env"),
            ("exec=/usr/bin/env", "env"),
            ("exec=/bin/env", "/usr/bin/env"),
            ("exec", "env"),
        ] {
            if Path::new("/bin").is_symlink() || !granted.contains("/bin/") {
                assert_eq!(judged(&[granted], program).unwrap(), real("/usr/bin/env"), "{granted} {program}");
            }
        }
        for (granted, program) in
            [("exec=env", "ls"), ("exec=env", "/usr/bin/ls"), ("network", "env"), ("exec=e", "env")]
        {
            let error = judged(&[granted], program).unwrap_err();
            assert_eq!(error.missing(), Some(format!("exec={program}")), "{granted}: {error}");
        }
        for program in ["", "env -i", "./env", "bin/env", "/usr/bin/../bin/env", "*", "en\0v"] {
            let error = judged(&["exec"], program).unwrap_err();
            assert!(matches!(error, ProgramError::Name(_)), "{program:?}: {error}");
        }
        let error = judged(&["exec=no-such-program"], "no-such-program").unwrap_err();
        assert_eq!(error.to_string(), "there is no program `no-such-program` in /usr/local/bin, /usr/bin, /bin");
        // What is there is told to nobody who was not granted it.
        let error = judged(&["exec=env"], "no-such-program").unwrap_err();
        assert!(matches!(error, ProgramError::NotGranted(_)), "{error}");
    }

    #[test]
    fn a_set_opens_its_programs_and_no_others() {
        assert_eq!(judged(&["exec=coreutils"], "cat").unwrap(), real("/usr/bin/cat"));
        for program in ["env", "git", "coreutils"] {
            let error = judged(&["exec=coreutils"], program).unwrap_err();
            assert_eq!(error.missing(), Some(format!("exec={program}")), "{error}");
        }
        let Programs::Only(files) = granted(&permissions(&["exec=coreutils"]), &[]) else {
            panic!("not all were granted")
        };
        assert!(files.len() > 40 && files.contains(&real("/usr/bin/sort")), "{files:?}");
        assert!(!files.contains(&real("/usr/bin/env")), "{files:?}");
    }

    #[test]
    fn one_file_with_two_names_is_two_programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().canonicalize().unwrap().join(name).display().to_string();
        fs::copy("/usr/bin/env", path("many")).unwrap();
        for name in ["one", "other"] {
            symlink("many", path(name)).unwrap();
        }
        let grant = format!("exec={}", path("one"));
        assert_eq!(judged(&[&grant], &path("one")).unwrap().display().to_string(), path("many"));
        for name in ["other", "many"] {
            assert_eq!(judged(&[&grant], &path(name)).unwrap_err().missing(), Some(format!("exec={}", path(name))));
        }
        // Every program is every program of the system.
        let error = judged(&["exec"], &path("one")).unwrap_err();
        assert!(matches!(error, ProgramError::Elsewhere { .. }), "{error}");
    }

    #[test]
    fn what_the_plugin_can_change_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let program = path.join("program").display().to_string();
        fs::copy("/usr/bin/env", &program).unwrap();
        let grants = permissions(&[&format!("exec={program}")]);
        for (writable, allowed) in [(false, true), (true, false)] {
            let directories = [Directory { path: path.clone(), writable }];
            assert_eq!(judge(&grants, &directories, &program).is_ok(), allowed);
            let Programs::Only(files) = granted(&grants, &directories) else { panic!("not all were granted") };
            assert_eq!(files.contains(&PathBuf::from(&program)), allowed, "{files:?}");
        }
    }

    #[test]
    fn a_script_needs_what_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script").display().to_string();
        fs::write(&script, "#! /bin/sh -e\necho hello\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let grant = format!("exec={script}");
        let error = judged(&[&grant], &script).unwrap_err();
        assert_eq!(error.missing().as_deref(), Some("exec=/bin/sh"), "{error}");
        judged(&[&grant, "exec=sh"], &script).unwrap();
    }

    #[test]
    fn what_loads_a_program_is_let_run_as_well() {
        let Programs::Only(files) = granted(&permissions(&["exec=env", "exec=none", "task_read"]), &[]) else {
            panic!("not all were granted")
        };
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(names.contains(&"env") && names.iter().any(|name| name.starts_with("ld-")), "{names:?}");
        assert_eq!(granted(&permissions(&["exec=env", "exec"]), &[]), Programs::All);
        assert_eq!(granted(&[], &[]), Programs::Only(Vec::new()));
    }
}

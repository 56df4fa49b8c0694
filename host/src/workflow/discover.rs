//! Finds the workflow that was asked for: the project file, a file by path, or one by name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::WorkflowError;
use super::file::{FILE_MAX, Workflow, parse};

/// The project file; the first that exists counts.
const PROJECT_FILES: [&str; 3] = ["migraine.yml", "migraine.yaml", "migraine.json"];
/// The folder of named workflows.
const FOLDER: &str = "workflows";

/// A workflow with where it comes from.
#[derive(Debug)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What it says; the name is never empty.
    pub workflow: Workflow,
    /// Files that were passed over, and why.
    pub warnings: Vec<String>,
}

/// Finds a workflow below a folder: without a name the project file, which must have a name of its own; else a file by
/// its path, or the first workflow of that name or file stem in `workflows/` and then in the folder itself.
///
/// # Errors
/// Nothing is found, or what is found cannot be read.
pub fn discover(folder: &Path, wanted: Option<&str>) -> Result<Found, WorkflowError> {
    match wanted {
        None => project_file(folder),
        Some(wanted) if is_path(wanted) => {
            let path = folder.join(wanted);
            let workflow = load(&path)?;
            Ok(Found { path, workflow, warnings: Vec::new() })
        }
        Some(wanted) => named(folder, wanted),
    }
}

fn is_path(wanted: &str) -> bool {
    wanted.contains('/') || [".yml", ".yaml", ".json"].iter().any(|ending| wanted.ends_with(ending))
}

fn project_file(folder: &Path) -> Result<Found, WorkflowError> {
    let Some(path) = PROJECT_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
        let known = Search::new(folder).names();
        return Err(WorkflowError::NotFound { wanted: None, folder: folder.to_owned(), known });
    };
    let workflow = parse(&path, &read_text(&path)?)?;
    if workflow.name.trim().is_empty() {
        let reason = "a project file needs a `name`".to_owned();
        return Err(WorkflowError::Invalid { path, line: 0, column: 0, reason });
    }
    Ok(Found { path, workflow, warnings: Vec::new() })
}

fn named(folder: &Path, wanted: &str) -> Result<Found, WorkflowError> {
    let search = Search::new(folder);
    let mut warnings = Vec::new();
    for path in &search.files {
        let stem_matches = stem(path) == Some(wanted);
        match load(path) {
            Ok(workflow) if stem_matches || workflow.name == wanted => {
                return Ok(Found { path: path.clone(), workflow, warnings });
            }
            Ok(_) => {}
            // What is wrong with the file that is meant is the answer, not that there is no such workflow.
            Err(error) if stem_matches => return Err(error),
            Err(error) if search.is_workflow_file(path) => warnings.push(format!("passed over: {error}")),
            Err(_) => {}
        }
    }
    let known = search.names();
    Err(WorkflowError::NotFound { wanted: Some(wanted.to_owned()), folder: folder.to_owned(), known })
}

/// The files that may be workflows, in the order in which they are tried.
struct Search {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Search {
    fn new(folder: &Path) -> Self {
        let mut files = list(&folder.join(FOLDER), &["yml", "yaml", "json"]);
        // JSON files of a project's root belong to other tools, but for the project file.
        files.extend(list(folder, &["yml", "yaml"]));
        files.extend(Some(folder.join("migraine.json")).filter(|path| path.is_file()));
        Self { folder: folder.to_owned(), files }
    }

    /// Whether a file lies where only workflows lie; a root folder has YAML files of other tools.
    fn is_workflow_file(&self, path: &Path) -> bool {
        path.parent() == Some(&self.folder.join(FOLDER))
    }

    /// The names of all workflows with something to run.
    fn names(&self) -> Vec<String> {
        let loaded = self.files.iter().filter_map(|path| load(path).ok());
        loaded
            .filter(|workflow| !workflow.is_empty())
            .map(|workflow| workflow.name)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

fn list(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let fits = |path: &PathBuf| {
        path.extension().and_then(OsStr::to_str).is_some_and(|ending| endings.contains(&ending)) && path.is_file()
    };
    let mut files: Vec<PathBuf> = entries.filter(fits).collect();
    files.sort();
    files
}

/// Reads a workflow; one without a name is called like its file.
fn load(path: &Path) -> Result<Workflow, WorkflowError> {
    let mut workflow = parse(path, &read_text(path)?)?;
    if workflow.name.trim().is_empty() {
        stem(path).unwrap_or("workflow").clone_into(&mut workflow.name);
    }
    Ok(workflow)
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem().and_then(OsStr::to_str)
}

/// Reads a text of at most [`FILE_MAX`] bytes from a regular file.
pub(super) fn read_text(path: &Path) -> Result<String, WorkflowError> {
    let failed = |source: io::Error| WorkflowError::Io { path: path.to_owned(), source };
    // Asked before opening: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    let invalid = |reason: String| WorkflowError::Invalid { path: path.to_owned(), line: 0, column: 0, reason };
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(invalid(format!("it is larger than {FILE_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn check(folder: &Path, wanted: Option<&str>, expected: Result<(&str, &str), &str>) {
        match (discover(folder, wanted), expected) {
            (Ok(found), Ok((path, name))) => {
                assert_eq!((found.path, found.workflow.name.as_str()), (folder.join(path), name), "{wanted:?}");
            }
            (Err(error), Err(part)) => {
                let told = format!("{error} / {}", crate::code::Coded::help(&error).unwrap_or_default());
                assert!(told.contains(part), "{wanted:?}: {told}");
            }
            (found, expected) => panic!("{wanted:?}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn workflows_are_found_by_name_stem_and_path() {
        let step = "steps: [{command: ls}]";
        let folder = project(&[
            ("migraine.yaml", "name: main\nsteps: [{command: a}]"),
            ("workflows/one.yaml", &format!("name: first\n{step}")),
            ("workflows/two.yml", step),
            ("workflows/broken.yaml", "name: [\n"),
            ("workflows/three.json", r#"{"steps": [{"command": "ls"}]}"#),
            ("root.yaml", &format!("name: at root\n{step}")),
            ("docker-compose.yml", "services: {}"),
            ("package.json", "{}"),
        ]);
        let at = folder.path();
        check(at, None, Ok(("migraine.yaml", "main")));
        check(at, Some("first"), Ok(("workflows/one.yaml", "first")));
        check(at, Some("one"), Ok(("workflows/one.yaml", "first")));
        check(at, Some("two"), Ok(("workflows/two.yml", "two")));
        check(at, Some("three"), Ok(("workflows/three.json", "three")));
        check(at, Some("at root"), Ok(("root.yaml", "at root")));
        check(at, Some("./workflows/two.yml"), Ok(("./workflows/two.yml", "two")));
        check(at, Some("broken"), Err("broken.yaml:2:1"));
        check(at, Some("absent"), Err("there are: `at root`, `first`, `main`, `three`, `two`"));
        check(at, Some("workflows/absent.yaml"), Err("cannot read"));
        assert_eq!(discover(at, Some("two")).unwrap().warnings.len(), 1);
    }

    #[test]
    fn the_project_file_is_the_first_of_three_and_has_a_name() {
        let folder = project(&[]);
        check(folder.path(), None, Err("there is no migraine.yml, migraine.yaml or migraine.json"));
        for (name, text) in
            [("migraine.json", r#"{"name": "j"}"#), ("migraine.yaml", "name: a"), ("migraine.yml", "name: b")]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
            assert_eq!(discover(folder.path(), None).unwrap().path, folder.path().join(name));
        }
        std::fs::write(folder.path().join("migraine.yml"), "steps:\n").unwrap();
        check(folder.path(), None, Err("needs a `name`"));
    }

    #[test]
    fn odd_files_are_refused() {
        let folder = project(&[]);
        let big = folder.path().join("workflows/big.yaml");
        std::fs::write(&big, vec![b'#'; usize::try_from(FILE_MAX).unwrap() + 1]).unwrap();
        check(folder.path(), Some("big"), Err("larger than"));
        std::fs::write(&big, [0xff, 0xfe]).unwrap();
        check(folder.path(), Some("big"), Err("not UTF-8"));
        std::fs::create_dir(folder.path().join("dir.yaml")).unwrap();
        check(folder.path(), Some("dir.yaml"), Err("not a regular file"));
    }
}

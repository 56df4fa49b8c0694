//! The one env file of a workflow: `KEY=VALUE` lines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::discover::read_text;
use super::error::WorkflowError;

/// The first that exists of `env/<id>.env`, `.env`, `env/.env` and `<id>.env` below a folder. An id that is not a plain
/// file name cannot lead out of the folder: its files are left out.
#[must_use]
pub fn find(folder: &Path, id: &str) -> Option<PathBuf> {
    let plain = !id.is_empty() && id != ".." && !id.contains(['/', '\0']);
    let own = |name: String| plain.then(|| folder.join(name));
    let candidates = [
        own(format!("env/{id}.env")),
        Some(folder.join(".env")),
        Some(folder.join("env/.env")),
        own(format!("{id}.env")),
    ];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// Reads an env file.
///
/// # Errors
/// It cannot be read, is larger than a workflow file may be or is not UTF-8.
pub fn read(path: &Path) -> Result<BTreeMap<String, String>, WorkflowError> {
    Ok(parse(&read_text(path)?))
}

/// `KEY=VALUE` lines; `#` starts a comment line; spaces and quotes around a value are dropped; nothing is expanded. A
/// line without `=` says nothing. The last of two equal keys counts.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .filter(|(key, _)| !key.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_existing_files_have_them() {
        let text = "# c\n A = 1 \nB=\"two words\"\nC='x'\nD=a=b\nE=\nnonsense\n=x\nexport F=1\nG=\"'mix'\"\nA=2\r\n";
        let found = parse(text);
        let pairs: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let expected =
            [("A", "2"), ("B", "two words"), ("C", "x"), ("D", "a=b"), ("E", ""), ("G", "mix"), ("export F", "1")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn the_first_file_of_four_counts_and_none_lies_outside() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("project");
        std::fs::create_dir_all(inside.join("env")).unwrap();
        assert_eq!(find(&inside, "w"), None);
        for name in ["w.env", "env/.env", ".env", "env/w.env"] {
            std::fs::write(inside.join(name), "A=1").unwrap();
            assert_eq!(find(&inside, "w"), Some(inside.join(name)));
        }
        std::fs::write(folder.path().join("x.env"), "A=1").unwrap();
        assert_eq!(find(&inside, "../x"), Some(inside.join(".env")));
    }
}

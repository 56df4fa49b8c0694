//! The time that a package says it was made at: one that does not change from run to run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// Where neither the environment nor git knows better: the first day that every archive format can hold.
const FALLBACK: &str = "1980-01-01T00:00:00Z";

/// A time and where it was taken from.
#[derive(Debug)]
pub(super) struct Created {
    /// RFC 3339, UTC, whole seconds.
    pub(super) text: String,
    pub(super) origin: &'static str,
}

/// The time for the crate in a folder.
///
/// # Errors
/// `SOURCE_DATE_EPOCH` is set and is no number of seconds: a wrong wish must not pass silently.
pub(super) fn of(folder: &Path) -> Result<Created> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        let text = from_epoch(&epoch).with_context(|| format!("SOURCE_DATE_EPOCH=`{epoch}` is no time"))?;
        return Ok(Created { text, origin: "SOURCE_DATE_EPOCH" });
    }
    Ok(match last_commit(folder).and_then(|seconds| from_epoch(&seconds)) {
        Some(text) => Created { text, origin: "the last commit that touched the crate" },
        None => Created { text: FALLBACK.to_owned(), origin: "fixed, since git knows no commit of the crate" },
    })
}

fn from_epoch(seconds: &str) -> Option<String> {
    let text = jiff::Timestamp::from_second(seconds.trim().parse().ok()?).ok()?.to_string();
    // Four digits for the year: what an index can hold.
    (text.len() == FALLBACK.len()).then_some(text)
}

fn last_commit(folder: &Path) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["log", "-1", "--format=%ct", "--", "."]);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_become_times() {
        let check = |seconds: &str, expected: Option<&str>| {
            assert_eq!(from_epoch(seconds).as_deref(), expected, "{seconds}");
        };
        check("0", Some("1970-01-01T00:00:00Z"));
        check("1767323045\n", Some("2026-01-02T03:04:05Z"));
        check("", None);
        check("soon", None);
        check("1.5", None);
        check("253402300800", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn a_folder_that_git_does_not_know_gets_the_fixed_time() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(last_commit(folder.path()).and_then(|seconds| from_epoch(&seconds)), None);
    }
}

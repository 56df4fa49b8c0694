//! The commands of the quickstart and what each must answer.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Result, bail};
use migraine_host::trust::PublicKey;

use super::place::Place;
use crate::cmd;

/// One command.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) argv: Vec<String>,
    /// Where it runs, when not in the root of the clone.
    pub(super) folder: Option<PathBuf>,
    /// The exit code it must end with.
    pub(super) code: i32,
    /// What its output must hold.
    wants: &'static [&'static str],
}

impl Step {
    /// A command in words that are parted by blanks, which must succeed.
    fn new(title: &'static str, line: &str) -> Self {
        let argv = line.split(' ').map(str::to_owned).collect();
        Self { title, argv, folder: None, code: 0, wants: &[] }
    }

    fn wants(mut self, wants: &'static [&'static str]) -> Self {
        self.wants = wants;
        self
    }

    fn arg(mut self, word: impl Into<String>) -> Self {
        self.argv.push(word.into());
        self
    }

    fn path(self, place: &Place, path: &Path) -> Self {
        let path = place.short(path).display().to_string();
        self.arg(path)
    }

    /// The command as it would be typed.
    pub(super) fn typed(&self) -> String {
        let (program, arguments) = self.argv.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        cmd::typed(Command::new(program).args(arguments))
    }

    /// Whether it went as it should.
    pub(super) fn judge(&self, status: ExitStatus, output: &str) -> Result<()> {
        if status.code() != Some(self.code) {
            bail!("it ended with {}, expected was exit code {}", cmd::ending(status), self.code);
        }
        match self.wants.iter().find(|wanted| !output.contains(**wanted)) {
            Some(missing) => bail!("`{missing}` is missing in its output"),
            None => Ok(()),
        }
    }
}

/// Programs and packages. The developer's profile is enough to show everything, and shares its build with the tests;
/// the release profile would cost minutes for nothing that can be seen here.
pub(super) fn making() -> [Step; 3] {
    let package = "Build a plugin, sign it and package it";
    [
        Step::new("Build migraine", "cargo build --package migraine-host --bin migraine"),
        Step::new(package, "cargo xtask package-plugin hello-world").wants(&["hello-world-1.0.0.mgp"]),
        Step::new(package, "cargo xtask package-plugin step-timer").wants(&[".mgp", "libstep_timer.so.sig"]),
    ]
}

/// What a user does with them.
pub(super) fn using(place: &Place, key: &PublicKey) -> Vec<Step> {
    let library = place.plugins.join("libhello_world.so");
    let package = place.plugins.join("step-timer-1.0.0.mgp");
    let build_folder = place.folder.join("build").display().to_string();
    let trust = format!("migraine key trust {key} --scope hello-world --scope step-timer");
    let mut workflow = Step::new("A real workflow, with both plugins active", "migraine run build-and-test -v")
        .arg(format!("target_dir={build_folder}"))
        .wants(&["step-timer: ", " took "]);
    workflow.folder = Some(place.root.join("examples/workflows"));
    vec![
        Step::new("Nothing is trusted by itself: name the key and what it may sign", &trust),
        Step::new("Install a library with its signature beside it", "migraine plugin install")
            .path(place, &library)
            .wants(&["hello-world"]),
        Step::new("Install a package, and grant what it asks for", "migraine plugin install --yes")
            .path(place, &package)
            .wants(&["step-timer"]),
        Step::new("What is installed", "migraine plugin list").wants(&["hello-world", "step-timer", "enabled"]),
        Step::new("Commands of a plugin, in its sandbox", "migraine plugin run hello-world hello")
            .wants(&["Hello, World!"]),
        Step::new("With an argument", "migraine plugin run hello-world greet Marathon")
            .wants(&["Hello, Marathon! Greetings from the hello-world plugin."]),
        workflow,
        Step::new("What the hooks have seen", "migraine plugin run step-timer report").wants(&["cargo"]),
    ]
}

/// A copy that is not what was signed.
pub(super) fn refused(place: &Place, copy: &Path) -> Step {
    let mut step = Step::new("A library that was changed after it was signed", "migraine plugin install")
        .path(place, copy)
        .wants(&["libhello_world.so"]);
    step.code = 6;
    step
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_step_is_judged_by_code_and_output() {
        let mut step = Step::new("t", "a b").arg("c d").wants(&["one", "two"]);
        assert_eq!(step.typed(), "a b 'c d'");
        let code = |code: i32| ExitStatus::from_raw(code << 8);
        step.judge(code(0), "two one").unwrap();
        assert!(step.judge(code(0), "two").unwrap_err().to_string().contains("`one`"));
        assert!(step.judge(code(1), "two one").unwrap_err().to_string().contains("exit code 1"));
        step.code = 6;
        step.judge(code(6), "one two").unwrap();
        step.judge(code(0), "one two").unwrap_err();
        assert!(step.judge(ExitStatus::from_raw(9), "").unwrap_err().to_string().contains("signal 9"));
    }
}

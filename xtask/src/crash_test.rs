//! `cargo xtask crash-test`: stops every change of the store half-way, in every way, and more often than the test command does.

use std::process::Command;

use anyhow::{Result, bail};

use crate::flags::CrashTest;
use crate::project::Project;
use crate::{cmd, ui};

/// How often several processes change one plugin at once.
const TOGETHER_ROUNDS: u32 = 200;

/// Runs the suite with everything in it.
///
/// # Errors
/// Something did not hold.
pub(crate) fn run(project: &Project, flags: &CrashTest) -> Result<()> {
    let mut crash = suite(project, "crash");
    crash.env("MIGRAINE_CRASH_FULL", "1").env("MIGRAINE_CRASH_ROUNDS", flags.random.to_string());
    if let Some(only) = &flags.only {
        crash.env("MIGRAINE_CRASH_ONLY", only);
    }
    if flags.bless {
        crash.env("MIGRAINE_CRASH_BLESS", "1");
    }
    let mut together = suite(project, "e2e");
    together.arg("a149_").env("MIGRAINE_TOGETHER_ROUNDS", TOGETHER_ROUNDS.to_string());
    let is_whole = flags.only.is_none() && !flags.bless;
    let mut ended = Vec::new();
    for command in std::iter::once(crash).chain(is_whole.then_some(together)) {
        ui::say(format!("$ {}", cmd::typed(&command)));
        let (status, _) = cmd::tee(command)?;
        ended.extend((!status.success()).then(|| cmd::ending(status)));
    }
    if !ended.is_empty() {
        bail!("the crash tests ended with {}", ended.join(", then "));
    }
    Ok(())
}

fn suite(project: &Project, name: &str) -> Command {
    let mut command = cmd::cargo();
    command.args(["test", "--locked", "--no-fail-fast", "--package", "migraine-tests", "--test", name]);
    command.current_dir(&project.root);
    command
}

//! `cargo xtask crash-test`: stops every change of the store half-way, in every way, and more often than the test command does.

use anyhow::{Result, bail};

use crate::flags::CrashTest;
use crate::project::Project;
use crate::{cmd, ui};

/// Runs the suite with everything in it.
///
/// # Errors
/// Something did not hold.
pub(crate) fn run(project: &Project, flags: &CrashTest) -> Result<()> {
    let mut command = cmd::cargo();
    command.args(["test", "--locked", "--no-fail-fast", "--package", "migraine-tests", "--test", "crash"]);
    command.current_dir(&project.root).env("MIGRAINE_CRASH_FULL", "1");
    command.env("MIGRAINE_CRASH_ROUNDS", flags.random.to_string());
    if let Some(only) = &flags.only {
        command.env("MIGRAINE_CRASH_ONLY", only);
    }
    if flags.bless {
        command.env("MIGRAINE_CRASH_BLESS", "1");
    }
    ui::say(format!("$ {}", cmd::typed(&command)));
    let (status, _) = cmd::tee(command)?;
    if !status.success() {
        bail!("the crash tests ended with {}", cmd::ending(status));
    }
    Ok(())
}

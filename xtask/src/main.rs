//! Development verbs: `cargo xtask VERB`.
#![forbid(unsafe_code)]

mod attacks;
mod bench;
mod cmd;
mod crash_test;
mod flags;
mod fuzz;
mod package_plugin;
mod project;
mod quickstart;
mod testing;
mod tidy;
mod ui;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use flags::{Flags, Verb};
use project::Project;

fn main() -> ExitCode {
    // The benches start sandboxes: this program is then their launcher, and the other end of a bare pipe.
    migraine_host::worker::enter();
    if std::env::args().nth(1).is_some_and(|first| first == bench::sandbox::ECHO) {
        return bench::sandbox::echo(std::env::args().skip(2)).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::warn(format!("error: {}", ui::chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<()> {
    let project = Project::here()?;
    match &flags.verb {
        Verb::Tidy => tidy::run(&project.root),
        Verb::PackagePlugin(flags) => package_plugin::run(&project, flags),
        Verb::Quickstart => quickstart::run(&project),
        Verb::Test(flags) => testing::run(&project, flags),
        Verb::Bench(flags) => bench::run(&project, flags),
        Verb::Attacks(flags) => attacks::run(&project, flags),
        Verb::CrashTest(flags) => crash_test::run(&project, flags),
        Verb::Fuzz(flags) => fuzz::run(&project, flags),
    }
}

//! `cargo xtask fuzz`: builds the targets of tests/fuzz and runs them. They are built by cargo alone, with the compiler's
//! instrumentation for coverage, which stable compilers have but do not offer: `RUSTC_BOOTSTRAP` unlocks it for this one
//! build. Addresses are checked on demand: the readers themselves hold no unsafe code, and the build takes twice as long.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::flags::Fuzz;
use crate::project::Project;
use crate::{cmd, ui};

/// Below the root: the crate, and in it a folder of seeds for each target.
const CRATE: &str = "tests/fuzz";
/// Below the target folder: the build, what was found to reach new code, and what failed.
const BUILD: &str = "fuzz";
/// How long each target runs in a smoke.
const SMOKE_SECONDS: u64 = 5;
/// The largest input in bytes.
const INPUT_MAX: u32 = 16 << 10;
/// What a target may take before it is a finding, in MiB: inputs are small, and so must be what is made of them.
const MEMORY_MAX: u32 = 1024;
/// How long one input may take before it is a finding, in seconds.
const INPUT_SECONDS: u32 = 10;

/// As cargo-fuzz has them: counters for each edge, compared values.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// Addresses are checked, and what is lost is found.
const ADDRESSES: &str = "-Zsanitizer=address";

/// Runs one target, or all of them one after the other.
pub(crate) fn run(project: &Project, flags: &Fuzz) -> Result<()> {
    run_built(project, flags, "fuzz")
}

/// Every target for a few seconds, built in the quickest way.
pub(crate) fn smoke(project: &Project) -> Result<()> {
    run_built(project, &Fuzz { target: None, seconds: SMOKE_SECONDS, asan: false }, "release")
}

fn run_built(project: &Project, flags: &Fuzz, profile: &str) -> Result<()> {
    let targets = targets(&project.root)?;
    let chosen: Vec<&str> = match &flags.target {
        None => targets.iter().map(String::as_str).collect(),
        Some(name) if targets.contains(name) => vec![name.as_str()],
        Some(name) => bail!("no target is named `{name}`; there are {}", targets.join(", ")),
    };
    let programs = build(project, profile, flags.asan)?;
    let mut executions = Vec::new();
    let mut failed = Vec::new();
    for name in chosen {
        match fuzz(project, &programs, name, flags.seconds) {
            Ok(count) => executions.push(format!("{count:>12} executions  {name}")),
            Err(error) => {
                ui::warn(format!("error: {}", ui::chain(&error)));
                failed.push(name);
            }
        }
    }
    ui::say(format!("\n== fuzz targets, {} s each\n{}", flags.seconds, executions.join("\n")));
    if failed.is_empty() { Ok(()) } else { bail!("findings in {}", failed.join(", ")) }
}

/// The names of the targets: the files that hold them.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(CRATE).join("targets");
    let listing = fs::read_dir(&folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let names = listing.map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Builds all targets with a profile of the crate and gives the folder of their programs.
fn build(project: &Project, profile: &str, asan: bool) -> Result<PathBuf> {
    let machine = machine()?;
    let folder = project.target.join(BUILD).join(if asan { "asan" } else { "plain" });
    let flags: Vec<&str> = FLAGS.into_iter().chain(asan.then_some(ADDRESSES)).collect();
    let mut command = cmd::cargo();
    command.args(["build", "--profile", profile, "--locked", "--bins", "--manifest-path"]);
    command.arg(project.root.join(CRATE).join("Cargo.toml"));
    // With a target named, build scripts and macros are built without the instrumentation.
    command.args(["--target", &machine, "--target-dir"]).arg(&folder);
    // Two compilers' checks of addresses do not fit together: what is in C goes without.
    command.env("CFLAGS", "-fno-sanitize=address");
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    ui::say(format!("$ RUSTC_BOOTSTRAP=1 {}", cmd::typed(&command)));
    cmd::run(&mut command)?;
    Ok(folder.join(machine).join(profile))
}

/// The machine that the compiler runs on.
fn machine() -> Result<String> {
    let version = cmd::capture(Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its machine")?.to_owned())
}

/// Runs a target and gives the number of executions.
fn fuzz(project: &Project, programs: &Path, name: &str, seconds: u64) -> Result<u64> {
    let kept = project.target.join(BUILD);
    let (found, findings) = (kept.join("corpus").join(name), kept.join("artifacts").join(name));
    for folder in [&found, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    }
    let mut command = Command::new(programs.join(name));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={INPUT_MAX}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MAX}")).arg(format!("-timeout={INPUT_SECONDS}"));
    command.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", findings.display()));
    // What is found goes into the first folder; the seeds that are checked in are only read.
    command.arg(&found).arg(project.root.join(CRATE).join("corpus").join(name));
    ui::say(format!("$ {}", cmd::typed(&command)));
    let log = kept.join(format!("{name}.log"));
    let file = fs::File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
    let status =
        command.stdout(file.try_clone()?).stderr(file).status().with_context(|| format!("cannot run {name}"))?;
    let text = fs::read(&log)?;
    let text = String::from_utf8_lossy(&text);
    if !status.success() {
        let last: Vec<&str> = text.lines().rev().take(40).collect();
        last.iter().rev().for_each(ui::say);
        bail!(
            "{name} ended with {}; what it was given lies in `{}`, and `{}` FILE shows it again",
            cmd::ending(status),
            findings.display(),
            programs.join(name).display()
        );
    }
    executions(&text).with_context(|| format!("{name} does not say how often it ran, see `{}`", log.display()))
}

/// The number of executions in libFuzzer's closing lines.
fn executions(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    line.trim().parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_has_seeds() {
        let project = Project::here().unwrap();
        let manifest = fs::read_to_string(project.root.join(CRATE).join("Cargo.toml")).unwrap();
        let targets = targets(&project.root).unwrap();
        assert!(targets.len() >= 6, "{targets:?}");
        for name in targets {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name} is in no [[bin]]");
            let seeds = fs::read_dir(project.root.join(CRATE).join("corpus").join(&name)).unwrap();
            assert!(seeds.count() > 0, "{name} has no seeds");
        }
    }

    #[test]
    fn executions_are_read() {
        assert_eq!(executions("a\nstat::number_of_executed_units: 1234\nstat::x: 1\n"), Some(1234));
        assert_eq!(executions("stat::number_of_executed_units: 0\n"), None);
        assert_eq!(executions("ERROR: libFuzzer"), None);
    }
}

//! `cargo xtask test`: every check, each also a verb of its own, so that CI runs what a developer runs.

mod needs;
mod report;
mod steps;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::flags::Test;
use crate::project::Project;
use crate::ui;
use report::Report;
use steps::Check;

/// Runs what was asked for; goes on after a failure and says at the end what failed.
pub(crate) fn run(project: &Project, flags: &Test) -> Result<()> {
    let mut report = Report::default();
    for check in select(project, flags)? {
        ui::say(format!("\n== {}", check.name()));
        let start = Instant::now();
        let mut closing = Vec::new();
        let outcome = check.run(project, &mut closing);
        if let Err(error) = &outcome {
            ui::warn(format!("error: {}", ui::chain(error)));
        }
        report.add(check.name(), outcome.is_ok(), start.elapsed(), closing);
    }
    ui::say(report.render());
    match report.failed() {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

fn select(project: &Project, flags: &Test) -> Result<Vec<Check>> {
    let plugins: Vec<String> = project.plugins().map(|package| package.name.clone()).collect();
    if flags.plugins {
        return Ok(plugins.into_iter().map(Check::Package).collect());
    }
    if let Some(name) = &flags.plugin {
        if !plugins.contains(name) {
            bail!("no example plugin is named `{name}`; there are {}", plugins.join(", "));
        }
        return Ok(vec![Check::Package(name.clone())]);
    }
    let Some(name) = &flags.suite else { return Ok(Check::ALL.to_vec()) };
    if let Some(check) = Check::named(name) {
        return Ok(vec![check]);
    }
    let suites = project.package(steps::TESTS).map(|package| package.suites()).unwrap_or_default();
    if !suites.contains(&name.as_str()) {
        let checks: Vec<String> = Check::VERBS.iter().map(Check::name).collect();
        bail!("`{name}` is no check ({}) and no suite ({})", checks.join(", "), suites.join(", "));
    }
    Ok(vec![Check::Suite(name.clone())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_what_runs() {
        let project = Project::here().unwrap();
        let names = |plugins, plugin: Option<&str>, suite: Option<&str>| {
            let flags = Test { plugins, plugin: plugin.map(str::to_owned), suite: suite.map(str::to_owned) };
            select(&project, &flags).map(|checks| checks.iter().map(Check::name).collect::<Vec<_>>())
        };
        let all = names(false, None, None).unwrap();
        assert_eq!(all, ["setup", "fmt", "tidy", "clippy", "tests", "doc", "deny", "fuzz", "quickstart"]);
        assert_eq!(names(false, None, Some("deny")).unwrap(), ["deny"]);
        assert_eq!(names(false, Some("hello-world"), None).unwrap(), ["package hello-world"]);
        assert!(names(true, None, None).unwrap().contains(&"package step-timer".to_owned()));
        assert!(names(false, Some("nothing"), None).unwrap_err().to_string().contains("hello-world"));
        assert!(names(false, None, Some("nothing")).unwrap_err().to_string().contains("clippy"));
    }
}

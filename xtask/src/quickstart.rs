//! `cargo xtask quickstart`: the whole way of a plugin, from its source to a hooked workflow, with nothing touched but
//! the target folder and cargo's own caches.

mod place;
mod steps;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use migraine_host::trust::keyring::load_secret;

use crate::cmd;
use crate::project::Project;
use crate::ui;
use place::Place;
use steps::Step;

/// Shows it all, and stops at the first thing that is not as it should be.
pub(crate) fn run(project: &Project) -> Result<()> {
    let place = Place::fresh(project)?;
    ui::say("# Everything below happens in these folders; removing them undoes it.");
    ui::say(format!("$ cd {}", project.root.display()));
    for (name, value) in place.shown() {
        ui::say(format!("$ export {name}={value}"));
    }
    for step in steps::making() {
        show(&place, &step)?;
    }
    // The key exists only now: packaging made it.
    let key = load_secret(&place.folder.join("home/developer.key"))?.open(None)?.public();
    for step in steps::using(&place, &key) {
        show(&place, &step)?;
    }
    let copy = place.folder.join("tampered/libhello_world.so");
    tamper(&place.plugins.join("libhello_world.so"), &copy)?;
    show(&place, &steps::refused(&place, &copy))?;
    ui::say("\nquickstart: everything went as it should");
    Ok(())
}

/// Says what comes, runs it and compares.
fn show(place: &Place, step: &Step) -> Result<()> {
    ui::say(format!("\n# {}", step.title));
    if let Some(folder) = &step.folder {
        ui::say(format!("$ cd {}", folder.display()));
    }
    let command = place.command(step);
    ui::say(format!("$ {}", step.typed()));
    let (status, output) = cmd::tee(command)?;
    if step.code != 0 && status.code() == Some(step.code) {
        ui::say(format!("# exit code {}, as it should be", step.code));
    }
    step.judge(status, &output).with_context(|| format!("quickstart stopped at `{}`", step.typed()))
}

/// Copies a library and its signature, with one bit of the library flipped.
fn tamper(from: &Path, to: &Path) -> Result<()> {
    let mut bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    if bytes.is_empty() {
        bail!("`{}` is empty", from.display());
    }
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::create_dir_all(to.parent().context("the copy has no folder")?)?;
    fs::write(to, bytes)?;
    fs::copy(from.with_extension("so.sig"), to.with_extension("so.sig"))?;
    ui::say(format!("\n# Byte {middle} of a copy in {} is changed.", to.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tampered_copy_differs_in_one_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("libx.so"), folder.path().join("copy/libx.so"));
        fs::write(&from, [7; 100]).unwrap();
        fs::write(folder.path().join("libx.so.sig"), "signature").unwrap();
        tamper(&from, &to).unwrap();
        let copy = fs::read(&to).unwrap();
        assert_eq!(copy.iter().map(|byte| (byte ^ 7).count_ones()).sum::<u32>(), 1);
        assert_eq!(fs::read_to_string(folder.path().join("copy/libx.so.sig")).unwrap(), "signature");
    }
}

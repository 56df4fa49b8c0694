//! What is looked at before the code: manifest, policy, dependencies, permissions.

use std::collections::BTreeMap;

use migraine_plugin_api::Manifest;

use crate::code::Code;
use crate::package::Index;
use crate::package::dependency::Need;
use crate::package::scan::{Finding, Rule, Severity};
use crate::policy::{Item, Policy, Request, asks, resolve};
use crate::store::State;

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) index: &'a Index,
    /// The bytes of its file; nothing for what is installed.
    pub(super) size: Option<u64>,
}

/// What all stages found, in their order.
pub(super) fn checks(subject: &Subject<'_>, state: &State, policy: &Policy) -> Vec<Finding> {
    let mut found = manifest(subject.manifest);
    found.extend(by_policy(subject, policy));
    found.extend(dependencies(subject.index, state));
    found.extend(permissions(subject.manifest, policy));
    found
}

/// What an installation would refuse, with its code.
pub(super) fn refused(what: &str, code: Code, why: &str) -> Finding {
    let lines: Vec<&str> = why.lines().map(str::trim).collect();
    finding(what, Rule::Refused, Severity::Error, format!("[{code}] {}", lines.join(" ")))
}

fn finding(place: &str, rule: Rule, severity: Severity, message: String) -> Finding {
    Finding { file: place.to_owned(), line: 0, rule, severity, message }
}

fn manifest(manifest: &Manifest) -> Vec<Finding> {
    let add = |severity, message: &str| finding("manifest", Rule::Manifest, severity, message.to_owned());
    let mut found = Vec::new();
    if manifest.commands.is_empty() && manifest.hooks.is_empty() {
        found.push(add(Severity::Warning, "it answers no command and no hook"));
    }
    for (text, what) in [(&manifest.description, "description"), (&manifest.license, "license")] {
        if text.trim().is_empty() {
            found.push(add(Severity::Note, &format!("it has no {what}")));
        }
    }
    found
}

fn by_policy(subject: &Subject<'_>, policy: &Policy) -> Vec<Finding> {
    let Subject { manifest, index, size } = subject;
    let permissions = resolve(&manifest.permissions, &manifest.config).unwrap_or_default();
    let items = permissions.into_iter().map(|permission| policy.check_ask(&Item::Permission(permission)));
    // As an installation does: the entry is what the policy is about, and programs are what its scripts run.
    let is_beside = |path: &str, mode: u32| path != index.entry && !(index.holds_scripts() && mode == 0o755);
    let files = index.own_files().filter(|file| is_beside(&file.path, file.mode)).map(|file| file.path.as_str());
    let refusals = [size.map_or(Ok(()), |size| policy.check_size(size)), policy.check_files(files)];
    let refusals = refusals.into_iter().chain(items).filter_map(Result::err);
    refusals.map(|refusal| finding("policy", Rule::Policy, Severity::Error, refusal.to_string())).collect()
}

/// Other plugins, of either store. Programs and sockets are what its grants and `info` tell of.
fn dependencies(index: &Index, state: &State) -> Vec<Finding> {
    let message = |need: &Need| match state.find(&need.name) {
        Err(error) => Some(format!("it needs the plugin {} {}: {error}", need.name, need.range)),
        Ok(None) => Some(format!("it needs the plugin {} {}, which is not installed", need.name, need.range)),
        Ok(Some((entry, _))) if !need.range.matches(&entry.version) => {
            Some(format!("it needs the plugin {} {}, and {} is installed", need.name, need.range, entry.version))
        }
        Ok(Some(_)) => None,
    };
    let messages = index.dependencies.iter().filter_map(message);
    messages.map(|message| finding("dependencies", Rule::Dependency, Severity::Warning, message)).collect()
}

fn permissions(manifest: &Manifest, policy: &Policy) -> Vec<Finding> {
    let add = |message| finding("permissions", Rule::Permission, Severity::Warning, message);
    let permissions = match resolve(&manifest.permissions, &manifest.config) {
        Ok(permissions) => permissions,
        Err(error) => return vec![add(error.to_string())],
    };
    let request = Request {
        permissions: &permissions,
        directories: &BTreeMap::new(),
        hooks: &manifest.hooks,
        commands: &manifest.commands,
        combos: &policy.combos(),
    };
    let dangers =
        asks(&request).into_iter().filter_map(|ask| Some(format!("it wants to {}: {}", ask.words, ask.danger?)));
    dangers.map(add).collect()
}

//! Reads and checks a manifest. Every finding is reported at once.

mod scripts;

use std::collections::BTreeSet;

use migraine_plugin_api::{CommandSpec, HookSpec, Manifest, Permission};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::index::VERSION_MAX;
use super::{FileEntry, Index, MANIFEST_MAX, PackageError, TARGET, dependency, limit, yaml};
use crate::bound::BoundCommand;
use crate::ids::PluginName;

pub use scripts::{NeededFile, bytes, check_size, needed_files};

/// The name under which a package carries a readable copy of its manifest.
pub const FILE_NAME: &str = "plugin.json";

/// The longest text of a manifest in bytes.
const TEXT_MAX: usize = 1024;
/// The most commands, hooks, configuration keys or dependencies.
const ITEMS_MAX: usize = 256;
/// The longest pattern in bytes.
const PATTERN_MAX: usize = 1024;
/// The most memory one compiled pattern may take, in bytes.
const PATTERN_MEMORY_MAX: usize = 1 << 20;
/// The most findings that are listed.
const FINDINGS_MAX: usize = 20;

/// Reads a manifest from JSON and checks it.
///
/// # Errors
/// It is over the cap, no JSON of the manifest's shape, or [`validate`] refuses it.
pub fn parse(text: &[u8]) -> Result<Manifest, PackageError> {
    if text.len() > MANIFEST_MAX {
        return Err(limit("the manifest", "256 KiB"));
    }
    // serde_json stops at 128 levels, but not in what it passes over.
    if depth(text) > DEPTH_MAX {
        return Err(one_finding(format!("it is nested deeper than {DEPTH_MAX} levels")));
    }
    let refused = |error: serde_json::Error| one_finding(error.to_string());
    let manifest = serde_json::from_slice(text).map_err(refused)?;
    let keys: Keys = serde_json::from_slice(text).map_err(refused)?;
    checked(manifest, keys.permissions.is_some())
}

/// The most levels of lists and maps in JSON.
const DEPTH_MAX: usize = 128;

/// The most brackets that are open at once in a JSON text, those in its strings left out.
fn depth(text: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => open += 1,
            b']' | b'}' if !is_string => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// The key that makes a difference by being there.
#[derive(Deserialize)]
struct Keys {
    #[serde(default)]
    permissions: Option<IgnoredAny>,
}

/// Reads a manifest from YAML and checks it. Sections that hold nothing are as if they were absent.
///
/// # Errors
/// As [`parse`]; also YAML that says what JSON cannot.
pub fn parse_yaml(text: &[u8]) -> Result<Manifest, PackageError> {
    if text.len() > MANIFEST_MAX {
        return Err(limit("the manifest", "256 KiB"));
    }
    let text = std::str::from_utf8(text).map_err(|error| one_finding(error.to_string()))?;
    let mut value = yaml::read(text).map_err(one_finding)?;
    let mut has_permissions = false;
    if let Value::Object(fields) = &mut value {
        // A section `permissions` that holds nothing asks for nothing.
        has_permissions = fields.contains_key("permissions");
        fields.retain(|_, value| !value.is_null());
    }
    checked(serde_json::from_value(value).map_err(|error| one_finding(error.to_string()))?, has_permissions)
}

fn one_finding(finding: String) -> PackageError {
    PackageError::Manifest { findings: vec![finding] }
}

fn checked(mut manifest: Manifest, has_permissions: bool) -> Result<Manifest, PackageError> {
    scripts::fill_in(&mut manifest, has_permissions);
    manifest.permissions.sort();
    manifest.permissions.dedup();
    validate(&manifest)?;
    Ok(manifest)
}

/// Checks a manifest.
///
/// # Errors
/// All findings in one error; a reserved name alone has an error of its own.
pub fn validate(manifest: &Manifest) -> Result<(), PackageError> {
    let mut findings = Findings(Vec::new());
    let reserved = match manifest.name.parse::<PluginName>() {
        Ok(name) => name.is_reserved(),
        Err(error) => {
            findings.add(format!("name: {error}"));
            false
        }
    };
    check_texts(manifest, &mut findings);
    check_commands(&manifest.commands, &mut findings);
    findings.cap("hooks", manifest.hooks.len());
    for (at, hook) in manifest.hooks.iter().take(ITEMS_MAX).enumerate() {
        check_hook(at, hook, &manifest.commands, &mut findings);
    }
    check_config(manifest, &mut findings);
    scripts::check(manifest, &mut findings);
    let mut findings = findings.0;
    if findings.is_empty() {
        return if reserved { Err(PackageError::NameReserved { name: manifest.name.clone() }) } else { Ok(()) };
    }
    if reserved {
        findings.insert(0, format!("name: `{}` is one of the program's own words", manifest.name));
    }
    if findings.len() > FINDINGS_MAX {
        let more = findings.len() - FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        findings.push(format!("and {more} more"));
    }
    Err(PackageError::Manifest { findings })
}

/// The index that says what a manifest says.
pub(super) fn index_of(
    manifest: &Manifest,
    created: &str,
    entry: &str,
    mut files: Vec<FileEntry>,
) -> Result<Index, PackageError> {
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let index = Index {
        name: manifest.name.parse().map_err(|error: crate::ids::ParseIdError| one_finding(error.to_string()))?,
        version: manifest.version.parse().map_err(|error: semver::Error| one_finding(error.to_string()))?,
        api: manifest.api_version,
        created: created.to_owned(),
        entry: entry.to_owned(),
        target: TARGET.to_owned(),
        others: Vec::new(),
        permissions: manifest.permissions.clone(),
        dependencies: dependency::needs(&manifest.dependencies),
        files,
    };
    index.check()?;
    Ok(index)
}

/// Permissions in one line.
pub(super) fn join(permissions: &[Permission]) -> String {
    permissions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        self.0.push(finding);
    }

    fn cap(&mut self, what: &str, count: usize) {
        if count > ITEMS_MAX {
            self.add(format!("{what}: {count} are too many, at most {ITEMS_MAX} are allowed"));
        }
    }

    fn text(&mut self, what: &str, text: &str) {
        if text.len() > TEXT_MAX {
            self.add(format!("{what}: {} bytes are too many, at most {TEXT_MAX} are allowed", text.len()));
        }
    }
}

fn check_texts(manifest: &Manifest, findings: &mut Findings) {
    if manifest.version.len() > VERSION_MAX {
        findings.add(format!("version: at most {VERSION_MAX} bytes are allowed"));
    } else if let Err(error) = manifest.version.parse::<semver::Version>() {
        let version = manifest.version.escape_debug();
        findings.add(format!("version: `{version}` is not a version like 1.2.3: {error}"));
    }
    findings.text("description", &manifest.description);
    findings.text("author", &manifest.author);
    findings.text("license", &manifest.license);
    for (what, texts) in [("dependencies", &manifest.dependencies), ("install_requires", &manifest.install_requires)] {
        findings.cap(what, texts.len());
        for text in texts.iter().take(ITEMS_MAX) {
            findings.text(what, text);
        }
    }
    let dependencies = manifest.dependencies.iter().take(ITEMS_MAX).cloned().collect::<Vec<_>>();
    dependency::findings(&dependencies, &manifest.name).into_iter().for_each(|finding| findings.add(finding));
}

fn check_commands(commands: &[CommandSpec], findings: &mut Findings) {
    findings.cap("commands", commands.len());
    let mut names = BTreeSet::new();
    for command in commands.iter().take(ITEMS_MAX) {
        let shown = command.name.escape_debug();
        if !is_word(&command.name, b"-_") || command.name.len() > 63 {
            findings.add(format!(
                "commands: `{shown}` is no name; use a lower-case letter, then up to 62 lower-case letters, digits, `-`, `_`"
            ));
        } else if !names.insert(&command.name) {
            findings.add(format!("commands: `{shown}` is there twice"));
        }
        findings.text("commands: a description", &command.description);
        findings.text("commands: a usage line", &command.usage);
    }
}

fn check_hook(at: usize, hook: &HookSpec, commands: &[CommandSpec], findings: &mut Findings) {
    let event = hook.event.escape_debug();
    let scoped = hook.event.split_once(':');
    let (group, name) = scoped.map_or((None, hook.event.as_str()), |(group, name)| (Some(group), name));
    if hook.event.len() > 128 || !is_word(name, b"-_") || !group.is_none_or(|group| is_word(group, b"-_")) {
        findings.add(format!(
            "hooks[{at}]: `{event}` is no event name; it is written like pre-command or workflow:pre-deploy"
        ));
    }
    if let Some(pattern) = &hook.pattern {
        if pattern.len() > PATTERN_MAX {
            findings.add(format!("hooks[{at}]: the pattern has more than {PATTERN_MAX} bytes"));
        } else if let Err(error) = regex::RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build() {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            findings.add(format!("hooks[{at}]: the pattern `{}` is refused: {last}", pattern.escape_debug()));
        }
    }
    for (what, names) in [("before", &hook.before), ("after", &hook.after)] {
        findings.cap(what, names.len());
        for name in names.iter().take(ITEMS_MAX) {
            if let Err(error) = name.parse::<PluginName>() {
                findings.add(format!("hooks[{at}].{what}: {error}"));
            }
        }
    }
    findings.text("hooks: a handler", hook.handler.name().unwrap_or_default());
    if let Some(command) = &hook.command {
        check_bound(at, hook, command, commands, findings);
    }
}

fn check_bound(at: usize, hook: &HookSpec, command: &str, commands: &[CommandSpec], findings: &mut Findings) {
    if !hook.handler.is_empty() {
        findings.add(format!("hooks[{at}]: it has a handler and a command; only one of them can be called"));
    }
    match BoundCommand::parse(command) {
        Err(why) => {
            let shown: String = command.chars().take(80).collect();
            findings.add(format!("hooks[{at}]: the command `{}` is refused: {why}", shown.escape_debug()));
        }
        Ok(bound) if !commands.iter().any(|spec| spec.name == bound.command()) => {
            let name: String = bound.command().chars().take(80).collect();
            findings.add(format!("hooks[{at}]: the plugin has no command `{}`", name.escape_debug()));
        }
        Ok(_) => {}
    }
}

fn check_config(manifest: &Manifest, findings: &mut Findings) {
    findings.cap("config", manifest.config.len());
    for (key, value) in manifest.config.iter().take(ITEMS_MAX) {
        let shown = key.chars().take(80).collect::<String>();
        let shown = shown.escape_debug();
        let bytes_fit = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if key.len() > 64 || !key.starts_with(|first: char| first.is_ascii_alphabetic()) || !bytes_fit {
            findings.add(format!(
                "config: `{shown}` is no key; use a letter, then up to 63 letters, digits, `.`, `_`, `-`"
            ));
        }
        match value {
            Value::Array(_) | Value::Object(_) => {
                findings.add(format!(
                    "config: `{shown}` is a list or a map; only text, numbers, true, false and null are allowed"
                ));
            }
            Value::String(text) => findings.text("config: a value", text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A lower-case letter, then lower-case letters, digits and some more characters.
fn is_word(text: &str, more: &[u8]) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || more.contains(&byte))
}

#[cfg(test)]
mod tests;

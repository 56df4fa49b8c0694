//! Variables: where their values come from, and `{{name}}` in a command.
//!
//! Substitution is raw and happens in one pass: braces inside a value are not looked at again. `{{name | sh}}` puts the
//! value in as one shell word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::error::WorkflowError;
use super::file::{VariableSpec, Workflow};
use crate::secrets::{SecretError, Secrets};

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{([^}]+)\}\}").expect("the pattern is a constant"));

/// Where values come from, strongest first; `config.variables` stands between the flags and the rest.
pub struct Sources<'a> {
    /// `-v KEY=VALUE`.
    pub flags: &'a BTreeMap<String, String>,
    /// The process environment, asked only for what `env:NAME` names.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The env file; not used when the workflow takes its values from the vault.
    pub env_file: &'a BTreeMap<String, String>,
    /// Asks the user for the variable of that name, which may be a secret; `None` where nobody can answer. Not used when the
    /// workflow takes its values from the vault.
    pub ask: &'a mut dyn FnMut(&str, bool) -> Option<String>,
}

/// Variables with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
    warnings: Vec<String>,
    secrets: Secrets,
}

impl Variables {
    /// Gives values to the names in use, and to what the flags and the workflow set anyway. Missing names are asked for
    /// in alphabetical order; one that stays without a value is an error only when a command needs it.
    ///
    /// # Errors
    /// A secret whose value cannot be masked.
    pub fn resolve(
        workflow: &Workflow,
        names: &BTreeSet<String>,
        sources: &mut Sources<'_>,
    ) -> Result<Self, WorkflowError> {
        let specs = workflow.variables();
        let mut found = Self::default();
        for name in names.iter().chain(specs.keys()).chain(sources.flags.keys()).collect::<BTreeSet<_>>() {
            let spec = specs.get(name.as_str());
            let is_secret = spec.is_some_and(|spec| spec.secret);
            let from_file =
                || (!workflow.use_vault && names.contains(name)).then(|| sources.env_file.get(name).cloned());
            let value = sources.flags.get(name).cloned().or_else(|| configured(spec, sources)).or_else(|| from_file()?);
            let asks = !workflow.use_vault && names.contains(name);
            let value = value.or_else(|| if asks { (sources.ask)(name, is_secret) } else { None });
            if let Some(value) = found.apply_rules(name, spec, value) {
                found.values.insert(name.clone(), value);
            }
        }
        found.secrets = secrets(specs, &found.values)?;
        Ok(found)
    }

    fn apply_rules(&mut self, name: &str, spec: Option<&VariableSpec>, value: Option<String>) -> Option<String> {
        let mut value = value;
        for rule in spec.map(|spec| spec.rules.as_slice()).unwrap_or_default() {
            match rule.as_str() {
                // A required variable without a value is a missing one; without the rule it is the empty text.
                "required" => value = value.filter(|value| !value.trim().is_empty()),
                "slugify" => value = value.map(|value| slugify(&value)),
                _ => self.warnings.push(format!("variable `{name}`: the rule `{rule}` is not known; ignored")),
            }
        }
        value
    }

    /// All values.
    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// The values that only plugins with `user_auth` may see.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What the user should know about the settings.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A command with its placeholders replaced. `who` names the step in the error.
    ///
    /// # Errors
    /// Placeholders without a value; all of them are named.
    pub fn substitute(&self, who: &str, command: &str) -> Result<String, WorkflowError> {
        let mut missing = BTreeSet::new();
        let replaced = PLACEHOLDER.replace_all(command, |found: &Captures<'_>| match self.value_of(&found[1]) {
            Some(value) => value,
            None => {
                missing.insert(name_of(&found[1]).to_owned());
                String::new()
            }
        });
        if missing.is_empty() {
            return Ok(replaced.into_owned());
        }
        Err(WorkflowError::VariableMissing { who: who.to_owned(), names: missing.into_iter().collect() })
    }

    /// The text between the braces is a name as it stands first, so that existing files keep their meaning.
    fn value_of(&self, inside: &str) -> Option<String> {
        let plain = self.values.get(inside).or_else(|| self.values.get(inside.trim())).cloned();
        plain.or_else(|| quoted_name(inside).and_then(|name| self.values.get(name)).map(|value| shell_word(value)))
    }
}

fn secrets(
    specs: &BTreeMap<String, VariableSpec>,
    values: &BTreeMap<String, String>,
) -> Result<Secrets, WorkflowError> {
    let declared = specs.iter().filter(|(_, spec)| spec.secret).filter_map(|(name, _)| values.get_key_value(name));
    let declared: Vec<(&String, &String)> = declared.collect();
    let refused = |reason: SecretError, name: &str| WorkflowError::BadSecret { name: name.to_owned(), reason };
    for (name, value) in &declared {
        Secrets::new([value]).map_err(|reason| refused(reason, name))?;
    }
    let last = declared.last().map(|(name, _)| name.as_str()).unwrap_or_default();
    Secrets::new(declared.iter().map(|(_, value)| value)).map_err(|reason| refused(reason, last))
}

/// The variables that a command names.
pub(super) fn names_in(command: &str) -> impl Iterator<Item = String> + '_ {
    PLACEHOLDER.captures_iter(command).map(|found| {
        let (_, [inside]) = found.extract();
        name_of(inside).to_owned()
    })
}

fn name_of(inside: &str) -> &str {
    quoted_name(inside).unwrap_or(inside.trim())
}

fn quoted_name(inside: &str) -> Option<&str> {
    let (name, filter) = inside.rsplit_once('|')?;
    (filter.trim() == "sh").then_some(name.trim())
}

/// A value as one word of a POSIX shell.
fn shell_word(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn configured(spec: Option<&VariableSpec>, sources: &Sources<'_>) -> Option<String> {
    let text = spec?.value.as_ref()?;
    if let Some(name) = text.strip_prefix("args:") {
        return sources.flags.get(name).cloned();
    }
    if let Some(name) = text.strip_prefix("env:") {
        return (sources.environment)(name).filter(|value| !value.is_empty());
    }
    // A vault value is looked up by the vault, not taken for its own reference.
    if text.starts_with("vault:") { None } else { Some(text.clone()) }
}

fn slugify(value: &str) -> String {
    let lower: String = value.chars().flat_map(char::to_lowercase).collect();
    let words: Vec<_> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// Reads a `-v KEY=VALUE`.
///
/// # Errors
/// There is no `=`, or nothing before it.
pub fn parse_flag(text: &str) -> Result<(String, String), WorkflowError> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(WorkflowError::BadFlag { text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests;

//! The model of a workflow file, from YAML or JSON.
//!
//! Unknown fields are ignored, empty sections may be null, a scalar may stand where a text is wanted (`command: true`).
//! A key that appears twice anywhere in the file is an error: one of the two would silently win.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::WorkflowError;

/// The largest workflow file, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// A workflow as its file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Workflow {
    /// Its name; may be empty in the file, the finder fills it in.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// One line for lists.
    #[serde(default, deserialize_with = "text")]
    pub description: String,
    /// Run first, in order.
    #[serde(default, deserialize_with = "or_empty")]
    pub pre_checks: Vec<Step>,
    /// Run then, in order.
    #[serde(default, deserialize_with = "or_empty")]
    pub steps: Vec<Step>,
    /// Run on request or from a step's `on_success` or `on_fail`.
    #[serde(default, deserialize_with = "or_empty")]
    pub actions: BTreeMap<String, Step>,
    /// Settings.
    #[serde(default, deserialize_with = "or_empty")]
    config: Config,
    /// Whether missing variables come from the vault instead of an env file and the prompt.
    #[serde(default, deserialize_with = "or_empty")]
    pub use_vault: bool,
}

impl Workflow {
    /// The settings of variables, by name.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, VariableSpec> {
        &self.config.variables
    }

    /// Whether there is nothing to run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pre_checks.is_empty() && self.steps.is_empty() && self.actions.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Config {
    #[serde(default, deserialize_with = "or_empty")]
    variables: BTreeMap<String, VariableSpec>,
}

/// A command with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Step {
    /// Run by the shell, after substitution.
    #[serde(deserialize_with = "command")]
    pub command: String,
    /// A short name; may be empty.
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// What it does; may be empty.
    #[serde(default, deserialize_with = "text")]
    pub description: String,
    /// What to do when it failed; may be empty. See [`StepHook`].
    #[serde(default, deserialize_with = "text")]
    pub on_fail: String,
    /// What to do when it succeeded; may be empty.
    #[serde(default, deserialize_with = "text")]
    pub on_success: String,
}

impl Step {
    /// What people call it: its name, else its description, else the command's first line.
    #[must_use]
    pub fn label(&self) -> &str {
        let candidates = [self.name.trim(), self.description.trim()];
        let named = candidates.into_iter().find(|text| !text.is_empty());
        named.unwrap_or_else(|| self.command.trim().lines().next().unwrap_or_default())
    }
}

/// What a step's `on_success` or `on_fail` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepHook<'a> {
    /// Run the action of that name; the action's own hooks are not followed.
    Action(&'a str),
    /// Run this command.
    Run(&'a str),
}

impl<'a> StepHook<'a> {
    /// Reads `action:NAME` or `run:COMMAND`; an empty text asks for nothing.
    ///
    /// # Errors
    /// Any other text, which is given back.
    pub fn parse(text: &'a str) -> Result<Option<Self>, &'a str> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let action = text.strip_prefix("action:").map(|name| Self::Action(name.trim()));
        action.or_else(|| text.strip_prefix("run:").map(|command| Self::Run(command.trim()))).map(Some).ok_or(text)
    }
}

/// What `config.variables` says of one variable: a value, a list of rules, or `{value: …, rules: […], secret: true}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VariableSpec {
    /// Its value; `args:NAME` and `env:NAME` refer to one.
    pub value: Option<String>,
    /// Rules that the value has to follow; never a value themselves.
    pub rules: Vec<String>,
    /// Whether only plugins that hold `user_auth` see the value. The rule `secret` says the same.
    pub secret: bool,
}

/// Reads a workflow. The path decides between JSON (`.json`) and YAML, and is named in errors.
///
/// # Errors
/// The text is no workflow, or has a key twice; with line and column.
pub fn parse(path: &Path, text: &str) -> Result<Workflow, WorkflowError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let invalid = |line: usize, column: usize, reason: String| {
        // The place is told once, in front.
        let place = format!(" at line {line} column {column}");
        let reason = reason.replacen(&place, "", 1);
        WorkflowError::Invalid { path: path.to_owned(), line, column, reason }
    };
    if path.extension().is_some_and(|extension| extension == "json") {
        let checked = serde_json::from_str::<Unique>(text).and_then(|_| serde_json::from_str(text));
        return checked.map_err(|error| invalid(error.line(), error.column(), error.to_string()));
    }
    let checked = serde_yaml::from_str::<Unique>(text).and_then(|_| serde_yaml::from_str::<Option<Workflow>>(text));
    match checked {
        Ok(workflow) => Ok(workflow.unwrap_or_default()),
        Err(error) => {
            let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
            Err(invalid(line, column, error.to_string()))
        }
    }
}

fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    or_empty(deserializer)
}

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let command = text(deserializer)?;
    if command.trim().is_empty() { Err(D::Error::custom("a step has an empty command")) } else { Ok(command) }
}

impl<'de> Deserialize<'de> for VariableSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpecVisitor)
    }
}

struct SpecVisitor;

macro_rules! scalar_values {
    ($($method:ident $kind:ty),*) => { $(
        fn $method<E>(self, value: $kind) -> Result<VariableSpec, E> {
            Ok(VariableSpec { value: Some(value.to_string()), ..VariableSpec::default() })
        }
    )* };
}

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = VariableSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list of rules, or a map with `value`, `rules` or `secret`")
    }

    scalar_values!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_i128 i128, visit_u128 u128, visit_f64 f64);
    scalar_values!(visit_str & str);

    fn visit_none<E>(self) -> Result<VariableSpec, E> {
        Ok(VariableSpec::default())
    }

    fn visit_unit<E>(self) -> Result<VariableSpec, E> {
        Ok(VariableSpec::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<VariableSpec, A::Error> {
        let mut spec = VariableSpec::default();
        while let Some(rule) = items.next_element::<Self::Value>()? {
            match rule.value {
                Some(rule) if rule == "secret" => spec.secret = true,
                rule => spec.rules.extend(rule),
            }
        }
        Ok(spec)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VariableSpec, A::Error> {
        let mut spec = VariableSpec::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "value" => spec.value = map.next_value::<Self::Value>()?.value,
                "rules" => {
                    let rules: VariableSpec = map.next_value()?;
                    spec.secret |= rules.secret;
                    spec.rules = rules.rules;
                }
                "secret" => spec.secret |= map.next_value::<bool>()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(spec)
    }
}

/// Reads anything and refuses a key that appears twice in one map.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

macro_rules! any_scalar {
    ($($method:ident $kind:ty),*) => { $(
        fn $method<E>(self, _: $kind) -> Result<Unique, E> {
            Ok(Unique)
        }
    )* };
}

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    any_scalar!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_i128 i128, visit_u128 u128, visit_f64 f64);
    any_scalar!(visit_str & str);

    fn visit_none<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        while items.next_element::<Unique>()?.is_some() {}
        Ok(Unique)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
        let mut seen = BTreeSet::new();
        while map.next_key_seed(NewKey(&mut seen))?.is_some() {
            map.next_value::<Unique>()?;
        }
        Ok(Unique)
    }
}

/// Reads one key. The error is raised here, not after the map, so that it carries the key's own place.
struct NewKey<'a>(&'a mut BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text as key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        if self.0.insert(key.to_owned()) {
            return Ok(());
        }
        Err(E::custom(format!("the key `{}` appears twice", key.escape_debug())))
    }
}

#[cfg(test)]
mod tests;

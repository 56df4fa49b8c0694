//! `config`: the user may override exactly the keys of the manifest, with values of the same kind. A value that ends up in
//! a granted scope changes what the plugin may do, so it needs consent like the grant itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::ManageError;
use super::consent::{Asking, Consenting};
use super::enable::{entry, replace};
use crate::ids::PluginName;
use crate::package::manifest::bytes;
use crate::policy::{Policy, PolicyError, used_keys};
use crate::store::{Entry, Home};

/// A setting to make or to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Use this value instead of the manifest's.
    Set {
        /// The key.
        key: String,
        /// The value as it was typed: text for a text key, else JSON.
        value: String,
    },
    /// Use the manifest's value again.
    Unset {
        /// The key.
        key: String,
    },
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigValue {
    /// What the plugin gets.
    pub value: Value,
    /// What the manifest says.
    pub default: Value,
    /// Whether the user set it.
    pub overridden: bool,
}

/// Keys of a plugin's configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigReport {
    /// The plugin.
    pub name: PluginName,
    /// The keys that were asked for or changed.
    pub config: BTreeMap<String, ConfigValue>,
    /// Whether anything was changed.
    pub changed: bool,
}

/// Shows one key or all.
///
/// # Errors
/// There is no such plugin or key.
pub fn config_show(home: &Home, name: &PluginName, key: Option<&str>) -> Result<ConfigReport, ManageError> {
    let entry = entry(home, name)?;
    if let Some(key) = key {
        default_of(name, &entry, key)?;
    }
    Ok(report(name, &entry, key, false))
}

/// Makes or takes back a setting.
///
/// # Errors
/// There is no such plugin or key, the value is of another kind, or the plugin's grants would change without consent;
/// nothing has changed then.
pub fn config_change(
    home: &Home,
    name: &PluginName,
    change: &ConfigChange,
    consenting: &mut Consenting<'_>,
) -> Result<ConfigReport, ManageError> {
    let before = entry(home, name)?;
    let mut after = before.clone();
    let key = match change {
        ConfigChange::Set { key, value } => {
            let value = read_value(name, key, value, default_of(name, &before, key)?)?;
            after.decided.overrides.insert(key.clone(), value);
            key
        }
        ConfigChange::Unset { key } => {
            default_of(name, &before, key)?;
            after.decided.overrides.remove(key);
            key
        }
    };
    if after != before && used_keys(&before.asked).contains(key) {
        ask_again(name, &before, &mut after, change, (&home.policy()?, consenting))?;
    }
    let changed = replace(home, name, &before, after.clone())?;
    Ok(report(name, &after, Some(key), changed))
}

fn ask_again(
    name: &PluginName,
    before: &Entry,
    after: &mut Entry,
    change: &ConfigChange,
    (policy, consenting): (&Policy, &mut Consenting<'_>),
) -> Result<(), ManageError> {
    let settled = consenting.settle(&Asking::installed(name, after), Some(before), policy).map_err(|error| {
        match (change, error) {
            (
                ConfigChange::Set { key, value },
                ManageError::Policy { source: source @ PolicyError::Scope { .. }, .. },
            ) => {
                let (key, value) = (key.clone(), value.clone());
                ManageError::Value { name: name.clone(), key, value, why: source.to_string() }
            }
            (_, error) => error,
        }
    })?;
    // One that was never enabled asks when it is; here only what it has can change.
    if !settled.consent.is_complete() && before.decided.was_enabled {
        let mut command = match change {
            ConfigChange::Set { key, value } => format!("migraine plugin config {name} set {key} {}", quoted(value)),
            ConfigChange::Unset { key } => format!("migraine plugin config {name} unset {key}"),
        };
        command.push_str(&consenting.flags());
        return Err(ManageError::Consent {
            name: name.clone(),
            missing: settled.consent.missing,
            other_maker: None,
            command,
        });
    }
    settled.keep_in(after);
    Ok(())
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn default_of<'a>(name: &PluginName, entry: &'a Entry, key: &str) -> Result<&'a Value, ManageError> {
    entry.defaults.get(key).ok_or_else(|| ManageError::NoKey {
        name: name.clone(),
        key: key.to_owned(),
        known: entry.defaults.keys().cloned().collect(),
    })
}

/// The largest value in bytes.
const VALUE_MAX: usize = 64 << 10;

fn read_value(name: &PluginName, key: &str, text: &str, default: &Value) -> Result<Value, ManageError> {
    let refuse = |why: String| {
        let value = text.chars().take(80).collect();
        Err(ManageError::Value { name: name.clone(), key: key.to_owned(), value, why })
    };
    if text.len() > VALUE_MAX {
        return refuse(format!("a value has at most {VALUE_MAX} bytes"));
    }
    if let Some(size) = default.as_str() {
        // What the plugin takes for a size must stay one.
        if bytes(size).is_some() && bytes(text).is_none() {
            return refuse("it is no size; write a whole number with KB, MB or GB, such as 10MB".to_owned());
        }
        return Ok(Value::String(text.to_owned()));
    }
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(_) if default.is_null() => Value::String(text.to_owned()),
        Err(error) => return refuse(format!("{} is expected, {error}", kind(default))),
    };
    if same_kind(default, &value) {
        return Ok(value);
    }
    refuse(format!("{} is expected, this is {}", kind(default), kind(&value)))
}

/// Whether a value can stand where a manifest has the default; a default of null takes any single value.
pub(super) fn same_kind(default: &Value, value: &Value) -> bool {
    match default {
        Value::Null => !value.is_array() && !value.is_object(),
        default => kind(default) == kind(value),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn report(name: &PluginName, entry: &Entry, key: Option<&str>, changed: bool) -> ConfigReport {
    let wanted = entry.defaults.iter().filter(|(found, _)| key.is_none_or(|key| key == found.as_str()));
    let config = wanted.map(|(key, default)| {
        let own = entry.decided.overrides.get(key);
        let value = own.unwrap_or(default).clone();
        (key.clone(), ConfigValue { value, default: default.clone(), overridden: own.is_some() })
    });
    ConfigReport { name: name.clone(), config: config.collect(), changed }
}

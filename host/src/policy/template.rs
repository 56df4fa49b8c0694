//! Scopes that take a value from the plugin's configuration: `network=unix:{{config.socket}}`, and, of a value that is
//! the path of a file, its directory: `filesystem=write:{{directory config.log_file}}`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use migraine_plugin_api::{Permission, PermissionKind};
use serde_json::Value;

use super::PolicyError;
use super::directory::{Access, DirectoryScope};
use super::scope::check;

/// The permissions with every `{{config.KEY}}` filled in, sorted and without duplicates. `filesystem` without a scope
/// becomes what it asks for: directories to read and directories to change, which the user names.
///
/// # Errors
/// A key that the configuration does not have, a value that is no text, number or boolean, or a scope that is not valid
/// after filling in.
pub fn resolve(asked: &[Permission], config: &BTreeMap<String, Value>) -> Result<Vec<Permission>, PolicyError> {
    let mut resolved = Vec::new();
    for permission in asked {
        let filled = one(permission, config)?;
        let refuse = |why: String| PolicyError::Scope { permission: permission.to_string(), why };
        check(&filled).map_err(refuse)?;
        if filled.kind() == PermissionKind::Filesystem && filled.scope().is_none() {
            for access in [Access::Read, Access::Write] {
                let open = DirectoryScope { access, directory: None };
                resolved.push(open.permission().map_err(|error| refuse(error.to_string()))?);
            }
        } else {
            resolved.push(filled);
        }
    }
    resolved.sort();
    resolved.dedup();
    Ok(resolved)
}

/// The configuration keys that scopes take their values from.
#[must_use]
pub fn used_keys(asked: &[Permission]) -> BTreeSet<String> {
    asked.iter().filter_map(Permission::scope).flat_map(placeholders).filter_map(key).map(str::to_owned).collect()
}

/// Whether a scope takes a value from the configuration.
pub(super) fn has_placeholder(scope: &str) -> bool {
    next_placeholder(scope).is_some()
}

fn one(permission: &Permission, config: &BTreeMap<String, Value>) -> Result<Permission, PolicyError> {
    let refuse = |why: String| PolicyError::Scope { permission: permission.to_string(), why };
    let Some(scope) = permission.scope() else { return Ok(permission.clone()) };
    let mut filled = String::new();
    let mut rest = scope;
    while let Some((before, inner, after)) = next_placeholder(rest) {
        let key = key(inner).ok_or_else(|| refuse(format!("`{{{{{inner}}}}}` is not of the form config.KEY")))?;
        let mut value = match config.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            Some(_) => return Err(refuse(format!("the configuration key `{key}` is no single value"))),
            None => return Err(refuse(format!("there is no configuration key `{key}`"))),
        };
        if wants_directory(inner) {
            value = directory_of(&value).ok_or_else(|| refuse(format!("`{key}` is the path of no file")))?;
        }
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    if filled.is_empty() && rest == scope {
        return Ok(permission.clone());
    }
    filled.push_str(rest);
    Permission::scoped(permission.kind(), &filled).map_err(|error| refuse(error.to_string()))
}

fn placeholders(scope: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = scope;
    while let Some((_, inner, after)) = next_placeholder(rest) {
        found.push(inner);
        rest = after;
    }
    found
}

fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (inner, after) = rest.split_once("}}")?;
    Some((before, inner, after))
}

fn key(inner: &str) -> Option<&str> {
    let inner = inner.trim();
    let inner = inner.strip_prefix(DIRECTORY).map_or(inner, str::trim_start);
    inner.strip_prefix("config.").filter(|key| !key.is_empty())
}

/// The word before a key whose value is the path of a file that lies in what is meant.
const DIRECTORY: &str = "directory ";

fn wants_directory(inner: &str) -> bool {
    inner.trim_start().starts_with(DIRECTORY)
}

/// Where a file lies; a path that ends in `/`, `.` or `..` is a directory itself.
fn directory_of(file: &str) -> Option<String> {
    if file.ends_with('/') || matches!(file.rsplit('/').next(), Some("." | ".." | "~")) {
        return Some(file.to_owned());
    }
    let parent = Path::new(file).parent()?.to_str()?;
    Some(if parent.is_empty() { ".".to_owned() } else { parent.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // covers: S19, S20
    #[test]
    fn the_directory_of_a_file_is_where_it_lies() {
        let asked: Permission = "filesystem=write:{{directory config.file}}".parse().unwrap();
        assert_eq!(used_keys(std::slice::from_ref(&asked)), BTreeSet::from(["file".to_owned()]));
        for (file, directory) in [
            ("./workflow.log", "."),
            ("workflow.log", "."),
            ("logs/a.log", "logs"),
            ("/var/log/a.log", "/var/log"),
            ("~/a.log", "~"),
            ("/srv/logs/", "/srv/logs/"),
            ("..", ".."),
            (".", "."),
        ] {
            let config = BTreeMap::from([("file".to_owned(), json!(file))]);
            let found = resolve(std::slice::from_ref(&asked), &config);
            // Whether it is a directory that can be asked for is judged after it is filled in.
            if file == ".." {
                assert!(found.unwrap_err().to_string().contains("without `..`"));
                continue;
            }
            assert_eq!(found.unwrap()[0].to_string(), format!("filesystem=write:{directory}"), "{file}");
        }
        for bad in [json!(""), json!("/"), json!(null)] {
            let found = resolve(std::slice::from_ref(&asked), &BTreeMap::from([("file".to_owned(), bad.clone())]));
            // The whole file system is a directory; that nobody gets it is said elsewhere.
            assert_eq!(found.is_ok(), bad == json!("/"), "{bad}: {found:?}");
        }
    }
}

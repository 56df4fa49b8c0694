//! The seven permissions a plugin can ask for, each with an optional scope.
//!
//! One [`Permission`] is one thing that can be granted or refused: a kind, or a kind and a scope. Manifests may spell
//! several at once (`filesystem: {read: [a, b]}`); reading flattens them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PermissionKind {
    /// See workflow variables.
    TaskRead,
    /// Set variables, veto or rewrite commands, stop the hook chain.
    TaskWrite,
    /// See authentication data and vault values.
    UserAuth,
    /// Connect to named endpoints; scope `host:port` or `unix:/path`.
    Network,
    /// See or change named directories; scope `read:DIR` or `write:DIR`.
    Filesystem,
    /// See named environment variables; scope is the name.
    EnvVars,
    /// Run named programs; scope is the program.
    Exec,
}

impl PermissionKind {
    /// All kinds, in the order they are shown.
    pub const ALL: [Self; 7] =
        [Self::TaskRead, Self::TaskWrite, Self::UserAuth, Self::Network, Self::Filesystem, Self::EnvVars, Self::Exec];

    /// The name used in manifests and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskRead => "task_read",
            Self::TaskWrite => "task_write",
            Self::UserAuth => "user_auth",
            Self::Network => "network",
            Self::Filesystem => "filesystem",
            Self::EnvVars => "env_vars",
            Self::Exec => "exec",
        }
    }

    /// Whether the kind takes a scope; without one such a permission means everything and is called dangerous.
    #[must_use]
    pub fn takes_scope(self) -> bool {
        matches!(self, Self::Network | Self::Filesystem | Self::EnvVars | Self::Exec)
    }
}

impl fmt::Display for PermissionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind and, where the kind takes one, a scope. Written `kind` or `kind=scope`, for example `filesystem=read:./logs`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    kind: PermissionKind,
    scope: Option<String>,
}

/// A text or value that names no permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionError(String);

impl fmt::Display for PermissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PermissionError {}

impl Permission {
    /// A permission without a scope.
    #[must_use]
    pub fn bare(kind: PermissionKind) -> Self {
        Self { kind, scope: None }
    }

    /// A permission with a scope.
    ///
    /// # Errors
    /// The kind takes no scope, or the scope is empty, longer than 1024 bytes, has a control character or is not of the
    /// kind's form.
    pub fn scoped(kind: PermissionKind, scope: &str) -> Result<Self, PermissionError> {
        let refuse = |why: &str| Err(PermissionError(format!("{kind}={}: {why}", scope.escape_debug())));
        if !kind.takes_scope() {
            return refuse("this permission takes no scope");
        }
        if scope.is_empty() || scope.len() > 1024 || scope.chars().any(char::is_control) {
            return refuse("a scope has 1 to 1024 bytes and no control characters");
        }
        if kind == PermissionKind::Filesystem {
            match scope.split_once(':') {
                Some(("read" | "write", directory)) if !directory.is_empty() => {}
                _ => return refuse("a directory is written read:DIR or write:DIR"),
            }
        }
        if kind == PermissionKind::EnvVars && (scope.contains('=') || scope.contains(' ')) {
            return refuse("the scope is the name of one variable");
        }
        Ok(Self { kind, scope: Some(scope.to_owned()) })
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> PermissionKind {
        self.kind
    }

    /// The scope, if it has one.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether holding `self` answers a need for `wanted`: the same, or the same kind without a scope.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        self.kind == wanted.kind && (self.scope.is_none() || self.scope == wanted.scope)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            None => f.write_str(self.kind.as_str()),
            Some(scope) => write!(f, "{}={scope}", self.kind),
        }
    }
}

impl FromStr for PermissionKind {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| PermissionError(format!("`{}` is not a permission; known are {names}", text.escape_debug())))
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            None => Ok(Self::bare(text.parse()?)),
            Some((kind, scope)) => Self::scoped(kind.parse()?, scope),
        }
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Reads every spelling of a manifest's permissions: a list of `kind`, `kind=scope` or `{kind: scopes}`, or one such map.
/// The result is sorted and free of duplicates.
///
/// # Errors
/// An unknown kind, a scope of the wrong form, or a value of the wrong type.
pub fn read_permissions(value: &Value) -> Result<Vec<Permission>, PermissionError> {
    let mut found = Vec::new();
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(text) => found.push(text.parse()?),
                    Value::Object(map) => read_map(map, &mut found)?,
                    other => return Err(PermissionError(format!("a permission is a name or a map, not `{other}`"))),
                }
            }
        }
        Value::Object(map) => read_map(map, &mut found)?,
        other => return Err(PermissionError(format!("permissions are a list or a map, not `{other}`"))),
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn read_map(map: &serde_json::Map<String, Value>, found: &mut Vec<Permission>) -> Result<(), PermissionError> {
    for (name, scopes) in map {
        let kind: PermissionKind = name.parse()?;
        match scopes {
            Value::Null | Value::Bool(true) => found.push(Permission::bare(kind)),
            Value::String(scope) => found.push(Permission::scoped(kind, scope)?),
            Value::Array(items) => read_scopes(kind, "", items, found)?,
            Value::Object(accesses) if kind == PermissionKind::Filesystem => {
                for (access, directories) in accesses {
                    let Value::Array(items) = directories else {
                        return Err(PermissionError(format!("filesystem.{access} is a list of directories")));
                    };
                    read_scopes(kind, &format!("{access}:"), items, found)?;
                }
            }
            other => return Err(PermissionError(format!("scopes of {kind} are a list, not `{other}`"))),
        }
    }
    Ok(())
}

fn read_scopes(
    kind: PermissionKind,
    prefix: &str,
    items: &[Value],
    found: &mut Vec<Permission>,
) -> Result<(), PermissionError> {
    for item in items {
        let Value::String(scope) = item else {
            return Err(PermissionError(format!("a scope of {kind} is a text, not `{item}`")));
        };
        found.push(Permission::scoped(kind, &format!("{prefix}{scope}"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(value: &Value) -> Result<Vec<String>, PermissionError> {
        Ok(read_permissions(value)?.iter().map(ToString::to_string).collect())
    }

    // covers: S182, S183, S184, S185, S186, S187, S188
    #[test]
    fn every_spelling_flattens_to_one_list() {
        let expected = ["task_read", "network=localhost:80", "filesystem=read:a", "filesystem=write:b"];
        let list = json!(["task_read", "network=localhost:80", {"filesystem": {"read": ["a"], "write": ["b"]}}]);
        let map =
            json!({"task_read": null, "network": ["localhost:80"], "filesystem": {"read": ["a"], "write": ["b"]}});
        assert_eq!(texts(&list).unwrap(), expected);
        assert_eq!(texts(&map).unwrap(), expected);
    }

    #[test]
    fn wrong_spellings_are_refused() {
        for value in [
            json!("task_read"),
            json!(["root"]),
            json!(["task_read=all"]),
            json!([{"filesystem": {"execute": ["a"]}}]),
            json!([{"network": [1]}]),
            json!(["network="]),
            json!([7]),
            json!(["env_vars=A=B"]),
        ] {
            assert!(read_permissions(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_bare_permission_covers_every_scope_of_its_kind() {
        let all: Permission = "network".parse().unwrap();
        let one: Permission = "network=localhost:80".parse().unwrap();
        assert!(all.covers(&one));
        assert!(!one.covers(&all));
        assert!(one.covers(&one));
    }
}

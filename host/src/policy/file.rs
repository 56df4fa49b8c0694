//! One policy file, as it is read.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr as _;

use migraine_plugin_api::PermissionKind;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_yaml::Value;

use super::Endpoint;
use super::cap::PermissionCaps;
use super::limit::{LimitCaps, Size};
use super::merge::PLUGIN_SIZE_CEILING;

/// What one `policy.yaml` says. A key that is not known is an error: what is not understood must not be taken for
/// something that holds. Every key:
///
#[doc = concat!("```yaml\n", include_str!("example.yaml"), "```")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFile {
    #[serde(deserialize_with = "signatures")]
    pub(super) require_signatures: Option<Signatures>,
    pub(super) allow_unsigned_dev: Option<bool>,
    #[serde(deserialize_with = "plugin_size")]
    pub(super) max_plugin_size: Option<u64>,
    #[serde(deserialize_with = "extensions")]
    pub(super) allowed_extensions: Option<BTreeSet<String>>,
    #[serde(deserialize_with = "combos")]
    pub(super) dangerous_permission_combos: BTreeSet<(PermissionKind, PermissionKind)>,
    pub(super) permissions: PermissionCaps,
    pub(super) limits: LimitCaps,
    pub(super) sandbox: Option<Sandbox>,
    #[serde(deserialize_with = "proxy")]
    pub(super) proxy: Option<Endpoint>,
}

/// When a plugin must be signed; the later the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Signatures {
    /// Unless the user makes an exception for exactly these bytes.
    #[default]
    Required,
    /// Without exception.
    Always,
}

/// How much of the sandbox a plugin can be run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sandbox {
    /// All of it, or the plugin does not run.
    Full,
    /// What can be built without namespaces, where they are forbidden.
    Reduced,
}

impl PolicyFile {
    /// The largest file that is read, in bytes.
    pub const MAX: usize = 64 << 10;

    /// Reads the text of a file; one without a word says nothing.
    ///
    /// # Errors
    /// It is no YAML of the known keys; the text names the key and the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read: Option<Self> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        let Some(read) = read else {
            let is_word = |line: &&str| !line.is_empty() && !line.starts_with('#') && !["---", "..."].contains(line);
            // Whoever wrote something meant something.
            return match text.lines().map(str::trim).find(is_word) {
                Some(word) => Err(format!("`{}` says nothing; write keys, or nothing at all", word.escape_debug())),
                None => Ok(Self::default()),
            };
        };
        // Else it would count as one that is not there.
        let raw: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        without_value(&raw).map_or(Ok(read), |key| Err(format!("{key}: it has no value")))
    }
}

/// The first key without a value.
fn without_value(value: &Value) -> Option<String> {
    value.as_mapping()?.iter().find_map(|(key, value)| {
        let key = key.as_str()?;
        let inner = || without_value(value).map(|inner| format!("{key}.{inner}"));
        if value.is_null() { Some(key.to_owned()) } else { inner() }
    })
}

fn signatures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Signatures>, D::Error> {
    struct Reader;
    impl Visitor<'_> for Reader {
        type Value = Signatures;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or always")
        }

        fn visit_bool<E: Error>(self, required: bool) -> Result<Signatures, E> {
            if required {
                return Ok(Signatures::Required);
            }
            Err(E::custom(
                "`false` does not exist: plugins without a signature are allowed one by one, by --allow-unsigned, or \
                 from this machine's files by `allow_unsigned_dev: true`",
            ))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Signatures, E> {
            if text == "always" {
                Ok(Signatures::Always)
            } else {
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
    }
    deserializer.deserialize_any(Reader).map(Some)
}

fn plugin_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    deserializer.deserialize_any(Size { least: 1, most: PLUGIN_SIZE_CEILING }).map(Some)
}

fn extensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeSet<String>>, D::Error> {
    let read = |text: String| {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let lower = text.to_ascii_lowercase();
        let refuse = || {
            D::Error::custom(format!(
                "allowed_extensions: `{}` is no extension; write it without a dot",
                text.escape_debug()
            ))
        };
        is_plain.then_some(lower).ok_or_else(refuse)
    };
    Vec::<String>::deserialize(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

fn combos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<(PermissionKind, PermissionKind)>, D::Error> {
    let kind = |name: &String| {
        let why = |error| D::Error::custom(format!("dangerous_permission_combos: {error}"));
        PermissionKind::from_str(name).map_err(why)
    };
    let combo = |names: Vec<String>| match names.as_slice() {
        [one, other] if one != other => {
            let (one, other) = (kind(one)?, kind(other)?);
            Ok((one.min(other), one.max(other)))
        }
        _ => Err(D::Error::custom(
            "dangerous_permission_combos: a combination is written [PERMISSION, PERMISSION], with two different ones",
        )),
    };
    Vec::<Vec<String>>::deserialize(deserializer)?.into_iter().map(combo).collect()
}

fn proxy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Endpoint>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = text.strip_prefix("http://").map_or(text.as_str(), |rest| rest.strip_suffix('/').unwrap_or(rest));
    plain.parse().map(Some).map_err(|error| {
        let form = "an HTTP proxy is written HOST:PORT or unix:/PATH, without a name or password";
        D::Error::custom(format!("proxy: `{}` is no proxy: {error}; {form}", text.escape_debug()))
    })
}

#[cfg(test)]
mod tests;

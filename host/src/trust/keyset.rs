//! The trusted keys in memory: which key may sign which plugin names, and how that is written in a file.

use std::fmt;
use std::str::FromStr;

use super::{PublicKey, TrustError};
use crate::ids::{Fingerprint, PluginName};
use crate::package::index::is_time;
use crate::text::display_safe;

const FIRST_LINE: &str = "migraine-trusted-key 1";
/// The longest label, in terminal cells.
const LABEL_MAX: usize = 64;
/// The most scopes of one key.
const SCOPES_MAX: usize = 32;

/// A pattern of plugin names: a name, a beginning and `*`, or `*` alone, which is any name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// Whether a name is within it.
    #[must_use]
    pub fn matches(&self, name: &PluginName) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.as_str().starts_with(beginning),
            None => name.as_str() == self.0,
        }
    }
}

impl FromStr for Scope {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        if text == "*" || beginning.parse::<PluginName>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(TrustError::Malformed {
            object: format!("`{}`", text.chars().take(80).collect::<String>()),
            what: "scope",
            reason: "it is a plugin name, the beginning of one and `*`, or `*` alone".to_owned(),
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a key came to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// The user named it.
    Trusted,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("trusted")
    }
}

/// A key with what the user said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The user's own note; never taken from a plugin.
    pub label: String,
    /// The names it may sign, at least one, sorted.
    pub scope: Vec<Scope>,
    /// When it was added: RFC 3339, UTC, whole seconds.
    pub added: String,
    /// How.
    pub level: Level,
}

impl TrustedKey {
    /// A key that the user trusts from now on.
    ///
    /// # Errors
    /// A label, a scope list or a time that a key file could not hold.
    pub fn new(key: PublicKey, label: &str, scope: &[Scope], now: &str) -> Result<Self, TrustError> {
        let mut scope = scope.to_vec();
        scope.sort();
        scope.dedup();
        let trusted = Self { key, label: label.to_owned(), scope, added: now.to_owned(), level: Level::Trusted };
        trusted.check().map(|()| trusted.clone()).map_err(|reason| malformed("the new key", reason))
    }

    /// The full fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint()
    }

    /// The scopes in one line.
    #[must_use]
    pub fn scope_text(&self) -> String {
        self.scope.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
    }

    /// The content of its file.
    #[must_use]
    pub fn render(&self) -> String {
        let scopes: String = self.scope.iter().map(|scope| format!("scope {scope}\n")).collect();
        let Self { key, label, added, level, .. } = self;
        format!("{FIRST_LINE}\nkey {key}\nlabel {label}\n{scopes}added {added}\nlevel {level}\n")
    }

    /// Reads the content of a key file; `object` names it in the error.
    ///
    /// # Errors
    /// Anything but what [`TrustedKey::render`] writes, or a weak key.
    pub fn parse(text: &[u8], object: &str) -> Result<Self, TrustError> {
        let text = std::str::from_utf8(text).map_err(|_| malformed(object, "it is not UTF-8"))?;
        let mut lines = text.lines().peekable();
        let mut field = |key: &str| {
            let value = lines.next_if(|line| line.starts_with(key))?.get(key.len()..)?;
            Some(value.to_owned())
        };
        let missing = || malformed(object, "a line is missing or not in its place");
        field(FIRST_LINE).ok_or_else(missing)?;
        let key = field("key ").ok_or_else(missing)?.parse()?;
        let label = field("label ").ok_or_else(missing)?;
        let mut scope = Vec::new();
        while let Some(text) = field("scope ") {
            scope.push(text.parse()?);
        }
        let added = field("added ").ok_or_else(missing)?;
        let trusted = Self { key, label, scope, added, level: Level::Trusted };
        trusted.check().map_err(|reason| malformed(object, reason))?;
        if trusted.render() != text {
            return Err(malformed(object, "it is not written in the one accepted form"));
        }
        Ok(trusted)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.label.is_empty() || display_safe(&self.label, LABEL_MAX) != self.label {
            return Err("a label is one line of 1 to 64 visible characters");
        }
        if self.scope.is_empty() || self.scope.len() > SCOPES_MAX {
            return Err("a key has 1 to 32 scopes; `*` alone means any plugin name");
        }
        if !self.scope.is_sorted_by(|one, next| one < next) {
            return Err("the scopes are not sorted, or one is there twice");
        }
        if !is_time(&self.added) {
            return Err("`added` is not a time like 2026-01-02T03:04:05Z");
        }
        Ok(())
    }
}

fn malformed(object: &str, reason: &str) -> TrustError {
    TrustError::Malformed { object: object.to_owned(), what: "trusted key", reason: reason.to_owned() }
}

/// All trusted keys, in the order of their fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(Vec<TrustedKey>);

impl KeySet {
    /// The set of some keys; of two entries for one key the later one counts.
    #[must_use]
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        let keys: std::collections::BTreeMap<_, _> = keys.into_iter().map(|key| (key.fingerprint(), key)).collect();
        Self(keys.into_values().collect())
    }

    /// The entry of a key.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<&TrustedKey> {
        // By the key itself: a fingerprint is only its name.
        self.0.iter().find(|trusted| trusted.key == *key)
    }

    /// The entry with a fingerprint.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&TrustedKey> {
        self.0.iter().find(|trusted| trusted.fingerprint() == *fingerprint)
    }

    /// Every entry.
    pub fn iter(&self) -> std::slice::Iter<'_, TrustedKey> {
        self.0.iter()
    }

    /// Whether no key is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys are trusted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a KeySet {
    type Item = &'a TrustedKey;
    type IntoIter = std::slice::Iter<'a, TrustedKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;

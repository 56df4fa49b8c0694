//! Which plugin names a key may sign.

use std::fmt;
use std::str::FromStr;

use super::TrustError;
use crate::ids::PluginName;

/// A pattern of plugin names: a name, a beginning and `*`, or `*` alone, which is any name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// The scope of one name.
    #[must_use]
    pub fn of(name: &PluginName) -> Self {
        Self(name.as_str().to_owned())
    }

    /// Whether a name is within it.
    #[must_use]
    pub fn matches(&self, name: &PluginName) -> bool {
        self.covers(&Self::of(name))
    }

    /// The names that are within both.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> Option<Self> {
        if self.covers(other) { Some(other.clone()) } else { other.covers(self).then(|| self.clone()) }
    }

    /// Whether every name that is within the other is within this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => other.0.starts_with(beginning),
            None => other.0 == self.0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Code, Coded as _};

    // A110: a scope is a name, a beginning, or everything.
    #[test]
    fn scopes_match_names() {
        let check = |scope: &str, name: &str, expected: bool| {
            assert_eq!(scope.parse::<Scope>().unwrap().matches(&name.parse().unwrap()), expected, "{scope} {name}");
        };
        check("*", "anything", true);
        check("acme-*", "acme-x", true);
        check("acme-*", "acme-", true);
        check("acme-*", "acme", false);
        check("acme-*", "b-acme-x", false);
        check("acme", "acme", true);
        check("acme", "acme-x", false);
        for bad in ["", "**", "*a", "a*b", "A*", "a b", "../*", "a?", "[a]", "-*"] {
            assert_eq!(bad.parse::<Scope>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
        }
    }

    #[test]
    fn an_overlap_is_never_wider_than_either() {
        let check = |one: &str, other: &str, expected: Option<&str>| {
            let [one, other]: [Scope; 2] = [one.parse().unwrap(), other.parse().unwrap()];
            for overlap in [one.overlap(&other), other.overlap(&one)] {
                assert_eq!(overlap.map(|scope| scope.to_string()).as_deref(), expected, "{one} {other}");
            }
        };
        check("*", "acme-*", Some("acme-*"));
        check("acme*", "acme-*", Some("acme-*"));
        check("acme-*", "acme-x", Some("acme-x"));
        check("acme-x", "acme-x", Some("acme-x"));
        check("acme-x", "acme-y", None);
        check("acme-*", "b-*", None);
        check("acme-*", "acme", None);
    }
}

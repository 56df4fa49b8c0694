//! Where a lock says that a package can be had. It is a hint, which comes with the project: what is there counts only by its
//! digest, and no server is asked before the user agrees.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::{Entry, Home};
use crate::url::Url;

/// The longest path in bytes.
const PATH_MAX: usize = 4096;

/// An address without anything secret, or a path of this machine; one that is not absolute begins in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedSource {
    /// An address on a server.
    Url(Url),
    /// A file or a directory.
    Path(PathBuf),
}

impl LockedSource {
    /// The server that a plugin came from, where its address holds nothing that could be secret.
    pub(super) fn server(entry: &Entry) -> Option<Self> {
        entry.remote.as_ref().map(|remote| &remote.url).filter(|url| url.is_plain()).cloned().map(Self::Url)
    }

    /// The file that a plugin came from. In the user's own folder it is looked for in any case.
    pub(super) fn file(home: &Home, project: &Path, entry: &Entry) -> Option<Self> {
        let path = entry.installed_from.as_deref().filter(|path| !path.starts_with(home.plugins_path()))?;
        let project = project.canonicalize().ok()?;
        path.strip_prefix(project).unwrap_or(path).to_str()?.parse().ok()
    }

    /// The file, if it is one.
    pub(super) fn path_in(&self, project: &Path) -> Option<PathBuf> {
        match self {
            Self::Path(path) => Some(project.join(path)),
            Self::Url(_) => None,
        }
    }

    /// The address, if it is one.
    pub(super) fn url(&self) -> Option<&Url> {
        match self {
            Self::Url(url) => Some(url),
            Self::Path(_) => None,
        }
    }
}

impl fmt::Display for LockedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&url.kept()),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for LockedSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if Url::is_meant(text) {
            let url: Url = text.parse().map_err(|error: crate::url::UrlError| error.to_string())?;
            let secret = || format!("the source {url} must hold no name, no password and no query");
            return if url.is_plain() { Ok(Self::Url(url)) } else { Err(secret()) };
        }
        if text.is_empty() || text.len() > PATH_MAX || text.chars().any(char::is_control) {
            return Err(format!(
                "a source is an address or a path of at most {PATH_MAX} bytes, without control characters"
            ));
        }
        Ok(Self::Path(text.into()))
    }
}

impl Serialize for LockedSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LockedSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_open_address_or_a_path() {
        for good in ["https://example.com/a.mgp", "http://localhost:1/a.mgp", "vendor/a.mgp", "/srv/a.mgp", "../a"] {
            assert_eq!(good.parse::<LockedSource>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "http://example.com/a.mgp",
            "ftp://example.com/a.mgp",
            "https://ann:secret@example.com/a.mgp",
            "https://example.com/a.mgp?token=secret",
            "a\nb",
            "a\u{1b}[2J",
        ] {
            let why = bad.parse::<LockedSource>().unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
        assert!("a".repeat(PATH_MAX + 1).parse::<LockedSource>().is_err());
    }
}

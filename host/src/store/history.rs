//! What was seen of a plugin: its newest version, and the content of each version. An uninstallation does not end it.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::package::Index;

/// The signed versions of a plugin that were installed once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    versions: BTreeMap<Version, Seen>,
}

/// The content of a version, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Seen {
    /// The entry: a library, or the manifest of scripts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<Digest>,
    /// The index of a package. A bare library has none of its own: its bytes are all that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package: Option<Digest>,
}

impl Seen {
    fn of(index: &Index, digest: Digest) -> Self {
        let entry = index.library().map(|file| file.digest);
        let is_bare = index.files.len() == 1 && !index.holds_scripts();
        Self { entry, package: (!is_bare).then_some(digest) }
    }

    /// Whether both can be the content of one version: what is known of both is the same.
    fn agrees_with(&self, other: &Self) -> bool {
        let same = |one: Option<Digest>, other: Option<Digest>| one.is_none() || other.is_none() || one == other;
        same(self.entry, other.entry) && same(self.package, other.package)
    }
}

impl History {
    /// The newest version.
    #[must_use]
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last_key_value().map(|(version, _)| version)
    }

    /// Whether this version was seen with another content.
    #[must_use]
    pub fn contradicts(&self, index: &Index, digest: Digest) -> bool {
        self.versions.get(&index.version).is_some_and(|seen| !seen.agrees_with(&Seen::of(index, digest)))
    }

    /// Records what was installed. A content that was known before is replaced.
    pub fn record(&mut self, index: &Index, digest: Digest) {
        let new = Seen::of(index, digest);
        let seen = self.versions.entry(index.version.clone()).or_default();
        let known = if seen.agrees_with(&new) { *seen } else { Seen::default() };
        *seen = Seen { entry: new.entry.or(known.entry), package: new.package.or(known.package) };
    }

    /// Records a version whose content is not at hand.
    pub fn record_version(&mut self, version: &Version) {
        self.versions.entry(version.clone()).or_default();
    }

    /// Forgets every version but this one.
    pub fn keep_only(&mut self, version: Option<&Version>) {
        self.versions.retain(|seen, _| Some(seen) == version);
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// How many versions were seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::{FileEntry, TARGET};

    fn index(version: &str, entry: &str, files: &[(&str, &str)]) -> Index {
        Index {
            name: "demo".parse().unwrap(),
            version: version.parse().unwrap(),
            api: migraine_plugin_api::API_VERSION,
            created: "2026-01-02T03:04:05Z".to_owned(),
            entry: entry.to_owned(),
            target: TARGET.to_owned(),
            others: Vec::new(),
            permissions: Vec::new(),
            dependencies: Vec::new(),
            files: files.iter().map(|(path, content)| FileEntry::of(path, 0o644, content.as_bytes())).collect(),
        }
    }

    // covers: A157, A171
    #[test]
    fn a_version_has_one_content_in_each_form() {
        let bare = |version, content| index(version, "lib.so", &[("lib.so", content)]);
        let package = |content, more| index("1.0.0", "lib.so", &[("README.md", more), ("lib.so", content)]);
        let mut history = History::default();
        let check = |history: &History, index: &Index| history.contradicts(index, index.digest());
        let record = |history: &mut History, index: &Index| history.record(index, index.digest());
        assert!(history.newest().is_none() && !check(&history, &bare("1.0.0", "a")));
        record(&mut history, &bare("1.0.0", "a"));
        // The same library in a package is the same version; from then on the whole package is.
        assert!(check(&history, &bare("1.0.0", "b")) && check(&history, &package("b", "x")));
        assert!(!check(&history, &bare("1.0.0", "a")) && !check(&history, &package("a", "x")));
        record(&mut history, &package("a", "x"));
        assert!(check(&history, &package("a", "y")) && !check(&history, &bare("1.0.0", "a")));
        record(&mut history, &bare("1.0.0", "a"));
        assert!(check(&history, &package("a", "y")), "the bare library takes nothing away from what is known");
        // What was allowed to have another content is what counts from then on.
        record(&mut history, &bare("1.0.0", "b"));
        assert!(check(&history, &package("a", "x")) && !check(&history, &package("b", "z")));
        for version in ["1.10.0", "1.9.0", "1.10.0-rc.1"] {
            record(&mut history, &bare(version, "a"));
        }
        history.record_version(&"0.1.0".parse().unwrap());
        assert!(!check(&history, &bare("0.1.0", "anything")));
        assert_eq!((history.newest().unwrap().to_string().as_str(), history.len()), ("1.10.0", 5));
        // Scripts have one form, even those of one file.
        let script = |content| index("2.0.0", "plugin.yaml", &[("plugin.yaml", "m"), ("run.py", content)]);
        record(&mut history, &script("a"));
        assert!(check(&history, &script("b")) && !check(&history, &script("a")));
        history.keep_only(Some(&"1.0.0".parse().unwrap()));
        assert_eq!(history.len(), 1);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut history = History::default();
        let index = index("1.0.0", "lib.so", &[("lib.so", "a")]);
        history.record(&index, index.digest());
        history.record_version(&"0.9.0+x".parse().unwrap());
        let text = serde_json::to_string(&history).unwrap();
        assert!(text.starts_with(r#"{"0.9.0+x":{},"1.0.0":{"entry":""#), "{text}");
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    }
}

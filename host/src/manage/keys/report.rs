//! What is said of keys.

use serde::Serialize;

use crate::ids::{Digest, Fingerprint, PluginName};
use crate::trust::{Handover, KeySet, Listed, RevocationList, Revoked, TrustedKey};

/// A key of the keyring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyReport {
    /// The full fingerprint.
    pub fingerprint: Fingerprint,
    /// The key itself.
    pub public_key: String,
    /// The user's own note.
    pub label: String,
    /// The names that it may sign.
    pub scope: Vec<String>,
    /// Keys that handed over to it when it was trusted already; `scope` has their names as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handovers: Vec<HandoverInfo>,
    /// `trusted`, `tofu` or `revoked`: by the user, or by lists for each name that it may sign.
    pub level: &'static str,
    /// When it was added.
    pub added: String,
    /// How: `command`, `install` or `rotation OLD DATE`.
    pub from: String,
    /// From when on something new of it may be installed.
    pub valid_from: String,
    /// Until when; absent, for ever.
    pub valid_until: Option<String>,
    /// How it was taken back.
    pub revoked: Option<RevokedInfo>,
    /// The lists by which it is revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<ListedInfo>,
}

/// A key that handed over to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandoverInfo {
    /// The key that signed the rotation.
    pub old: Fingerprint,
    /// When, as it says.
    pub date: String,
    /// When it was taken in.
    pub taken: String,
    /// The names.
    pub scope: Vec<String>,
}

impl HandoverInfo {
    fn of(handover: &Handover) -> Self {
        let scope = handover.scope.iter().map(ToString::to_string).collect();
        Self { old: handover.old, date: handover.date.to_string(), taken: handover.taken.to_string(), scope }
    }
}

/// A list by which a key is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedInfo {
    /// The signer of the list.
    pub by: Fingerprint,
    /// Since when the key is bad: `always`, or a time.
    pub since: String,
    /// The names that it may not sign any more.
    pub scope: Vec<String>,
}

/// How a key was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokedInfo {
    /// When the user said so.
    pub at: String,
    /// Since when it is bad: `always`, or a time.
    pub since: String,
    /// Digests of packages that may stay.
    pub kept: Vec<Digest>,
}

/// A list of revoked keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListInfo {
    /// Who signed it.
    pub signer: Fingerprint,
    /// Its version.
    pub version: u64,
    /// When it was signed.
    pub issued: String,
    /// From when on it says nothing new.
    pub expires: String,
    /// The keys.
    pub keys: Vec<Fingerprint>,
}

/// Everything that is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyDetails {
    /// The key.
    #[serde(flatten)]
    pub key: KeyReport,
    /// The list of revoked keys that it signed.
    pub list: Option<ListInfo>,
    /// The installed plugins that it signed.
    pub plugins: Vec<PluginName>,
}

impl KeyReport {
    /// What is said of a key of a keyring.
    #[must_use]
    pub fn of(key: &TrustedKey, keys: &KeySet) -> Self {
        let listed = keys.listed(key);
        let is_listed =
            key.names().iter().all(|scope| listed.iter().flat_map(|one| &one.scope).any(|bad| bad.covers(scope)));
        let revoked = key.revoked().map(|Revoked { at, since, kept }| RevokedInfo {
            at: at.to_string(),
            since: since.to_string(),
            kept: kept.iter().copied().collect(),
        });
        Self {
            fingerprint: key.fingerprint(),
            public_key: key.key.to_string(),
            label: key.label.clone(),
            scope: key.names().iter().map(ToString::to_string).collect(),
            handovers: key.handovers.iter().map(HandoverInfo::of).collect(),
            level: if is_listed { "revoked" } else { key.level.as_str() },
            added: key.added.to_string(),
            from: key.origin.to_string(),
            valid_from: key.window.from.to_string(),
            valid_until: key.window.until.map(|until| until.to_string()),
            revoked,
            listed: listed.into_iter().map(ListedInfo::from).collect(),
        }
    }
}

impl From<Listed> for ListedInfo {
    fn from(Listed { by, since, scope }: Listed) -> Self {
        Self { by, since: since.to_string(), scope: scope.iter().map(ToString::to_string).collect() }
    }
}

impl ListInfo {
    /// What is said of a list.
    #[must_use]
    pub fn of(list: &RevocationList) -> Self {
        Self {
            signer: list.signer.fingerprint(),
            version: list.version,
            issued: list.issued.to_string(),
            expires: list.expires.to_string(),
            keys: list.keys.keys().copied().collect(),
        }
    }
}

//! The keyring in memory: which key may sign which plugin names, and who says of which key that it is bad.

mod lineage;

use std::collections::{BTreeMap, btree_map};

use super::revocation::{BadSince, RevocationList};
use super::time::{Seen, Time};
use super::trusted::TrustedKey;
use super::{PublicKey, Scope, TrustError};
use crate::ids::{Fingerprint, PluginName};

/// All keys of a keyring, and the lists of revoked keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: BTreeMap<Fingerprint, TrustedKey>,
    lists: Vec<RevocationList>,
    /// Lists of signers that were forgotten. They revoke nothing.
    seen_lists: Vec<RevocationList>,
    /// A set that only takes trust away: what is revoked there is revoked.
    limits: Option<Box<Self>>,
}

/// Why a key is not trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// The signer of the list that says so; absent, the user said so.
    pub by: Option<Fingerprint>,
    /// Since when it is bad.
    pub since: BadSince,
}

/// A list that says that a key is bad, for some of the names that it may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The signer of the list.
    pub by: Fingerprint,
    /// Since when it is bad.
    pub since: BadSince,
    /// The names, sorted.
    pub scope: Vec<Scope>,
}

impl KeySet {
    /// The set of some keys; of two entries for one key the later one counts.
    #[must_use]
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.fingerprint(), key)).collect(), ..Self::default() }
    }

    /// The same keys with lists of revoked keys, one at most of each signer.
    #[must_use]
    pub fn with_lists(self, lists: Vec<RevocationList>) -> Self {
        Self { lists, ..self }
    }

    /// The same keys with what was seen of lists whose signers were forgotten.
    #[must_use]
    pub fn with_seen_lists(self, seen_lists: Vec<RevocationList>) -> Self {
        Self { seen_lists, ..self }
    }

    /// The same keys without one, and without its list.
    #[must_use]
    pub fn without(mut self, key: &Fingerprint) -> Self {
        self.keys.remove(key);
        self
    }

    /// The same keys and another one, unless something is said of that key already.
    #[must_use]
    pub fn with(mut self, key: TrustedKey) -> Self {
        self.keys.entry(key.fingerprint()).or_insert(key);
        self
    }

    /// The same keys, but for what is revoked in another set. That set adds no trust.
    #[must_use]
    pub fn limited_by(self, limits: Self) -> Self {
        Self { limits: Some(Box::new(limits)), ..self }
    }

    /// The entry of a key.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<&TrustedKey> {
        // By the key itself in the end: a fingerprint is only its name.
        self.by_fingerprint(&key.fingerprint()).filter(|trusted| trusted.key == *key)
    }

    /// The entry with a fingerprint.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&TrustedKey> {
        self.keys.get(fingerprint)
    }

    /// Every entry, in the order of the fingerprints.
    pub fn iter(&self) -> btree_map::Values<'_, Fingerprint, TrustedKey> {
        self.keys.values()
    }

    /// Whether it holds no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The list of a signer.
    #[must_use]
    pub fn list_of(&self, signer: &PublicKey) -> Option<&RevocationList> {
        self.lists.iter().find(|list| list.signer == *signer)
    }

    /// The newest list of a signer that was ever taken in.
    #[must_use]
    pub fn seen_list_of(&self, signer: &PublicKey) -> Option<&RevocationList> {
        let lists = self.lists.iter().chain(&self.seen_lists).filter(|list| list.signer == *signer);
        lists.max_by_key(|list| list.version)
    }

    /// The lists that count for a plugin name: those whose signer is in the keyring for it. A list of a signer that was
    /// revoked since still counts: it can only take trust away.
    pub fn lists_for(&self, name: &PluginName) -> impl Iterator<Item = &RevocationList> {
        self.lists.iter().filter(move |list| self.find(&list.signer).is_some_and(|signer| signer.covers(name)))
    }

    /// Whether the lists that count for a name are new enough for something new to be installed.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check_lists(&self, name: &PluginName, now: Time) -> Result<(), TrustError> {
        match self.lists_for(name).find(|list| list.is_stale(now)) {
            Some(list) => Err(TrustError::RevocationsStale {
                name: name.clone(),
                signer: list.signer.fingerprint(),
                issued: list.issued,
                expires: list.expires,
            }),
            None => Ok(()),
        }
    }

    /// A sentence for each list that counts for a name and grows old.
    #[must_use]
    pub fn list_warnings(&self, name: &PluginName, now: Time) -> Vec<String> {
        let aging = self.lists_for(name).filter(|list| list.is_aging(now));
        let sentence = |list: &RevocationList| {
            let (signer, days) = (list.signer.fingerprint(), now.days_since(list.issued));
            format!(
                "the list of revoked keys of {signer} is {days} days old: get a newer one from its owner and take it in with \
                 `migraine key import FILE`; at 30 days nothing that it covers is installed"
            )
        };
        aging.map(sentence).collect()
    }

    /// What the keyring recorded, and when: what the clock is held to.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        let keys = self.iter().map(|key| {
            let time = key.revoked().map_or(key.added, |revoked| revoked.at.max(key.added));
            Seen { time, what: format!("key {}", key.fingerprint()) }
        });
        let lists = self.lists.iter().map(|list| Seen {
            time: list.issued,
            what: format!("the list of revoked keys of {}", list.signer.fingerprint()),
        });
        keys.chain(lists).collect()
    }
}

impl<'a> IntoIterator for &'a KeySet {
    type Item = &'a TrustedKey;
    type IntoIter = btree_map::Values<'a, Fingerprint, TrustedKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;

//! The keyring in memory: which key may sign which plugin names, and who says of which key that it is bad.

use super::revocation::{BadSince, RevocationList};
use super::time::{Seen, Time};
use super::trusted::{Origin, TrustedKey};
use super::{PublicKey, Scope, TrustError};
use crate::ids::{Digest, Fingerprint, PluginName};

/// All keys of a keyring, in the order of their fingerprints, and the lists of revoked keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<TrustedKey>,
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
        let keys: std::collections::BTreeMap<_, _> = keys.into_iter().map(|key| (key.fingerprint(), key)).collect();
        Self { keys: keys.into_values().collect(), ..Self::default() }
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
        self.keys.retain(|trusted| trusted.fingerprint() != *key);
        self
    }

    /// The same keys and another one, unless something is said of that key already.
    #[must_use]
    pub fn with(mut self, key: TrustedKey) -> Self {
        if self.find(&key.key).is_none() {
            self.keys.push(key);
            self.keys.sort_by_key(TrustedKey::fingerprint);
        }
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
        // By the key itself: a fingerprint is only its name.
        self.keys.iter().find(|trusted| trusted.key == *key)
    }

    /// The entry with a fingerprint.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&TrustedKey> {
        self.keys.iter().find(|trusted| trusted.fingerprint() == *fingerprint)
    }

    /// Every entry.
    pub fn iter(&self) -> std::slice::Iter<'_, TrustedKey> {
        self.keys.iter()
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

    /// What lists say against a key, or against one that it took the place of, for names that it may sign.
    #[must_use]
    pub fn listed(&self, key: &TrustedKey) -> Vec<Listed> {
        let said = |at: Fingerprint, signed: Option<Time>| {
            self.lists.iter().filter_map(move |list| {
                let since = *list.keys.get(&at)?;
                let signer = self.find(&list.signer)?;
                let names = key.scope.iter().flat_map(|one| signer.scope.iter().filter_map(|other| one.overlap(other)));
                let scope = super::sorted(&names.collect::<Vec<_>>());
                let counts = !scope.is_empty() && signed.is_none_or(|date| since.includes(date));
                counts.then_some(Listed { by: signer.fingerprint(), since, scope })
            })
        };
        let mut listed: Vec<Listed> = said(key.fingerprint(), None).collect();
        let mut origin = key.origin;
        for _ in 0..self.keys.len() {
            let Origin::Rotation(old, date) = origin else { break };
            listed.extend(said(old, Some(date)));
            let Some(entry) = self.by_fingerprint(&old) else { break };
            origin = entry.origin;
        }
        listed
    }

    /// Judges by its record alone who signed something that is installed, as [`super::judge`] does with the signature at hand.
    ///
    /// # Errors
    /// The key is unknown or revoked, or for other names.
    pub fn judge_signer(&self, key: &Fingerprint, name: &PluginName, digest: &Digest) -> Result<(), TrustError> {
        let name = name.clone();
        if let Some(revocation) = self.revocation(key, &name).filter(|_| !self.keeps(key, &name, digest)) {
            return Err(TrustError::KeyRevoked { name, key: *key, revocation });
        }
        match self.by_fingerprint(key) {
            None => Err(TrustError::SignerUnknown { name, key: *key }),
            Some(trusted) if !trusted.covers(&name) => {
                let (label, scope) = (trusted.label.clone(), trusted.scope_text());
                Err(TrustError::KeyScope { name, key: Box::new(trusted.key.clone()), label, scope })
            }
            Some(_) => Ok(()),
        }
    }

    /// The lists that count for a plugin name: those whose signer is in the keyring for it. A list of a signer that was
    /// revoked since still counts: it can only take trust away.
    pub fn lists_for(&self, name: &PluginName) -> impl Iterator<Item = &RevocationList> {
        self.lists.iter().filter(move |list| self.find(&list.signer).is_some_and(|signer| signer.covers(name)))
    }

    /// Whether a key is bad for a plugin name: the user said so, or a list that counts for the name, or it came by a
    /// rotation that a key signed which was bad by then.
    #[must_use]
    pub fn revocation(&self, key: &Fingerprint, name: &PluginName) -> Option<Revocation> {
        self.revoked_by(key, name, self.limits.as_deref())
    }

    fn revoked_by(&self, key: &Fingerprint, name: &PluginName, limits: Option<&Self>) -> Option<Revocation> {
        // Each step goes back by one rotation; as many as there are keys are enough, however they point at each other.
        let mut at = *key;
        let mut signed = None;
        for _ in 0..=self.keys.len() {
            let entry = self.by_fingerprint(&at);
            let own = entry.and_then(TrustedKey::revoked).map(|revoked| Revocation { by: None, since: revoked.since });
            let listed = self.lists_for(name).filter_map(|list| {
                let since = *list.keys.get(&at)?;
                Some(Revocation { by: Some(list.signer.fingerprint()), since })
            });
            let limited = limits.and_then(|limits| limits.revocation(&at, name));
            let bad = own.into_iter().chain(listed).chain(limited).min_by_key(|revocation| revocation.since);
            if let Some(bad) = bad.filter(|bad| signed.is_none_or(|date| bad.since.includes(date))) {
                return Some(bad);
            }
            let Some(Origin::Rotation(old, date)) = entry.map(|entry| entry.origin) else { return None };
            (at, signed) = (old, Some(date));
        }
        None
    }

    /// The keys that a key took the place of, by statements of rotation, the nearest first.
    #[must_use]
    pub fn predecessors(&self, key: &Fingerprint) -> Vec<Fingerprint> {
        let mut found: Vec<Fingerprint> = Vec::new();
        let mut at = *key;
        while let Some(Origin::Rotation(old, _)) = self.by_fingerprint(&at).map(|entry| entry.origin) {
            if old == *key || found.contains(&old) {
                break;
            }
            found.push(old);
            at = old;
        }
        found
    }

    /// Whether the user let an installed package of a revoked key stay. Where there is a limiting set, neither lifts what
    /// the other says: each in which the key, or one that it took the place of, is bad must let it stay.
    #[must_use]
    pub fn keeps(&self, key: &Fingerprint, name: &PluginName, digest: &Digest) -> bool {
        let lets = |set: &Self| {
            let revoked = set.by_fingerprint(key).and_then(TrustedKey::revoked);
            revoked.is_some_and(|revoked| revoked.kept.contains(digest))
        };
        let Some(limits) = self.limits.as_deref() else { return lets(self) };
        let mut line = self.predecessors(key).into_iter().chain([*key]);
        let here = self.revoked_by(key, name, None).is_some();
        let there = line.any(|at| limits.revocation(&at, name).is_some());
        (here || there) && (!here || lets(self)) && (!there || lets(limits))
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
        let keys = self.keys.iter().map(|key| {
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
    type IntoIter = std::slice::Iter<'a, TrustedKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;

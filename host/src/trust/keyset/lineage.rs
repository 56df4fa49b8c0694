//! Which keys took the place of which, and how bad news of one reaches those that it handed over to.
//!
//! A key signs names for reasons: its user named it, or other keys handed over to it. A handover is void once its old key is
//! known to have been bad by then, or has no reason left itself; and a key is bad for a name when no reason for it is left. Keys
//! that hand over to each other in a circle are no reason for each other, or a stolen one could make the next two immortal.

use std::collections::{BTreeMap, BTreeSet};

use super::{KeySet, Listed, Revocation};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::trust::time::Time;
use crate::trust::trusted::TrustedKey;
use crate::trust::{Scope, sorted};

/// Whose word against keys counts.
#[derive(Clone, Copy)]
struct Words<'a> {
    /// That of the set itself: of its user, and of its lists.
    own: bool,
    limits: Option<&'a KeySet>,
}

/// What is known of a key and those before it, for the names of one scope.
#[derive(Default)]
struct Verdicts {
    /// What somebody says of a key itself.
    said: BTreeMap<Fingerprint, Revocation>,
    /// Keys that have a reason.
    good: BTreeSet<Fingerprint>,
    /// The nearest word that voids a handover; without one, none is void.
    why: Option<Revocation>,
}

impl Verdicts {
    /// Whether a key was bad on a date, as somebody says.
    fn was_bad(&self, key: &Fingerprint, date: Time) -> Option<Revocation> {
        self.said.get(key).filter(|revocation| revocation.since.includes(date)).copied()
    }

    /// Whether a key has no reason left, because of what.
    fn lost(&self, key: &Fingerprint) -> Option<Revocation> {
        self.why.filter(|_| !self.good.contains(key))
    }

    /// Whether a handover by a key on a date is void.
    fn is_void(&self, old: &Fingerprint, date: Time) -> bool {
        self.was_bad(old, date).or_else(|| self.lost(old)).is_some()
    }

    /// Whether a key has a reason, as far as is known of those before it.
    fn has_reason(&self, entry: &TrustedKey, names: &Scope) -> bool {
        let covers = |scope: &[Scope]| scope.iter().any(|scope| scope.covers(names));
        let (reasons, others): (Vec<_>, Vec<_>) = entry.rotations().partition(|(_, _, scope)| covers(scope));
        // For names that it may not sign anyway, the keys that it came by speak for it.
        let reasons = if reasons.is_empty() && entry.own_names().is_empty() { others } else { reasons };
        let holds =
            |(old, date, _): &(Fingerprint, Time, _)| self.good.contains(old) && self.was_bad(old, *date).is_none();
        covers(entry.own_names()) || reasons.is_empty() || reasons.iter().any(holds)
    }
}

impl KeySet {
    /// Whether a key is bad for a plugin name: the user said so, or a list that counts for the name, or whatever it could sign
    /// the name for was handed over by keys that were bad by then.
    #[must_use]
    pub fn revocation(&self, key: &Fingerprint, name: &PluginName) -> Option<Revocation> {
        self.revocation_for(key, &Scope::of(name))
    }

    fn revocation_for(&self, key: &Fingerprint, names: &Scope) -> Option<Revocation> {
        self.revoked_by(key, names, Words { own: true, limits: self.limits.as_deref() })
    }

    fn revoked_by(&self, key: &Fingerprint, names: &Scope, words: Words<'_>) -> Option<Revocation> {
        let verdicts = self.verdicts(key, names, words);
        verdicts.said.get(key).copied().or_else(|| verdicts.lost(key))
    }

    fn verdicts(&self, key: &Fingerprint, names: &Scope, words: Words<'_>) -> Verdicts {
        let line = self.line(key);
        let said = line.iter().filter_map(|at| Some((*at, self.said(at, names, words)?))).collect();
        let mut verdicts = Verdicts { said, ..Verdicts::default() };
        let mut handovers = line.iter().filter_map(|at| self.by_fingerprint(at)).flat_map(TrustedKey::rotations);
        verdicts.why = handovers.find_map(|(old, date, _)| verdicts.was_bad(&old, date));
        if verdicts.why.is_none() {
            return verdicts;
        }
        // From the oldest on, so that one look is enough unless handovers cross each other.
        loop {
            let known = verdicts.good.len();
            for at in line.iter().rev() {
                // Of a key that was forgotten nothing bad is known.
                if self.by_fingerprint(at).is_none_or(|entry| verdicts.has_reason(entry, names)) {
                    verdicts.good.insert(*at);
                }
            }
            if verdicts.good.len() == known {
                return verdicts;
            }
        }
    }

    /// The worst that somebody says of a key itself.
    fn said(&self, key: &Fingerprint, names: &Scope, words: Words<'_>) -> Option<Revocation> {
        let entry = self.by_fingerprint(key).filter(|_| words.own);
        let user = entry.and_then(TrustedKey::revoked).map(|revoked| Revocation { by: None, since: revoked.since });
        let listed = self.lists.iter().filter(|_| words.own).filter_map(|list| {
            let since = *list.keys.get(key)?;
            let signer = self.find(&list.signer).filter(|signer| signer.names().iter().any(|one| one.covers(names)))?;
            Some(Revocation { by: Some(signer.fingerprint()), since })
        });
        let limited = words.limits.and_then(|limits| limits.revocation_for(key, names));
        user.into_iter().chain(listed).chain(limited).min_by_key(|revocation| revocation.since)
    }

    /// A key and all keys that handed anything over to it, directly or not, each once, the nearest first.
    fn line(&self, key: &Fingerprint) -> Vec<Fingerprint> {
        let (mut line, mut seen) = (vec![*key], BTreeSet::from([*key]));
        let mut next = 0;
        while let Some(at) = line.get(next) {
            let before = self.by_fingerprint(at).into_iter().flat_map(|entry| entry.rotations().map(|(old, ..)| old));
            let before: Vec<_> = before.filter(|old| seen.insert(*old)).collect();
            line.extend(before);
            next += 1;
        }
        line
    }

    /// The keys that a key took the place of for a plugin name, by statements of rotation, the nearest first.
    #[must_use]
    pub fn predecessors(&self, key: &Fingerprint, name: &PluginName) -> Vec<Fingerprint> {
        let names = Scope::of(name);
        let verdicts = self.verdicts(key, &names, Words { own: true, limits: self.limits.as_deref() });
        let (mut found, mut seen) = (vec![*key], BTreeSet::from([*key]));
        let mut next = 0;
        while let Some(at) = found.get(next) {
            let entry = self.by_fingerprint(at).into_iter();
            let counts = |(old, date, scope): &(Fingerprint, Time, &[Scope])| {
                scope.iter().any(|scope| scope.covers(&names)) && !verdicts.is_void(old, *date)
            };
            let before = entry.flat_map(|entry| entry.rotations().filter(counts).map(|(old, ..)| old));
            let before: Vec<_> = before.filter(|old| seen.insert(*old)).collect();
            found.extend(before);
            next += 1;
        }
        found.split_off(1)
    }

    /// The keys against which nothing is said for any name; of a set with lists or limits, none.
    pub fn undisputed(&self) -> impl Iterator<Item = &TrustedKey> {
        let is_plain = self.lists.is_empty() && self.limits.is_none();
        let is_good = |key: &Fingerprint| {
            let mut line = self.line(key).into_iter().filter_map(|at| self.by_fingerprint(&at));
            line.all(|key| key.revoked().is_none())
        };
        self.keys.iter().filter(move |(key, _)| is_plain && is_good(key)).map(|(_, entry)| entry)
    }

    /// Whether the user let an installed package of a revoked key stay. Where there is a limiting set, neither lifts what
    /// the other says: each by whose word the key is bad must let it stay.
    #[must_use]
    pub fn keeps(&self, key: &Fingerprint, name: &PluginName, digest: &Digest) -> bool {
        let lets = |set: &Self| {
            let revoked = set.by_fingerprint(key).and_then(TrustedKey::revoked);
            revoked.is_some_and(|revoked| revoked.kept.contains(digest))
        };
        let Some(limits) = self.limits.as_deref() else { return lets(self) };
        let names = Scope::of(name);
        let here = self.revoked_by(key, &names, Words { own: true, limits: None }).is_some();
        let there = self.revoked_by(key, &names, Words { own: false, limits: Some(limits) }).is_some();
        (here || there) && (!here || lets(self)) && (!there || lets(limits))
    }

    /// What lists say against a key, or against those that handed over to it, for names that it lost by that.
    #[must_use]
    pub fn listed(&self, key: &TrustedKey) -> Vec<Listed> {
        let at = key.fingerprint();
        let mut seen = BTreeSet::from([at]);
        let mut news = Vec::new();
        let mut ahead: Vec<_> = steps(key, &key.names()).collect();
        while let Some((old, date, names)) = ahead.pop() {
            news.extend(self.said_by_lists(&old, Some(date), &names));
            if let Some(entry) = self.by_fingerprint(&old).filter(|_| seen.insert(old)) {
                ahead.extend(steps(entry, &names));
            }
        }
        let mut listed = self.said_by_lists(&at, None, &key.names());
        if !news.is_empty() {
            // Not for names that it may sign for another reason as well.
            let mut set = self.clone();
            set.keys.insert(at, key.clone());
            listed.extend(news.into_iter().filter_map(|mut one| {
                one.scope.retain(|names| set.revocation_for(&at, names).is_some());
                (!one.scope.is_empty()).then_some(one)
            }));
        }
        listed
    }

    /// What lists say against a key, or of the moment at which it signed something, for some of these names.
    fn said_by_lists(&self, at: &Fingerprint, signed: Option<Time>, names: &[Scope]) -> Vec<Listed> {
        let said = self.lists.iter().filter_map(|list| {
            let since = *list.keys.get(at)?;
            let signer = self.find(&list.signer)?;
            let of_signer = signer.names();
            let names = names.iter().flat_map(|one| of_signer.iter().filter_map(|other| one.overlap(other)));
            let scope = sorted(&names.collect::<Vec<_>>());
            let counts = !scope.is_empty() && signed.is_none_or(|date| since.includes(date));
            counts.then_some(Listed { by: signer.fingerprint(), since, scope })
        });
        said.collect()
    }
}

/// The keys that handed names over to a key: who, when, and which of these names.
fn steps(entry: &TrustedKey, names: &[Scope]) -> impl Iterator<Item = (Fingerprint, Time, Vec<Scope>)> {
    let of = move |scope: &[Scope]| {
        let common = scope.iter().flat_map(|one| names.iter().filter_map(|other| one.overlap(other)));
        sorted(&common.collect::<Vec<_>>())
    };
    entry.rotations().map(move |(old, date, scope)| (old, date, of(scope)))
}

#[cfg(test)]
mod tests;

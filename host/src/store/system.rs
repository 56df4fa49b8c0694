//! The system store as a user sees it: the administrator says what is there, each user what it may do for them.
//!
//! A plugin of that store is offered once the administrator has agreed to everything that it asks for. What it holds for a
//! user is what that user agreed to, of what it asks for and the administrator granted; so neither an upgrade by the
//! administrator nor the administrator's own grants give it anything of the user's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use migraine_plugin_api::{Permission, PermissionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decided::Decided;
use super::error::StoreError;
use super::records::Records;
use super::state::{Entry, Problem, ProblemKind, State, Status, Trust, is_default};
use crate::ids::{Digest, PluginName};
use crate::policy::{Consent, Decisions, Item, Request, asks, covers, decide, resolve};

/// Which store a plugin is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreName {
    /// The user's own.
    User,
    /// The administrator's, which everybody reads.
    System,
}

/// What a user decided about a plugin of the system store; kept in the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    /// The tree that it was decided about.
    pub digest: Digest,
    /// Who vouched for it then.
    pub trust: Trust,
    /// What was offered then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asked: Vec<Permission>,
    /// What was decided.
    #[serde(flatten)]
    pub decided: Decided,
    /// It failed too often, for this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The plugins of the system store, as they stand for a user. What is held of one is read once it is asked for. Where that
/// cannot be read, the store cannot be used: from then on it is as if it were empty, and [`SystemView::problem`] says why.
#[derive(Debug, Clone, Default)]
pub struct SystemView {
    offers: Records<Offer>,
    overlays: BTreeMap<PluginName, Overlay>,
    /// Packages without a signature that the administrator allowed there.
    pub exceptions: BTreeSet<Digest>,
    /// Counts the administrator's commits.
    pub generation: u64,
    is_unusable: OnceLock<()>,
    /// For all that read this store: why it cannot be used, once somebody found that.
    why: Arc<OnceLock<StoreError>>,
}

/// A plugin as the administrator has it, and once it was asked for, as it stands for the user.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Entry")]
struct Offer {
    entry: Entry,
    seen: OnceLock<Box<Entry>>,
}

impl From<Entry> for Offer {
    fn from(entry: Entry) -> Self {
        Self { entry, seen: OnceLock::new() }
    }
}

impl Overlay {
    fn of(entry: &Entry) -> Self {
        let problem = entry.problem.clone().filter(|problem| problem.kind == ProblemKind::Quarantined);
        Self {
            digest: entry.digest,
            trust: entry.trust.clone(),
            asked: entry.asked.clone(),
            decided: entry.decided.clone(),
            problem,
        }
    }
}

impl SystemView {
    /// What a state of that store is for a user who decided so; whoever finds that it cannot be used says it there.
    pub(super) fn of(shared: State, overlays: &BTreeMap<PluginName, Overlay>, why: Arc<OnceLock<StoreError>>) -> Self {
        let State { generation, plugins, exceptions, .. } = shared;
        let (offers, overlays) = (plugins.recast(), overlays.clone());
        Self { offers, overlays, exceptions, generation, is_unusable: OnceLock::new(), why }
    }

    /// One that cannot be used.
    pub(super) fn unusable(why: Arc<OnceLock<StoreError>>) -> Self {
        Self { is_unusable: OnceLock::from(()), why, ..Self::default() }
    }

    /// Why the store cannot be used, if that was found.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.why.get().map(ToString::to_string)
    }

    /// How many plugins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    /// Their names, in their order; nothing else is read.
    pub fn names(&self) -> impl Iterator<Item = &PluginName> {
        self.offers.keys().filter(|_| self.is_unusable.get().is_none())
    }

    /// Whether there is one of this name; nothing else is read.
    #[must_use]
    pub fn contains(&self, name: &PluginName) -> bool {
        self.is_unusable.get().is_none() && self.offers.contains_key(name)
    }

    /// A plugin, as it stands for the user.
    #[must_use]
    pub fn get(&self, name: &PluginName) -> Option<&Entry> {
        self.offer(name).map(|offer| self.seen(name, offer))
    }

    /// Whether the administrator offers a plugin to nobody now.
    #[must_use]
    pub fn is_withheld(&self, name: &PluginName) -> bool {
        self.offer(name).is_some_and(|offer| offer.entry.status() != Status::Enabled)
    }

    /// All of them, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&PluginName, &Entry)> {
        self.those(|_| true)
    }

    /// Those whose record, as the administrator has it, may hold what is wanted.
    pub(super) fn those(&self, may: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = (&PluginName, &Entry)> {
        let found = self.usable(self.offers.those(may)).into_iter().flatten();
        found.map(|(name, offer)| (name, self.seen(name, offer)))
    }

    fn offer(&self, name: &PluginName) -> Option<&Offer> {
        self.usable(self.offers.get(name)).flatten()
    }

    fn seen<'a>(&self, name: &PluginName, offer: &'a Offer) -> &'a Entry {
        offer.seen.get_or_init(|| Box::new(seen(&offer.entry, self.overlays.get(name))))
    }

    fn usable<T>(&self, read: Result<T, StoreError>) -> Option<T> {
        let read = match read {
            Ok(read) => Some(read),
            Err(error) => {
                // The first reason is as good as a later one.
                let _ = (self.why.set(StoreError::of_system(error)), self.is_unusable.set(()));
                None
            }
        };
        read.filter(|_| self.is_unusable.get().is_none())
    }

    fn put(&mut self, name: &PluginName, entry: Entry) {
        let offer =
            self.offer(name).map_or_else(|| Offer::from(entry.clone()), |offer| Offer::from(offer.entry.clone()));
        self.overlays.insert(name.clone(), Overlay::of(&entry));
        self.offers.insert(name.clone(), Offer { seen: OnceLock::from(Box::new(entry)), ..offer });
    }
}

impl State {
    /// An installed plugin, and where it is: one of the user's own hides one of the system store.
    ///
    /// # Errors
    /// What is held of it cannot be read.
    pub fn find(&self, name: &PluginName) -> Result<Option<(&Entry, StoreName)>, StoreError> {
        let own = self.plugins.get(name)?.map(|entry| (entry, StoreName::User));
        Ok(own.or_else(|| Some((self.system.get(name)?, StoreName::System))))
    }

    /// Whether a plugin of this name can be used.
    #[must_use]
    pub fn has(&self, name: &PluginName) -> bool {
        self.plugins.contains_key(name) || self.system.contains(name)
    }

    /// The plugins of the system store that none of the user's own hides, by name.
    pub fn shared(&self) -> impl Iterator<Item = (&PluginName, &Entry)> {
        self.system.iter().filter(|(name, _)| !self.plugins.contains_key(name))
    }

    /// The names of these; nothing else of them is read.
    pub fn shared_names(&self) -> impl Iterator<Item = &PluginName> {
        self.system.names().filter(|name| !self.plugins.contains_key(name))
    }

    /// The names of all that can be used, those of the user's own first.
    pub fn names(&self) -> impl Iterator<Item = &PluginName> {
        self.plugins.keys().chain(self.shared_names())
    }

    /// Every plugin that can be used, by name.
    ///
    /// # Errors
    /// What is held of one cannot be read.
    pub fn usable(&self) -> Result<BTreeMap<PluginName, (&Entry, StoreName)>, StoreError> {
        let shared = self.system.iter().map(|(name, entry)| (name.clone(), (entry, StoreName::System)));
        let own = self.plugins.iter()?.map(|(name, entry)| (name.clone(), (entry, StoreName::User)));
        Ok(shared.chain(own).collect())
    }

    /// Their entries; those of the user's own are read once they are asked for.
    #[must_use]
    pub fn all(&self) -> Cow<'_, Records<Entry>> {
        let mut shared = self.shared().peekable();
        if shared.peek().is_none() {
            return Cow::Borrowed(&self.plugins);
        }
        let mut all = self.plugins.clone();
        all.extend(shared.map(|(name, entry)| (name.clone(), entry.clone())));
        Cow::Owned(all)
    }

    /// The packages without a signature that were allowed in a store.
    #[must_use]
    pub fn exceptions_of(&self, place: StoreName) -> Vec<Digest> {
        let exceptions = match place {
            StoreName::User => &self.exceptions,
            StoreName::System => &self.system.exceptions,
        };
        exceptions.iter().copied().collect()
    }

    /// Puts an entry in the place of that of an installed plugin; of one of the system store, the user's part is kept.
    pub fn put(&mut self, name: &PluginName, place: StoreName, entry: Entry) {
        match place {
            StoreName::User => {
                self.plugins.insert(name.clone(), entry);
            }
            StoreName::System => {
                self.overlays.insert(name.clone(), Overlay::of(&entry));
                self.system.put(name, entry);
            }
        }
    }

    /// How often either store was changed.
    pub(super) fn generations(&self) -> (u64, u64) {
        (self.generation, self.system.generation)
    }
}

/// A plugin of the system store, as it stands for a user who decided so, or who decided nothing.
fn seen(shared: &Entry, own: Option<&Overlay>) -> Entry {
    let is_offered = shared.status() == Status::Enabled;
    let mut entry = Entry {
        decided: Decided::default(),
        asked: offered(shared),
        // What the administrator set is where a user's own settings begin.
        defaults: shared.config(),
        pinned: None,
        previous: None,
        ..shared.clone()
    };
    // The administrator may put another maker's plugin under the same name: nothing was decided about that one.
    let Some(own) = own.filter(|own| own.digest == entry.digest || is_same_maker(&own.trust, &entry.trust)) else {
        entry.decided.enabled = is_offered && agreed(&entry, &[]).is_some_and(|consent| consent.is_complete());
        entry.decided.was_enabled = entry.decided.enabled;
        return entry;
    };
    let decided = &own.decided;
    let fits = |key: &String, value: &Value| {
        let default = entry.defaults.get(key);
        default.is_some_and(|default| default.is_null() || same_kind(default, value))
    };
    let kept = decided.overrides.iter().filter(|(key, value)| fits(key, value));
    entry.decided.overrides = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    entry.decided.directories.clone_from(&decided.directories);
    if (own.digest, &own.asked) == (entry.digest, &entry.asked) {
        let Decided { overrides, .. } = std::mem::take(&mut entry.decided);
        let enabled = is_offered && decided.enabled;
        entry.decided = Decided { enabled, overrides, ..decided.clone() };
        entry.problem = entry.problem.or_else(|| own.problem.clone());
        return entry;
    }
    // Another version, or offered otherwise: only what was agreed to before and is still asked for is held, and what is new
    // waits for the user.
    let consent = agreed(&entry, &decided.consents).unwrap_or_default();
    let is_complete = agreed(&entry, &decided.consents).is_some_and(|consent| consent.is_complete());
    let (grants, consents) = (consent.granted, consent.accepted);
    let (enabled, was_enabled) = (is_offered && decided.enabled && is_complete, decided.was_enabled && is_complete);
    entry.decided = Decided { enabled, was_enabled, grants, consents, ..entry.decided };
    entry
}

/// What of its questions was agreed to; `None` where they cannot be made out. Pairs that only a policy file names are left
/// out: a new pair takes a new permission, which is missing by itself.
fn agreed(entry: &Entry, held: &[Item]) -> Option<Consent> {
    let permissions = resolve(&entry.asked, &entry.config()).ok()?;
    let request = Request {
        permissions: &permissions,
        directories: &entry.decided.directories,
        hooks: &entry.hooks,
        commands: &entry.commands,
        combos: &BTreeSet::new(),
    };
    decide(&asks(&request), &Decisions { held, ..Decisions::default() }).ok()
}

/// What a plugin asks users for: where the administrator granted less than it asks for, that. Directories are each user's
/// own, and what depends on the configuration is made out for each.
fn offered(shared: &Entry) -> Vec<Permission> {
    let narrowed = |asked: &Permission| {
        let granted = |granted: &&Permission| granted.kind() == asked.kind() && covers(asked, granted);
        let granted: Vec<Permission> = shared.decided.grants.iter().filter(granted).cloned().collect();
        let is_free = asked.kind() == PermissionKind::Filesystem || granted.is_empty();
        if is_free { vec![asked.clone()] } else { granted }
    };
    let mut offered: Vec<Permission> = Vec::new();
    for permission in shared.asked.iter().flat_map(narrowed) {
        if !offered.contains(&permission) {
            offered.push(permission);
        }
    }
    offered
}

/// Whether the same key vouches for both. For what is not signed nobody does.
fn is_same_maker(one: &Trust, other: &Trust) -> bool {
    matches!((one, other), (Trust::Signed { key, .. }, Trust::Signed { key: same, .. }) if key == same)
}

fn same_kind(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::Text;
    use crate::store::tests::{entry, one};

    type Why = Arc<OnceLock<StoreError>>;

    /// A view of what the system store has, after the text of its state was changed.
    fn view(plugins: &[(&str, Entry)], change: impl Fn(&str) -> String) -> (SystemView, Why) {
        let mut shared = State::default();
        for (name, entry) in plugins {
            shared.plugins.insert(name.parse().unwrap(), entry.clone());
        }
        let text = change(std::str::from_utf8(&shared.encode().unwrap()).unwrap());
        let text = Text { bytes: text.into_bytes(), path: "/s/state".into() };
        let (shared, why) = (State::read_checked(&Arc::new(text)).unwrap(), Why::default());
        (SystemView::of(shared, &BTreeMap::new(), Arc::clone(&why)), why)
    }

    fn name(text: &str) -> PluginName {
        text.parse().unwrap()
    }

    /// The record of `b` cannot be read: it has another version.
    fn damaged(text: &str) -> String {
        let at = text.find("\n\"b\":").unwrap();
        let (before, rest) = text.split_at(at);
        before.to_owned() + &rest.replacen("1.0.0", "x.y.z", 1)
    }

    #[test]
    fn what_nobody_asks_for_is_not_read() {
        let whole = entry(&one("1.0.0"));
        let plugins = [("a", whole.clone()), ("b", whole.clone()), ("c", whole.clone())];
        let (shared, why) = view(&plugins, damaged);
        assert_eq!((shared.len(), shared.contains(&name("b"))), (3, true));
        assert_eq!(shared.get(&name("a")).unwrap().digest, whole.digest);
        let mut some = shared.those(|line| !line.windows(5).any(|part| part == b"x.y.z"));
        assert_eq!(some.by_ref().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(why.get().is_none() && shared.problem().is_none());
    }

    #[test]
    fn one_that_cannot_be_read_is_as_if_all_were_not_there() {
        let whole = entry(&one("1.0.0"));
        let plugins = [("a", whole.clone()), ("b", whole.clone())];
        for ask in [
            |shared: &SystemView| shared.get(&name("b")).is_some(),
            |shared: &SystemView| shared.is_withheld(&name("b")),
            |shared: &SystemView| shared.iter().next().is_some(),
        ] {
            let (shared, why) = view(&plugins, damaged);
            assert!(shared.get(&name("a")).is_some() && why.get().is_none());
            assert!(!ask(&shared));
            let problem = shared.problem().unwrap();
            assert!(problem.contains("/s/state") && problem.contains("what it holds of b"), "{problem}");
            assert!(shared.get(&name("a")).is_none() && shared.is_empty() && !shared.contains(&name("a")));
        }
    }

    #[test]
    fn what_is_put_is_what_stands_for_the_user() {
        let (off, on) = (Decided { enabled: false, ..Decided::default() }, entry(&one("1.0.0")));
        let withheld = Entry { decided: off, ..on.clone() };
        let (shared, _) = view(&[("a", withheld), ("b", on.clone())], str::to_owned);
        assert_eq!((shared.is_withheld(&name("a")), shared.is_withheld(&name("b"))), (true, false));
        let mut state = State { system: shared, ..State::default() };
        for plugin in ["a", "b"] {
            state.put(
                &name(plugin),
                StoreName::System,
                Entry { pinned: Some(semver::Version::new(9, 9, 9)), ..on.clone() },
            );
            assert!(state.overlays.contains_key(&name(plugin)));
            let (found, place) = state.find(&name(plugin)).unwrap().unwrap();
            assert_eq!((place, found.pinned.is_some()), (StoreName::System, true));
        }
        assert_eq!((state.system.is_withheld(&name("a")), state.system.is_withheld(&name("b"))), (true, false));
    }
}

//! The system store as a user sees it: the administrator says what is there, each user what it may do for them.
//!
//! A plugin of that store is offered once the administrator has agreed to everything that it asks for. What it holds for a
//! user is what that user agreed to, of what it asks for and the administrator granted; so neither an upgrade by the
//! administrator nor the administrator's own grants give it anything of the user's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

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

/// The plugins of the system store, as they stand for a user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SystemView {
    /// The plugins.
    pub plugins: BTreeMap<PluginName, Entry>,
    /// Those that the administrator offers to nobody now.
    pub withheld: BTreeSet<PluginName>,
    /// Packages without a signature that the administrator allowed there.
    pub exceptions: BTreeSet<Digest>,
    /// Counts the administrator's commits.
    pub generation: u64,
    /// Why the store cannot be used, if so. Then it is as if it were empty.
    pub problem: Option<String>,
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
    /// What a state of that store is for a user who decided so.
    ///
    /// # Errors
    /// What is held of a plugin cannot be read.
    pub(super) fn of(shared: State, overlays: &BTreeMap<PluginName, Overlay>) -> Result<Self, StoreError> {
        let mut view = Self { generation: shared.generation, ..Self::default() };
        for (name, entry) in shared.plugins.iter()? {
            if entry.status() != Status::Enabled {
                view.withheld.insert(name.clone());
            }
            view.plugins.insert(name.clone(), seen(entry, overlays.get(name)));
        }
        Ok(Self { exceptions: shared.exceptions, ..view })
    }
}

impl State {
    /// An installed plugin, and where it is: one of the user's own hides one of the system store.
    ///
    /// # Errors
    /// What is held of it cannot be read.
    pub fn find(&self, name: &PluginName) -> Result<Option<(&Entry, StoreName)>, StoreError> {
        let own = self.plugins.get(name)?.map(|entry| (entry, StoreName::User));
        Ok(own.or_else(|| Some((self.system.plugins.get(name)?, StoreName::System))))
    }

    /// Whether a plugin of this name can be used.
    #[must_use]
    pub fn has(&self, name: &PluginName) -> bool {
        self.plugins.contains_key(name) || self.system.plugins.contains_key(name)
    }

    /// The plugins of the system store that none of the user's own hides, by name.
    pub fn shared(&self) -> impl Iterator<Item = (&PluginName, &Entry)> {
        self.system.plugins.iter().filter(|(name, _)| !self.plugins.contains_key(name))
    }

    /// The names of all that can be used, those of the user's own first.
    pub fn names(&self) -> impl Iterator<Item = &PluginName> {
        self.plugins.keys().chain(self.shared().map(|(name, _)| name))
    }

    /// Every plugin that can be used, by name.
    ///
    /// # Errors
    /// What is held of one cannot be read.
    pub fn usable(&self) -> Result<BTreeMap<PluginName, (&Entry, StoreName)>, StoreError> {
        let shared = self.system.plugins.iter().map(|(name, entry)| (name.clone(), (entry, StoreName::System)));
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
                self.system.plugins.insert(name.clone(), entry);
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

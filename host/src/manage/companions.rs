//! What must be installed along with a plugin: what it needs and is not there yet, from the folders of this machine that it
//! may come from. Nothing is fetched, and nothing that nobody signed comes along.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::Serialize;

use super::ManageError;
use super::resolve::{Candidate, Chosen, Place, Universe, Wanted, resolve};
use super::source::{Found, scan};
use super::supply::Supply;
use crate::ids::{Fingerprint, PluginName};
use crate::package::Opened;
use crate::package::dependency::{Need, needs};
use crate::runtime::{Around, needed_plugins, signer};
use crate::store::{Entry, State};
use crate::text::safe_line;
use crate::trust::{KeySet, PublicKey};

/// A plugin that is installed because another one needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Its name.
    pub name: PluginName,
    /// The version that is installed then.
    pub version: Version,
    /// The version that is installed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Version>,
    /// The key that signed it.
    pub key: Option<Fingerprint>,
    /// The file.
    pub path: PathBuf,
}

impl Companion {
    /// What it is, who signed it and where it lies, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { name, version, replaces, key, path } = self;
        let replaces = replaces.as_ref().map(|before| format!(" (in place of {before})")).unwrap_or_default();
        let key = key.as_ref().map(|key| format!(", signed by {key}")).unwrap_or_default();
        format!("{name} {version}{replaces}{key}, from {}", safe_line(&path.to_string_lossy()))
    }
}

/// What is to be installed along with a plugin, in the order of loading.
pub(super) type Companions = Vec<(Companion, Supply)>;

/// Where companions may come from.
pub(super) struct Sources<'a> {
    pub(super) state: &'a State,
    pub(super) keys: &'a KeySet,
    /// Folders to look into, and supplies that came with the plugin, each in the order of preference.
    pub(super) folders: &'a [PathBuf],
    pub(super) supplies: &'a [Supply],
}

/// Finds what a plugin needs besides what is installed, so that everything that is in order now stays so.
///
/// # Errors
/// Something that is needed is not there, is another maker's, or does not go together with the rest.
pub(super) fn companions(main: &Opened, from: &Sources<'_>) -> Result<Companions, ManageError> {
    let (index, state) = (&main.index, from.state);
    let kept = in_order(state, from.keys)?;
    let is_needed = kept.values().flatten().any(|need| need.name == index.name);
    if index.dependencies.is_empty() && !is_needed {
        return Ok(Vec::new());
    }
    let mut universe = Universe::default();
    let signed_by = main.signature.as_ref().map(crate::package::Signature::fingerprint);
    universe.add(&index.name, candidate(main, signed_by, from.keys, Place::Found(0)));
    for (name, entry) in state.all().iter()? {
        universe.add(name, installed(name, entry, from.keys));
    }
    let found = if index.dependencies.is_empty() { Vec::new() } else { found(from)? };
    for (at, (_, opened)) in found.iter().enumerate() {
        let signed_by = opened.signature.as_ref().map(crate::package::Signature::fingerprint);
        // Its files are looked at when it is installed; a claim that nobody signed is not even a candidate, and neither is
        // another version of what the user keeps at one.
        let pinned = state.plugins.get(&opened.index.name)?.and_then(|entry| entry.pinned.as_ref());
        if is_signed(opened) && pinned.is_none_or(|pinned| *pinned == opened.index.version) {
            universe.add(&opened.index.name, candidate(opened, signed_by, from.keys, Place::Found(at + 1)));
        }
    }
    universe.forget_older();
    let mut wanted = vec![Wanted { name: index.name.clone(), version: Some(index.version.clone()) }];
    let others = kept.into_keys().filter(|name| *name != index.name);
    wanted.extend(others.map(|name| Wanted { name, version: None }));
    let chosen = resolve(&universe, &wanted)?;
    taken(chosen, found, state)
}

fn taken(chosen: Vec<Chosen>, found: Vec<(Supply, Opened)>, state: &State) -> Result<Companions, ManageError> {
    let mut found: Vec<Option<(Supply, Opened)>> = found.into_iter().map(Some).collect();
    let mut take = |one: Chosen| {
        let Place::Found(at) = one.place else { return Ok(None) };
        let one_found = at.checked_sub(1).and_then(|at| found.get_mut(at)).and_then(Option::take);
        let Some((supply, opened)) = one_found else { return Ok(None) };
        let replaces = state.plugins.get(&one.name)?.map(|entry| entry.version.clone());
        let key = opened.signature.as_ref().map(crate::package::Signature::fingerprint);
        let path = supply.path().to_owned();
        Ok(Some((Companion { name: one.name, version: one.version, replaces, key, path }, supply)))
    };
    chosen.into_iter().filter_map(|one| take(one).transpose()).collect()
}

/// The plugins that run now and need others, with what they need: an installation must not break them.
fn in_order(state: &State, keys: &KeySet) -> Result<BTreeMap<PluginName, Vec<Need>>, ManageError> {
    let all = state.all();
    let around = Around { others: &all, keys };
    let enabled = state.plugins.mentioning("dependencies")?.filter(|(_, entry)| entry.decided.enabled);
    let with_needs = enabled.map(|(name, entry)| (name.clone(), entry, needs(&entry.dependencies)));
    let in_order = with_needs.filter(|(_, entry, needs)| {
        let met = needed_plugins(entry, around).iter().all(|one| !one.is_in_the_way());
        !needs.is_empty() && met
    });
    Ok(in_order.map(|(name, _, needs)| (name, needs)).collect())
}

fn installed(name: &PluginName, entry: &Entry, keys: &KeySet) -> Candidate {
    let signer = signer(entry);
    Candidate {
        version: entry.version.clone(),
        signer,
        stands_for: signer.map(|key| keys.predecessors(&key, name)).unwrap_or_default(),
        needs: needs(&entry.dependencies),
        place: if entry.link.is_some() { Place::Linked } else { Place::Installed },
    }
}

fn candidate(opened: &Opened, signer: Option<Fingerprint>, keys: &KeySet, place: Place) -> Candidate {
    Candidate {
        version: opened.index.version.clone(),
        signer,
        stands_for: signer.map(|key| keys.predecessors(&key, &opened.index.name)).unwrap_or_default(),
        needs: opened.index.dependencies.clone(),
        place,
    }
}

fn is_signed(opened: &Opened) -> bool {
    let verified = opened.signature.as_ref().and_then(|signature| {
        let key = PublicKey::from_bytes(&signature.key).ok()?;
        Some(key.verify(&opened.index_text, signature))
    });
    verified == Some(true)
}

/// What there is to choose from. A file that cannot be read is no candidate, whatever it is.
fn found(from: &Sources<'_>) -> Result<Vec<(Supply, Opened)>, ManageError> {
    let given = from.supplies.iter().filter_map(|supply| Some((supply.clone(), supply.open().ok()?)));
    let mut found: Vec<(Supply, Opened)> = given.collect();
    for folder in from.folders {
        let opened =
            scan(folder)?.into_iter().filter_map(|Found { path, opened }| Some((Supply::File(path), opened.ok()?)));
        found.extend(opened);
    }
    Ok(found)
}

/// The plugins that need this one, by name; of those that run alone, or of all.
pub(super) fn needed_by(state: &State, name: &PluginName, enabled_alone: bool) -> Result<Vec<PluginName>, ManageError> {
    let all = state.all();
    let needing = all.mentioning("dependencies")?.filter(|(other, entry)| {
        *other != name
            && (entry.decided.enabled || !enabled_alone)
            && needs(&entry.dependencies).iter().any(|need| need.name == *name)
    });
    Ok(needing.map(|(other, _)| other.clone()).collect())
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
}

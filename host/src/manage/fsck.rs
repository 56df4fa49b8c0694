//! `fsck`: everything in the home directory is looked at, and what can be put right is, where that is asked for. What
//! cannot be known any more is named, never made up.

use std::collections::BTreeSet;

use serde::Serialize;

use super::ManageError;
use super::health::as_text;
use super::install::shown;
use super::prepare::bare_entry;
use super::source::{open_file, scan, to_trust, unpacked};
use crate::code::{Code, Coded};
use crate::ids::{Digest, PluginName};
use crate::package::Package;
use crate::policy::SYSTEM_STORE;
use crate::runtime::keys_of;
use crate::store::{Entry, Flaw, FlawKind, Home, Inspection, InstalledTree, PluginData, State, StoreError, StoreName};
use crate::trust::{KeySet, Keyring, judge};

/// What was found, and what was put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FsckReport {
    /// How many plugins are installed.
    pub plugins: usize,
    /// How many trees were read: one for each plugin, and one for the version before it.
    pub trees: usize,
    /// How many of their files were compared.
    pub files: usize,
    /// What is not as it was left.
    pub findings: Vec<FsckFinding>,
}

/// One thing that is not as it was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FsckFinding {
    /// Where, below the home directory.
    pub path: String,
    /// The plugin that it concerns.
    pub plugin: Option<PluginName>,
    /// What is wrong.
    pub problem: String,
    /// The same as a code; nothing where it does no harm.
    #[serde(serialize_with = "as_text")]
    pub code: Option<Code>,
    /// Whether it was put right.
    pub repaired: bool,
    /// What to do next.
    pub help: Option<String>,
}

impl FsckReport {
    /// The first harm that is left.
    #[must_use]
    pub fn first_left(&self) -> Option<&FsckFinding> {
        self.findings.iter().find(|finding| finding.code.is_some() && !finding.repaired)
    }
}

impl FsckFinding {
    fn of<E: Coded>(path: &str, error: &E) -> Self {
        let (path, problem) = (path.to_owned(), error.to_string());
        Self { path, plugin: None, problem, code: Some(error.code()), repaired: false, help: error.help() }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.path, &self.problem) == (&other.path, &other.problem)
    }
}

/// Looks at the state, every installed file, the keyring, the policy file and the plugins' data. With `repair`, what can
/// be put right is: modes, what does not belong there, what interrupted commands left, files that the place where a plugin
/// came from still has, and a damaged state, as far as signed trees tell. `now` is the time: RFC 3339, UTC.
///
/// # Errors
/// Something cannot be looked at, or the repair failed. What is wrong is no error.
pub fn fsck(home: &Home, repair: bool, now: &str) -> Result<FsckReport, ManageError> {
    let found = home.inspect()?;
    let mut findings = findings(home, &found);
    if repair && !findings.is_empty() {
        let lost = mend(home, &found, now)?;
        let left = self::findings(home, &home.inspect()?);
        for finding in &mut findings {
            // Notes are of what does no harm; some of them are gone all the same.
            finding.repaired = !left.iter().any(|left| left.is(finding));
        }
        let is_new = |left: &FsckFinding| !findings.iter().any(|finding| finding.is(left));
        let new: Vec<FsckFinding> = left.into_iter().filter(is_new).collect();
        findings.extend(new.into_iter().chain(lost));
    }
    if home.is_system() {
        findings.iter_mut().filter_map(|finding| finding.help.as_mut()).for_each(|help| *help = with_system(help));
    }
    findings.extend(of_system(home));
    let plugins = home.read_whole().map_or(0, |state| state.plugins.len());
    Ok(FsckReport { plugins, trees: found.present.len(), files: found.files, findings })
}

/// The same advice for the system store.
fn with_system(help: &str) -> String {
    const GROUP: &str = "migraine plugin ";
    let mut parts = help.split(GROUP);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let verb = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
        let (verb, rest) = part.split_at(verb);
        text.push_str(&format!("{GROUP}{verb} --system{rest}"));
    }
    text
}

fn findings(home: &Home, found: &Inspection) -> Vec<FsckFinding> {
    let mut findings = Vec::new();
    if let Err(error) = &found.state {
        let mut finding = FsckFinding::of("state", error);
        if matches!(error, StoreError::Corrupt { .. }) {
            let words = "registers what is signed again: grants, settings and what was seen of versions are lost";
            finding.help = Some(format!("`migraine plugin fsck --repair` {words}; plugin data is kept"));
        }
        findings.push(finding);
    }
    findings.extend(found.flaws.iter().map(|flaw| described(flaw, found.state.as_ref().ok())));
    if let Err(error) = Keyring::load_from(&home.keys_path()) {
        findings.push(FsckFinding::of("keys", &error));
    }
    if let Err(error) = home.policy() {
        findings.push(FsckFinding::of("policy.yaml", &error));
    }
    findings.extend(of_data(home, found.state.as_ref().ok()));
    findings
}

fn described(flaw: &Flaw, state: Option<&State>) -> FsckFinding {
    let plugin = flaw.tree.and_then(|tree| state.and_then(|state| owner(state, &tree).ok().flatten()));
    let again = |name: &PluginName, entry: &Entry| match &entry.installed_from {
        Some(path) => format!("install it again: migraine plugin install {}", shown(path)),
        None => format!("install {name} again from where it came from"),
    };
    let (problem, code, help) = match &flaw.kind {
        FlawKind::Damaged(why) => (why.clone(), Some(Code::Integrity), plugin.map(|(name, entry)| again(name, entry))),
        FlawKind::Linked(names) => {
            (format!("it has {names} names, and can be changed through each"), Some(Code::Integrity), None)
        }
        FlawKind::Extra => ("it does not belong there".to_owned(), Some(Code::Integrity), None),
        FlawKind::Mode { found, wanted } => {
            (format!("its mode is {found:03o}, not {wanted:03o}"), Some(Code::InsecurePermissions), None)
        }
        FlawKind::Leftover => ("an interrupted command left it".to_owned(), None, None),
    };
    let repair = || match flaw.kind {
        FlawKind::Leftover => "the next change of the store removes it".to_owned(),
        _ => "`migraine plugin fsck --repair` puts it right".to_owned(),
    };
    let (plugin, help) = (plugin.map(|(name, _)| name.clone()), Some(help.unwrap_or_else(repair)));
    FsckFinding { path: flaw.path.clone(), plugin, problem, code, repaired: false, help }
}

/// The plugin that a tree is of, or is the version before of, with the entry of that version.
fn owner<'a>(state: &'a State, tree: &Digest) -> Result<Option<(&'a PluginName, &'a Entry)>, StoreError> {
    let mut entries = state.plugins.iter()?.flat_map(|(name, entry)| {
        std::iter::once(entry).chain(entry.previous.as_deref()).map(move |entry| (name, entry))
    });
    Ok(entries.find(|(_, entry)| entry.digest == *tree))
}

fn of_data(home: &Home, state: Option<&State>) -> Vec<FsckFinding> {
    if !home.has_data() {
        return Vec::new();
    }
    let path = "data/plugins.db";
    let known = |name: &str| state.is_none_or(|state| state.names().any(|plugin| plugin.as_str() == name));
    let looked_at = PluginData::open(home).and_then(|data| data.check().and_then(|()| data.plugins()));
    let names = match looked_at {
        Ok(names) => names,
        Err(error) => return vec![FsckFinding::of(path, &error)],
    };
    let note = |name: String| FsckFinding {
        path: path.to_owned(),
        plugin: name.parse().ok(),
        problem: format!("it holds data of {name}, which is not installed"),
        code: None,
        repaired: false,
        help: Some(format!("if it is not wanted any more, run: migraine plugin uninstall {name} --purge")),
    };
    names.into_iter().filter(|name| !known(name)).map(note).collect()
}

/// What is wrong with the system store behind the home, as far as it keeps its plugins from running for this user. Only root
/// looks at the rest of it, and puts it right.
fn of_system(home: &Home) -> Vec<FsckFinding> {
    let state = home.read().unwrap_or_default();
    if let Some(error) = home.system_problem().get() {
        return vec![FsckFinding::of(SYSTEM_STORE, error)];
    }
    let loaded = |(name, entry): (&PluginName, &Entry)| {
        let error = home.load_in(StoreName::System, &entry.digest).err()?;
        let path = format!("{SYSTEM_STORE}/store/{}", entry.digest);
        Some(FsckFinding { plugin: Some(name.clone()), ..FsckFinding::of(&path, &error) })
    };
    let mut findings: Vec<FsckFinding> = state.system.iter().filter_map(loaded).collect();
    if let Some(Err(error)) = home.has_system().then(|| keys_of(home, StoreName::System)) {
        findings.push(FsckFinding::of(&format!("{SYSTEM_STORE}/keys"), &error));
    }
    findings
}

/// Puts right what can be; the findings are of what is lost by it.
fn mend(home: &Home, found: &Inspection, now: &str) -> Result<Vec<FsckFinding>, ManageError> {
    let mut lost = Vec::new();
    match &found.state {
        Err(StoreError::Corrupt { .. }) => lost = rebuild(home, found, now)?,
        // Whoever could write to it may have written anything: only the user can say what is true.
        Err(_) => return Ok(lost),
        Ok(_) => {}
    }
    // What was left behind goes with that.
    let mut writer = home.writer()?;
    let flawed: BTreeSet<Digest> = found.flaws.iter().filter_map(|flaw| flaw.tree).collect();
    let state = writer.state().clone();
    let kept = state.trees()?;
    for tree in flawed.intersection(&kept) {
        // Where even this fails, the tree as a whole is put in its place anew.
        let is_mended = writer.mend_tree(tree).is_ok();
        let is_linked = found.flaws.iter().any(|flaw| flaw.tree == Some(*tree) && flaw.is_linked());
        if (!is_mended || is_linked || home.load(tree).is_err())
            && let Some(package) = original(home, &state, tree)
        {
            writer.replace_tree(&package)?;
        }
    }
    lost.extend(drop_previous(home, writer.state_mut())?);
    if *writer.state() != state {
        writer.commit()?;
    }
    Ok(lost)
}

/// A version before whose files are lost cannot be gone back to.
fn drop_previous(home: &Home, state: &mut State) -> Result<Vec<FsckFinding>, ManageError> {
    let mut lost = Vec::new();
    for (name, entry) in state.plugins.iter_mut()? {
        let Some(previous) = entry.previous.take_if(|previous| home.load(&previous.digest).is_err()) else { continue };
        lost.push(FsckFinding {
            path: format!("store/{}", previous.digest),
            plugin: Some(name.clone()),
            problem: format!("{} cannot be gone back to any more", previous.version),
            code: None,
            repaired: false,
            help: None,
        });
    }
    Ok(lost)
}

/// The package that a tree was made of, if the place where it came from, or the plugins folder, still has it.
fn original(home: &Home, state: &State, tree: &Digest) -> Option<Package> {
    let recorded = owner(state, tree).ok().flatten().and_then(|(_, entry)| entry.installed_from.clone());
    let recorded = recorded.and_then(|path| Some((open_file(&path).ok()?, path)));
    let folder = scan(&home.plugins_path()).unwrap_or_default();
    let mut found =
        recorded.into_iter().chain(folder.into_iter().filter_map(|found| Some((found.opened.ok()?, found.path))));
    let (opened, path) = found.find(|(opened, _)| opened.digest() == *tree)?;
    unpacked(opened, &path).ok()
}

/// A state from what is signed and undamaged. Grants, settings and exceptions were in the old one alone.
fn rebuild(home: &Home, found: &Inspection, now: &str) -> Result<Vec<FsckFinding>, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    let (mut state, mut lost) = (State::default(), Vec::new());
    for digest in &found.present {
        match registered(home, &keys, digest, now) {
            Ok((tree, entry)) => {
                let name = tree.index.name.clone();
                state.history.get_or_default(&name)?.record(&tree.index, *digest);
                let newest = state.plugins.get(&name)?.is_none_or(|other| other.version < entry.version);
                if newest {
                    state.plugins.insert(name, entry);
                }
            }
            Err(error) => lost.push(FsckFinding {
                problem: format!("it could not be registered again: {error}"),
                help: Some("install the plugin again from where it came from".to_owned()),
                ..FsckFinding::of(&format!("store/{digest}"), &error)
            }),
        }
    }
    let kept = home.rescue(state)?;
    lost.push(FsckFinding {
        path: kept.clone(),
        plugin: None,
        problem: "it holds what the damaged state was".to_owned(),
        code: None,
        repaired: false,
        help: Some(
            "every plugin waits for consent: migraine plugin enable NAME. Remove the file when all is well".to_owned(),
        ),
    });
    Ok(lost)
}

fn registered(home: &Home, keys: &KeySet, digest: &Digest, now: &str) -> Result<(InstalledTree, Entry), ManageError> {
    let tree = home.load(digest)?;
    let trusted = judge(&tree.index_text, &tree.index, tree.signature.as_ref(), keys, &[])?;
    let refused = |source| ManageError::Package { path: tree.index.entry.clone().into(), source };
    let manifest = tree.manifest().map_err(refused)?;
    let entry = bare_entry(tree.index.version.clone(), *digest, to_trust(trusted), &manifest, now);
    Ok((tree, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_for_the_system_store_names_it() {
        for (help, expected) in [
            ("`migraine plugin fsck --repair` puts it right", "`migraine plugin fsck --system --repair` puts it right"),
            ("run: migraine plugin enable NAME. Remove", "run: migraine plugin enable --system NAME. Remove"),
            (
                "a migraine plugin list, migraine plugin list",
                "a migraine plugin list --system, migraine plugin list --system",
            ),
            ("the next change of the store removes it", "the next change of the store removes it"),
        ] {
            assert_eq!(with_system(help), expected);
        }
    }
}

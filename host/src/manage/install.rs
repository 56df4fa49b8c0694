//! `install`: open, judge, look inside, ask, and only then write; one commit at the end.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::companions::{Companion, Companions, Sources, companions, folder_of};
use super::consent::{CompanionsQuestion, Consenting};
use super::info::MissingItem;
use super::lock::Followed;
use super::origin::Place;
use super::prepare::{Given, Prepared, commit, prepare};
use super::search::folders;
use super::supply::Supply;
use super::versions::Allowed;
use super::{Expected, ManageError, Source, lookalike};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::Opened;
use crate::package::scan::Finding;
use crate::policy::{Ask, granted_words};
use crate::runtime::{Around, Requirement, needed_plugins};
use crate::store::{Entry, Home, Records, State, Status, Trust};
use crate::trust::Keyring;

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// A `.mgp` file, a `.so` file (with its `.so.sig` beside it), scripts, a directory that holds one of these or an
    /// unpacked package, the name of a plugin in one of the folders that are looked through, or what was fetched from a
    /// server.
    pub source: Source,
    /// What must be so of it.
    pub expected: Expected,
    /// Only look what would happen: everything is judged, and nothing is changed.
    pub is_dry_run: bool,
    /// Make an exception for exactly this file if it is not signed.
    pub allow_unsigned: bool,
    /// Pin the key of this fingerprint for this plugin, if it is not known yet.
    pub trust_key: Option<Fingerprint>,
    /// Versions that may be installed although others were seen before.
    pub allowed: Allowed,
    /// The project whose lock takes in what is installed, if it has one.
    pub project: Option<PathBuf>,
    /// The time: RFC 3339, UTC.
    pub now: String,
}

impl InstallRequest {
    /// A request for what a path means, with nothing allowed beyond it.
    #[must_use]
    pub fn of(source: Source, now: &str) -> Self {
        let (expected, allowed) = (Expected::default(), Allowed::default());
        Self {
            source,
            expected,
            is_dry_run: false,
            allow_unsigned: false,
            trust_key: None,
            allowed,
            project: None,
            now: now.to_owned(),
        }
    }
}

/// What was installed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstallReport {
    /// The plugin.
    pub name: PluginName,
    /// The version that is installed now.
    pub version: semver::Version,
    /// The version that was installed before.
    pub replaced: Option<semver::Version>,
    /// How it stands now.
    pub status: Status,
    /// The digest of its index.
    pub digest: Digest,
    /// Why it could be installed.
    pub trust: Trust,
    /// What was installed along with it, since it needs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<Companion>,
    /// What it may do now, in plain words.
    pub granted: Vec<String>,
    /// What still needs consent; it is not enabled while there is something.
    pub missing: Vec<MissingItem>,
    /// Settings of the user that the new version does not have or does not take any more.
    pub dropped_config: Vec<String>,
    /// What a careful reader would stop at in its scripts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the user should know of the keys.
    pub warnings: Vec<String>,
    /// The server that it came from; what came from a file has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Nothing was changed: this is what would have been.
    pub dry_run: bool,
    /// What became of the lock of the project.
    #[serde(flatten)]
    pub followed: Followed,
    /// The same as `missing`, for the error that ends the command.
    #[serde(skip)]
    pub asks: Vec<Ask>,
}

/// How often it is judged anew because another process changed the plugin meanwhile.
const ATTEMPTS: usize = 8;

/// Installs a plugin or another version of it. It is enabled when nothing is left to consent to.
///
/// # Errors
/// The file is refused, its signature or key is not trusted, the clock cannot be right, a policy file does not allow it or
/// what it asks for, it is older than a version that was seen, or has another content than was seen of it, an enabled
/// plugin's new version asks for more than was granted, or the store failed. Nothing has changed then.
pub fn install(
    home: &Home,
    request: &InstallRequest,
    consenting: &mut Consenting<'_>,
) -> Result<InstallReport, ManageError> {
    for _ in 1..ATTEMPTS {
        match attempt(home, request, consenting) {
            Err(ManageError::Changed { .. }) => {}
            done => return done,
        }
    }
    attempt(home, request, consenting)
}

fn attempt(
    home: &Home,
    request: &InstallRequest,
    consenting: &mut Consenting<'_>,
) -> Result<InstallReport, ManageError> {
    let state = home.read()?;
    let place = request.source.open(&state, &folders(home, &state, Some(consenting.directories.working())))?;
    request.expected.check(&place)?;
    let Place { path, opened, .. } = place;
    let supply = match request.source.remote() {
        Some(download) => Supply::Remote(path.clone(), download.clone()),
        None => Supply::File(path.clone()),
    };
    let key = |_: &PluginName| request.trust_key;
    let mut reports = install_all(home, &state, (vec![(supply, opened)], None), request, consenting, &key)?;
    reports.pop().ok_or(ManageError::NoManifest { path })
}

/// A plugin that is to be installed.
struct Step {
    supply: Supply,
    opened: Opened,
    /// Why it comes along; none for what was asked for.
    companion: Option<Companion>,
}

/// Installs what supplies hold, in this order and all by one commit. What they need comes along, from `others` alone where
/// there are any; `key` is the key that the caller trusts for a name.
pub(super) fn install_all(
    home: &Home,
    state: &State,
    (mains, others): (Vec<(Supply, Opened)>, Option<&[Supply]>),
    request: &InstallRequest,
    consenting: &mut Consenting<'_>,
    key: &dyn Fn(&PluginName) -> Option<Fingerprint>,
) -> Result<Vec<InstallReport>, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    // However it comes: a lock and a need name it as somebody else wrote them.
    let check = |opened: &Opened| lookalike::check(&opened.index.name, request.expected.meant.as_ref(), state, &keys);
    mains.iter().try_for_each(|(_, opened)| check(opened))?;
    let steps = steps(home, state, (mains, others), consenting)?;
    steps.iter().filter(|step| step.companion.is_some()).try_for_each(|step| check(&step.opened))?;
    let along: Vec<Companion> = steps.iter().filter_map(|step| step.companion.clone()).collect();
    agree(&steps, &along, consenting)?;
    let policy = home.policy()?;
    let mut prepared = Vec::with_capacity(steps.len());
    for Step { supply, opened, companion } in steps {
        let command = format!("install {}", shown(supply.path()));
        let given = Given { home, state, policy: &policy, command: &command };
        let name = opened.index.name.clone();
        let request = InstallRequest { trust_key: key(&name), ..request.clone() };
        if companion.is_none() {
            prepared.push((true, prepare(given, opened, &supply, &request, consenting, false)?));
            continue;
        };
        // What the command line allows and grants is meant for the plugin that it names.
        let request = InstallRequest { allow_unsigned: false, allowed: Allowed::default(), ..request };
        let Consenting { yes, directories, .. } = *consenting;
        let mut consenting = Consenting { yes, grants: &[], directories, prompt: &mut *consenting.prompt };
        prepared.push((false, prepare(given, opened, &supply, &request, &mut consenting, true)?));
    }
    let others = after(state, prepared.iter().map(|(_, one)| one));
    for (_, one) in &mut prepared {
        one.warnings.extend(in_the_way(one, Around { others: &others, keys: &keys }));
    }
    let mut lock = None;
    if !request.is_dry_run {
        let all = prepared.iter().map(|(_, one)| one).collect::<Vec<_>>();
        lock = commit(home, state, &all, request)?;
    }
    let followed = Followed::of(lock);
    let mains = prepared.into_iter().filter(|(is_main, _)| *is_main);
    let mut along = Some(along);
    let mut report = |main| {
        let along = along.take().unwrap_or_default();
        InstallReport { followed: followed.clone(), ..report(main, along, request.is_dry_run) }
    };
    Ok(mains.map(|(_, main)| report(main)).collect())
}

/// What is to be installed, what is needed before who needs it.
fn steps(
    home: &Home,
    state: &State,
    (mains, others): (Vec<(Supply, Opened)>, Option<&[Supply]>),
    consenting: &Consenting<'_>,
) -> Result<Vec<Step>, ManageError> {
    let asked: BTreeSet<PluginName> = mains.iter().map(|(_, opened)| opened.index.name.clone()).collect();
    let (mut steps, mut seen): (Vec<Step>, BTreeSet<PluginName>) = (Vec::new(), BTreeSet::new());
    for (supply, opened) in mains {
        for (companion, supply) in along(home, state, (&opened, &supply, others), consenting)? {
            if !asked.contains(&companion.name) && seen.insert(companion.name.clone()) {
                let opened = supply.open()?;
                steps.push(Step { supply, opened, companion: Some(companion) });
            }
        }
        steps.push(Step { supply, opened, companion: None });
    }
    Ok(steps)
}

/// Asks whether what is needed may come along.
fn agree(steps: &[Step], along: &[Companion], consenting: &mut Consenting<'_>) -> Result<(), ManageError> {
    let Some(main) = steps.iter().find(|step| step.companion.is_none()) else { return Ok(()) };
    let (name, version) = (&main.opened.index.name, &main.opened.index.version);
    if along.is_empty() || consenting.yes {
        return Ok(());
    }
    if consenting.prompt.along(&CompanionsQuestion { name, version, companions: along }) {
        return Ok(());
    }
    let command = format!("migraine plugin install {}{} --yes", shown(main.supply.path()), consenting.flags());
    Err(ManageError::Companions { name: name.clone(), companions: along.to_vec(), command })
}

/// The plugins as they are after the commit.
fn after<'a>(state: &State, prepared: impl Iterator<Item = &'a Prepared>) -> Records<Entry> {
    let mut plugins = state.all().into_owned();
    plugins.extend(prepared.map(|one| (one.package.index.name.clone(), one.entry.clone())));
    plugins
}

/// A sentence for each plugin that it needs and that does not run, since somebody switched it off.
fn in_the_way(one: &Prepared, around: Around<'_>) -> Vec<String> {
    let plugins = needed_plugins(&one.entry, around).into_iter().filter(Requirement::is_in_the_way);
    plugins.map(|needed| format!("{} cannot run yet: {}", one.package.index.name, needed.found)).collect()
}

/// What must come along with a plugin.
fn along(
    home: &Home,
    state: &State,
    (opened, supply, others): (&Opened, &Supply, Option<&[Supply]>),
    consenting: &Consenting<'_>,
) -> Result<Companions, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    let beside = supply.file().and_then(folder_of);
    let known = || folders(home, state, Some(consenting.directories.working())).paths;
    let folders: Vec<PathBuf> = if others.is_some() { Vec::new() } else { beside.into_iter().chain(known()).collect() };
    companions(opened, &Sources { state, keys: &keys, folders: &folders, supplies: others.unwrap_or_default() })
}

/// A path as it is typed into a shell.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./+,@%".contains(c));
    if plain { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn report(main: Prepared, along: Vec<Companion>, dry_run: bool) -> InstallReport {
    let Prepared { package, entry, replaced, settled, dropped_config, warnings, scan, pin: _, other_maker: _ } = main;
    InstallReport {
        version: entry.version.clone(),
        replaced,
        name: package.index.name,
        status: entry.status(),
        digest: entry.digest,
        trust: entry.trust,
        along,
        granted: granted_words(&settled.asks, &settled.consent),
        missing: settled.consent.missing.iter().map(MissingItem::of).collect(),
        dropped_config,
        findings: scan.findings,
        warnings,
        url: entry.remote.map(|remote| remote.url.to_string()),
        dry_run,
        asks: settled.consent.missing,
        followed: Followed::default(),
    }
}

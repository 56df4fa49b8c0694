//! `install`: open, judge, look inside, ask, and only then write; one commit at the end.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ManageError;
use super::companions::{Companion, Companions, Sources, companions, folder_of};
use super::consent::{CompanionsQuestion, Consenting};
use super::info::MissingItem;
use super::prepare::{Given, Prepared, commit, prepare};
use super::search::{folders, locate};
use super::supply::Supply;
use super::versions::Allowed;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::Opened;
use crate::package::scan::Finding;
use crate::policy::{Ask, granted_words};
use crate::runtime::{Around, Requirement, needed_plugins};
use crate::store::{Home, State, Status, Trust};
use crate::trust::Keyring;

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// A `.mgp` file, a `.so` file (with its `.so.sig` beside it), or the name of a plugin in one of the folders
    /// that are looked through.
    pub source: PathBuf,
    /// Make an exception for exactly this file if it is not signed.
    pub allow_unsigned: bool,
    /// Pin the key of this fingerprint for this plugin, if it is not known yet.
    pub trust_key: Option<Fingerprint>,
    /// Versions that may be installed although others were seen before.
    pub allowed: Allowed,
    /// The time: RFC 3339, UTC.
    pub now: String,
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
    let supply = Supply::File(locate(home, &state, &request.source, Some(consenting.directories.working()))?);
    install_supply(home, &state, (&supply, &[]), request, consenting)
}

/// Installs what a supply holds; `others` may come along with it.
pub(super) fn install_supply(
    home: &Home,
    state: &State,
    (supply, others): (&Supply, &[Supply]),
    request: &InstallRequest,
    consenting: &mut Consenting<'_>,
) -> Result<InstallReport, ManageError> {
    let opened = supply.open()?;
    let (name, version) = (opened.index.name.clone(), opened.index.version.clone());
    let along = along(home, state, (&opened, supply, others), consenting)?;
    let given = Given { home, state, policy: &home.policy()?, command: &shown(supply.path()) };
    let listed: Vec<Companion> = along.iter().map(|(companion, _)| companion.clone()).collect();
    if !listed.is_empty() && !consenting.yes {
        let question = CompanionsQuestion { name: &name, version: &version, companions: &listed };
        if !consenting.prompt.along(&question) {
            let command = format!("migraine plugin install {}{} --yes", given.command, consenting.flags());
            return Err(ManageError::Companions { name, companions: listed, command });
        }
    }
    let mut prepared = Vec::with_capacity(along.len() + 1);
    for (companion, supply) in &along {
        // What the command line allows and grants is meant for the plugin that it names.
        let (source, allowed) = (companion.path.clone(), Allowed::default());
        let request = InstallRequest { source, allow_unsigned: false, allowed, ..request.clone() };
        let Consenting { yes, directories, .. } = *consenting;
        let mut consenting = Consenting { yes, grants: &[], directories, prompt: &mut *consenting.prompt };
        let given = Given { command: &shown(supply.path()), ..given };
        prepared.push(prepare(given, supply.open()?, supply, &request, &mut consenting, true)?);
    }
    let mut main = prepare(given, opened, supply, request, consenting, false)?;
    main.warnings.extend(in_the_way(home, state, &main, &prepared)?);
    let all: Vec<&Prepared> = prepared.iter().chain([&main]).collect();
    commit(home, state, &all)?;
    Ok(report(main, state, listed))
}

/// A sentence for each plugin that it needs and that does not run, since somebody switched it off.
fn in_the_way(home: &Home, state: &State, main: &Prepared, along: &[Prepared]) -> Result<Vec<String>, ManageError> {
    let mut others = state.plugins.clone();
    others.extend(along.iter().map(|one| (one.package.index.name.clone(), one.entry.clone())));
    let keys = Keyring::load_from(&home.keys_path())?;
    let plugins = needed_plugins(&main.entry, Around { others: &others, keys: &keys }).into_iter();
    Ok(plugins.filter(Requirement::is_in_the_way).map(|one| format!("it cannot run yet: {}", one.found)).collect())
}

/// What must come along with a plugin.
fn along(
    home: &Home,
    state: &State,
    (opened, supply, others): (&Opened, &Supply, &[Supply]),
    consenting: &Consenting<'_>,
) -> Result<Companions, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    let beside = supply.file().and_then(folder_of);
    let known = folders(home, state, Some(consenting.directories.working())).paths;
    let folders: Vec<PathBuf> = beside.into_iter().chain(known).collect();
    companions(opened, &Sources { state, keys: &keys, folders: &folders, supplies: others })
}

fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./+,@%".contains(c));
    if plain { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn report(main: Prepared, state: &State, along: Vec<Companion>) -> InstallReport {
    let Prepared { package, entry, settled, dropped_config, warnings, scan, pin: _ } = main;
    InstallReport {
        version: entry.version.clone(),
        replaced: state.plugins.get(&package.index.name).map(|before| before.version.clone()),
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
        asks: settled.consent.missing,
    }
}

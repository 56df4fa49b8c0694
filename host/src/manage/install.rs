//! `install`: open, judge, look inside, ask, and only then write; one commit at the end.

use std::collections::BTreeMap;
use std::path::Path;

use migraine_plugin_api::Manifest;
use serde::Serialize;

use super::consent::{Asking, Consenting, Settled};
use super::first_use::{self, Judged, Pinned};
use super::info::MissingItem;
use super::origin::Place;
use super::source::unpacked;
use super::versions::{self, Allowed};
use super::{Expected, ManageError, Source, audit, source};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::Package;
use crate::package::scan::{Finding, Scan};
use crate::policy::{Ask, Policy, granted_words};
use crate::store::{Entry, Home, Remote, State, Status, Trust};
use crate::trust::{Keyring, TrustedKey};

/// What is to be installed.
#[derive(Debug, Clone)]
pub struct InstallRequest {
    /// A `.mgp` file, a `.so` file (with its `.so.sig` beside it), scripts, the name of a plugin in the plugins folder, or
    /// what was fetched from a server.
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
    let place = request.source.open(home)?;
    let remote = request.source.remote();
    request.expected.check(&place, &state, &Keyring::load_from(&home.keys_path())?)?;
    let Place { path, opened, .. } = place;
    let policy = home.policy()?;
    let Judged { trust, pin, warnings } = first_use::judged(home, &state, &opened, request, (&policy, consenting))?;
    let package = unpacked(opened, &path)?;
    let name = package.index.name.clone();
    let before = state.plugins.get(&name);
    versions::check(&state, &package.index, package.digest, &trust, &request.allowed)?;
    let (overrides, dropped_config) = kept_overrides(&package.manifest.config, before);
    let scan = audit::of_package(&package);
    let settled = judge_consent(&package, &scan, &trust, before, &overrides, (&policy, consenting))?;
    if before.is_some_and(|before| before.enabled) && !settled.consent.is_complete() {
        let command = format!("migraine plugin install {}{}", shown(&path), consenting.flags());
        return Err(ManageError::Consent { name, missing: settled.consent.missing, command });
    }
    let mut entry = new_entry(&package, trust, before, overrides, &settled, &request.now);
    match remote {
        Some(download) => entry.remote = Some(Remote { url: download.url.clone(), version: download.version.clone() }),
        None => entry.installed_from = path.canonicalize().ok(),
    }
    let report = InstallReport {
        warnings,
        findings: scan.findings,
        url: remote.map(|download| download.url.to_string()),
        dry_run: request.is_dry_run,
        ..report(&package, &entry, before, settled, dropped_config)
    };
    if request.is_dry_run {
        return Ok(report);
    }
    commit(home, &package, &state, entry.clone(), pin)?;
    Ok(report)
}

/// A path as it is typed into a shell.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./+,@%".contains(c));
    if plain { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

type Config = BTreeMap<String, serde_json::Value>;

/// The user's settings that another version has as well, with values of the same kind; and the keys of the others.
pub(super) fn kept_overrides(defaults: &Config, before: Option<&Entry>) -> (Config, Vec<String>) {
    let mut kept = before.map(|before| before.overrides.clone()).unwrap_or_default();
    let fits = |key: &String, value: &serde_json::Value| {
        defaults.get(key).is_some_and(|default| super::config::same_kind(default, value))
    };
    let dropped = kept.iter().filter(|(key, value)| !fits(key, value)).map(|(key, _)| key.clone()).collect();
    kept.retain(|key, value| fits(key, value));
    (kept, dropped)
}

fn judge_consent(
    package: &Package,
    scan: &Scan,
    trust: &Trust,
    before: Option<&Entry>,
    overrides: &Config,
    (policy, consenting): (&Policy, &mut Consenting<'_>),
) -> Result<Settled, ManageError> {
    let manifest = &package.manifest;
    let mut config = manifest.config.clone();
    config.extend(overrides.clone());
    let asking = Asking {
        name: &package.index.name,
        version: &package.index.version,
        trust,
        description: &manifest.description,
        scan: Some(scan),
        permissions: &manifest.permissions,
        hooks: &manifest.hooks,
        commands: &manifest.commands,
        config,
        is_to_run: true,
    };
    consenting.settle(&asking, before, policy)
}

fn new_entry(
    package: &Package,
    trust: Trust,
    before: Option<&Entry>,
    overrides: Config,
    settled: &Settled,
    now: &str,
) -> Entry {
    // Whoever switched it off does not want it back because of a new version.
    let switched_off = before.is_some_and(|before| before.was_enabled && !before.enabled);
    let enabled = settled.consent.is_complete() && !switched_off;
    let same = before.filter(|before| before.digest == package.digest);
    let version = &package.index.version;
    let mut entry = Entry {
        enabled,
        was_enabled: enabled || before.is_some_and(|before| before.was_enabled),
        overrides,
        installed_at: same.map_or_else(|| now.to_owned(), |same| same.installed_at.clone()),
        pinned: before.and_then(|before| before.pinned.clone()),
        previous: before.and_then(|before| previous(before, version)),
        ..bare_entry(version.clone(), package.digest, trust, &package.manifest, now)
    };
    settled.keep_in(&mut entry);
    entry
}

/// What is known of a plugin by itself: nothing is granted, and it is not enabled.
pub(super) fn bare_entry(
    version: semver::Version,
    digest: Digest,
    trust: Trust,
    manifest: &Manifest,
    now: &str,
) -> Entry {
    Entry {
        version,
        digest,
        trust,
        enabled: false,
        was_enabled: false,
        description: manifest.description.clone(),
        asked: manifest.permissions.clone(),
        grants: Vec::new(),
        consents: Vec::new(),
        directories: BTreeMap::new(),
        hooks: manifest.hooks.clone(),
        commands: manifest.commands.clone(),
        dependencies: manifest.dependencies.clone(),
        defaults: manifest.config.clone(),
        overrides: Config::new(),
        installed_at: now.to_owned(),
        installed_from: None,
        remote: None,
        link: None,
        problem: None,
        pinned: None,
        previous: None,
    }
}

/// What is kept of the version that is replaced. The same version, made again, takes the place of no other.
fn previous(before: &Entry, version: &semver::Version) -> Option<Box<Entry>> {
    if before.version == *version {
        return before.previous.clone();
    }
    Some(Box::new(Entry { previous: None, ..before.clone() }))
}

fn commit(
    home: &Home,
    package: &Package,
    judged: &State,
    entry: Entry,
    pin: Option<TrustedKey>,
) -> Result<(), ManageError> {
    let name = &package.index.name;
    let mut writer = home.writer()?;
    // A person may have taken minutes to answer: what was judged must still be so.
    let known = |state: &State| (state.plugins.get(name).cloned(), state.history.get(name).cloned());
    let before = known(judged);
    if known(writer.state()) != before {
        return Err(ManageError::Changed { name: name.clone() });
    }
    writer.add_tree(package)?;
    let state = writer.state_mut();
    if entry.trust == Trust::Unsigned {
        state.exceptions.insert(package.digest);
    }
    versions::record(state, &package.index, package.digest, &entry.trust);
    state.plugins.insert(name.clone(), entry);
    for entry in before.0.iter().flat_map(|before| std::iter::once(before).chain(before.previous.as_deref())) {
        source::forget_exception(state, &entry.digest);
    }
    // Before the commit: what is installed must be able to run.
    let pinned = pin.map(|pin| Pinned::new(home, &pin)).transpose()?;
    let done = writer.commit();
    // The last step can fail once the new state is in place: then the plugin is installed, and its key stays.
    let is_installed = |state: State| state.plugins.get(name).is_some_and(|entry| entry.digest == package.digest);
    if let Some(pinned) = pinned
        && (done.is_ok() || home.read().is_ok_and(is_installed))
    {
        pinned.keep();
    }
    Ok(done?)
}

fn report(
    package: &Package,
    entry: &Entry,
    before: Option<&Entry>,
    settled: Settled,
    dropped_config: Vec<String>,
) -> InstallReport {
    InstallReport {
        name: package.index.name.clone(),
        version: entry.version.clone(),
        replaced: before.map(|before| before.version.clone()),
        status: entry.status(),
        digest: entry.digest,
        trust: entry.trust.clone(),
        granted: granted_words(&settled.asks, &settled.consent),
        missing: settled.consent.missing.iter().map(MissingItem::of).collect(),
        dropped_config,
        findings: Vec::new(),
        warnings: Vec::new(),
        url: None,
        dry_run: false,
        asks: settled.consent.missing,
    }
}

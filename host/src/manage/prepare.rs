//! What an installation judges and asks before anything is written, and the one commit that writes all of it.

use std::collections::BTreeMap;

use migraine_plugin_api::Manifest;

use super::consent::{Asking, Consenting, Settled};
use super::first_use::{self, Judged, Pinned};
use super::install::InstallRequest;
use super::keys::judged_time;
use super::lock::{LockReport, Relock};
use super::maker::{OtherMaker, other_maker};
use super::remote::Download;
use super::source::{recordable, unpacked};
use super::supply::Supply;
use super::{ManageError, audit, source, versions};
use crate::ids::Digest;
use crate::package::scan::Scan;
use crate::package::{Opened, Package};
use crate::policy::Policy;
use crate::runtime::{InterpreterError, interpreters};
use crate::store::{Decided, Entry, Home, KnownInterpreter, Remote, State, StoreError, Trust};
use crate::trust::{KeySet, Keyring, TrustedKey, judge_new};

/// What everything is judged by.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) home: &'a Home,
    pub(super) state: &'a State,
    pub(super) policy: &'a Policy,
    /// What is typed after `migraine plugin`, without the flags.
    pub(super) command: &'a str,
}

/// A plugin that was judged and consented to, and is not written yet.
pub(super) struct Prepared {
    pub(super) package: Package,
    pub(super) entry: Entry,
    /// The version that was installed before.
    pub(super) replaced: Option<semver::Version>,
    pub(super) pin: Option<TrustedKey>,
    /// Whose it is, where that is somebody else than before.
    pub(super) other_maker: Option<OtherMaker>,
    pub(super) settled: Settled,
    pub(super) dropped_config: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) scan: Scan,
}

/// Judges a plugin and asks for what it needs consent to. One that comes along for another must be able to run at once.
pub(super) fn prepare(
    given: Given<'_>,
    opened: Opened,
    supply: &Supply,
    request: &InstallRequest,
    consenting: &mut Consenting<'_>,
    comes_along: bool,
) -> Result<Prepared, ManageError> {
    let Given { home, state, policy, .. } = given;
    let Judged { trust, pin, other_maker, warnings } =
        first_use::judged(home, state, &opened, request, (policy, consenting))?;
    let package = unpacked(opened, supply.path())?;
    let name = &package.index.name;
    if state.plugins.get(name)?.is_some_and(|before| before.link.is_some()) {
        return Err(ManageError::LinkTaken { name: name.clone() });
    }
    versions::check(state, &package.index, package.digest, &trust, &request.allowed)?;
    let file = supply.file().and_then(|path| path.canonicalize().ok()).map(recordable).transpose()?;
    let mut settled = settle(given, package, (trust, other_maker), &request.now, consenting, comes_along)?;
    settled.entry.installed_from = file;
    if let Supply::Remote(_, Download { url, version, .. }) = supply {
        // An upgrade may need the query; what everybody reads is no place for it.
        let url = if home.is_system() { url.plain() } else { Some(url.clone()) };
        settled.entry.remote = url.map(|url| Remote { url, version: version.clone() });
    }
    settled.warnings.splice(..0, warnings.into_iter().chain(lost_query(home, supply)));
    Ok(Prepared { pin, ..settled })
}

/// A sentence for whoever installs for all from an address with a query.
fn lost_query(home: &Home, supply: &Supply) -> Option<String> {
    let Supply::Remote(_, Download { url, .. }) = supply else { return None };
    let plain = url.plain().filter(|plain| home.is_system() && plain.kept() != url.kept())?;
    let why = "every user can read the system store, so its address is kept without the query";
    Some(format!("{why}: an upgrade will ask {plain}"))
}

/// Asks for what a judged plugin needs consent to, and makes its entry.
pub(super) fn settle(
    given: Given<'_>,
    package: Package,
    (trust, other_maker): (Trust, Option<OtherMaker>),
    now: &str,
    consenting: &mut Consenting<'_>,
    comes_along: bool,
) -> Result<Prepared, ManageError> {
    let Given { state, policy, command, .. } = given;
    let before = state.plugins.get(&package.index.name)?;
    // What was decided about another maker's plugin was not decided about this one.
    let decided = before.filter(|_| other_maker.is_none());
    let (overrides, mut dropped_config) = kept_overrides(&package.manifest.config, decided);
    if decided.is_none() {
        dropped_config.extend(before.into_iter().flat_map(|before| before.decided.overrides.keys().cloned()));
    }
    let scan = audit::of_package(&package);
    let by = (&trust, other_maker);
    let settled = judge_consent(&package, &scan, by, decided, &overrides, (policy, consenting))?;
    if (comes_along || before.is_some_and(|before| before.decided.enabled)) && !settled.consent.is_complete() {
        let command = format!("migraine plugin {command}{}", consenting.flags());
        let name = package.index.name.clone();
        let other_maker = other_maker.map(|other| other.to_string());
        return Err(ManageError::Consent { name, missing: settled.consent.missing, other_maker, command });
    }
    let entry = new_entry(&package, trust, before, overrides, &settled, now);
    let missing = run_by(&package.manifest).1;
    let other = other_maker.map(|other| format!("{}: {other}", package.index.name));
    let warnings = other.into_iter().chain(missing.iter().map(|error| format!("it cannot run yet: {error}"))).collect();
    let replaced = before.map(|before| before.version.clone());
    Ok(Prepared { package, entry, replaced, pin: None, other_maker, settled, dropped_config, warnings, scan })
}

type Config = BTreeMap<String, serde_json::Value>;

/// The user's settings that another version has as well, with values of the same kind; and the keys of the others.
pub(super) fn kept_overrides(defaults: &Config, before: Option<&Entry>) -> (Config, Vec<String>) {
    let mut kept = before.map(|before| before.decided.overrides.clone()).unwrap_or_default();
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
    (trust, other_maker): (&Trust, Option<OtherMaker>),
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
        other_maker,
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
    let switched_off = before.is_some_and(|before| before.decided.was_enabled && !before.decided.enabled);
    let enabled = settled.consent.is_complete() && !switched_off;
    let same = before.filter(|before| before.digest == package.digest);
    let version = &package.index.version;
    let was_enabled = enabled || before.is_some_and(|before| before.decided.was_enabled);
    let mut entry = Entry {
        decided: Decided { enabled, was_enabled, overrides, ..Decided::default() },
        installed_at: same.map_or_else(|| now.to_owned(), |same| same.installed_at.clone()),
        pinned: before.and_then(|before| before.pinned.clone()),
        previous: before.and_then(|before| previous(before, version)),
        ..bare_entry(version.clone(), package.digest, trust, &package.manifest, now)
    };
    settled.keep_in(&mut entry);
    entry
}

/// What runs the scripts of a plugin on this machine, and what of it is missing.
fn run_by(manifest: &Manifest) -> (Vec<KnownInterpreter>, Vec<InterpreterError>) {
    interpreters(&manifest.handlers().collect::<Vec<_>>())
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
        decided: Decided::default(),
        description: manifest.description.clone(),
        asked: manifest.permissions.clone(),
        hooks: manifest.hooks.clone(),
        commands: manifest.commands.clone(),
        dependencies: manifest.dependencies.clone(),
        defaults: manifest.config.clone(),
        installed_at: now.to_owned(),
        installed_from: None,
        remote: None,
        link: None,
        interpreters: run_by(manifest).0,
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

/// Writes everything that was prepared, by one commit, and takes it into the lock of the project, if there is one. What
/// became of the lock is told: everything is installed by then.
pub(super) fn commit(
    home: &Home,
    judged: &State,
    prepared: &[&Prepared],
    InstallRequest { now, project, .. }: &InstallRequest,
) -> Result<Option<Result<LockReport, String>>, ManageError> {
    let mut writer = home.writer()?;
    let keys = Keyring::load_from(&home.keys_path())?;
    for one in prepared {
        let name = &one.package.index.name;
        // A person may have taken minutes to answer: what was judged must still be so.
        let is_same = |now: &State| -> Result<bool, StoreError> {
            Ok(now.plugins.get(name)? == judged.plugins.get(name)?
                && now.history.get(name)? == judged.history.get(name)?)
        };
        if !is_same(writer.state())? {
            return Err(ManageError::Changed { name: name.clone() });
        }
        judge_again(&keys, writer.state(), one, now)?;
    }
    // While the store is held: of two installations in a project, none loses what the other one locked.
    let entries = prepared.iter().map(|one| (&one.package.index.name, &one.entry));
    let relock = project.as_ref().map(|project| Relock::stage(home, project, entries)).transpose()?.flatten();
    for one in prepared {
        writer.add_tree(&one.package)?;
    }
    for Prepared { package, entry, .. } in prepared {
        let (name, state) = (&package.index.name, writer.state_mut());
        if entry.trust == Trust::Unsigned {
            state.exceptions.insert(package.digest);
        }
        versions::record(state, &package.index, package.digest, &entry.trust)?;
        let before = state.plugins.remove(name)?;
        state.plugins.insert(name.clone(), entry.clone());
        for entry in before.iter().flat_map(|before| std::iter::once(before).chain(before.previous.as_deref())) {
            source::forget_exception(state, &entry.digest)?;
        }
    }
    // Before the commit: what is installed must be able to run.
    let pinned = pins(prepared).iter().map(|pin| Pinned::new(home, pin)).collect::<Result<Vec<_>, _>>()?;
    let done = writer.commit();
    // The last step can fail once the new state is in place: then the plugins are installed, and their keys stay.
    let is_installed = |state: &State, one: &Prepared| matches!(state.plugins.get(&one.package.index.name), Ok(Some(entry)) if entry.digest == one.package.digest);
    if done.is_ok() || home.read().is_ok_and(|state| prepared.iter().all(|one| is_installed(&state, one))) {
        pinned.into_iter().for_each(Pinned::keep);
    }
    done?;
    Ok(relock.map(Relock::put))
}

/// Whom the user trusted when it was judged may not be trusted any more: another command may have said so meanwhile.
fn judge_again(keys: &KeySet, state: &State, one: &Prepared, now: &str) -> Result<(), ManageError> {
    let Package { digest, index, index_text, signature, .. } = &one.package;
    let keys = one.pin.iter().fold(keys.clone(), |keys, pin| keys.with(pin.clone()));
    let exceptions = if one.entry.trust == Trust::Unsigned { vec![*digest] } else { Vec::new() };
    let now = judged_time(&keys, state, now)?;
    judge_new(index_text, index, signature.as_ref(), &keys, &exceptions, now)?;
    if other_maker(&keys, state, &index.name, signature.as_ref())? == one.other_maker {
        Ok(())
    } else {
        Err(ManageError::Changed { name: index.name.clone() })
    }
}

/// The keys that are trusted from now on, each once and for all the names that it was agreed to for.
fn pins(prepared: &[&Prepared]) -> Vec<TrustedKey> {
    let mut pins: BTreeMap<_, TrustedKey> = BTreeMap::new();
    for pin in prepared.iter().filter_map(|one| one.pin.clone()) {
        let known = pins.entry(pin.fingerprint()).or_insert_with(|| TrustedKey { scope: Vec::new(), ..pin.clone() });
        known.scope.extend(pin.scope);
        known.scope.sort();
        known.scope.dedup();
        // The last one is the plugin that was named.
        known.label = pin.label;
    }
    pins.into_values().collect()
}

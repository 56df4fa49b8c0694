//! `verify`: the same judgement as an install or a start makes, without acting on it.

use std::path::Path;

use serde::Serialize;

use super::ManageError;
use super::enable::replace;
use super::folder::meant;
use super::keys::judged_time;
use super::source::{judged, named_plugin, open_file, to_trust, unpacked};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::Package;
use crate::runtime::keys_of;
use crate::store::{Entry, Home, Installed, InstalledTree, ProblemKind, State, StoreName, Trust};
use crate::trust::{Keyring, TrustError, Trusted, judge};

/// What was found to be in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The plugin.
    pub name: PluginName,
    /// Its version.
    pub version: semver::Version,
    /// The digest of its index.
    pub digest: Digest,
    /// Who vouches for it; nobody whom this user trusts, where that was not asked for.
    pub trust: Option<Trust>,
    /// The key that signed it and is not trusted here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted_key: Option<Fingerprint>,
    /// The machines that it is for: target triples, or `any`.
    pub targets: Vec<String>,
    /// How many files were compared.
    pub files: usize,
    /// Whether the installed plugin was looked at, not a file.
    pub installed: bool,
}

/// Judges a file, or an installed plugin by its name; `now` is the time: RFC 3339, UTC.
///
/// # Errors
/// Whatever an install of the file or a start of the plugin would refuse.
pub fn verify(home: &Home, target: &Path, now: &str) -> Result<VerifyReport, ManageError> {
    let state = home.read()?;
    match named_plugin(&state, target) {
        Some(name) => verify_installed(home, &state, &name),
        None => verify_file(home, &state, target, now),
    }
}

/// As [`verify`] before a file is compared with its source. Whoever does that may want to know before trusting a key, so an
/// unknown one is no refusal: its signature was verified, and the report names it.
///
/// # Errors
/// As [`verify`], but for an unknown key of a file.
pub fn verify_to_compare(home: &Home, target: &Path, now: &str) -> Result<VerifyReport, ManageError> {
    let key = match verify(home, target, now) {
        Err(ManageError::Trust(TrustError::UntrustedKey { key, .. }))
            if named_plugin(&home.read()?, target).is_none() =>
        {
            key.fingerprint()
        }
        done => return done,
    };
    let path = meant(target)?;
    let report = of_file(unpacked(open_file(&path)?, &path)?);
    Ok(VerifyReport { untrusted_key: Some(key), ..report })
}

fn of_file(package: Package) -> VerifyReport {
    VerifyReport {
        targets: package.index.targets(),
        name: package.index.name,
        version: package.index.version,
        digest: package.digest,
        trust: None,
        untrusted_key: None,
        files: package.files.len() + package.others.len(),
        installed: false,
    }
}

fn verify_file(home: &Home, state: &State, path: &Path, now: &str) -> Result<VerifyReport, ManageError> {
    let path = &meant(path)?;
    let opened = open_file(path)?;
    let keys = Keyring::load_from(&home.keys_path())?;
    let now = judged_time(&keys, state, now)?;
    let trust = judged(&keys, state, &opened, &home.policy()?, false, Some(now))?;
    let package = unpacked(opened, path)?;
    Ok(VerifyReport { trust: Some(trust), ..of_file(package) })
}

fn verify_installed(home: &Home, state: &State, name: &PluginName) -> Result<VerifyReport, ManageError> {
    let Some(Installed { entry, tree, place, .. }) = home.load_plugin(name)? else {
        return Err(ManageError::NotFound { name: name.clone() });
    };
    let trust = judge_tree(home, state, (place, &tree))?;
    if entry.problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::Error) {
        // What was wrong with it is not wrong any more.
        replace(home, name, &entry, Entry { problem: None, ..entry.clone() })?;
    }
    let (digest, targets, files) = (tree.digest, tree.index.targets(), tree.contents().count());
    let (name, version, trust) = (name.clone(), entry.version, Some(trust));
    Ok(VerifyReport { name, version, digest, trust, untrusted_key: None, targets, files, installed: true })
}

/// The verdict over an installed tree, with today's keys and policy.
pub(super) fn judge_tree(
    home: &Home,
    state: &State,
    (place, tree): (StoreName, &InstalledTree),
) -> Result<Trust, ManageError> {
    let (keys, exceptions) = (keys_of(home, place)?, state.exceptions_of(place));
    let trusted = judge(&tree.index_text, &tree.index, tree.signature.as_ref(), &keys, &exceptions)?;
    match home.policy()?.forbids_unsigned().filter(|_| trusted == Trusted::Unsigned) {
        Some(refusal) => Err(ManageError::Refused { what: tree.index.name.to_string(), source: Box::new(refusal) }),
        None => Ok(to_trust(trusted)),
    }
}

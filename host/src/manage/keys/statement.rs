//! Signed statements of owners of keys: a key takes another one's place, keys are revoked.

use serde::Serialize;

use super::{KEY_DAYS, KeyError, KeyReport, ListInfo, judged_time, keyring, losing, written};
use crate::ids::PluginName;
use crate::manage::ManageError;
use crate::store::Home;
use crate::trust::{KeySet, Origin, RevocationList, Rotation, Scope, Time, TrustedKey, Window, sorted};

/// How far a statement may be ahead of the clock, in days.
const AHEAD_DAYS: i64 = 1;

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotationReport {
    /// The key that signs nothing new from now on.
    pub old: KeyReport,
    /// The key that takes its place.
    pub new: KeyReport,
}

/// Takes the new key of a rotation in, for no more names than the old one is trusted for, and ends the old one's time: what it
/// signed goes on running. One that was trusted already stays what it is, and gets those names besides.
///
/// # Errors
/// The statement does not verify, its key is not trusted, or was not valid then, or the keyring cannot be written.
pub fn rotation_import(home: &Home, bytes: &[u8], object: &str, now: &str) -> Result<RotationReport, ManageError> {
    let statement = Rotation::parse(bytes, object)?;
    let writer = home.writer()?;
    let keyring = keyring(home)?;
    let keys = keyring.load()?;
    let now = judged_time(&keys, writer.state(), now)?;
    let (mut old, new) = rotated(&keys, &statement, now)?;
    // The new one first: in between, both may sign.
    keyring.add(&new)?;
    let end = old.window.until.map_or(statement.date, |until| until.min(statement.date));
    // A key that was trusted here later than it was replaced signs nothing new at all.
    old.window.until = Some(end.max(old.window.from));
    keyring.add(&old)?;
    let keys = keyring.load()?;
    Ok(RotationReport { old: KeyReport::of(&old, &keys), new: KeyReport::of(&new, &keys) })
}

/// What a list of revoked keys did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListImportReport {
    /// The list.
    #[serde(flatten)]
    pub list: ListInfo,
    /// Installed plugins that do not run any more.
    pub stopped: Vec<PluginName>,
}

fn rotated(keys: &KeySet, statement: &Rotation, now: Time) -> Result<(TrustedKey, TrustedKey), ManageError> {
    let (what, date) = ("rotation", statement.date);
    let fingerprints = (statement.old.fingerprint(), statement.new.fingerprint());
    let old = keys.find(&statement.old).ok_or(KeyError::NotTrusted { what, key: fingerprints.0 })?;
    let known = keys.find(&statement.new);
    for key in [Some(old), known].into_iter().flatten() {
        if key.revoked().is_some() {
            return Err(KeyError::Revoked { key: key.fingerprint() }.into());
        }
    }
    if date > now.plus_days(AHEAD_DAYS) {
        return Err(KeyError::Ahead { what, key: fingerprints.0, date }.into());
    }
    // Its own rotation ended it: the same statement again changes nothing.
    let is_known = |key: &TrustedKey| key.took_over(fingerprints.0, date);
    if old.window.until.is_some_and(|until| date >= until) && !known.is_some_and(is_known) {
        return Err(KeyError::OutOfTime { old: fingerprints.0, date, window: old.window }.into());
    }
    let has = old.names();
    let overlaps = statement.scope.iter().flat_map(|one| has.iter().filter_map(|other| one.overlap(other)));
    let scope: Vec<Scope> = overlaps.collect();
    if scope.is_empty() {
        return Err(KeyError::NoScope { old: fingerprints.0, new: fingerprints.1 }.into());
    }
    let new = match known {
        // It is trusted already: that stays, and what becomes of the old one does not touch it.
        Some(known) => known.clone().taking_over((fingerprints.0, date), &scope, now),
        None => TrustedKey {
            key: statement.new.clone(),
            label: old.label.clone(),
            scope: sorted(&scope),
            handovers: Vec::new(),
            added: now,
            origin: Origin::Rotation(fingerprints.0, date),
            window: Window { from: date.min(now), until: Some(now.plus_days(KEY_DAYS)) },
            // A key that was pinned hands over a pin.
            level: old.level.clone(),
        },
    };
    Ok((old.clone(), new.checked()?))
}

/// Takes a list of revoked keys in. From then on it is kept new, or nothing that it covers is installed.
///
/// # Errors
/// The list does not verify, its signer is not trusted, it is older than the known one or from the future, or the keyring
/// cannot be written.
pub fn list_import(home: &Home, bytes: &[u8], object: &str, now: &str) -> Result<ListImportReport, ManageError> {
    let what = "list of revoked keys";
    let list = RevocationList::parse(bytes, object)?;
    let writer = home.writer()?;
    let keyring = keyring(home)?;
    let keys = keyring.load()?;
    let now = judged_time(&keys, writer.state(), now)?;
    let signer = list.signer.fingerprint();
    let known = keys.find(&list.signer).ok_or(KeyError::NotTrusted { what, key: signer })?;
    if known.revoked().is_some() {
        return Err(KeyError::Revoked { key: signer }.into());
    }
    if list.issued > now.plus_days(AHEAD_DAYS) {
        return Err(KeyError::Ahead { what, key: signer, date: list.issued }.into());
    }
    if let Some(last) = keys.seen_list_of(&list.signer)
        && (last.version > list.version || (last.version == list.version && *last != list))
    {
        return Err(KeyError::OlderList { signer, offered: list.version, known: last.version }.into());
    }
    written(&writer, || keyring.add_list(&list, bytes))?;
    let stopped = losing(home, writer.state(), &keys, &keyring.load()?)?;
    Ok(ListImportReport { list: ListInfo::of(&list), stopped })
}

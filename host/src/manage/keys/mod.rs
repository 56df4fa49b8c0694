//! The verbs of `key`: who is trusted for what, and who is not any more. Each takes the store's lock, so that two commands
//! at the same time do not lose each other's change.

mod error;
mod report;
mod statement;

pub use error::KeyError;
pub use report::{KeyDetails, KeyReport, ListInfo, RevokedInfo};
pub use statement::{RotationReport, list_import, rotation_import};

use std::collections::BTreeSet;

use serde::Serialize;

use super::ManageError;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::store::{Entry, Home, State, StoreError, Trust};
use crate::trust::{
    BadSince, KeySet, Keyring, Level, Origin, PublicKey, Revoked, Scope, Seen, Time, TrustedKey, Window, plausible,
    sorted,
};

/// For how long a key is trusted where the user does not say, in days.
pub const KEY_DAYS: i64 = 2 * 365;

/// What to trust.
#[derive(Debug)]
pub struct TrustRequest<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// The user's own note; absent, what was noted before, or the beginning of the fingerprint.
    pub label: Option<&'a str>,
    /// Names that it may sign, besides those of before.
    pub scope: &'a [Scope],
    /// Until when something new may be installed; absent, for [`KEY_DAYS`].
    pub until: Option<Until>,
    /// The time: RFC 3339, UTC.
    pub now: &'a str,
}

/// The end of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At a moment.
    Time(Time),
    /// There is none.
    Forever,
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRevokeReport {
    /// The key.
    #[serde(flatten)]
    pub key: KeyReport,
    /// Installed plugins that do not run any more.
    pub stopped: Vec<PluginName>,
    /// Installed plugins that may stay.
    pub staying: Vec<PluginName>,
}

/// The moment that something new is judged at.
pub(super) fn judged_time(keys: &KeySet, state: &State, now: &str) -> Result<Time, ManageError> {
    let installed = state.installed_after(now)?.filter_map(|(name, entry)| {
        let time = entry.installed_at.parse().ok()?;
        Some(Seen { time, what: format!("plugin {name}") })
    });
    Ok(plausible(now.parse()?, keys.seen().into_iter().chain(installed))?)
}

/// Every key of the keyring.
///
/// # Errors
/// It cannot be read, or others could have written it.
pub fn key_list(home: &Home) -> Result<Vec<KeyReport>, ManageError> {
    Ok(Keyring::load_from(&home.keys_path())?.iter().map(KeyReport::of).collect())
}

/// Everything that is known of one key.
///
/// # Errors
/// It is not in the keyring, or the keyring or the state cannot be read.
pub fn key_show(home: &Home, key: &Fingerprint) -> Result<KeyDetails, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    let entry = keys.by_fingerprint(key).ok_or(KeyError::Unknown { key: *key })?;
    let plugins = signed_by(&home.read()?, key)?.map(|(name, _)| name.clone()).collect();
    let list = keys.list_of(&entry.key).map(ListInfo::of);
    Ok(KeyDetails { key: KeyReport::of(entry), list, plugins })
}

/// Trusts a key for names, besides those that it is trusted for.
///
/// # Errors
/// The key was revoked, the label or the scopes are none, the clock cannot be right, or the keyring cannot be written.
pub fn key_trust(home: &Home, request: &TrustRequest<'_>) -> Result<KeyReport, ManageError> {
    let writer = home.writer()?;
    home.make()?;
    let keyring = Keyring::open(&home.keys_path())?;
    let keys = keyring.load()?;
    let now = judged_time(&keys, writer.state(), request.now)?;
    let known = keys.find(request.key);
    if known.is_some_and(|known| known.revoked().is_some()) {
        return Err(KeyError::Revoked { key: request.key.fingerprint() }.into());
    }
    let label = request.label.map(str::to_owned).or_else(|| known.map(|known| known.label.clone()));
    // What was trusted before stays trusted: the command for one plugin must not stop another.
    let scope = [known.map(|known| known.scope.clone()).unwrap_or_default().as_slice(), request.scope].concat();
    let until = match request.until {
        Some(Until::Time(time)) => Some(time),
        Some(Until::Forever) => None,
        None => Some(now.plus_days(KEY_DAYS)),
    };
    let trusted = TrustedKey {
        key: request.key.clone(),
        label: label.unwrap_or_else(|| short_label(request.key)),
        scope: sorted(&scope),
        added: now,
        origin: Origin::Command,
        window: Window { from: known.map_or(now, |known| known.window.from.min(now)), until },
        level: Level::Trusted,
    };
    let trusted = trusted.checked()?;
    keyring.add(&trusted)?;
    Ok(KeyReport::of(&trusted))
}

fn short_label(key: &PublicKey) -> String {
    let short: String = key.fingerprint().to_string().chars().skip("ed25519:".len()).take(8).collect();
    format!("key {short}")
}

/// Forgets a key and the list that it signed.
///
/// # Errors
/// It is not there, it was revoked and that is not to be forgotten, or the keyring cannot be written.
pub fn key_untrust(home: &Home, key: &Fingerprint, forget_revocation: bool) -> Result<KeyReport, ManageError> {
    let _lock = home.writer()?;
    home.make()?;
    let keyring = Keyring::open(&home.keys_path())?;
    let keys = keyring.load()?;
    let known = keys.by_fingerprint(key).ok_or(KeyError::Unknown { key: *key })?;
    if known.revoked().is_some() && !forget_revocation {
        return Err(KeyError::Revoked { key: *key }.into());
    }
    keyring.remove(key)?;
    Ok(KeyReport::of(known))
}

/// Which key is to be revoked: a known one, or any that is given whole.
#[derive(Debug, Clone)]
pub enum KeyWord {
    /// By its fingerprint.
    Fingerprint(Fingerprint),
    /// The key itself.
    Public(PublicKey),
}

impl KeyWord {
    /// The fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Fingerprint(fingerprint) => *fingerprint,
            Self::Public(key) => key.fingerprint(),
        }
    }
}

/// Revokes a key: nothing that it signed is installed or run any more. With `keep_older`, plugins that were installed before
/// the key became bad may stay, as they are.
///
/// # Errors
/// The key is neither known nor given whole, the clock cannot be right, or the keyring cannot be written.
pub fn key_revoke(
    home: &Home,
    key: &KeyWord,
    since: BadSince,
    keep_older: bool,
    now: &str,
) -> Result<KeyRevokeReport, ManageError> {
    let writer = home.writer()?;
    home.make()?;
    let keyring = Keyring::open(&home.keys_path())?;
    let keys = keyring.load()?;
    let at = judged_time(&keys, writer.state(), now)?;
    let fingerprint = key.fingerprint();
    let mut entry = match (keys.by_fingerprint(&fingerprint), key) {
        (Some(known), _) => known.clone(),
        (None, KeyWord::Public(key)) => TrustedKey::new(key.clone(), &short_label(key), &["*".parse()?], now)?,
        (None, KeyWord::Fingerprint(key)) => return Err(KeyError::Unknown { key: *key }.into()),
    };
    let is_older = |entry: &Entry| entry.installed_at.parse().is_ok_and(|installed| !since.includes(installed));
    let (staying, stopped): (Vec<_>, Vec<_>) =
        signed_by(writer.state(), &fingerprint)?.partition(|(_, entry)| keep_older && is_older(entry));
    let kept: BTreeSet<Digest> = staying.iter().map(|(_, entry)| entry.digest).collect();
    entry.level = Level::Revoked(Revoked { at, since, kept });
    let entry = entry.checked()?;
    keyring.add(&entry)?;
    let names = |plugins: Vec<(&PluginName, &Entry)>| plugins.into_iter().map(|(name, _)| name.clone()).collect();
    Ok(KeyRevokeReport { key: KeyReport::of(&entry), stopped: names(stopped), staying: names(staying) })
}

/// The installed plugins that a key signed.
fn signed_by<'a>(
    state: &'a State,
    key: &'a Fingerprint,
) -> Result<impl Iterator<Item = (&'a PluginName, &'a Entry)>, StoreError> {
    let is_signer = move |entry: &Entry| matches!(&entry.trust, Trust::Signed { key: signer, .. } if signer == key);
    Ok(state.plugins.iter()?.filter(move |(_, entry)| is_signer(entry)))
}

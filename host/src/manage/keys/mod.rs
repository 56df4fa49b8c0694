//! The verbs of `key`: who is trusted for what, and who is not any more. Each takes the store's lock, so that two commands
//! at the same time do not lose each other's change.

mod error;
mod report;
mod statement;

pub use error::KeyError;
pub use report::{HandoverInfo, KeyDetails, KeyReport, ListInfo, ListedInfo, RevokedInfo};
pub use statement::{ListImportReport, RotationReport, list_import, rotation_import};

use std::collections::BTreeSet;

use serde::Serialize;

use super::ManageError;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::runtime::{keys_of, signer};
use crate::store::{Entry, Home, State, StoreError, StoreName, Writer};
use crate::trust::{
    BadSince, KeySet, Keyring, Level, Origin, PublicKey, Revoked, Scope, Seen, Time, TrustError, TrustedKey, Window,
    judge_signer, plausible, sorted,
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

/// The keyring of a home, to be changed. That of the system store is for everybody to read.
pub(super) fn keyring(home: &Home) -> Result<Keyring, ManageError> {
    home.make()?;
    let path = home.keys_path();
    Ok(if home.is_system() { Keyring::open_public(&path)? } else { Keyring::open(&path)? })
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUntrustReport {
    /// The key.
    #[serde(flatten)]
    pub key: KeyReport,
    /// Installed plugins that run again, since nothing says any more that they are bad.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runnable: Vec<PluginName>,
}

/// Writes something small that takes trust away, also on a full disk: what the store keeps for that is given up then.
fn written(writer: &Writer<'_>, write: impl Fn() -> Result<(), TrustError>) -> Result<(), ManageError> {
    match write() {
        Err(error) if error.is_full_disk() => Ok(writer.with_reserve(write)??),
        done => Ok(done?),
    }
}

/// The plugins that are trusted by the first keyring of a home, as far as their records tell, and not by the second.
fn losing(home: &Home, state: &State, before: &KeySet, after: &KeySet) -> Result<Vec<PluginName>, ManageError> {
    let shared = match home.system_keys_path().filter(|_| state.shared_names().next().is_some()) {
        Some(path) => Keyring::load_of_root(&path)?,
        None => KeySet::default(),
    };
    let [before, after] = [before, after].map(|keys| (keys, shared.clone().limited_by(keys.clone())));
    let is_good = |(own, shared): (&KeySet, &KeySet), (name, entry, place): (&PluginName, &Entry, StoreName)| {
        let keys = if place == StoreName::System { shared } else { own };
        signer(entry).is_none_or(|key| judge_signer(keys, &key, name, &entry.digest).is_ok())
    };
    let plugins = state.usable()?.into_iter().map(|(name, (entry, place))| (name, entry, place));
    let losing = plugins.filter(|(name, entry, place)| {
        let plugin = (name, *entry, *place);
        is_good((before.0, &before.1), plugin) && !is_good((after.0, &after.1), plugin)
    });
    Ok(losing.map(|(name, ..)| name).collect())
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
    let keys = Keyring::load_from(&home.keys_path())?;
    Ok(keys.iter().map(|key| KeyReport::of(key, &keys)).collect())
}

/// Everything that is known of one key.
///
/// # Errors
/// It is not in the keyring, or the keyring or the state cannot be read.
pub fn key_show(home: &Home, key: &Fingerprint) -> Result<KeyDetails, ManageError> {
    let keys = Keyring::load_from(&home.keys_path())?;
    let entry = keys.by_fingerprint(key).ok_or(KeyError::Unknown { key: *key })?;
    let state = home.read()?;
    let plugins = signed_by(&state, *key)?.map(|(name, _)| name).collect();
    let list = keys.list_of(&entry.key).map(ListInfo::of);
    Ok(KeyDetails { key: KeyReport::of(entry, &keys), list, plugins })
}

/// Trusts a key for names, besides those that it is trusted for.
///
/// # Errors
/// The key was revoked, the label or the scopes are none, the clock cannot be right, or the keyring cannot be written.
pub fn key_trust(home: &Home, request: &TrustRequest<'_>) -> Result<KeyReport, ManageError> {
    let writer = home.writer()?;
    let keyring = keyring(home)?;
    let keys = keyring.load()?;
    let now = judged_time(&keys, writer.state(), request.now)?;
    let known = keys.find(request.key);
    if known.is_some_and(|known| known.revoked().is_some()) {
        return Err(KeyError::Revoked { key: request.key.fingerprint() }.into());
    }
    let asked = TrustedKey::new(request.key.clone(), "asked", request.scope, request.now)?;
    if let Some(listed) = keys.listed(&asked).first() {
        let scope = listed.scope.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
        return Err(KeyError::Listed { key: request.key.fingerprint(), signer: listed.by, scope }.into());
    }
    let label = request.label.map(str::to_owned).or_else(|| known.map(|known| known.label.clone()));
    // What was trusted before stays trusted: the command for one plugin must not stop another.
    let known_before = known.map(TrustedKey::by_user).unwrap_or_default();
    let scope = [known_before.scope.as_slice(), request.scope].concat();
    let until = match request.until {
        Some(Until::Time(time)) => Some(time),
        Some(Until::Forever) => None,
        None => Some(now.plus_days(KEY_DAYS)),
    };
    let trusted = TrustedKey {
        key: request.key.clone(),
        label: label.unwrap_or_else(|| short_label(request.key)),
        scope: sorted(&scope),
        handovers: known_before.handovers,
        added: now,
        origin: Origin::Command,
        window: Window { from: known.map_or(now, |known| known.window.from.min(now)), until },
        level: Level::Trusted,
    };
    let trusted = trusted.checked()?;
    keyring.add(&trusted)?;
    Ok(KeyReport::of(&trusted, &keys))
}

fn short_label(key: &PublicKey) -> String {
    let short: String = key.fingerprint().to_string().chars().skip("ed25519:".len()).take(8).collect();
    format!("key {short}")
}

/// Forgets a key and the list that it signed; an older list of its is not taken in later.
///
/// # Errors
/// It is not there, it was revoked, or signed a list that revokes keys, and that is not to be forgotten, or the keyring cannot
/// be written.
pub fn key_untrust(home: &Home, key: &Fingerprint, forget_revocation: bool) -> Result<KeyUntrustReport, ManageError> {
    let unknown = || KeyError::Unknown { key: *key };
    // What is refused makes no home. Where there is one, what an earlier removal left goes even so.
    if matches!(home.keys_path().try_exists(), Ok(false)) {
        return Err(unknown().into());
    }
    let writer = home.writer()?;
    let keyring = keyring(home)?;
    let keys = keyring.load()?;
    let known = keys.by_fingerprint(key).ok_or_else(unknown)?;
    if known.revoked().is_some() && !forget_revocation {
        return Err(KeyError::Revoked { key: *key }.into());
    }
    let runnable = losing(home, writer.state(), &keys.clone().without(key), &keys)?;
    let count = keys.list_of(&known.key).map_or(0, |list| list.keys.len());
    if count > 0 && !forget_revocation {
        return Err(KeyError::ListHeld { key: *key, count, plugins: runnable }.into());
    }
    written(&writer, || keyring.remove(key))?;
    Ok(KeyUntrustReport { key: KeyReport::of(known, &keys), runnable })
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
    // What is refused makes no home.
    revocable(home, (&Keyring::load_from(&home.keys_path())?, &home.read()?), key, now)?;
    let writer = home.writer()?;
    let keyring = keyring(home)?;
    let keys = keyring.load()?;
    let (at, mut entry) = revocable(home, (&keys, writer.state()), key, now)?;
    let fingerprint = key.fingerprint();
    let is_older = |entry: &Entry| entry.installed_at.parse().is_ok_and(|installed| !since.includes(installed));
    let (staying, stopped): (Vec<_>, Vec<_>) =
        signed_by(writer.state(), fingerprint)?.partition(|(_, entry)| keep_older && is_older(entry));
    let kept: BTreeSet<Digest> = staying.iter().map(|(_, entry)| entry.digest).collect();
    entry.level = Level::Revoked(Revoked { at, since, kept });
    let entry = entry.checked()?;
    written(&writer, || keyring.add(&entry))?;
    let names = |plugins: Vec<(PluginName, &Entry)>| plugins.into_iter().map(|(name, _)| name).collect();
    Ok(KeyRevokeReport { key: KeyReport::of(&entry, &keys), stopped: names(stopped), staying: names(staying) })
}

/// The moment of a revocation, and the key as it is known.
fn revocable(
    home: &Home,
    (keys, state): (&KeySet, &State),
    key: &KeyWord,
    now: &str,
) -> Result<(Time, TrustedKey), ManageError> {
    let at = judged_time(keys, state, now)?;
    let all = ["*".parse()?];
    let of = |key: &PublicKey, label: &str| TrustedKey::new(key.clone(), label, &all, now);
    let entry = match (keys.by_fingerprint(&key.fingerprint()), key) {
        (Some(known), _) => known.clone(),
        (None, KeyWord::Public(key)) => of(key, &short_label(key))?,
        // Also one that only the administrator trusts: then nothing that it signed runs for this user.
        (None, KeyWord::Fingerprint(key)) => match keys_of(home, StoreName::System)?.by_fingerprint(key) {
            Some(known) => of(&known.key, &known.label)?,
            None => return Err(KeyError::Unknown { key: *key }.into()),
        },
    };
    Ok((at, entry))
}

/// The installed plugins that a key signed.
fn signed_by(state: &State, key: Fingerprint) -> Result<impl Iterator<Item = (PluginName, &Entry)>, StoreError> {
    let is_signer = move |entry: &Entry| signer(entry) == Some(key);
    let plugins = state.usable()?.into_iter().map(|(name, (entry, _))| (name, entry));
    Ok(plugins.filter(move |(_, entry)| is_signer(entry)))
}

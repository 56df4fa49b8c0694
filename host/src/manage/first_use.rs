//! A plugin of an unknown key: a person, or the command line, may agree to pin the key for this one plugin.

use super::consent::Consenting;
use super::install::InstallRequest;
use super::keys::{KEY_DAYS, judged_time};
use super::{ManageError, source};
use crate::ids::{Fingerprint, PluginName};
use crate::package::Opened;
use crate::policy::Policy;
use crate::store::{Home, State, StoreError, Trust};
use crate::trust::{KeySet, Keyring, Level, Origin, PublicKey, Scope, Time, TrustError, TrustedKey, Window};

/// What a person needs to know to decide on a key. Its signature was verified, and nothing else is known of it.
#[derive(Debug)]
pub struct KeyQuestion<'a> {
    /// The plugin.
    pub name: &'a PluginName,
    /// Its version.
    pub version: &'a semver::Version,
    /// The key that signed it.
    pub key: &'a PublicKey,
}

/// A verdict over something new.
pub(super) struct Judged {
    pub(super) trust: Trust,
    /// A key that is trusted from now on, if the installation goes through.
    pub(super) pin: Option<TrustedKey>,
    pub(super) warnings: Vec<String>,
}

/// Judges what is to be installed; about an unknown key a person is asked.
pub(super) fn judged(
    home: &Home,
    state: &State,
    opened: &Opened,
    request: &InstallRequest,
    (policy, consenting): (&Policy, &mut Consenting<'_>),
) -> Result<Judged, ManageError> {
    let name = &opened.index.name;
    let keys = Keyring::load_from(&home.keys_path())?;
    let now = judged_time(&keys, state, &request.now)?;
    let warnings = keys.list_warnings(name, now);
    let key = match source::judged(&keys, state, opened, policy, request.allow_unsigned, Some(now)) {
        Err(ManageError::Trust(TrustError::UntrustedKey { key, .. })) => key,
        trust => return Ok(Judged { trust: trust?, pin: None, warnings }),
    };
    if let Some(pinned) = pinned(&keys, state, name)? {
        return Err(TrustError::KeyChanged { name: name.clone(), pinned, key }.into());
    }
    // What a list covers stays refused: a pin is no way around it.
    keys.check_lists(name, now)?;
    let level = match request.trust_key {
        Some(named) if named == key.fingerprint() => Level::Trusted,
        None if consenting.prompt.pin(&KeyQuestion { name, version: &opened.index.version, key: &key }) => {
            Level::FirstUse
        }
        _ => return Err(TrustError::UntrustedKey { name: name.clone(), key }.into()),
    };
    let pin = pin(name, &key, level, now)?;
    let trust = Trust::Signed { key: pin.fingerprint(), label: pin.label.clone() };
    Ok(Judged { trust, pin: Some(pin), warnings })
}

/// The key that signed the plugin before: nobody is asked whether another one may take its place.
fn pinned(keys: &KeySet, state: &State, name: &PluginName) -> Result<Option<Fingerprint>, StoreError> {
    let pinned = keys.iter().find(|key| key.level == Level::FirstUse && key.covers(name));
    let installed = state.plugins.get(name)?.and_then(|entry| match &entry.trust {
        Trust::Signed { key, .. } => Some(*key),
        Trust::Unsigned => None,
    });
    Ok(pinned.map(TrustedKey::fingerprint).or(installed))
}

fn pin(name: &PluginName, key: &PublicKey, level: Level, now: Time) -> Result<TrustedKey, TrustError> {
    let pin = TrustedKey {
        key: key.clone(),
        label: format!("key of {name}"),
        scope: vec![Scope::of(name)],
        added: now,
        origin: Origin::Install,
        window: Window { from: now, until: Some(now.plus_days(KEY_DAYS)) },
        level,
    };
    pin.checked()
}

/// A pinned key, which is taken back unless the installation goes through.
pub(super) struct Pinned {
    keyring: Keyring,
    key: Option<Fingerprint>,
}

impl Pinned {
    /// Pins a key. The caller holds the store's lock.
    pub(super) fn new(home: &Home, pin: &TrustedKey) -> Result<Self, TrustError> {
        let keyring = Keyring::open(&home.keys_path())?;
        // Somebody may have said something of the key meanwhile, by another command.
        if keyring.load()?.find(&pin.key).is_some() {
            return Ok(Self { keyring, key: None });
        }
        keyring.add(pin)?;
        Ok(Self { keyring, key: Some(pin.fingerprint()) })
    }

    /// The installation went through.
    pub(super) fn keep(mut self) {
        self.key = None;
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // The error that is reported is that of the installation. A pin that stays was agreed to.
            let _ = self.keyring.remove(&key);
        }
    }
}

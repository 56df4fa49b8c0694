//! A plugin of an unknown key: a person, or the command line, may agree to pin the key for this one plugin.

use super::consent::Consenting;
use super::install::InstallRequest;
use super::keys::{KEY_DAYS, judged_time, keyring};
use super::maker::{OtherMaker, other_maker};
use super::{ManageError, source};
use crate::ids::{Fingerprint, PluginName};
use crate::package::Opened;
use crate::policy::Policy;
use crate::store::{Home, State, Trust};
use crate::trust::{Keyring, Level, Origin, PublicKey, Scope, Time, TrustError, TrustedKey, Window};

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
    /// Whose it is, where that is somebody else than before.
    pub(super) other_maker: Option<OtherMaker>,
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
        trust => {
            let trust = trust?;
            let other_maker = other_maker(&keys, state, name, opened.signature.as_ref())?;
            return Ok(Judged { trust, pin: None, other_maker, warnings });
        }
    };
    let other_maker = other_maker(&keys, state, name, opened.signature.as_ref())?;
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
    Ok(Judged { trust, pin: Some(pin), other_maker, warnings })
}

fn pin(name: &PluginName, key: &PublicKey, level: Level, now: Time) -> Result<TrustedKey, TrustError> {
    let pin = TrustedKey {
        key: key.clone(),
        label: format!("key of {name}"),
        scope: vec![Scope::of(name)],
        handovers: Vec::new(),
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
    pub(super) fn new(home: &Home, pin: &TrustedKey) -> Result<Self, ManageError> {
        let keyring = keyring(home)?;
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

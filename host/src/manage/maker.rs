//! Whose plugin takes the place of whose: what was decided about one maker's plugin was not decided about another's, even
//! where both makers are trusted for the name.

use std::fmt;

use super::ManageError;
use crate::controls::{Check, makes};
use crate::ids::{Fingerprint, PluginName};
use crate::package::Signature;
use crate::runtime::signer;
use crate::store::{Entry, State};
use crate::trust::{KeySet, Level, PublicKey, TrustError, TrustedKey};

/// Another maker than the one of before. A maker is the key that signed; what is not signed has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OtherMaker {
    pub(super) before: Option<Fingerprint>,
    pub(super) now: Option<Fingerprint>,
}

impl fmt::Display for OtherMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |key: Option<Fingerprint>| key.map_or("not signed".to_owned(), |key| format!("signed by key {key}"));
        let (before, now) = (by(self.before), by(self.now));
        // What is not signed has no maker, and so is stored for whatever its user puts in its place.
        let what = if self.before.and(self.now).is_some() { "granted, set or stored" } else { "granted or set" };
        write!(f, "it was {before} before, and is {now} now: nothing that was {what} goes over to it")
    }
}

/// Whether something that is to be installed under a name is another maker's than what is installed.
///
/// The maker that the user is held to is that of what is installed. Where nothing is installed, or something that nobody signed,
/// it is whose key was pinned for the name: what its user allowed unsigned does not undo the pin.
///
/// # Errors
/// It is not of that maker, and the user did not name its key for this very plugin.
pub(super) fn other_maker(
    keys: &KeySet,
    state: &State,
    name: &PluginName,
    signature: Option<&Signature>,
) -> Result<Option<OtherMaker>, ManageError> {
    let installed = state.plugins.get(name)?;
    let before = installed.and_then(signer);
    let now = signature.map(Signature::fingerprint);
    if !makes(Check::Maker) {
        return Ok(None);
    }
    let is_pin = |key: &&TrustedKey| key.level == Level::FirstUse && key.covers(name);
    let pins = || keys.iter().filter(is_pin).map(TrustedKey::fingerprint).collect();
    let held: Vec<Fingerprint> = before.map_or_else(pins, |key| vec![key]);
    if let (Some(&pinned), Some(signature)) = (held.first(), signature)
        && !held.iter().any(|key| is_same(keys, name, Some(*key), now))
    {
        let (name, key) = (name.clone(), PublicKey::from_bytes(&signature.key)?);
        if !keys.find(&key).is_some_and(|key| key.is_meant_for(&name)) {
            return Err(TrustError::KeyChanged { name, pinned, key: Box::new(key) }.into());
        }
    }
    let is_other = installed.is_some() && !is_same(keys, name, before, now);
    Ok(is_other.then_some(OtherMaker { before, now }))
}

/// As [`other_maker`], of two versions that the user let in, in whichever order.
pub(super) fn other_maker_of(keys: &KeySet, name: &PluginName, before: &Entry, now: &Entry) -> Option<OtherMaker> {
    let (before, now) = (signer(before), signer(now));
    let is_other = !is_same(keys, name, before, now) && !is_same(keys, name, now, before);
    is_other.then_some(OtherMaker { before, now })
}

/// A key is its own heir, and that of those that handed the name over to it.
fn is_same(keys: &KeySet, name: &PluginName, before: Option<Fingerprint>, now: Option<Fingerprint>) -> bool {
    let is_heir = |(before, now): (Fingerprint, Fingerprint)| keys.predecessors(&now, name).contains(&before);
    before == now || before.zip(now).is_some_and(is_heir)
}

//! Which installed plugins do not run any more, by what was recorded of them: none of their files is read. What is found is
//! never stored, since the next word about a key may say otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::list::Warning;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::runtime::keys_of;
use crate::store::{Home, State, StoreName, Trust};
use crate::trust::{KeySet, TrustedKey, judge_signer};

/// What is wrong with a plugin whose tree is not there.
const GONE: &str = "its files are gone; uninstall it and install it again";
/// The same, where only root could do that.
const GONE_OF_SYSTEM: &str = "its files in the system store are gone, or cannot be read: tell the administrator";

/// The trees that are gone, and the keys that installed plugins are held to.
pub(super) struct Lapses {
    gone: BTreeSet<Digest>,
    own: Option<Held>,
    shared: Option<Held>,
}

struct Held {
    keys: KeySet,
    /// Those that need no second look at each of a thousand plugins.
    undisputed: BTreeMap<Fingerprint, TrustedKey>,
}

impl Lapses {
    /// With a warning for each keyring that cannot be read: nothing is said by it then.
    pub(super) fn new(home: &Home, state: &State, gone: BTreeSet<Digest>) -> (Self, Vec<Warning>) {
        let mut warnings = Vec::new();
        let mut held = |place| match keys_of(home, place) {
            Ok(keys) => {
                let undisputed = keys.undisputed().map(|key| (key.fingerprint(), key.clone())).collect();
                Some(Held { keys, undisputed })
            }
            Err(error) => {
                warnings.push(Warning { name: "keyring".to_owned(), message: error.to_string() });
                None
            }
        };
        let own = held(StoreName::User);
        let shared = state.shared_names().next().and_then(|_| held(StoreName::System));
        (Self { gone, own, shared }, warnings)
    }

    /// Why a plugin does not run any more, if so: its files are gone, or it is not trusted.
    pub(super) fn of(&self, name: &PluginName, trust: &Trust, digest: &Digest, place: StoreName) -> Option<String> {
        if self.gone.contains(digest) {
            let why = if place == StoreName::System { GONE_OF_SYSTEM } else { GONE };
            return Some(why.to_owned());
        }
        let held = if place == StoreName::System { &self.shared } else { &self.own };
        let (Some(Held { keys, undisputed }), Trust::Signed { key, .. }) = (held, trust) else { return None };
        if undisputed.get(key).is_some_and(|key| key.covers(name)) {
            return None;
        }
        judge_signer(keys, key, name, digest).err().map(|why| why.to_string())
    }
}

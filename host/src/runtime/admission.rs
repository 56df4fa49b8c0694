//! Admission: from the store's bytes to bytes that may run. Read once, hashed, judged, sealed; never a path again.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use migraine_plugin_api::{Permission, Timeout};
use serde_json::Value;

use super::error::CallError;
use super::needs::{Around, Requirement, requirements, signer};
use super::script::Scripts;
use crate::ids::PluginName;
use crate::package::PackageError;
use crate::policy::{Capped, Endpoint, LimitCaps};
use crate::sandbox::{Room, SandboxError};
use crate::store::{DataOwner, Entry, Home, Installed, KnownInterpreter, ProblemKind, Status, StoreError, StoreName};
use crate::trust::{KeySet, Keyring, TrustError, Trusted, judge};

/// What a plugin's calls are answered by.
#[derive(Debug)]
pub(super) enum Code {
    /// The verified bytes of its library.
    Library(OwnedFd),
    /// Its verified scripts.
    Scripts(Box<Scripts>),
}

/// A plugin that may run.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) code: Code,
    /// Whose data it is given.
    pub(super) owner: DataOwner,
    pub(super) config: BTreeMap<String, Value>,
    /// What is in force of its grants.
    pub(super) permissions: Vec<Permission>,
    /// What the policy takes away of them.
    pub(super) capped: Vec<Capped>,
    /// The wall clock that commands were granted.
    pub(super) timeouts: BTreeMap<String, Timeout>,
    /// The limits of the policy.
    pub(super) caps: LimitCaps,
    /// The proxy that the policy names.
    pub(super) upstream: Option<Endpoint>,
    /// Whether it may run in the reduced sandbox where the full one cannot be built.
    pub(super) allows_reduced: bool,
    pub(super) unsigned: bool,
    /// What ran its scripts when it was installed.
    pub(super) interpreters: Vec<KnownInterpreter>,
    /// The files that it is linked to while it is developed.
    pub(super) link: Option<PathBuf>,
}

/// The keys that count for the plugins of a store. For those of the system store they are the administrator's, and of the
/// user's own keyring only what it takes away.
///
/// # Errors
/// As [`Keyring::load_from`].
pub fn keys_of(home: &Home, place: StoreName) -> Result<KeySet, TrustError> {
    let own = Keyring::load_from(&home.keys_path())?;
    match (place, home.system_keys_path()) {
        (StoreName::User, _) => Ok(own),
        (StoreName::System, Some(path)) => Ok(Keyring::load_of_root(&path)?.limited_by(own)),
        (StoreName::System, None) => Ok(KeySet::default()),
    }
}

/// Admits an enabled plugin: its bytes are compared with what was installed, and its signature is judged anew, since a
/// key may have lost its trust since the installation; so may the policy have changed, which takes away of its grants what
/// is too much. `known` learns the entry and what is left of its grants before the bytes are read, and may have room
/// for those; what counts is what is returned.
///
/// # Errors
/// It is not there, not enabled, damaged, no longer trusted, or refused by the policy.
pub(super) fn admit(
    home: &Home,
    name: &PluginName,
    mut known: impl FnMut(&Entry, &[Permission], &LimitCaps) -> Option<Room>,
) -> Result<Admitted, CallError> {
    let store = |source| CallError::Store { plugin: name.clone(), source: Box::new(source) };
    let policy = home.policy().map_err(store)?;
    let found = home.load_plugin_with(name, |entry| {
        let is_enabled = entry.status() == Status::Enabled;
        is_enabled.then(|| known(entry, &policy.in_force(&entry.decided.grants).0, &policy.limits())).flatten()
    });
    let found = found.map_err(store)?;
    let Installed { entry, tree, exceptions, place, needed } =
        found.ok_or_else(|| CallError::NotFound(name.clone()))?;
    match (entry.status(), &entry.problem) {
        (Status::Enabled, _) => {}
        (Status::Quarantined, Some(problem)) if problem.kind == ProblemKind::Quarantined => {
            let reason = crate::text::safe_line(&problem.reason);
            return Err(CallError::Quarantined { plugin: name.clone(), reason });
        }
        (status, _) => return Err(CallError::NotEnabled { plugin: name.clone(), status: status.as_str() }),
    }
    let trust = |source| CallError::Trust { plugin: name.clone(), source: Box::new(source) };
    let keys = keys_of(home, place).map_err(trust)?;
    let verdict = judge(&tree.index_text, &tree.index, tree.signature.as_ref(), &keys, &exceptions).map_err(trust)?;
    if let Some(source) = policy.forbids_unsigned().filter(|_| verdict == Trusted::Unsigned) {
        return Err(CallError::Policy { plugin: name.clone(), source: Box::new(source) });
    }
    let around = Around { others: &needed, keys: &keys };
    if let Some(requirement) = requirements(&entry, around).into_iter().find(Requirement::is_in_the_way) {
        let advice = tree.manifest().map(|manifest| manifest.install_requires).unwrap_or_default();
        return Err(CallError::Needs { plugin: name.clone(), requirement: Box::new(requirement), advice });
    }
    let (permissions, capped) = policy.in_force(&entry.decided.grants);
    let sandbox = |error| CallError::Sandbox { plugin: name.clone(), source: Box::new(SandboxError::Code(error)) };
    let code = if tree.index.holds_scripts() {
        let damaged = |error: PackageError| {
            store(StoreError::Integrity { digest: tree.digest, why: format!("its manifest is not valid: {error}") })
        };
        let manifest = tree.manifest().map_err(damaged)?;
        Code::Scripts(Box::new(Scripts::new(manifest, tree.contents()).map_err(sandbox)?))
    } else {
        Code::Library(tree.sealed_library().map_err(sandbox)?)
    };
    let before = signer(&entry).map(|key| keys.predecessors(&key, name)).unwrap_or_default();
    let owner = DataOwner::of(name, &entry, place, &before);
    Ok(Admitted {
        code,
        owner,
        config: entry.config(),
        permissions,
        capped,
        timeouts: entry
            .commands
            .iter()
            .filter_map(|spec| Some((spec.name.clone(), entry.timeout(&spec.name)?)))
            .collect(),
        caps: policy.limits(),
        upstream: policy.proxy().cloned(),
        allows_reduced: policy.allows_reduced(),
        unsigned: verdict == Trusted::Unsigned,
        interpreters: entry.interpreters.clone(),
        link: entry.link,
    })
}

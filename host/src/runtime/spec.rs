//! What kind of worker a plugin gets.

use migraine_plugin_api::{Permission, PermissionKind};

use crate::wire::{Rlimits, WorkerSpec};

/// The worker of a plugin with these grants.
#[must_use]
pub fn worker_spec(grants: &[Permission]) -> WorkerSpec {
    spec(grants, Rlimits::NATIVE)
}

/// The same for a script.
#[must_use]
pub(super) fn script_spec(grants: &[Permission]) -> WorkerSpec {
    spec(grants, Rlimits::SCRIPT)
}

fn spec(grants: &[Permission], rlimits: Rlimits) -> WorkerSpec {
    let receives_descriptors = grants.iter().any(|held| held.kind() == PermissionKind::Network);
    WorkerSpec { rlimits, receives_descriptors }
}

//! What kind of worker a plugin gets.

use migraine_plugin_api::{Permission, PermissionKind};

use crate::wire::{Layers, Rlimits, WorkerSpec};

/// The worker of a plugin with these grants.
#[must_use]
pub fn worker_spec(grants: &[Permission]) -> WorkerSpec {
    let receives_descriptors = grants.iter().any(|held| held.kind() == PermissionKind::Network);
    WorkerSpec { layers: Layers::ALL, rlimits: Rlimits::NATIVE, receives_descriptors }
}

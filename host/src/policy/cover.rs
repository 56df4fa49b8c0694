//! Whether what a plugin holds is enough for what it wants.

use migraine_plugin_api::{Permission, PermissionKind};

use super::directory::DirectoryScope;
use super::endpoint::EndpointScope;
use super::program_set;

/// Whether a held permission answers a wanted one. A scope that does not parse is answered by the same text only.
#[must_use]
pub fn covers(held: &Permission, wanted: &Permission) -> bool {
    if held.kind() != wanted.kind() {
        return false;
    }
    let by_scope = match held.kind() {
        PermissionKind::Network => endpoints(held).zip(endpoints(wanted)).map(|(held, wanted)| held.covers(&wanted)),
        PermissionKind::Filesystem => {
            DirectoryScope::of(held).zip(DirectoryScope::of(wanted)).map(|(held, wanted)| held.covers(&wanted))
        }
        PermissionKind::Exec => Some(match (held.scope(), wanted.scope()) {
            (Some(held), Some(wanted)) => program_set(held).is_some_and(|set| set.contains(&wanted)),
            (held, _) => held.is_none(),
        }),
        _ => Some(held.scope().is_none()),
    };
    held == wanted || by_scope == Some(true)
}

/// What a permission says of endpoints; nothing for another kind, or when its scope is not valid.
#[must_use]
pub fn endpoints(permission: &Permission) -> Option<EndpointScope> {
    if permission.kind() != PermissionKind::Network {
        return None;
    }
    permission.scope().map_or_else(|| Some(EndpointScope::everywhere()), |scope| scope.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_answers_what_is_no_more() {
        for (held, wanted, covered) in [
            ("task_read", "task_read", true),
            ("task_write", "task_read", false),
            ("env_vars", "env_vars=HOME", true),
            ("env_vars=HOME", "env_vars=HOME", true),
            ("env_vars=HOME", "env_vars=HOMES", false),
            ("env_vars=HOME", "env_vars", false),
            ("exec=git", "exec=git", true),
            ("exec=git", "exec=git-lfs", false),
            ("exec=coreutils", "exec=cat", true),
            ("exec=coreutils", "exec=coreutils", true),
            ("exec=coreutils", "exec=env", false),
            ("exec=coreutils", "exec", false),
            ("exec=cat", "exec=coreutils", false),
            ("network", "network=a.example:80", true),
            ("network", "network", true),
            // Without a scope it stops at the edge of the internet; what it does not reach is more.
            ("network", "network=unix:/run/docker.sock", false),
            ("network", "network=localhost:80", false),
            ("network=*:80", "network=a.example:80", true),
            ("network=a.example:80", "network", false),
            ("network=not a scope", "network=not a scope", true),
            ("network=not a scope", "network=a.example:80", false),
            ("filesystem=write:/srv", "filesystem=read:/srv/data", true),
            ("filesystem=read:/srv", "filesystem=read:/srv2", false),
            ("filesystem=read:/srv", "network=a.example:80", false),
        ] {
            assert_eq!(covers(&held.parse().unwrap(), &wanted.parse().unwrap()), covered, "{held} {wanted}");
        }
    }
}

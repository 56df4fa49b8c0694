//! What may be granted at most: the section `permissions` of a policy file.

use std::path::PathBuf;

use migraine_plugin_api::{Permission, PermissionKind};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::cover::covers;
use super::directory::{Access, DirectoryScope};
use super::endpoint::EndpointScope;
use super::scope::check;
use super::template::has_placeholder;

/// For each kind of permission that is capped, the most that may be granted of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PermissionCaps(Vec<(PermissionKind, Vec<Permission>)>);

impl PermissionCaps {
    /// The most that may be granted of a kind; `None` is anything.
    #[must_use]
    pub(super) fn of(&self, kind: PermissionKind) -> Option<&[Permission]> {
        self.0.iter().find(|(capped, _)| *capped == kind).map(|(_, most)| most.as_slice())
    }

    /// What is left of a grant: itself, or the parts of it that may be granted.
    #[must_use]
    pub(super) fn narrow(&self, grant: &Permission) -> Vec<Permission> {
        let Some(most) = self.of(grant.kind()) else { return vec![grant.clone()] };
        if most.iter().any(|most| covers(most, grant)) {
            return vec![grant.clone()];
        }
        let mut left: Vec<Permission> = most.iter().filter_map(|most| both(grant, most)).collect();
        left.sort();
        left.dedup();
        left
    }
}

/// What two permissions of one kind both open.
fn both(one: &Permission, other: &Permission) -> Option<Permission> {
    if covers(one, other) {
        return Some(other.clone());
    }
    match one.kind() {
        PermissionKind::Filesystem => {
            let (one, other) = (DirectoryScope::of(one)?, DirectoryScope::of(other)?);
            let access = one.access.min(other.access);
            let [one, other] = [one, other].map(|scope| DirectoryScope { access, ..scope });
            let narrower = if one.covers(&other) { Some(other) } else { other.covers(&one).then_some(one) };
            narrower?.permission().ok()
        }
        PermissionKind::Network => {
            let scope = |text: &Permission| text.scope()?.parse::<EndpointScope>().ok();
            let both = scope(one)?.both(&scope(other)?)?;
            Permission::scoped(PermissionKind::Network, &both.to_string()).ok()
        }
        _ => None,
    }
}

impl<'de> Deserialize<'de> for PermissionCaps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct Kinds {
            task_read: Allowed,
            task_write: Allowed,
            user_auth: Allowed,
            network: Most,
            filesystem: Directories,
            env_vars: Most,
            exec: Most,
        }
        let Kinds { task_read, task_write, user_auth, network, filesystem, env_vars, exec } =
            Kinds::deserialize(deserializer)?;
        let bare = |kind, Allowed(allowed): Allowed| Ok((!allowed).then(|| (kind, Vec::new())));
        let caps: Result<Vec<_>, String> = [
            bare(PermissionKind::TaskRead, task_read),
            bare(PermissionKind::TaskWrite, task_write),
            bare(PermissionKind::UserAuth, user_auth),
            network.of(PermissionKind::Network),
            filesystem.0.of(PermissionKind::Filesystem),
            env_vars.of(PermissionKind::EnvVars),
            exec.of(PermissionKind::Exec),
        ]
        .into_iter()
        .collect::<Result<Vec<_>, String>>();
        Ok(Self(caps.map_err(D::Error::custom)?.into_iter().flatten().collect()))
    }
}

/// Of a kind without scopes: all or nothing.
#[derive(Deserialize)]
struct Allowed(bool);

impl Default for Allowed {
    fn default() -> Self {
        Self(true)
    }
}

/// `true` for anything, `false` for nothing, else a list of scopes.
#[derive(Default)]
struct Most(Option<Vec<String>>);

impl Most {
    fn of(self, kind: PermissionKind) -> Result<Option<(PermissionKind, Vec<Permission>)>, String> {
        let Some(scopes) = self.0 else { return Ok(None) };
        let scopes = scopes.iter().map(|scope| one(kind, scope));
        Ok(Some((kind, scopes.collect::<Result<Vec<_>, String>>()?)))
    }
}

fn one(kind: PermissionKind, scope: &str) -> Result<Permission, String> {
    let refuse = |why: &str| Err(format!("permissions.{kind}: `{}`: {why}", scope.escape_debug()));
    let permission = match Permission::scoped(kind, scope) {
        Ok(permission) => permission,
        Err(error) => return refuse(&error.to_string()),
    };
    if has_placeholder(scope) {
        return refuse("a policy takes no value from a plugin's configuration");
    }
    if let Err(why) = check(&permission) {
        return refuse(&why);
    }
    let directory = DirectoryScope::of(&permission).map(|scope| scope.directory);
    if directory.is_some_and(|directory| !directory.is_some_and(|directory| directory.is_absolute())) {
        return refuse("a directory of a policy is an absolute path");
    }
    Ok(permission)
}

impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Most;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a list of scopes")
            }

            fn visit_bool<E: Error>(self, anything: bool) -> Result<Most, E> {
                Ok(Most((!anything).then(Vec::new)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Most, A::Error> {
                let mut scopes = Vec::new();
                while let Some(scope) = list.next_element()? {
                    scopes.push(scope);
                }
                Ok(Most(Some(scopes)))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// `true`, `false`, or directories to read and to change.
#[derive(Default)]
struct Directories(Most);

impl<'de> Deserialize<'de> for Directories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Directories;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false, or lists of directories under `read` and `write`")
            }

            fn visit_bool<E: Error>(self, anything: bool) -> Result<Directories, E> {
                Ok(Directories(Most((!anything).then(Vec::new))))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Directories, A::Error> {
                #[derive(Deserialize, Default)]
                #[serde(deny_unknown_fields, default)]
                struct Lists {
                    read: Vec<PathBuf>,
                    write: Vec<PathBuf>,
                }
                let lists = Lists::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let scopes = |access: Access, list: Vec<PathBuf>| {
                    list.into_iter().map(move |directory| match access {
                        Access::Read => format!("read:{}", directory.display()),
                        Access::Write => format!("write:{}", directory.display()),
                    })
                };
                let scopes = scopes(Access::Read, lists.read).chain(scopes(Access::Write, lists.write));
                Ok(Directories(Most(Some(scopes.collect()))))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

//! What a plugin needs besides itself, looked for before it runs: other plugins, programs and sockets.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use migraine_plugin_api::{Permission, PermissionKind};
use serde::Serialize;

use super::programs::{real, search_path};
use crate::ids::{Fingerprint, PluginName};
use crate::package::dependency::{Dependency, Need};
use crate::policy::EndpointScope;
use crate::store::{Entry, Records, Status, Trust};
use crate::text::safe_line;
use crate::trust::KeySet;

/// Something that a plugin needs, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// As its manifest writes it, not made safe to show.
    pub needs: String,
    /// How it stands.
    pub state: RequirementState,
    /// What was found, or what is wrong; safe to show.
    pub found: String,
    /// Whether the plugin is not run while it is missing. What its sandbox would not let it use anyway does not keep it.
    pub blocks: bool,
}

/// How something that is needed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementState {
    /// It is there.
    Met,
    /// It is not there, or not as it is needed.
    Missing,
    /// Words for people.
    Unknown,
}

impl Requirement {
    /// Whether the plugin may not run because of it.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        self.blocks && self.state == RequirementState::Missing
    }
}

/// What a plugin is looked at with.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The entries of other plugins, those that it needs at least.
    pub others: &'a Records<Entry>,
    /// The keyring.
    pub keys: &'a KeySet,
}

/// Everything that an installed plugin needs, in the order of its manifest.
#[must_use]
pub fn requirements(entry: &Entry, around: Around<'_>) -> Vec<Requirement> {
    entry.dependencies.iter().map(|text| requirement(text, entry, around)).collect()
}

/// The same of other plugins alone; nothing on the machine is looked for.
#[must_use]
pub fn needed_plugins(entry: &Entry, around: Around<'_>) -> Vec<Requirement> {
    let plugins = entry.dependencies.iter().filter(|text| matches!(Dependency::parse(text), Ok(Dependency::Plugin(_))));
    plugins.map(|text| requirement(text, entry, around)).collect()
}

fn requirement(text: &str, entry: &Entry, around: Around<'_>) -> Requirement {
    let (found, blocks) = match Dependency::parse(text) {
        Ok(Dependency::Plugin(need)) => (plugin(&need, entry, around), true),
        Ok(Dependency::Program(program)) => (self::program(&program), holds_program(entry, &program)),
        Ok(Dependency::Socket(path)) => socket(Path::new(&path), entry),
        Ok(Dependency::ScopedSocket(name)) => scoped_socket(&name, entry),
        Ok(Dependency::Words(_)) | Err(_) => {
            let found = "nothing that can be looked for".to_owned();
            return Requirement { needs: text.to_owned(), state: RequirementState::Unknown, found, blocks: false };
        }
    };
    let (state, found) = match found {
        Ok(found) => (RequirementState::Met, found),
        Err(why) => (RequirementState::Missing, why),
    };
    Requirement { needs: text.to_owned(), state, found, blocks }
}

fn plugin(need: &Need, by: &Entry, around: Around<'_>) -> Result<String, String> {
    let (name, found) = (&need.name, fitting(need, by, around)?);
    match found.status() {
        Status::Enabled => Ok(format!("{name} {}", found.version)),
        status => Err(format!("{name} {} is not enabled (status: {status})", found.version)),
    }
}

/// The installed plugin that another one needs, enabled or not.
///
/// # Errors
/// There is none of that name, in that range, by that maker; in words.
pub fn fitting<'a>(need: &Need, by: &Entry, around: Around<'a>) -> Result<&'a Entry, String> {
    let name = &need.name;
    let found = around.others.get(name).map_err(|error| error.to_string())?;
    let Some(found) = found else { return Err(format!("there is no plugin {name}")) };
    if !need.range.matches(&found.version) {
        return Err(format!("{name} is installed in version {}, which is not {}", found.version, need.range));
    }
    let wanted = need.key.or(signer(by));
    if let Some(wanted) = wanted.filter(|wanted| !is_signed_by((name, found), wanted, around.keys)) {
        return Err(format!("{name} {} is not signed by {wanted}", found.version));
    }
    Ok(found)
}

/// The key that signed a plugin.
#[must_use]
pub fn signer(entry: &Entry) -> Option<Fingerprint> {
    match &entry.trust {
        Trust::Signed { key, .. } => Some(*key),
        Trust::Unsigned => None,
    }
}

/// What the user links stands for whatever is asked for under its name.
fn is_signed_by((name, entry): (&PluginName, &Entry), wanted: &Fingerprint, keys: &KeySet) -> bool {
    let by = signer(entry);
    entry.link.is_some() || by.is_some_and(|by| by == *wanted || keys.predecessors(&by, name).contains(wanted))
}

fn program(program: &str) -> Result<String, String> {
    match real(program) {
        Some(path) => Ok(safe_line(&path.to_string_lossy())),
        None => Err(format!("there is no program `{}` in {}", safe_line(program), search_path().replace(':', ", "))),
    }
}

fn holds_program(entry: &Entry, program: &str) -> bool {
    let of_kind = entry.decided.grants.iter().filter(|grant| grant.kind() == PermissionKind::Exec);
    let name = |scope: &str| Path::new(scope).file_name().is_some_and(|name| name == program);
    of_kind.filter_map(Permission::scope).any(name)
}

/// The sockets that a plugin was granted.
fn granted_sockets(entry: &Entry) -> Vec<PathBuf> {
    let of_kind = entry.decided.grants.iter().filter(|grant| grant.kind() == PermissionKind::Network);
    let scopes = of_kind.filter_map(Permission::scope).filter_map(|scope| scope.parse::<EndpointScope>().ok());
    scopes.filter_map(|scope| scope.socket().map(Path::to_owned)).collect()
}

fn socket(path: &Path, entry: &Entry) -> (Result<String, String>, bool) {
    let shown = safe_line(&path.to_string_lossy());
    let found = match std::fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(shown),
        Ok(_) => Err(format!("{shown} is no socket")),
        Err(error) => Err(format!("there is no socket {shown}: {error}")),
    };
    (found, granted_sockets(entry).iter().any(|granted| granted == path))
}

/// The socket of the plugin's own scope that has the name in its path; with one scope alone, that one.
fn scoped_socket(name: &str, entry: &Entry) -> (Result<String, String>, bool) {
    let sockets = granted_sockets(entry);
    let named = sockets.iter().find(|path| path.to_string_lossy().contains(name));
    match named.or(sockets.first().filter(|_| sockets.len() == 1)) {
        Some(path) => socket(path, entry),
        None => {
            (Err(format!("no socket of that name is granted to it: `network=unix:...{}...`", safe_line(name))), false)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(more: &serde_json::Value) -> Entry {
        let mut entry = json!({"version": "1.2.0", "digest": "0".repeat(64), "trust": "unsigned", "enabled": true,
            "installed_at": "2026-01-02T03:04:05Z"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(entry).unwrap()
    }

    fn looked_at(by: &Entry, others: &[(&str, Entry)]) -> Vec<(RequirementState, bool)> {
        let others = others.iter().map(|(name, entry)| (name.parse().unwrap(), entry.clone())).collect();
        let around = Around { others: &others, keys: &KeySet::default() };
        requirements(by, around).into_iter().map(|one| (one.state, one.is_in_the_way())).collect()
    }

    #[test]
    fn what_the_sandbox_lets_it_use_is_in_the_way_while_it_is_missing() {
        use RequirementState::{Met, Missing, Unknown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let scope = format!("network=unix:{}", path.display());
        let needs = json!(["sh", "no-such-program", "other-missing", "docker-socket", "Docker running"]);
        let by = entry(&json!({"dependencies": needs, "grants": ["exec=no-such-program", scope]}));
        let with_socket = |state| [(Met, false), (Missing, true), (Missing, false), state, (Unknown, false)];
        assert_eq!(looked_at(&by, &[]), with_socket((Missing, true)));
        std::fs::write(&path, "").unwrap();
        assert_eq!(looked_at(&by, &[]), with_socket((Missing, true)));
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(looked_at(&by, &[]), with_socket((Met, false)));
        let by = entry(&json!({"dependencies": [format!("unix:{}", path.display()), "x-socket"]}));
        assert_eq!(looked_at(&by, &[]), [(Met, false), (Missing, false)]);
    }

    #[test]
    fn a_plugin_is_needed_in_its_range_by_its_maker_and_enabled() {
        use RequirementState::{Met, Missing};
        let signed = |number| json!({"signed": {"key": Fingerprint::of(&[number; 32]), "label": ""}});
        let by = entry(&json!({"dependencies": ["plugin:log ^1"], "trust": signed(1)}));
        for (other, expected) in [
            (json!({"trust": signed(1)}), (Met, false)),
            (json!({"trust": signed(2)}), (Missing, true)),
            (json!({"trust": "unsigned"}), (Missing, true)),
            (json!({"trust": "unsigned", "link": "/x"}), (Met, false)),
            (json!({"trust": signed(1), "version": "2.0.0"}), (Missing, true)),
            (json!({"trust": signed(1), "enabled": false}), (Missing, true)),
        ] {
            assert_eq!(looked_at(&by, &[("log", entry(&other))]), [expected], "{other}");
        }
        assert_eq!(looked_at(&by, &[]), [(Missing, true)]);
    }
}

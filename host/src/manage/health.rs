//! Whether the home directory is in order; nothing is made or changed.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::ManageError;
use super::info::interpreter_changes;
use crate::code::{Code, Coded};
use crate::ids::PluginName;
use crate::policy::Policy;
use crate::policy::SYSTEM_STORE;
use crate::runtime::{Around, RequirementState, keys_of, requirements};
use crate::store::{Entry, Home, State, Status, StoreError, StoreName};
use crate::text::{counted, safe_line, safe_path};
use crate::trust::{KeySet, Keyring};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What.
    pub what: &'static str,
    /// What was found, or what is wrong.
    pub found: String,
    /// What is wrong, as a code; nothing when it is in order.
    #[serde(serialize_with = "as_text")]
    pub code: Option<Code>,
    /// What to do next.
    pub help: Option<String>,
}

pub(super) fn as_text<S: Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(Code::as_str).serialize(serializer)
}

impl HealthCheck {
    fn of<E: Coded>(what: &'static str, found: Result<String, E>) -> Self {
        match found {
            Ok(found) => Self { what, found, code: None, help: None },
            Err(error) => Self { what, found: error.to_string(), code: Some(error.code()), help: error.help() },
        }
    }
}

impl HealthCheck {
    /// With a command that puts it right, where something is wrong.
    fn advised(mut self, command: &str) -> Self {
        if self.code == Some(Code::Integrity) {
            self.help = Some(format!("`{command}` puts right what can be put right"));
        }
        self
    }
}

/// Looks at the home directory and what it holds, one after the other, up to the first that keeps the others from being
/// looked at; and at the system store, where it is behind that home.
#[must_use]
pub fn health(path: Result<&Path, &StoreError>, with_system: bool) -> Vec<HealthCheck> {
    let what = "home directory";
    let path = match path {
        Ok(path) => path,
        Err(error) => {
            return vec![HealthCheck { what, found: error.to_string(), code: Some(error.code()), help: error.help() }];
        }
    };
    let shown = safe_path(path);
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return vec![HealthCheck::of(what, Ok::<_, StoreError>(format!("{shown} is made at its first use")))];
    }
    let home = match Home::open(path) {
        Ok(home) if with_system => home.with_system(),
        Ok(home) => home,
        Err(error) => return vec![HealthCheck::of(what, Err(error))],
    };
    let plugins = |state: State| counted(state.plugins.len(), "plugin");
    let installed = |state: State| {
        for name in state.plugins.keys() {
            home.load_plugin(name).map_err(ManageError::from)?;
        }
        Ok::<_, ManageError>("every file is what was installed".to_owned())
    };
    let installed = home.read().map_err(ManageError::from).and_then(installed);
    let keyring = Keyring::load_from(&home.keys_path());
    let needs = needs(&home, keyring.as_ref().ok());
    let keys = keyring.map(|keys| counted(keys.iter().count(), "trusted key"));
    let files = |policy: Policy| {
        let paths: Vec<String> = policy.paths().map(safe_path).collect();
        if paths.is_empty() { "there are none: the defaults hold".to_owned() } else { paths.join(" and ") }
    };
    let mut checks = vec![
        HealthCheck::of(what, Ok::<_, StoreError>(format!("{shown} belongs to this user alone"))),
        HealthCheck::of("state", home.read_whole().map(plugins)),
        HealthCheck::of("installed files", installed).advised("migraine plugin fsck --repair"),
        HealthCheck::of("keyring", keys),
        HealthCheck::of("policy files", home.policy().map(files)),
        needs,
    ];
    checks.extend(with_system.then(|| system(&home)));
    checks
}

/// The system store: one that cannot be used keeps nothing of the user's own from working.
fn system(home: &Home) -> HealthCheck {
    let what = "system store";
    let state = home.read().unwrap_or_default();
    if let Some(error) = home.system_problem().get() {
        return HealthCheck { what, found: error.to_string(), code: Some(error.code()), help: error.help() };
    }
    if !home.has_system() {
        return HealthCheck::of(what, Ok::<_, StoreError>("there is none".to_owned()));
    }
    let loaded = state
        .system
        .iter()
        .try_for_each(|(_, entry)| home.load_in(StoreName::System, &entry.digest).map_err(ManageError::from).map(drop));
    let keys = loaded.and_then(|()| Ok(keys_of(home, StoreName::System)?));
    let found = keys.map(|keys| {
        let (plugins, keys) = (state.system.len(), keys.len());
        format!("{SYSTEM_STORE}: {}, {}", counted(plugins, "plugin"), counted(keys, "trusted key"))
    });
    HealthCheck::of(what, found)
}

/// Which installed plugins have scripts that something else runs now, or nothing any more; their names and why. A home that
/// cannot be read has none: [`health`] says why it cannot.
#[must_use]
pub fn script_changes(path: &Path, with_system: bool) -> Vec<(PluginName, String)> {
    // Opening it would make it.
    let home = path.exists().then(|| Home::open(path)).and_then(Result::ok);
    let home = home.map(|home| if with_system { home.with_system() } else { home });
    let state = home.and_then(|home| home.read_whole().ok());
    let plugins = state.as_ref().map(State::all).unwrap_or_default();
    let lines = |(name, entry): (&PluginName, &Entry)| {
        interpreter_changes(entry).into_iter().map(move |line| (name.clone(), line)).collect::<Vec<_>>()
    };
    plugins.iter().map(|plugins| plugins.flat_map(lines).collect()).unwrap_or_default()
}

/// Whether what enabled plugins need is there; the first thing that keeps one from running is named.
fn needs(home: &Home, keys: Option<&KeySet>) -> HealthCheck {
    let what = "needs of plugins";
    let all = home.read().map(|state| state.all().into_owned());
    let plugins = all.as_ref().ok().and_then(|all| Some((all, all.iter().ok()?)));
    let (Some((all, plugins)), Some(keys)) = (plugins, keys) else {
        let found = "not looked at, since the state or the keyring cannot be read".to_owned();
        return HealthCheck { what, found, code: None, help: None };
    };
    let around = Around { others: all, keys };
    let enabled = plugins.filter(|(_, entry)| entry.status() == Status::Enabled);
    let missing = enabled.flat_map(|(name, entry)| {
        let missing = requirements(entry, around).into_iter().filter(|one| one.state == RequirementState::Missing);
        missing.map(move |one| (name, one))
    });
    let missing: Vec<_> = missing.collect();
    let Some((name, one)) = missing.iter().find(|(_, one)| one.is_in_the_way()).or(missing.first()) else {
        return HealthCheck { what, found: "everything that is asked for is there".to_owned(), code: None, help: None };
    };
    let found = format!("{name} needs `{}`: {}", safe_line(&one.needs), one.found);
    let code = one.is_in_the_way().then_some(Code::DependencyMissing);
    let help = Some(format!("`migraine plugin info {name}` shows all that it needs"));
    HealthCheck { what, found, code, help: help.filter(|_| code.is_some()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(path: &Path) -> Vec<(&'static str, Option<Code>)> {
        health(Ok(path), false).into_iter().map(|check| (check.what, check.code)).collect()
    }

    #[test]
    fn each_part_of_a_home_is_looked_at() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        assert_eq!(codes(&path), [("home directory", None)]);
        assert!(!path.exists(), "nothing is made");
        let home = Home::open(&path).unwrap();
        home.make().unwrap();
        let all = |state, keys, policy| {
            [
                ("home directory", None),
                ("state", state),
                ("installed files", state),
                ("keyring", keys),
                ("policy files", policy),
                ("needs of plugins", None),
            ]
        };
        assert_eq!(codes(&path), all(None, None, None));
        fs::write(path.join("state"), "no state").unwrap();
        fs::write(path.join("policy.yaml"), "limit: 1").unwrap();
        fs::create_dir(home.keys_path()).unwrap();
        fs::set_permissions(home.keys_path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(
            codes(&path),
            all(Some(Code::StateCorrupt), Some(Code::InsecurePermissions), Some(Code::PolicyInvalid))
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(codes(&path), [("home directory", Some(Code::InsecurePermissions))]);
        let error = StoreError::BadHome { why: "there is none".to_owned() };
        assert!(health(Err(&error), true)[0].code.is_some());
    }
}

//! Whether the home directory is in order; nothing is made or changed.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Serialize, Serializer};

use super::ManageError;
use crate::code::{Code, Coded};
use crate::policy::Policy;
use crate::store::{Home, State, StoreError};
use crate::trust::Keyring;

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
/// looked at.
#[must_use]
pub fn health(path: Result<&Path, &StoreError>) -> Vec<HealthCheck> {
    let what = "home directory";
    let path = match path {
        Ok(path) => path,
        Err(error) => {
            return vec![HealthCheck { what, found: error.to_string(), code: Some(error.code()), help: error.help() }];
        }
    };
    let shown = path.display();
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return vec![HealthCheck::of(what, Ok::<_, StoreError>(format!("{shown} is made at its first use")))];
    }
    let home = match Home::open(path) {
        Ok(home) => home,
        Err(error) => return vec![HealthCheck::of(what, Err(error))],
    };
    let count = |count: usize, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    let plugins = |state: State| count(state.plugins.len(), "plugin");
    let installed = |state: State| {
        for name in state.plugins.keys() {
            home.load_plugin(name).map_err(ManageError::from)?;
        }
        Ok::<_, ManageError>("every file is what was installed".to_owned())
    };
    let installed = home.read().map_err(ManageError::from).and_then(installed);
    let keys = Keyring::load_from(&home.keys_path()).map(|keys| count(keys.iter().count(), "trusted key"));
    let files = |policy: Policy| {
        let paths: Vec<String> = policy.paths().map(|path| path.display().to_string()).collect();
        if paths.is_empty() { "there are none: the defaults hold".to_owned() } else { paths.join(" and ") }
    };
    vec![
        HealthCheck::of(what, Ok::<_, StoreError>(format!("{shown} belongs to this user alone"))),
        HealthCheck::of("state", home.read().map(plugins)),
        HealthCheck::of("installed files", installed).advised("migraine plugin fsck --repair"),
        HealthCheck::of("keyring", keys),
        HealthCheck::of("policy files", home.policy().map(files)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(path: &Path) -> Vec<(&'static str, Option<Code>)> {
        health(Ok(path)).into_iter().map(|check| (check.what, check.code)).collect()
    }

    #[test]
    fn each_part_of_a_home_is_looked_at() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        assert_eq!(codes(&path), [("home directory", None)]);
        assert!(!path.exists(), "nothing is made");
        let home = Home::open(&path).unwrap();
        let all = |state, keys, policy| {
            [
                ("home directory", None),
                ("state", state),
                ("installed files", state),
                ("keyring", keys),
                ("policy files", policy),
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
        assert!(health(Err(&error))[0].code.is_some());
    }
}

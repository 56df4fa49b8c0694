//! Which environment variables of the user a plugin may see.

use migraine_plugin_api::{Permission, PermissionKind};

/// Names that the sandbox sets itself; another value would say what is not so.
const OWN: [&str; 4] = ["PATH", "TMPDIR", "TOKIO_WORKER_THREADS", "RAYON_NUM_THREADS"];
/// The beginnings of names that the dynamic loader, the C library or this program read to change what code does: the
/// list that ld.so(8) leaves out where it must not trust its caller.
const STEERING: [&str; 4] = ["LD_", "MALLOC_", "MIGRAINE_", "RES_"];
/// Whole names of that list.
const STEERING_NAMES: [&str; 9] = [
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "NIS_PATH",
    "NLSPATH",
    "TZDIR",
];

/// Why no plugin may have this variable, if so. A grant of all variables leaves it out.
#[must_use]
pub fn refused_variable(name: &str) -> Option<&'static str> {
    if OWN.contains(&name) {
        return Some("the sandbox sets this variable itself");
    }
    let steers = STEERING.iter().any(|start| name.starts_with(start)) || STEERING_NAMES.contains(&name);
    steers.then_some("this variable steers the dynamic loader, the C library or this program")
}

/// Whether grants let a plugin see a variable.
#[must_use]
pub fn sees_variable(grants: &[Permission], name: &str) -> bool {
    let is_granted = |grant: &Permission| {
        grant.kind() == PermissionKind::EnvVars && grant.scope().is_none_or(|granted| granted == name)
    };
    refused_variable(name).is_none() && grants.iter().any(is_granted)
}

pub(super) fn check(name: &str) -> Result<(), &'static str> {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if !starts || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("a variable has letters, digits and `_`, and no digit at its start");
    }
    refused_variable(name).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_shows_what_it_names_and_nothing_that_steers() {
        let sees = |grants: &[&str], name: &str| {
            let grants: Vec<Permission> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
            sees_variable(&grants, name)
        };
        for (grants, name, seen) in [
            (&["env_vars=TOKEN"][..], "TOKEN", true),
            (&["env_vars=TOKEN"], "TOKENS", false),
            (&["env_vars=TOKEN"], "token", false),
            (&["env_vars=A", "env_vars=B"], "B", true),
            (&["task_read", "exec=env", "network"], "HOME", false),
            (&["env_vars"], "HOME", true),
            (&["env_vars"], "LD_PRELOAD", false),
            (&["env_vars"], "MIGRAINE_HOME", false),
            (&["env_vars"], "PATH", false),
            // Consent refuses it; a state that holds it nevertheless gives nothing.
            (&["env_vars=LD_PRELOAD"], "LD_PRELOAD", false),
            (&["env_vars=TMPDIR"], "TMPDIR", false),
        ] {
            assert_eq!(sees(grants, name), seen, "{grants:?} {name}");
        }
        for name in ["LD_LIBRARY_PATH", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "MALLOC_ARENA_MAX", "RES_OPTIONS"] {
            assert!(refused_variable(name).is_some(), "{name}");
        }
        for name in ["HOME", "LANG", "TZ", "OLD_PATH", "GCONV", "_"] {
            assert_eq!(refused_variable(name), None, "{name}");
        }
    }
}

//! Which variables of the user's environment a plugin's grants show it, now.

use std::ffi::OsString;

use migraine_plugin_api::Permission;

use crate::policy::sees_variable;
use crate::wire::Variable;

/// The granted variables that are set, sorted by name. A name that is not text was never granted by name, and is left out
/// where all are.
pub(super) fn granted(
    grants: &[Permission],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<Variable> {
    let named = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut seen: Vec<Variable> =
        named.filter(|(name, _)| sees_variable(grants, name)).map(|(name, value)| Variable { name, value }).collect();
    seen.sort_by(|one, other| one.name.cmp(&other.name));
    seen
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn only_what_is_granted_and_set_is_passed_on() {
        let pairs = [("TOKEN", "x=y"), ("HOME", "/nowhere"), ("LD_PRELOAD", "evil.so"), ("EMPTY", "")];
        let all = || {
            let strange = OsString::from_vec(vec![b'A', 0xff]);
            pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).chain([(strange.clone(), strange)])
        };
        let seen = |grants: &[&str]| -> Vec<(String, String)> {
            let grants: Vec<Permission> = grants.iter().map(|grant| grant.parse().unwrap()).collect();
            let text = |variable: Variable| (variable.name, variable.value.into_string().unwrap());
            granted(&grants, all()).into_iter().map(text).collect()
        };
        let check = |grants: &[&str], expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(seen(grants), expected, "{grants:?}");
        };
        check(&["network", "exec"], &[]);
        check(&["env_vars=TOKEN", "env_vars=MISSING"], &[("TOKEN", "x=y")]);
        check(&["env_vars"], &[("EMPTY", ""), ("HOME", "/nowhere"), ("TOKEN", "x=y")]);
    }

    #[test]
    fn a_value_need_not_be_text() {
        let value = OsString::from_vec(vec![0xff, b'\n']);
        let grants = ["env_vars=RAW".parse().unwrap()];
        let passed = granted(&grants, [("RAW".into(), value.clone())]);
        let travelled: Vec<Variable> = serde_json::from_slice(&serde_json::to_vec(&passed).unwrap()).unwrap();
        assert_eq!(travelled, [Variable { name: "RAW".to_owned(), value }]);
    }
}

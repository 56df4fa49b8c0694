//! What a scope of each kind must look like. Reading a permission is lenient; what is asked for here is checked.

use std::path::{Component, Path};

use migraine_plugin_api::{Permission, PermissionKind};

use super::directory::DirectoryScope;
use super::endpoint::EndpointScope;
use super::template::has_placeholder;
use super::variable;

/// What is wrong with the scopes of a manifest, one line each. A scope that takes a value from the configuration is
/// checked once it is filled in ([`super::resolve`]).
#[must_use]
pub fn scope_findings(permissions: &[Permission]) -> Vec<String> {
    let fixed = permissions.iter().filter(|permission| !permission.scope().is_some_and(has_placeholder));
    let finding = |permission: &Permission| {
        check(permission).err().map(|why| format!("permissions: `{}`: {why}", permission.to_string().escape_debug()))
    };
    fixed.filter_map(finding).collect()
}

/// Checks one scope; the error is the reason.
pub(super) fn check(permission: &Permission) -> Result<(), String> {
    let Some(scope) = permission.scope() else { return Ok(()) };
    match permission.kind() {
        PermissionKind::Network => scope.parse::<EndpointScope>().map(drop).map_err(|error| error.to_string()),
        PermissionKind::Filesystem => match DirectoryScope::of(permission).and_then(|scope| scope.directory) {
            Some(directory) => check_directory(&directory).map_err(str::to_owned),
            None => Ok(()),
        },
        PermissionKind::EnvVars => variable::check(scope).map_err(str::to_owned),
        PermissionKind::Exec => check_program(scope).map_err(str::to_owned),
        _ => Ok(()),
    }
}

fn check_directory(directory: &Path) -> Result<(), &'static str> {
    let text = directory.to_string_lossy();
    if text.contains('*') {
        return Err("`*` alone asks for directories that the user names; a directory has no wildcards");
    }
    if text.contains('$') || (text.starts_with('~') && text != "~" && !text.starts_with("~/")) {
        return Err("a directory is an absolute path, one below `~/`, or one below the working directory");
    }
    // What `..` leads to depends on links, so nobody could tell what is asked for.
    if directory.components().any(|part| part == Component::ParentDir) {
        return Err("a directory is named without `..`");
    }
    Ok(())
}

fn check_program(program: &str) -> Result<(), &'static str> {
    let path = Path::new(program);
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if program.contains('*') || program.chars().any(char::is_whitespace) {
        return Err("a program is one name or path, without arguments or wildcards");
    }
    if !plain || (program.contains('/') && !path.is_absolute()) {
        return Err("a program is a name that is looked up, or an absolute path without `.` and `..`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_the_form_of_their_kind() {
        for (text, good) in [
            ("task_read", true),
            ("network", true),
            ("network=localhost:80", true),
            ("network=unix:/run/app.sock", true),
            ("network={{config.endpoint}}", true),
            ("network=localhost", false),
            ("network=http://localhost:80", false),
            ("network=unix:run/app.sock", false),
            ("network=10.0.0.1/8:80", false),
            ("filesystem", true),
            ("filesystem=read:*", true),
            ("filesystem=read:./logs", true),
            ("filesystem=read:~/logs", true),
            ("filesystem=write:/srv/data", true),
            ("filesystem=read:/srv/*", false),
            ("filesystem=read:/srv/../etc", false),
            ("filesystem=read:../other", false),
            ("filesystem=read:~root/x", false),
            ("filesystem=read:$HOME/x", false),
            ("env_vars=HOME", true),
            ("env_vars=_a1", true),
            ("env_vars=*", false),
            ("env_vars=AWS_*", false),
            ("env_vars=1A", false),
            ("env_vars=LD_PRELOAD", false),
            ("env_vars=PATH", false),
            ("exec=git", true),
            ("exec=/usr/bin/git", true),
            ("exec=git status", false),
            ("exec=*", false),
            ("exec=./tool", false),
            ("exec=/usr/../tool", false),
            ("exec=..", false),
        ] {
            let found = scope_findings(&[text.parse().unwrap()]);
            assert_eq!(found.is_empty(), good, "{text}: {found:?}");
            assert!(found.len() <= 1, "{text}");
        }
    }
}

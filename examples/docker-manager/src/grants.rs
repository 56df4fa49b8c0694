//! Which directories the plugin may read, and where what the user typed lies.

use std::path::{Component, Path, PathBuf};

use migraine_plugin_api::{ErrorKind, Host, Permission, PermissionKind, PluginError};

/// A typed path from the caller's directory on, without `.` and `..`. By its text alone: outside of what is granted there
/// is nothing to look at.
pub(crate) fn absolute(from: &Path, typed: &Path) -> PathBuf {
    let mut path = PathBuf::from("/");
    for component in from.join(typed).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    path
}

/// Checks that a directory may be read. In the sandbox one that is not granted looks like one that does not exist.
///
/// # Errors
/// It is not granted; the help says how to grant it.
pub(crate) fn require(host: &Host, directory: &Path) -> Result<(), PluginError> {
    let covers = |held: &Permission| match held.scope().and_then(|scope| scope.split_once(':')) {
        Some((_, granted)) => directory.starts_with(granted),
        None => true,
    };
    let mut held = host.permissions().iter().filter(|held| held.kind() == PermissionKind::Filesystem);
    if held.any(covers) {
        return Ok(());
    }
    let grant = quoted(&format!("filesystem=read:{}", directory.display()));
    let message = format!("the directory {} is not granted", directory.display());
    Err(PluginError::new(ErrorKind::PermissionDenied, message)
        .with_help(format!("migraine plugin enable docker-manager --grant {grant} --grant filesystem+network")))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/_.-=:".contains(char);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_can_be_typed() {
        assert_eq!(quoted("filesystem=read:/srv/app-1.0"), "filesystem=read:/srv/app-1.0");
        assert_eq!(quoted("read:/it's mine"), r"'read:/it'\''s mine'");
    }

    #[test]
    fn paths_are_put_together_by_their_text() {
        for (typed, expected) in [
            ("", "/srv/ann/web"),
            (".", "/srv/ann/web"),
            ("app", "/srv/ann/web/app"),
            ("../db/./x", "/srv/ann/db/x"),
            ("/srv//app/", "/srv/app"),
            ("../../../../..", "/"),
        ] {
            assert_eq!(absolute(Path::new("/srv/ann/web"), Path::new(typed)), Path::new(expected), "{typed}");
        }
    }
}

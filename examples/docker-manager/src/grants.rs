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
    let directory = directory.display();
    Err(PluginError::new(ErrorKind::PermissionDenied, format!("the directory {directory} is not granted"))
        .with_help(format!("migraine plugin enable docker-manager --grant filesystem=read:{directory}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_together_by_their_text() {
        for (typed, expected) in [
            ("", "/home/ann/web"),
            (".", "/home/ann/web"),
            ("app", "/home/ann/web/app"),
            ("../db/./x", "/home/ann/db/x"),
            ("/srv//app/", "/srv/app"),
            ("../../../../..", "/"),
        ] {
            assert_eq!(absolute(Path::new("/home/ann/web"), Path::new(typed)), Path::new(expected), "{typed}");
        }
    }
}

//! Which directories of the user a plugin may see or change, and which no plugin may have.

use std::path::{Component, Path, PathBuf};

use migraine_plugin_api::{Permission, PermissionError, PermissionKind};

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// List and read.
    Read,
    /// Read as well as create, change and remove.
    Write,
}

/// A scope of `filesystem`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryScope {
    /// What may be done.
    pub access: Access,
    /// Where; `None` asks for directories that the user names.
    pub directory: Option<PathBuf>,
}

impl DirectoryScope {
    /// What a permission says of directories; nothing for another kind. Without a scope it asks to change directories
    /// that the user names.
    #[must_use]
    pub fn of(permission: &Permission) -> Option<Self> {
        if permission.kind() != PermissionKind::Filesystem {
            return None;
        }
        let Some(scope) = permission.scope() else {
            return Some(Self { access: Access::Write, directory: None });
        };
        let (access, directory) = scope.split_once(':')?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return None,
        };
        let directory = (directory != "*").then(|| PathBuf::from(directory));
        Some(Self { access, directory })
    }

    /// As a permission.
    ///
    /// # Errors
    /// The path cannot be written down: it is no UTF-8 text, too long or has control characters.
    pub fn permission(&self) -> Result<Permission, PermissionError> {
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        // A path that is no text becomes one that is refused.
        let directory = match &self.directory {
            Some(path) => path.to_str().unwrap_or("\0"),
            None => "*",
        };
        Permission::scoped(PermissionKind::Filesystem, &format!("{access}:{directory}"))
    }

    /// Whether everything that `narrower` opens is open already. Compares texts, by whole components.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let within = match (&self.directory, &narrower.directory) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => is_within(narrow, wide),
        };
        within && self.access >= narrower.access
    }
}

/// The directories that permissions open: each once, and none that lies in another one with the same right. A permission
/// without a directory opens none by itself.
#[must_use]
pub fn opened(permissions: &[Permission]) -> Vec<DirectoryScope> {
    let mut scopes: Vec<DirectoryScope> = permissions.iter().filter_map(DirectoryScope::of).collect();
    scopes.retain(|scope| scope.directory.is_some());
    scopes.sort();
    scopes.dedup();
    let is_more = |scope: &&DirectoryScope| !scopes.iter().any(|other| other != *scope && other.covers(scope));
    scopes.iter().filter(is_more).cloned().collect()
}

/// Whether a permission asks for directories that the user is to name.
#[must_use]
pub fn is_open(permission: &Permission) -> bool {
    DirectoryScope::of(permission).is_some_and(|scope| scope.directory.is_none())
}

fn is_within(inner: &Path, outer: &Path) -> bool {
    // What a parent component leads to depends on links, so a text cannot tell.
    let goes_up = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if goes_up(inner) || goes_up(outer) {
        return inner == outer;
    }
    let plain = |path: &Path| path.components().filter(|part| *part != Component::CurDir).collect::<PathBuf>();
    plain(inner).starts_with(plain(outer))
}

/// The directories of this user that need protection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The user's home directories, as far as they are known; the first is the one that `~` means.
    pub homes: Vec<PathBuf>,
    /// The store of this program.
    pub store: PathBuf,
}

/// The store of the administrator, whose plugins all users have. Fixed: whoever could name another would be the
/// administrator.
pub const SYSTEM_STORE: &str = "/var/lib/migraine";

/// Where the administrator's policy file is. Fixed: what names another one could lift every cap.
pub const SYSTEM_POLICY: &str = "/etc/migraine";

/// Why no plugin may change this directory, if so, where it might still read it. Absolute and canonical as for
/// [`refused_root`].
#[must_use]
pub fn refused_change(path: &Path) -> Option<&'static str> {
    let policy = Path::new(SYSTEM_POLICY);
    (path.starts_with(policy) || policy.starts_with(path)).then_some("the policy that binds every plugin is kept there")
}

/// Why no plugin may have this directory, if so. The path must be absolute; a text is compared, so it should be
/// canonical where the directory exists.
#[must_use]
pub fn refused_root(path: &Path, places: &Places) -> Option<&'static str> {
    let path = run_directory(path);
    let path = path.as_path();
    let homes = || places.homes.iter();
    if path == Path::new("/") {
        return Some("it is the whole file system");
    }
    if homes().any(|home| path == home) {
        return Some("it is the whole home directory");
    }
    if homes().any(|home| home.starts_with(path)) {
        return Some("it holds the home directory");
    }
    let of_machine = [
        (PathBuf::from("/proc"), "the state of processes is there"),
        (PathBuf::from("/sys"), "the settings of the kernel are there"),
        (PathBuf::from("/dev"), "devices are there"),
        (PathBuf::from("/run"), "the sockets of services are there"),
        (places.store.clone(), "plugins and their grants are kept there"),
        // Root alone could change it, and a plugin of root's is root there.
        (PathBuf::from(SYSTEM_STORE), "the plugins of all users are kept there"),
    ];
    let of_homes = homes().flat_map(|home| {
        // The user's usual store, where another one is in use.
        let store = (home.join(".migraine"), "plugins and their grants are kept there");
        [store, (home.join(".ssh"), "keys are kept there"), (home.join(".gnupg"), "keys are kept there")]
    });
    let touches = |root: &PathBuf| path.starts_with(root) || root.starts_with(path);
    of_machine.into_iter().chain(of_homes).find(|(root, _)| touches(root)).map(|(_, why)| why)
}

/// The path with `/run` for `/var/run`, which is a link to it.
fn run_directory(path: &Path) -> PathBuf {
    match path.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> DirectoryScope {
        DirectoryScope::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_directory_covers_what_is_inside_of_it() {
        for (wide, narrow, covered) in [
            ("filesystem=read:/a", "filesystem=read:/a", true),
            ("filesystem=read:/a", "filesystem=read:/a/b", true),
            ("filesystem=read:/a", "filesystem=read:/a/./b/", true),
            ("filesystem=read:/a/b", "filesystem=read:/a", false),
            ("filesystem=read:/a", "filesystem=read:/ab", false),
            ("filesystem=read:/a", "filesystem=write:/a", false),
            ("filesystem=write:/a", "filesystem=read:/a/b", true),
            ("filesystem=read:/a", "filesystem=read:/a/../b", false),
            ("filesystem=read:/a/../b", "filesystem=read:/a/../b", true),
            ("filesystem=read:./logs", "filesystem=read:logs/x", true),
            ("filesystem=read:logs", "filesystem=read:/logs", false),
            ("filesystem=read:*", "filesystem=read:/a", true),
            ("filesystem=read:*", "filesystem=write:/a", false),
            ("filesystem", "filesystem=write:/a", true),
            ("filesystem=read:/a", "filesystem=read:*", false),
        ] {
            assert_eq!(scope(wide).covers(&scope(narrow)), covered, "{wide} {narrow}");
        }
        assert_eq!(DirectoryScope::of(&"network".parse().unwrap()), None);
    }

    #[test]
    fn no_plugin_changes_what_binds_it() {
        for (path, refused) in [
            ("/", true),
            ("/etc", true),
            ("/etc/", true),
            ("/etc/migraine", true),
            ("/etc/migraine/policy.yaml", true),
            ("/etc/migraines", false),
            ("/etc/cron.d", false),
            ("/srv", false),
        ] {
            assert_eq!(refused_change(Path::new(path)).is_some(), refused, "{path}");
        }
    }

    #[test]
    fn some_directories_are_never_given_away() {
        let homes = vec!["/tmp/other".into(), "/people/ann".into()];
        let places = Places { homes, store: "/data/store".into() };
        for (path, refused) in [
            ("/", true),
            ("/people", true),
            ("/people/ann", true),
            ("/people/ann/", true),
            ("/tmp", true),
            ("/tmp/other/.ssh", true),
            ("/tmp/other/project", false),
            ("/people/ann/.ssh", true),
            ("/people/ann/.ssh/keys", true),
            ("/people/ann/.gnupg", true),
            ("/people/ann/.migraine", true),
            ("/people/ann/.migraine/store", true),
            ("/data", true),
            ("/data/store", true),
            ("/data/store/plugins", true),
            ("/proc", true),
            ("/proc/self", true),
            ("/sys/fs", true),
            ("/dev/shm", true),
            ("/run", true),
            ("/run/user/1000", true),
            ("/var/run/docker", true),
            ("/people/ann/project", false),
            ("/people/ann/.sshx", false),
            ("/people/bob", false),
            ("/data/storehouse", false),
            ("/srv/data", false),
            ("/var", true),
            ("/var/lib", true),
            ("/var/lib/migraine/keys", true),
            ("/var/lib/migraines", false),
            ("/var/log", false),
            ("/processing", false),
        ] {
            assert_eq!(refused_root(Path::new(path), &places).is_some(), refused, "{path}");
        }
        let homeless = Places { homes: Vec::new(), store: "/data/store".into() };
        assert_eq!(refused_root(Path::new("/people/ann/.ssh"), &homeless), None);
    }
}

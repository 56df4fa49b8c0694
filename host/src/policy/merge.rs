//! What the policy files say together. The user's and the administrator's hold both; no file can take back what the other
//! forbids.
//!
//! | Key | Where no file says anything | Where both do |
//! |---|---|---|
//! | `require_signatures` | `true` | the stricter |
//! | `allow_unsigned_dev` | `false` | `true` where one says so and the other does not say `false` |
//! | `max_plugin_size` | 10 MiB | the smaller |
//! | `allowed_extensions` | the list in [`EXTENSIONS`] | what is in both lists |
//! | `dangerous_permission_combos` | the built-in ones | all of them, and the built-in ones |
//! | `permissions.KIND` | everything can be granted | what both allow |
//! | `limits.NAME` | what each plugin has | the smaller; never more than each plugin has |
//! | `sandbox` | `full` | `reduced` where one says so and the other does not say `full` |
//! | `proxy` | none | the administrator's |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use migraine_plugin_api::{Permission, PermissionKind};

use super::file::{PolicyFile, Sandbox, Signatures};
use super::limit::LimitCaps;
use super::refusal::{Capped, Refusal};
use super::size::show_size;
use super::{Endpoint, Item, is_open};

/// The size that no policy can raise [`PLUGIN_SIZE`] beyond, in bytes: what a package may hold when it is unpacked.
pub const PLUGIN_SIZE_CEILING: u64 = 64 << 20;
/// The largest package or library, in bytes, where no policy says otherwise.
pub const PLUGIN_SIZE: u64 = 10 << 20;
/// How the files of a package may end where no policy says otherwise.
pub const EXTENSIONS: [&str; 17] = [
    "so", "py", "sh", "bash", "pl", "rb", "lua", "js", "awk", "rs", "json", "yaml", "yml", "md", "txt", "toml",
    "example",
];
/// Names of files that need no extension.
const NAMES: [&str; 4] = ["LICENSE", "README", "CHANGELOG", "Dockerfile"];

/// What all policy files say together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The user's file first, the administrator's last; each with its path for messages.
    files: Vec<(PathBuf, PolicyFile)>,
}

impl Policy {
    /// The policy of these files, the administrator's last.
    #[must_use]
    pub fn new(files: Vec<(PathBuf, PolicyFile)>) -> Self {
        Self { files }
    }

    /// The files that there are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The smallest of what files say, with the one that says so.
    fn least<T: Ord>(&self, of: impl Fn(&PolicyFile) -> Option<T>) -> Option<(T, &Path)> {
        let said = self.files.iter().filter_map(|(path, file)| Some((of(file)?, path.as_path())));
        said.min_by(|(one, _), (other, _)| one.cmp(other))
    }

    /// Why no plugin without a signature may be installed or run, if so.
    #[must_use]
    pub fn forbids_unsigned(&self) -> Option<Refusal> {
        let (path, _) = self.files.iter().find(|(_, file)| file.require_signatures == Some(Signatures::Always))?;
        Some(Refusal::unsigned(path))
    }

    /// Whether a file of this machine may be installed without a signature and without being asked for so.
    #[must_use]
    pub fn allows_unsigned_dev(&self) -> bool {
        let mut said = self.files.iter().filter_map(|(_, file)| file.allow_unsigned_dev).peekable();
        said.peek().is_some() && said.all(|allowed| allowed) && self.forbids_unsigned().is_none()
    }

    /// The most bytes of a package, or of a library without one.
    #[must_use]
    pub fn plugin_size(&self) -> u64 {
        self.least(|file| file.max_plugin_size).map_or(PLUGIN_SIZE, |(most, _)| most)
    }

    /// Checks the size of a package, or of a library without one, in bytes.
    ///
    /// # Errors
    /// It is larger than it may be.
    pub fn check_size(&self, bytes: u64) -> Result<(), Refusal> {
        let said = self.least(|file| file.max_plugin_size);
        let most = said.map_or(PLUGIN_SIZE, |(most, _)| most);
        if bytes <= most {
            return Ok(());
        }
        Err(Refusal::size(&show_size(bytes), &show_size(most), said.map(|(_, path)| path)))
    }

    /// Checks how the files of a package end, but for the plugin's own programs.
    ///
    /// # Errors
    /// One ends otherwise than it may.
    pub fn check_files<'a>(&self, files: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
        files.into_iter().try_for_each(|file| self.check_file(file))
    }

    fn check_file(&self, file: &str) -> Result<(), Refusal> {
        let name = file.rsplit('/').next().unwrap_or(file);
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        if NAMES.contains(&name) {
            return Ok(());
        }
        let Some(extension) = extension else { return Err(Refusal::extension(file, None, None)) };
        let mut lists = self.files.iter().filter_map(|(path, file)| Some((path, file.allowed_extensions.as_ref()?)));
        let refusing = lists.clone().find(|(_, list)| !list.contains(&extension)).map(|(path, _)| path.as_path());
        let is_default = lists.next().is_none();
        if refusing.is_some() || (is_default && !EXTENSIONS.contains(&extension.as_str())) {
            return Err(Refusal::extension(file, Some(&extension), refusing));
        }
        Ok(())
    }

    /// Pairs of permissions that are dangerous besides the built-in ones.
    #[must_use]
    pub fn combos(&self) -> BTreeSet<(PermissionKind, PermissionKind)> {
        self.files.iter().flat_map(|(_, file)| &file.dangerous_permission_combos).copied().collect()
    }

    /// What is left of grants, in their order, and what is not in force of them.
    #[must_use]
    pub fn in_force(&self, grants: &[Permission]) -> (Vec<Permission>, Vec<Capped>) {
        let mut held: Vec<Permission> = Vec::new();
        let mut capped = Vec::new();
        for grant in grants {
            let (left, by) = self.narrow(grant);
            if let Some(path) = by {
                capped.push(Capped { grant: grant.clone(), left: left.clone(), file: path.to_owned() });
            }
            for left in left {
                if !held.contains(&left) {
                    held.push(left);
                }
            }
        }
        (held, capped)
    }

    /// What is left of a permission, and the first file that takes something away.
    fn narrow(&self, grant: &Permission) -> (Vec<Permission>, Option<&Path>) {
        let mut left = vec![grant.clone()];
        let mut by = None;
        for (path, file) in &self.files {
            let narrower: Vec<Permission> = left.iter().flat_map(|left| file.permissions.narrow(left)).collect();
            if narrower != left {
                by = by.or(Some(path.as_path()));
                left = narrower;
            }
        }
        (left, by)
    }

    /// Checks that a permission may be granted whole.
    ///
    /// # Errors
    /// It is more than a file allows.
    pub fn check_grant(&self, permission: &Permission) -> Result<(), Refusal> {
        match self.narrow(permission) {
            (_, None) => Ok(()),
            (left, Some(path)) => Err(Refusal::grant(permission, &left, path)),
        }
    }

    /// Checks that at least a part of a permission may be granted.
    ///
    /// # Errors
    /// The files leave nothing of it.
    pub fn check_ask(&self, item: &Item) -> Result<(), Refusal> {
        // Directories that are still to be named are judged when they are.
        let Some(permission) = item.permission().filter(|permission| !is_open(permission)) else { return Ok(()) };
        match self.narrow(permission) {
            (left, Some(path)) if left.is_empty() => Err(Refusal::grant(permission, &left, path)),
            _ => Ok(()),
        }
    }

    /// The limits of all files.
    #[must_use]
    pub fn limits(&self) -> LimitCaps {
        self.files.iter().map(|(_, file)| file.limits).fold(LimitCaps::default(), LimitCaps::with)
    }

    /// The file that sets a limit.
    #[must_use]
    pub fn limiting(&self, limit: impl Fn(&LimitCaps) -> Option<u64>) -> Option<&Path> {
        self.least(|file| limit(&file.limits)).map(|(_, path)| path)
    }

    /// Whether plugins may run in the reduced sandbox where the full one cannot be built.
    #[must_use]
    pub fn allows_reduced(&self) -> bool {
        let mut said = self.files.iter().filter_map(|(_, file)| file.sandbox).peekable();
        said.peek().is_some() && said.all(|level| level == Sandbox::Reduced)
    }

    /// The proxy through which public addresses are reached.
    #[must_use]
    pub fn proxy(&self) -> Option<&Endpoint> {
        self.files.iter().rev().find_map(|(_, file)| file.proxy.as_ref())
    }
}

#[cfg(test)]
mod tests;

//! What a policy file refuses, and what it takes away.

use std::path::{Path, PathBuf};

use migraine_plugin_api::Permission;

use super::covers;
use super::item::grant_flag;
use crate::code::{Code, Coded};
use crate::text::{safe_line, safe_whole};

/// Something that a policy does not allow; names the key and the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} ({key}{})", place(file.as_deref()))]
pub struct Refusal {
    what: String,
    key: String,
    /// The file, where it is not a default.
    file: Option<PathBuf>,
    help: String,
    code: Code,
}

fn place(file: Option<&Path>) -> String {
    file.map_or_else(|| ", by default".to_owned(), |file| format!(" in {}", shown(file)))
}

fn shown(file: &Path) -> String {
    safe_line(&file.to_string_lossy())
}

/// A grant of which a policy takes something away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capped {
    /// What was granted.
    pub grant: Permission,
    /// What is left of it.
    pub left: Vec<Permission>,
    /// The file.
    pub file: PathBuf,
}

impl Capped {
    /// The key of the file.
    #[must_use]
    pub fn key(&self) -> String {
        format!("permissions.{}", self.grant.kind())
    }

    /// Whether a permission would be held but for the file.
    #[must_use]
    pub fn takes(&self, wanted: &Permission) -> bool {
        covers(&self.grant, wanted) && !self.left.iter().any(|left| covers(left, wanted))
    }

    /// What to say of a permission that it takes.
    #[must_use]
    pub fn line(&self, wanted: &Permission) -> String {
        let (wanted, file) = (safe_whole(&wanted.to_string()), shown(&self.file));
        format!("the permission {wanted} was granted, but {file} does not allow it ({})", self.key())
    }

    /// What to say of it as a whole.
    #[must_use]
    pub fn notice(&self) -> String {
        let list = |permissions: &[Permission]| {
            let texts: Vec<String> = permissions.iter().map(|text| safe_whole(&text.to_string())).collect();
            texts.join(", ")
        };
        let left = if self.left.is_empty() { String::new() } else { format!(" but for {}", list(&self.left)) };
        let grant = list(std::slice::from_ref(&self.grant));
        format!(
            "{grant} was granted, and is not in force{left}: {} does not allow it ({})",
            shown(&self.file),
            self.key()
        )
    }

    /// What can be done about it.
    #[must_use]
    pub fn help(&self) -> String {
        in_charge(&self.key(), &self.file)
    }
}

fn in_charge(key: &str, file: &Path) -> String {
    format!("whoever keeps {} decides: change `{key}` there", shown(file))
}

impl Refusal {
    pub(super) fn unsigned(file: &Path) -> Self {
        Self {
            what: "no plugin without a signature is allowed".to_owned(),
            key: "require_signatures".to_owned(),
            file: Some(file.to_owned()),
            help: "get the plugin with its signature, or sign it with `cargo xtask package-plugin`".to_owned(),
            code: Code::PolicyRefused,
        }
    }

    pub(super) fn size(size: &str, most: &str, file: Option<&Path>) -> Self {
        Self {
            what: format!("it has {size}, and {most} is the most"),
            key: "max_plugin_size".to_owned(),
            file: file.map(Path::to_owned),
            help: "build the plugin in release mode and strip it, or raise `max_plugin_size` in policy.yaml".to_owned(),
            code: Code::LimitPackage,
        }
    }

    pub(super) fn extension(path: &str, extension: Option<&str>, file: Option<&Path>) -> Self {
        let (path, help) = (safe_line(path), "leave the file out of the package");
        let help = match extension {
            Some(extension) => {
                format!("{help}, or add `{}` to `allowed_extensions` in policy.yaml", safe_line(extension))
            }
            None => format!("{help}, or give it an extension that is allowed"),
        };
        let what = match extension {
            Some(_) => format!("the file `{path}` has an extension that no file of a package may have"),
            None => format!("the file `{path}` has no extension, which only a few files of a package may do without"),
        };
        let file = file.map(Path::to_owned);
        Self { what, key: "allowed_extensions".to_owned(), file, help, code: Code::PolicyRefused }
    }

    pub(super) fn grant(permission: &Permission, left: &[Permission], file: &Path) -> Self {
        let key = format!("permissions.{}", permission.kind());
        let help = if left.is_empty() {
            in_charge(&key, file)
        } else {
            let flags: Vec<String> = left.iter().map(|left| grant_flag(&left.to_string())).collect();
            format!("grant what is allowed of it: {}", flags.join(" "))
        };
        let what = format!("`{}` cannot be granted", safe_whole(&permission.to_string()));
        Self { what, key, file: Some(file.to_owned()), help, code: Code::PolicyRefused }
    }
}

impl Coded for Refusal {
    fn code(&self) -> Code {
        self.code
    }

    fn help(&self) -> Option<String> {
        Some(self.help.clone())
    }
}

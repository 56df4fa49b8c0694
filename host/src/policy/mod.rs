//! What a manifest asks for, what the user grants, what the policy files allow, and what is left over. Pure: no clock, environment, file or process.
#![forbid(unsafe_code)]

mod ask;
mod cap;
mod cover;
mod danger;
mod decide;
mod directory;
mod endpoint;
mod file;
mod grant;
mod item;
mod limit;
mod merge;
mod program_set;
mod refusal;
mod scope;
mod size;
mod template;
mod time;
mod variable;
mod words;

#[cfg(test)]
mod tests;

pub use ask::{Ask, Request, asks, event_name};
pub use cover::{covers, endpoints};
pub use decide::{Consent, Decisions, decide};
pub use directory::{
    Access, DirectoryScope, Places, SYSTEM_POLICY, SYSTEM_STORE, is_open, opened, refused_change, refused_root,
};
pub use endpoint::{Endpoint, EndpointError, EndpointScope, Name, address_allowed, is_public};
pub use file::PolicyFile;
pub use grant::Grant;
pub use item::Item;
pub use limit::LimitCaps;
pub use merge::{EXTENSIONS, PLUGIN_SIZE, PLUGIN_SIZE_CEILING, Policy};
pub use program_set::program_set;
pub use refusal::{Capped, Refusal};
pub use scope::scope_findings;
pub use size::show_size;
pub use template::{resolve, used_keys};
pub use time::wall;
pub use variable::{refused_variable, sees_variable};
pub use words::granted_words;

use crate::code::{Code, Coded};

/// A grant or a scope that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The text is no grant.
    #[error("`{text}` is not a grant: {why}")]
    Syntax {
        /// What was typed, made safe to show.
        text: String,
        /// Why.
        why: String,
    },
    /// The plugin does not ask for what was granted.
    #[error("the plugin does not ask for `{grant}`")]
    NotAsked {
        /// The grant.
        grant: String,
        /// What it asks for, as grants.
        asked: Vec<String>,
    },
    /// All directories were granted; that does not exist.
    #[error("`{grant}` names no directory, and nobody grants them all")]
    NameDirectory {
        /// The grant.
        grant: String,
    },
    /// A variable that no plugin may see was granted.
    #[error("`{grant}` cannot be granted: {why}")]
    Variable {
        /// The grant.
        grant: String,
        /// Why.
        why: &'static str,
    },
    /// A scope has not the form of its kind, or names a configuration key that cannot be filled in.
    #[error("the permission `{permission}` is not valid: {why}")]
    Scope {
        /// The permission as the manifest writes it.
        permission: String,
        /// Why.
        why: String,
    },
}

impl Coded for PolicyError {
    fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::NotAsked { .. } | Self::NameDirectory { .. } | Self::Variable { .. } => {
                Code::ValueInvalid
            }
            Self::Scope { .. } => Code::ManifestInvalid,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => {
                let forms =
                    "PERMISSION, PERMISSION=SCOPE, PERMISSION+PERMISSION, hook, hook=EVENT, timeout or timeout=COMMAND";
                Some(format!("write {forms}"))
            }
            Self::NotAsked { asked, .. } if asked.is_empty() => Some("it asks for nothing".to_owned()),
            Self::NotAsked { asked, .. } => Some(format!("it asks for {}", asked.join(", "))),
            Self::NameDirectory { .. } => {
                Some("name each directory: --grant filesystem=read:DIR or --grant filesystem=write:DIR".to_owned())
            }
            Self::Variable { .. } | Self::Scope { .. } => None,
        }
    }
}

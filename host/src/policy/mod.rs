//! What a manifest asks for, what the user grants, and what is left over. Pure: no clock, environment, file or process.
#![forbid(unsafe_code)]

mod ask;
mod cover;
mod danger;
mod decide;
mod directory;
mod endpoint;
mod grant;
mod placeholder;
mod template;
mod words;

#[cfg(test)]
mod tests;

pub use ask::{Ask, Item, asks, event_name};
pub use cover::{covers, endpoints};
pub use decide::{Consent, Decisions, decide};
pub use directory::{Access, DirectoryScope, Places, refused_root};
pub use endpoint::{Endpoint, EndpointError, EndpointScope, Name, address_allowed};
pub use grant::Grant;
pub use placeholder::{BoundCommand, FillError};
pub use template::{resolve, used_keys};

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
    /// A scope names a configuration key that cannot be filled in.
    #[error("the permission `{permission}` cannot be filled in: {why}")]
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
            Self::Syntax { .. } | Self::NotAsked { .. } => Code::ValueInvalid,
            Self::Scope { .. } => Code::ManifestInvalid,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => {
                Some("write PERMISSION, PERMISSION=SCOPE, PERMISSION+PERMISSION, hook or hook=EVENT".to_owned())
            }
            Self::NotAsked { asked, .. } if asked.is_empty() => Some("it asks for nothing".to_owned()),
            Self::NotAsked { asked, .. } => Some(format!("it asks for {}", asked.join(", "))),
            Self::Scope { .. } => None,
        }
    }
}

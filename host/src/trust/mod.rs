//! Who may install what: keys, the keyring and the verdict over a signed index. Pure but for [`keyring`].
#![forbid(unsafe_code)]

mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod key;
pub mod keyring;
mod keyset;
mod verdict;

pub use error::TrustError;
pub use key::{PublicKey, SecretKey, signed_message};
pub use keyring::Keyring;
pub use keyset::{KeySet, Level, Scope, TrustedKey};
pub use verdict::{Trusted, judge, trust_command};

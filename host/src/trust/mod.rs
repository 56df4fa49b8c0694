//! Who may install what: keys, the keyring and the verdict over a signed index. Pure but for [`keyring`].
#![forbid(unsafe_code)]

mod error;
mod fields;
#[cfg(test)]
pub(crate) mod fixture;
mod key;
pub mod keyring;
mod keyset;
mod revocation;
mod rotation;
mod scope;
mod secret_file;
mod statement;
mod time;
mod trusted;
mod verdict;

pub use error::TrustError;
pub use key::{PublicKey, SecretKey, Signed, signed_message};
pub use keyring::Keyring;
pub use keyset::{KeySet, Listed, Revocation};
pub use revocation::{BadSince, RevocationList};
pub use rotation::Rotation;
pub use scope::Scope;
pub use secret_file::{ENCRYPTION_RANDOM, SecretFile};
pub use time::{Seen, Time, plausible};
pub use trusted::{Handover, Level, Origin, Revoked, TrustedKey, Window, sorted};
pub use verdict::{Trusted, judge, judge_new, judge_signer, trust_command};

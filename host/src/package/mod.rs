//! Packages: bytes in, checked values out. Pure: no clock, environment, file or process, so every byte that can arrive
//! can be tested.
//!
//! Two phases: [`open`], [`open_library`] and [`open_scripts`] look at no more than the index and the signature; after the verdict,
//! [`Opened::into_package`] looks at the rest.
#![forbid(unsafe_code)]

pub mod archive;
pub mod build;
pub mod bundle;
pub mod dependency;
pub mod elf;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
pub mod index;
pub mod manifest;
mod opened;
pub mod path;
pub mod scan;
pub mod scripts;
pub mod sidecar;
mod signature;
pub mod target;
mod yaml;

pub use archive::{INDEX_NAME, SIGNATURE_NAME};
pub use elf::ElfFacts;
pub use error::PackageError;
pub use index::{Build, FIRST_LINE, FileEntry, Index};
pub use opened::{Files, Opened, Package, open, open_for, open_library, open_unpacked};
pub use scripts::open_scripts;
pub use signature::{SIGNATURE_LEN, Signature};

/// The largest index in bytes.
pub const INDEX_MAX: usize = 64 << 10;
/// The most files of a package.
pub const FILES_MAX: usize = 256;
/// The largest package file in bytes that is looked at; a policy says how large it may be.
pub const PACKAGE_MAX: usize = 64 << 20;
/// The largest sum of a package's files in bytes; a bare library alone has the same cap.
pub const UNPACKED_MAX: u64 = 64 << 20;
/// The largest manifest in bytes.
pub const MANIFEST_MAX: usize = 256 << 10;

/// The machine that packages of this host are for.
#[cfg(target_arch = "x86_64")]
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The machine that packages of this host are for.
#[cfg(target_arch = "aarch64")]
pub const TARGET: &str = "aarch64-unknown-linux-gnu";

fn limit(what: &str, limit: &str) -> PackageError {
    PackageError::Limit { what: what.to_owned(), limit: limit.to_owned() }
}

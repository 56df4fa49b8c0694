//! What a library's ELF structures say, read without loading it.

use super::PackageError;

/// What the rest of the host wants to know of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfFacts {
    /// The content of the manifest section.
    pub manifest: Vec<u8>,
    /// The libraries it needs, in its order.
    pub needed: Vec<String>,
    /// The symbols it takes from them, sorted.
    pub imports: Vec<String>,
}

/// Checks a library.
///
/// # Errors
/// It is damaged, for another machine, needs or asks for what no plugin gets, or holds no manifest.
pub fn inspect(_library: &[u8]) -> Result<ElfFacts, PackageError> {
    Err(PackageError::NotAPlugin { reason: "it has no manifest section" })
}

//! The file `libNAME.so.sig`: an index that lists the library alone, and then the signature block. The block has a fixed
//! length, so the text splits in one way only and stock tools can cut it off.

use super::signature::{SIGNATURE_LEN, Signature};
use super::{INDEX_MAX, PackageError, limit};

/// The text of a sidecar.
#[must_use]
pub fn render(index_text: &str, signature: &Signature) -> String {
    format!("{index_text}{}", signature.render())
}

/// Splits a sidecar. The index text is not looked at.
///
/// # Errors
/// It is too large, too small or its last lines are no signature block.
pub fn parse(sidecar: &[u8]) -> Result<(Vec<u8>, Signature), PackageError> {
    if sidecar.len() > INDEX_MAX + SIGNATURE_LEN {
        return Err(limit("the signature file", "64 KiB"));
    }
    let split = sidecar.len().checked_sub(SIGNATURE_LEN);
    let (index_text, block) = split
        .and_then(|at| sidecar.split_at_checked(at))
        .ok_or(PackageError::Signature { reason: "the file is too short to hold one" })?;
    Ok((index_text.to_vec(), Signature::parse(block)?))
}

#[cfg(test)]
mod tests;

//! Verified bytes on their way to a worker: a sealed memfd, so that nobody can change them after the verdict.

use std::io;
use std::os::fd::OwnedFd;

use crate::sys::memory::Sealed;

/// A sealed in-memory file with these bytes (memfd_create(2)).
///
/// # Errors
/// The kernel refused memory or seals.
pub fn seal_code(bytes: &[u8]) -> io::Result<OwnedFd> {
    Sealed::of(bytes)?.to_fd()
}

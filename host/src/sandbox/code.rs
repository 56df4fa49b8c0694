//! Verified bytes on their way to a worker: a sealed memfd, so that nobody can change them after the verdict.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A sealed in-memory file with these bytes (memfd_create(2)).
///
/// # Errors
/// The kernel refused memory or seals.
pub fn seal_code(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("migraine-plugin", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.write_all(bytes)?;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn sealed_bytes_stay_as_they_are() {
        let mut file = File::from(seal_code(b"verified").unwrap());
        assert!(file.write_all(b"changed").is_err());
        assert!(file.set_len(0).is_err());
        let mut read = String::new();
        std::io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "verified");
    }
}

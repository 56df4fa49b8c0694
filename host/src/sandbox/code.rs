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
    // Not F_SEAL_WRITE: it waits for every page that the kernel itself still holds, and on a busy machine it gives up
    // (EBUSY). What it covers beyond this is writable mappings made before, and here there are none.
    let write = SealFlag::F_SEAL_FUTURE_WRITE;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | write;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn sealed_bytes_stay_as_they_are() {
        let mut file = File::from(seal_code(b"verified").unwrap());
        assert!(file.write_all(b"changed").is_err());
        assert!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).is_err(), "no seal can be added");
        assert!(file.set_len(0).is_err());
        let mut read = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut read).unwrap();
        assert_eq!(read, "verified");
    }
}

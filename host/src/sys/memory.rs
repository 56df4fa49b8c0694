//! Memory that nobody can change any more: a sealed in-memory file and the view of it (memfd_create(2), mmap(2)).

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// What is copied at a time: few pages of this process's own, and few system calls.
const PIECE: usize = 64 * 1024;

/// At most this much is laid out for bytes that may never come, in each launcher, by the thread that looks at deadlines.
const LAID_OUT_MAX: u64 = 1024 * 1024;

/// An in-memory file that holds nothing yet. Whoever was given a handle on it finds the bytes there once it is filled.
#[derive(Debug)]
pub struct Room {
    file: File,
    /// Bytes that it has pages for.
    laid_out: u64,
    /// Where it says, once it is filled, how many bytes came.
    told: Option<Arc<AtomicU64>>,
}

impl Room {
    /// An empty one.
    ///
    /// # Errors
    /// The kernel refused memory, or no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("migraine-plugin", flags)?);
        Ok(Self { file, laid_out: 0, told: None })
    }

    /// Gets pages for so many bytes, whether they come or not: getting them from the kernel takes longer than the copy itself.
    /// Without them it is a room like any other.
    pub(crate) fn lay_out(mut self, bytes: u64) -> Self {
        let bytes = bytes.min(LAID_OUT_MAX);
        let length = i64::try_from(bytes).unwrap_or_default();
        if length > 0 && fallocate(&self.file, FallocateFlags::empty(), 0, length).is_ok() {
            self.laid_out = bytes;
        }
        self
    }

    /// Says there, when it is filled, how many bytes came.
    pub(crate) fn tell(self, length: &Arc<AtomicU64>) -> Self {
        Self { told: Some(Arc::clone(length)), ..self }
    }

    /// Puts in what another sealed file holds, and seals it.
    ///
    /// # Errors
    /// The kernel refused memory or seals.
    pub(crate) fn copy(self, from: BorrowedFd<'_>) -> io::Result<()> {
        let file = File::from(from.try_clone_to_owned()?);
        self.fill(FromStart { file, read: 0 }).map(drop)
    }

    /// Puts in what is there to read, and seals it. Whoever reads it next finds itself at its beginning.
    fn fill(self, mut from: impl Read) -> io::Result<File> {
        let Self { mut file, laid_out, told } = self;
        // Not copy_file_range(2): from one file system to another it goes through a pipe, page by page.
        let mut piece = vec![0; PIECE];
        loop {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => file.write_all(&piece[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = file.stream_position()?;
        if length < laid_out {
            file.set_len(length)?;
        }
        if let Some(told) = told {
            told.store(length, Ordering::Relaxed);
        }
        // Not F_SEAL_WRITE: it waits for every page that the kernel itself still holds, and on a busy machine it gives up
        // (EBUSY). What it covers beyond this is writable mappings made before, and there are none: this process makes none,
        // and a worker that was given a handle before runs only this program's own code until it is told to load.
        let write = SealFlag::F_SEAL_FUTURE_WRITE;
        let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | write;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        file.rewind()?;
        Ok(file)
    }
}

/// Reads a file without moving the place at which others read it.
struct FromStart {
    file: File,
    read: u64,
}

impl Read for FromStart {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(piece, self.read)?;
        self.read += u64::try_from(length).unwrap_or_default();
        Ok(length)
    }
}

impl AsFd for Room {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Bytes that were copied once and then sealed. Whoever looks at them on their way in has seen what a worker will map: before
/// the seal only this process and a worker that runs this program's own code have a handle to write with.
#[derive(Debug)]
pub(crate) struct Sealed {
    file: File,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is only read, by whoever holds a reference, and stays until the one owner is dropped.
unsafe impl Send for Sealed {}
// SAFETY: as above; the seals keep the bytes as they are.
unsafe impl Sync for Sealed {}

impl Sealed {
    /// A sealed copy of what is there to read, where there was room for it.
    ///
    /// # Errors
    /// It cannot be read, or the kernel refused memory or seals.
    pub(crate) fn read(from: impl Read, room: Room) -> io::Result<Self> {
        let file = room.fill(from)?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Self { start: map(&file, length)?, file, length })
    }

    /// The sealed file alone.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn to_fd(&self) -> io::Result<OwnedFd> {
        self.file.as_fd().try_clone_to_owned()
    }
}

/// A sealed file with these bytes, to be read from its beginning.
///
/// # Errors
/// The kernel refused memory or seals.
pub(crate) fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    Room::new()?.fill(bytes).map(OwnedFd::from)
}

/// A view of a sealed file.
fn map(file: &File, length: usize) -> io::Result<NonNull<u8>> {
    // mmap(2) refuses an empty mapping.
    if length == 0 {
        return Ok(NonNull::dangling());
    }
    let (protection, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping at an address of the kernel's choice, of a file that can neither shrink nor be written.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

impl Deref for Sealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped for reading until this value is dropped, and the seals keep them as they are.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the mapping is this value's own, and nobody can hold a reference into it any more.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_stay_as_they_are() {
        let file = File::from(seal(b"verified").unwrap());
        let room = Room::new().unwrap();
        let before = File::from(room.as_fd().try_clone_to_owned().unwrap());
        let sealed = Sealed::read(&file, room).unwrap();
        stays(file, b"verified");
        // Whoever was given it while it was empty can do no more.
        stays(before, &sealed);
        stays(File::from(sealed.to_fd().unwrap()), &sealed);
    }

    fn stays(mut file: File, bytes: &[u8]) {
        assert!(file.write_all(b"changed").is_err() && file.write_at(b"x", 0).is_err());
        assert!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).is_err(), "no seal can be added");
        assert!(file.set_len(0).is_err() && file.set_len(100).is_err());
        let mut read = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut read).unwrap();
        assert_eq!((read.as_bytes(), bytes), (&b"verified"[..], &b"verified"[..]));
    }

    #[test]
    fn a_file_is_copied_whole() {
        for length in [0, 1, 4096, PIECE - 1, PIECE, 300_000] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let sealed = Sealed::read(&file, Room::new().unwrap()).unwrap();
            assert!(*sealed == *bytes, "{length}: {} bytes", sealed.len());
        }
    }

    #[test]
    fn nothing_is_left_of_pages_that_no_bytes_came_for() {
        let told = Arc::new(AtomicU64::new(0));
        let mut before = 0;
        for length in [50_000, 50_000, 100, 8192, 0, 1] {
            let bytes = vec![b'x'; length];
            let room = Room::new().unwrap().lay_out(told.load(Ordering::Relaxed)).tell(&told);
            assert_eq!(room.file.metadata().unwrap().len(), before);
            let mut file = room.fill(bytes.as_slice()).unwrap();
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            before = told.load(Ordering::Relaxed);
            assert_eq!(usize::try_from(before), Ok(length));
        }
        assert_eq!(Room::new().unwrap().lay_out(u64::MAX).laid_out, LAID_OUT_MAX);
    }

    #[test]
    fn a_later_change_of_the_file_is_not_seen() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.rewind().unwrap();
        let sealed = Sealed::read(&file, Room::new().unwrap()).unwrap();
        file.write_at(b"after!", 0).unwrap();
        file.set_len(0).unwrap();
        assert_eq!(&*sealed, b"before");
    }
}

//! Parts of files whose download was interrupted, so that the next one goes on from there. Nothing relies on them: what they
//! become is verified whole, and what cannot be kept is fetched again.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::dir::Dir;
use super::error::StoreError;
use super::home::Home;
use crate::ids::Digest;

const DOWNLOADS: &str = "downloads";
/// How long a part is kept, in seconds.
const AGE_MAX: i64 = 7 * 24 * 60 * 60;
/// The longest first line, in bytes.
const HEAD_MAX: usize = 1024;

/// The first line of the file; the bytes follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    /// The tag of the version, as the server gave it.
    etag: String,
    /// The bytes of the whole.
    total: u64,
}

/// The part of one file. While it is held, no other process adds to it.
#[derive(Debug)]
pub struct PartFile {
    directory: Dir,
    name: String,
    file: Flock<File>,
    head: Option<Head>,
    /// Where the bytes begin.
    start: u64,
    /// How many there are.
    size: u64,
}

impl PartFile {
    /// Opens the part of what an address stands for, or an empty one; removes those that nobody came back for. `None`
    /// where another process is fetching the same.
    ///
    /// # Errors
    /// The folder is not private, or cannot be used.
    pub fn open(home: &Home, address: &str) -> Result<Option<Self>, StoreError> {
        let directory = home.root.open_or_make(DOWNLOADS)?;
        remove_old(&directory)?;
        let name = Digest::of(address.as_bytes()).to_string();
        let file = directory.open_file(&name)?;
        let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
        let mut part = Self { directory, name, file, head: None, start: 0, size: 0 };
        part.read_head();
        Ok(Some(part))
    }

    /// The tag of the version, the bytes that are there and those of the whole, if there is something.
    #[must_use]
    pub fn begun(&self) -> Option<(&str, u64, u64)> {
        let head = self.head.as_ref().filter(|_| self.size > 0)?;
        Some((&head.etag, self.size, head.total))
    }

    /// The bytes that are there; none where they cannot be read.
    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(self.start)).and_then(|_| {
            let file: &File = &self.file;
            file.take(self.size).read_to_end(&mut bytes)
        });
        if read.is_ok() { bytes } else { Vec::new() }
    }

    /// Begins with another version.
    pub fn begin(&mut self, etag: &str, total: u64) {
        let head = Head { etag: etag.to_owned(), total };
        if self.write_head(&head).is_err() {
            self.forget();
        }
    }

    /// Adds bytes at the end; where they cannot be added, nothing is kept any more.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.head.is_none() {
            return;
        }
        let at = SeekFrom::Start(self.start + self.size);
        if self.file.seek(at).and_then(|_| self.file.write_all(bytes)).is_err() {
            self.forget();
        }
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// Removes it. What is added later goes nowhere.
    pub fn discard(&mut self) {
        self.forget();
        let _ = self.directory.remove_file(&self.name);
    }

    fn forget(&mut self) {
        self.head = None;
        let _ = self.file.set_len(0);
    }

    fn read_head(&mut self) {
        let mut text = Vec::new();
        let limit = u64::try_from(HEAD_MAX).unwrap_or(u64::MAX);
        let read = (&*self.file).take(limit).read_to_end(&mut text);
        let line = text.iter().position(|&byte| byte == b'\n').filter(|_| read.is_ok());
        let head = line.and_then(|end| serde_json::from_slice(&text[..end]).ok());
        let length = self.file.metadata().map_or(0, |metadata| metadata.len());
        self.start = line.and_then(|end| u64::try_from(end + 1).ok()).unwrap_or(0);
        self.size = length.saturating_sub(self.start);
        self.head = head;
    }

    fn write_head(&mut self, head: &Head) -> io::Result<()> {
        let mut text = serde_json::to_vec(head)?;
        text.push(b'\n');
        if text.len() > HEAD_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&text)?;
        (self.start, self.size) = (u64::try_from(text.len()).unwrap_or(0), 0);
        self.head = Some(head.clone());
        Ok(())
    }
}

impl Drop for PartFile {
    /// A part without a byte in it is none.
    fn drop(&mut self) {
        if self.begun().is_none() {
            let _ = self.directory.remove_file(&self.name);
        }
    }
}

fn remove_old(directory: &Dir) -> Result<(), StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    for name in directory.names()? {
        if directory.changed(&name).is_some_and(|changed| now - changed > AGE_MAX) {
            directory.remove_file(&name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_there_again_until_nobody_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let open = || PartFile::open(&home, "https://a/b").unwrap();
        let files = || std::fs::read_dir(home.path().join(DOWNLOADS)).unwrap().count();
        let mut part = open().unwrap();
        assert_eq!(part.begun(), None);
        assert!(open().is_none(), "another process is fetching it");
        part.begin("\"v1\"", 9);
        part.add(b"abc");
        part.add(b"de");
        assert_eq!(part.begun(), Some(("\"v1\"", 5, 9)));
        drop(part);
        let mut part = open().unwrap();
        assert_eq!(part.begun(), Some(("\"v1\"", 5, 9)));
        assert_eq!(part.bytes(), b"abcde");
        part.add(b"fg");
        assert_eq!(part.bytes(), b"abcdefg");
        part.begin("\"v2\"", 3);
        assert_eq!(part.begun(), None);
        part.add(b"x");
        drop(part);
        assert_eq!(open().unwrap().begun(), Some(("\"v2\"", 1, 3)));
        open().unwrap().discard();
        assert_eq!((open().unwrap().begun(), files()), (None, 1));
        assert_eq!(files(), 0, "an empty one goes with whoever held it");
    }

    #[test]
    fn what_is_old_or_no_part_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("home")).unwrap();
        let mut part = PartFile::open(&home, "a").unwrap().unwrap();
        part.begin("\"v1\"", 9);
        part.add(b"abc");
        drop(part);
        let path = home.path().join(DOWNLOADS).join(Digest::of(b"a").to_string());
        let old = SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 60 * 60);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        drop(PartFile::open(&home, "b").unwrap());
        assert!(!path.exists());
        for junk in [&b"no head"[..], b"\n", b"{}\nabc", b""] {
            std::fs::write(&path, junk).unwrap();
            assert_eq!(PartFile::open(&home, "a").unwrap().unwrap().begun(), None);
        }
    }
}

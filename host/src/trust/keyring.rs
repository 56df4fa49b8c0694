//! The keyring on disk: a private directory with one private file for each key and for each list of revoked keys; and files
//! of secret and public keys.
//!
//! Everything goes through the descriptor of the directory that was checked, never through its path again.

mod write;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat};
use nix::unistd::{geteuid, mkdir};
use zeroize::Zeroizing;

use super::{KeySet, PublicKey, RevocationList, SecretFile, TrustError, TrustedKey};
use crate::controls::{Check, makes};
use crate::ids::Fingerprint;
use write::Kind;
pub use write::Staged;

const KEY: &str = ".key";
const LIST: &str = ".revoked";
/// The last list of a signer that was forgotten: it revokes nothing, and no older one is taken in.
const SEEN: &str = ".seen";
/// The largest file in bytes.
const FILE_MAX: usize = 64 << 10;
/// Beside the bytes of a file: as much as a reader (`std::io::Read::read_to_end`) wants to have free, and more.
const SPARE_ROOM: usize = 64;
/// The largest file of a public key or a signed statement in bytes.
const PUBLIC_MAX: u64 = 128 << 10;
/// Bits that let others change a thing.
const OTHERS_WRITE: u32 = 0o022;
/// Bits that let others do anything with a thing.
const OTHERS_ANY: u32 = 0o077;
/// Mode of a keyring that everybody reads.
const PUBLIC_DIR: u32 = 0o755;

/// An open keyring directory that was found private.
#[derive(Debug)]
pub struct Keyring {
    directory: OwnedFd,
    path: PathBuf,
    kind: Kind,
    owner: Owner,
}

/// Whose a thing must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Me,
    Root,
}

impl Keyring {
    /// Opens a keyring to change it; a missing one is made, its parent must exist. What an interrupted change left behind is
    /// removed. One process at a time: the caller holds the store's lock.
    ///
    /// # Errors
    /// It belongs to somebody else, others may write to it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        Self::open_or_make(path, Mode::S_IRWXU, Kind::Private)
    }

    /// As [`Keyring::open`], of one that everybody reads.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_public(path: &Path) -> Result<Self, TrustError> {
        Self::open_or_make(path, Mode::from_bits_truncate(PUBLIC_DIR), Kind::Public)
    }

    fn open_or_make(path: &Path, mode: Mode, kind: Kind) -> Result<Self, TrustError> {
        match mkdir(path, mode) {
            Ok(()) => {
                // The umask may have taken bits that the owner needs.
                let flag = FchmodatFlags::NoFollowSymlink;
                fchmodat(AT_FDCWD, path, mode, flag).map_err(failed("set the mode of", path))?;
            }
            Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(failed("make", path)(error)),
        }
        let keyring = Self { kind, ..Self::open_existing(path, Owner::Me)? };
        // Also where it was found: whoever made it may have been stopped before.
        write::sync_parent(path)?;
        keyring.tidy()?;
        Ok(keyring)
    }

    /// The keys of a keyring that may not exist yet; nothing is made.
    ///
    /// # Errors
    /// As [`Keyring::open`] and [`Keyring::load`].
    pub fn load_from(path: &Path) -> Result<KeySet, TrustError> {
        Self::load_of(path, Owner::Me)
    }

    /// As [`Keyring::load_from`], of a keyring that root keeps for everybody.
    ///
    /// # Errors
    /// As [`Keyring::load_from`]; or somebody else than root could have written it.
    pub fn load_of_root(path: &Path) -> Result<KeySet, TrustError> {
        Self::load_of(path, Owner::Root)
    }

    fn load_of(path: &Path, owner: Owner) -> Result<KeySet, TrustError> {
        match Self::open_existing(path, owner) {
            Err(TrustError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(KeySet::default()),
            keyring => keyring?.load(),
        }
    }

    fn open_existing(path: &Path, owner: Owner) -> Result<Self, TrustError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(path, flags, Mode::empty()).map_err(failed("open", path))?;
        let status = fstat(&directory).map_err(failed("look at", path))?;
        check_private(&status, (owner, OTHERS_WRITE), path)?;
        Ok(Self { directory, path: path.to_owned(), kind: Kind::Private, owner })
    }

    /// Every trusted key.
    ///
    /// # Errors
    /// A file that others could have written or that is not of the one accepted form: none of the keys is used then.
    pub fn load(&self) -> Result<KeySet, TrustError> {
        let (mut keys, mut lists, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        let names = self.names()?;
        for name in names.iter().filter(|name| !is_left_over(name, &names)) {
            if name.ends_with(KEY) {
                keys.push(self.read(name)?);
            } else if name.ends_with(LIST) {
                lists.push(self.read_list(name, LIST)?);
            } else if name.ends_with(SEEN) {
                seen.push(self.read_list(name, SEEN)?);
            }
        }
        Ok(KeySet::new(keys).with_lists(lists).with_seen_lists(seen))
    }

    /// Every trusted key, in the order of the fingerprints.
    ///
    /// # Errors
    /// As [`Keyring::load`].
    pub fn list(&self) -> Result<Vec<TrustedKey>, TrustError> {
        Ok(self.load()?.iter().cloned().collect())
    }

    /// Writes a key; one that is there already is replaced. Durable when it returns.
    ///
    /// # Errors
    /// The system refuses; then the keyring is as it was.
    pub fn add(&self, key: &TrustedKey) -> Result<(), TrustError> {
        self.put(&file_name(&key.fingerprint(), KEY), key.render().as_bytes())
    }

    /// Writes the list of a signer, as it was signed; an older one is replaced. Durable when it returns.
    ///
    /// # Errors
    /// The system refuses; then the keyring is as it was.
    pub fn add_list(&self, list: &RevocationList, signed: &[u8]) -> Result<(), TrustError> {
        self.put(&file_name(&list.signer.fingerprint(), LIST), signed)
    }

    /// Removes a key and the list that it signed, of which is kept that it was seen. Durable when it returns.
    ///
    /// # Errors
    /// The system refuses; the key may be there or not then, never a part of it.
    pub fn remove(&self, key: &Fingerprint) -> Result<(), TrustError> {
        // First what takes nothing away: whoever trusts the signer again takes in no older list.
        let list = file_name(key, LIST);
        if self.names()?.contains(&list) {
            self.put(&file_name(key, SEEN), &self.content(&list)?.1)?;
        }
        // Then the key, and durably: without it the list does not count, and is removed by the next change at the latest.
        for suffix in [KEY, LIST] {
            let name = file_name(key, suffix);
            write::remove(&self.directory, OsStr::new(&name), &self.path.join(&name))?;
            write::sync(&self.directory, &self.path)?;
        }
        Ok(())
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<(), TrustError> {
        write::write_in(&self.directory, OsStr::new(name), content, self.kind, &self.path.join(name))
    }

    fn tidy(&self) -> Result<(), TrustError> {
        let names = self.names()?;
        let left_over = names.iter().filter(|name| is_left_over(name, &names));
        let mut removed = 0;
        for name in left_over {
            write::remove(&self.directory, OsStr::new(name), &self.path.join(name))?;
            removed += 1;
        }
        if removed == 0 { Ok(()) } else { write::sync(&self.directory, &self.path) }
    }

    fn names(&self) -> Result<Vec<String>, TrustError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let list = failed("list", &self.path);
        let mut listing = match Dir::openat(&self.directory, ".", flags, Mode::empty()) {
            Ok(listing) => listing,
            Err(error) => return Err(list(error)),
        };
        let names = listing.iter().map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<nix::Result<_>>().map_err(list)
    }

    fn read(&self, name: &str) -> Result<TrustedKey, TrustError> {
        let (path, text) = self.content(name)?;
        let key = TrustedKey::parse(&text, &path.to_string_lossy())?;
        if file_name(&key.fingerprint(), KEY) == name { Ok(key) } else { Err(misnamed(&path, "trusted key")) }
    }

    fn read_list(&self, name: &str, suffix: &str) -> Result<RevocationList, TrustError> {
        let (path, text) = self.content(name)?;
        let list = RevocationList::parse(&text, &path.to_string_lossy())?;
        let is_named = file_name(&list.signer.fingerprint(), suffix) == name;
        if is_named { Ok(list) } else { Err(misnamed(&path, "list of revoked keys")) }
    }

    fn content(&self, name: &str) -> Result<(PathBuf, Zeroizing<Vec<u8>>), TrustError> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::empty()).map_err(failed("open", &path))?;
        let text = read_private(file, (self.owner, OTHERS_WRITE), &path)?;
        Ok((path, text))
    }
}

/// Whether a name is what a change leaves that did not end: a file that was not put into place, the list of a key that was
/// removed.
fn is_left_over(name: &str, names: &[String]) -> bool {
    let is_orphan = |signer: &str| !names.iter().any(|other| other.strip_suffix(KEY) == Some(signer));
    write::is_temporary(name) || name.strip_suffix(LIST).is_some_and(is_orphan)
}

fn misnamed(path: &Path, what: &'static str) -> TrustError {
    let reason = "its name is not the fingerprint of its key".to_owned();
    TrustError::Malformed { object: path.display().to_string(), what, reason }
}

/// Reads a secret key file.
///
/// # Errors
/// Others may read or write it, it belongs to somebody else, or it is not of the accepted form.
pub fn load_secret(path: &Path) -> Result<SecretFile, TrustError> {
    SecretFile::parse(&read_secret(path)?).map_err(|error| error.of_file(path))
}

/// Reads a file that nobody else may read, at most 64 KiB.
///
/// # Errors
/// Others may read or write it, it belongs to somebody else, or it cannot be read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, TrustError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(failed("open", path))?;
    read_private(file, (Owner::Me, OTHERS_ANY), path)
}

/// Writes the content of a secret key's file to a new one that only its owner can read. Durable when it returns.
///
/// # Errors
/// The file exists already, or the system refuses.
pub fn save_secret(path: &Path, content: &str) -> Result<(), TrustError> {
    write::write_at(path, content.as_bytes(), Kind::NewSecret)
}

/// Writes a file that everybody may read, as a whole: a reader sees the old one or the new one. Durable when it returns.
///
/// # Errors
/// There is a file already and it is not to be replaced, or something else than a regular file; or the system refuses.
pub fn save_public(path: &Path, content: &[u8], replaces: bool) -> Result<(), TrustError> {
    write::write_at(path, content, if replaces { Kind::Public } else { Kind::NewPublic })
}

/// As [`save_public`] of a file that may be replaced, up to the last step.
///
/// # Errors
/// Something else than a regular file is in its place, or the system refuses.
pub fn stage_public(path: &Path, content: &[u8]) -> Result<Staged, TrustError> {
    Staged::at(path, content, Kind::Public)
}

/// Removes what a [`stage_public`] of this path left that did not end, where nothing is written anew. A file that cannot be
/// removed is in nobody's way.
pub fn forget_staged(path: &Path) {
    write::forget_staged(path);
}

/// Whether [`save_public`] would replace what has this path.
///
/// # Errors
/// Something else than a regular file has it, or its folder cannot be looked at.
pub fn check_replaceable(path: &Path) -> Result<(), TrustError> {
    write::check_place_at(path)
}

/// Reads a public key file, which may belong to anybody.
///
/// # Errors
/// It is not of the accepted form, or the key is weak.
pub fn load_public(path: &Path) -> Result<PublicKey, TrustError> {
    PublicKey::parse_file(&load_file(path)?).map_err(|error| error.of_file(path))
}

/// Reads a file that may belong to anybody, at most 128 KiB.
///
/// # Errors
/// It cannot be read, is no regular file or is larger.
pub fn load_file(path: &Path) -> Result<Vec<u8>, TrustError> {
    let io_error = |source| TrustError::Io { action: "read", path: path.to_owned(), source };
    // Without O_NONBLOCK a FIFO would hang the command before it can be refused.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(failed("open", path))?);
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() || metadata.len() > PUBLIC_MAX {
        let reason = "not a regular file of at most 128 KiB";
        return Err(io_error(io::Error::new(io::ErrorKind::InvalidInput, reason)));
    }
    let mut text = Vec::new();
    file.take(PUBLIC_MAX).read_to_end(&mut text).map_err(io_error)?;
    Ok(text)
}

fn file_name(fingerprint: &Fingerprint, suffix: &str) -> String {
    let text = fingerprint.to_string();
    let hex = text.strip_prefix("ed25519:").unwrap_or(&text);
    format!("{hex}{suffix}")
}

/// Checks the open file itself, then reads it: a path could be swapped in between.
fn read_private(file: OwnedFd, forbidden: (Owner, u32), path: &Path) -> Result<Zeroizing<Vec<u8>>, TrustError> {
    let status = fstat(&file).map_err(failed("look at", path))?;
    if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(TrustError::Insecure { path: path.to_owned(), reason: "it is not a regular file".to_owned() });
    }
    check_private(&status, forbidden, path)?;
    // Room for all at once: growing would leave copies of a secret behind, and so would the small buffer on the stack that a
    // reader without room asks first. And little more than that: all of it is cleared in the end, byte by byte.
    let size = usize::try_from(status.st_size).unwrap_or(usize::MAX).min(FILE_MAX);
    let mut text = Zeroizing::new(Vec::with_capacity(size + SPARE_ROOM));
    let read = File::from(file).take(size as u64 + 1).read_to_end(&mut text);
    let read = read.map_err(|source| TrustError::Io { action: "read", path: path.to_owned(), source })?;
    if read > size {
        let reason = "it is larger than 64 KiB, or grew while it was read".to_owned();
        return Err(TrustError::Malformed {
            object: path.display().to_string(),
            what: "file of a key or passphrase",
            reason,
        });
    }
    Ok(text)
}

fn check_private(status: &FileStat, (owner, forbidden): (Owner, u32), path: &Path) -> Result<(), TrustError> {
    if !makes(Check::FileMode) {
        return Ok(());
    }
    let refuse = |reason| Err(TrustError::Insecure { path: path.to_owned(), reason });
    let owner = if owner == Owner::Root { 0 } else { geteuid().as_raw() };
    if status.st_uid != owner {
        return refuse(format!("it belongs to user {}, not to {owner}", status.st_uid));
    }
    if status.st_mode & forbidden != 0 {
        return refuse(format!("its mode is {:04o}, so others could use it", status.st_mode & 0o7777));
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(nix::Error) -> TrustError {
    let path = path.to_owned();
    move |error| TrustError::Io { action, path, source: error.into() }
}

#[cfg(test)]
mod tests;

//! The keyring on disk: a private directory with one private file for each key and for each list of revoked keys; and files
//! of secret and public keys.
//!
//! Everything goes through the descriptor of the directory that was checked, never through its path again.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, mkdir, unlinkat};
use zeroize::Zeroizing;

use super::{KeySet, PublicKey, RevocationList, SecretFile, TrustError, TrustedKey};
use crate::controls::{Check, makes};
use crate::ids::{Fingerprint, to_hex};

const KEY: &str = ".key";
const LIST: &str = ".revoked";
/// The largest file in bytes.
const FILE_MAX: u64 = 64 << 10;
/// The largest file of a public key or a signed statement in bytes.
const PUBLIC_MAX: u64 = 128 << 10;
/// Bits that let others change a thing.
const OTHERS_WRITE: u32 = 0o022;
/// Bits that let others do anything with a thing.
const OTHERS_ANY: u32 = 0o077;

/// An open keyring directory that was found private.
#[derive(Debug)]
pub struct Keyring {
    directory: OwnedFd,
    path: PathBuf,
}

impl Keyring {
    /// Opens a keyring; a missing one is made, its parent must exist.
    ///
    /// # Errors
    /// It belongs to somebody else, others may write to it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, TrustError> {
        match mkdir(path, Mode::S_IRWXU) {
            Ok(()) => {
                // The umask may have taken bits that the owner needs.
                let flag = FchmodatFlags::NoFollowSymlink;
                fchmodat(AT_FDCWD, path, Mode::S_IRWXU, flag).map_err(failed("set the mode of", path))?;
                sync_parent(path)?;
            }
            Err(nix::Error::EEXIST) => {}
            Err(error) => return Err(failed("make", path)(error)),
        }
        Self::open_existing(path)
    }

    /// The keys of a keyring that may not exist yet; nothing is made.
    ///
    /// # Errors
    /// As [`Keyring::open`] and [`Keyring::load`].
    pub fn load_from(path: &Path) -> Result<KeySet, TrustError> {
        match Self::open_existing(path) {
            Err(TrustError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(KeySet::default()),
            keyring => keyring?.load(),
        }
    }

    fn open_existing(path: &Path) -> Result<Self, TrustError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = open(path, flags, Mode::empty()).map_err(failed("open", path))?;
        let status = fstat(&directory).map_err(failed("look at", path))?;
        check_private(&status, OTHERS_WRITE, path)?;
        Ok(Self { directory, path: path.to_owned() })
    }

    /// Every trusted key.
    ///
    /// # Errors
    /// A file that others could have written or that is not of the one accepted form: none of the keys is used then.
    pub fn load(&self) -> Result<KeySet, TrustError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing =
            Dir::openat(&self.directory, ".", flags, Mode::empty()).map_err(failed("list", &self.path))?;
        let (mut keys, mut lists) = (Vec::new(), Vec::new());
        for entry in listing.iter() {
            let entry = entry.map_err(failed("list", &self.path))?;
            let name = entry.file_name().to_string_lossy();
            // A leading dot marks what an interrupted write left behind.
            if name.starts_with('.') {
                continue;
            }
            if name.ends_with(KEY) {
                keys.push(self.read(&name)?);
            } else if name.ends_with(LIST) {
                lists.push(self.read_list(&name)?);
            }
        }
        Ok(KeySet::new(keys).with_lists(lists))
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

    /// Removes a key and the list that it signed. Durable when it returns.
    ///
    /// # Errors
    /// The system refuses; the key may be there or not then, never a part of it.
    pub fn remove(&self, key: &Fingerprint) -> Result<(), TrustError> {
        for suffix in [KEY, LIST] {
            let name = file_name(key, suffix);
            match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(nix::Error::ENOENT) => {}
                Err(error) => return Err(failed("remove", &self.path.join(name))(error)),
            }
        }
        fsync(self.directory.as_fd()).map_err(failed("sync", &self.path))
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<(), TrustError> {
        let path = self.path.join(name);
        let temporary = temporary_name(&path)?;
        let written = write_new(&self.directory, &temporary, content, &path).and_then(|()| {
            renameat(&self.directory, temporary.as_str(), &self.directory, name).map_err(failed("rename", &path))
        });
        if let Err(error) = written {
            // The error that is reported is the first one; a file that stays is ignored by `load`.
            let _ = unlinkat(&self.directory, temporary.as_str(), UnlinkatFlags::NoRemoveDir);
            return Err(error);
        }
        fsync(self.directory.as_fd()).map_err(failed("sync", &self.path))
    }

    fn read(&self, name: &str) -> Result<TrustedKey, TrustError> {
        let (path, text) = self.content(name)?;
        let key = TrustedKey::parse(&text, &path.to_string_lossy())?;
        if file_name(&key.fingerprint(), KEY) == name { Ok(key) } else { Err(misnamed(&path, "trusted key")) }
    }

    fn read_list(&self, name: &str) -> Result<RevocationList, TrustError> {
        let (path, text) = self.content(name)?;
        let list = RevocationList::parse(&text, &path.to_string_lossy())?;
        let is_named = file_name(&list.signer.fingerprint(), LIST) == name;
        if is_named { Ok(list) } else { Err(misnamed(&path, "list of revoked keys")) }
    }

    fn content(&self, name: &str) -> Result<(PathBuf, Zeroizing<Vec<u8>>), TrustError> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = openat(&self.directory, name, flags, Mode::empty()).map_err(failed("open", &path))?;
        let text = read_private(file, OTHERS_WRITE, &path)?;
        Ok((path, text))
    }
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
    read_private(file, OTHERS_ANY, path)
}

/// Writes the content of a secret key's file to a new one that only its owner can read. Durable when it returns.
///
/// # Errors
/// The file exists already, or the system refuses.
pub fn save_secret(path: &Path, content: &str) -> Result<(), TrustError> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed("make", path))?;
    write_all(file, content.as_bytes(), path)?;
    sync_parent(path)
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

fn temporary_name(path: &Path) -> Result<String, TrustError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| TrustError::Io {
        action: "choose a temporary name for",
        path: path.to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(format!(".{}.tmp", to_hex(&random)))
}

fn write_new(directory: &OwnedFd, name: &str, content: &[u8], path: &Path) -> Result<(), TrustError> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed("make", path))?;
    write_all(file, content, path)
}

fn write_all(file: OwnedFd, content: &[u8], path: &Path) -> Result<(), TrustError> {
    fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed("set the mode of", path))?;
    let mut file = File::from(file);
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(|source| TrustError::Io { action: "write", path: path.to_owned(), source })
}

fn sync_parent(path: &Path) -> Result<(), TrustError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(|source| TrustError::Io { action: "sync", path: parent.to_owned(), source })
}

/// Checks the open file itself, then reads it: a path could be swapped in between.
fn read_private(file: OwnedFd, forbidden: u32, path: &Path) -> Result<Zeroizing<Vec<u8>>, TrustError> {
    let status = fstat(&file).map_err(failed("look at", path))?;
    if SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(TrustError::Insecure { path: path.to_owned(), reason: "it is not a regular file".to_owned() });
    }
    check_private(&status, forbidden, path)?;
    // Room for all at once: growing would leave copies of a secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_MAX).unwrap_or_default() + 1));
    let read = File::from(file).take(FILE_MAX).read_to_end(&mut text);
    read.map_err(|source| TrustError::Io { action: "read", path: path.to_owned(), source })?;
    Ok(text)
}

fn check_private(status: &FileStat, forbidden: u32, path: &Path) -> Result<(), TrustError> {
    if !makes(Check::FileMode) {
        return Ok(());
    }
    let refuse = |reason| Err(TrustError::Insecure { path: path.to_owned(), reason });
    let me = geteuid().as_raw();
    if status.st_uid != me {
        return refuse(format!("it belongs to user {}, not to {me}", status.st_uid));
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

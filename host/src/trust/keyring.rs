//! The keyring on disk: a private directory with one private file for each trusted key.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{KeySet, TrustError, TrustedKey};

/// An open keyring directory that was found private.
#[derive(Debug)]
pub struct Keyring {
    directory: OwnedFd,
    path: PathBuf,
}

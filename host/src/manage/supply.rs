//! The bytes of a plugin that is to be installed: a file of this machine, what a server handed out, or a
//! package that came inside of something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ManageError;
use super::remote::Download;
use super::source::open_file;
use crate::package::{Opened, open, open_for};

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub(super) enum Supply {
    /// A file, or a directory of scripts.
    File(PathBuf),
    /// What a server handed out, called by its address.
    Remote(PathBuf, Download),
    /// A package inside of a bundle, called by the bundle's path and its own name there; and for which kind of machine it
    /// is, where it holds what that takes and no more.
    Package(PathBuf, Arc<Vec<u8>>, Option<String>),
}

impl Supply {
    /// How it is called in messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Remote(path, _) | Self::Package(path, ..) => path,
        }
    }

    /// The file itself, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Remote(..) | Self::Package(..) => None,
        }
    }

    /// Opens it; nothing but index and signature was looked at.
    pub(super) fn open(&self) -> Result<Opened, ManageError> {
        match self {
            Self::File(path) => open_file(path),
            Self::Remote(path, Download { bytes, .. }) | Self::Package(path, bytes, None) => {
                open(bytes.to_vec()).map_err(|source| ManageError::Package { path: path.clone(), source })
            }
            Self::Package(path, bytes, Some(target)) => {
                open_for(target, bytes.to_vec()).map_err(|source| ManageError::Package { path: path.clone(), source })
            }
        }
    }
}

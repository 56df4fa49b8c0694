//! The bytes of a plugin that is to be installed.

use std::path::{Path, PathBuf};

use super::ManageError;
use super::source::open_file;
use crate::package::Opened;

/// Where the bytes come from.
#[derive(Debug, Clone)]
pub(super) enum Supply {
    /// A file, or a directory of scripts.
    File(PathBuf),
}

impl Supply {
    /// How it is called in messages.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
        }
    }

    /// The file itself, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
        }
    }

    /// Opens it; nothing but index and signature was looked at.
    pub(super) fn open(&self) -> Result<Opened, ManageError> {
        match self {
            Self::File(path) => open_file(path),
        }
    }
}

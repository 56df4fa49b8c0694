//! What the words of a command line mean: a file of this machine, the name of a plugin, or an address on a server.

use std::path::{Path, PathBuf};

use super::folder::meant;
use super::remote::Download;
use super::search::Folders;
use super::source::{open_file, scan};
use super::{ManageError, lookalike};
use crate::ids::PluginName;
use crate::package::{Opened, open};
use crate::store::State;
use crate::url::Url;

/// A word that says what is to be installed.
#[derive(Debug, Clone)]
pub enum Word {
    /// A path, or the name of a plugin in the plugins folder.
    Local(PathBuf),
    /// An address on a server.
    Remote(Url),
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// It is meant as an address and is none, or leads to another machine without encryption.
    pub fn of(word: &Path) -> Result<Self, ManageError> {
        match word.to_str().filter(|word| Url::is_meant(word)) {
            Some(word) => Ok(Self::Remote(word.parse()?)),
            None => Ok(Self::Local(word.to_owned())),
        }
    }
}

/// Where something that is installed comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A path, or the name of a plugin in the plugins folder.
    Local(PathBuf),
    /// A server; the bytes are here.
    Remote(Download),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::Local(path.to_owned())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::Local(path)
    }
}

/// What was found at a source, opened.
pub(super) struct Place {
    /// The file, or the address as it is shown.
    pub(super) path: PathBuf,
    /// The name that was asked for.
    pub(super) asked: Option<PluginName>,
    /// What was found.
    pub(super) opened: Opened,
}

impl Source {
    /// Finds and opens it. Nothing but index and signature was looked at; scripts have neither, and were read.
    /// A name is looked up in the folders, in their order: the first that has it decides.
    pub(super) fn open(&self, state: &State, folders: &Folders) -> Result<Place, ManageError> {
        match self {
            Self::Local(word) => {
                let (path, asked) = locate(state, word, folders)?;
                let opened = open_file(&path)?;
                Ok(Place { path, asked, opened })
            }
            Self::Remote(download) => {
                let path = self.shown();
                let refused = |source| ManageError::Package { path: path.clone(), source };
                let opened = open(download.bytes.to_vec()).map_err(refused)?;
                // Whoever runs the server is nobody to make exceptions for, whatever a flag or a policy says.
                if opened.signature.is_none() {
                    let (url, name) = (download.url.clone(), opened.index.name.clone());
                    return Err(ManageError::RemoteUnsigned { url, name });
                }
                Ok(Place { path, asked: None, opened })
            }
        }
    }

    /// The file, or the address as it is shown.
    pub(super) fn shown(&self) -> PathBuf {
        match self {
            Self::Local(path) => path.clone(),
            Self::Remote(download) => download.url.to_string().into(),
        }
    }

    /// The server, if it is one.
    pub(super) fn remote(&self) -> Option<&Download> {
        match self {
            Self::Local(_) => None,
            Self::Remote(download) => Some(download),
        }
    }
}

/// The file that a word means: a path, or else the name of something in one of the folders; and that name.
fn locate(state: &State, word: &Path, folders: &Folders) -> Result<(PathBuf, Option<PluginName>), ManageError> {
    let text = word.to_str().unwrap_or_default();
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if !is_name || word.symlink_metadata().is_ok() {
        return Ok((meant(word)?, None));
    }
    let Ok(name) = text.parse::<PluginName>() else {
        return Err(lookalike::no_name(text, state, folders.own()));
    };
    let entry = state.plugins.get(&name)?;
    if let Some(path) = entry.and_then(|entry| entry.link.clone()) {
        return Err(ManageError::Linked { name, path });
    }
    for folder in &folders.paths {
        if let Some(path) = newest_in(folder, &name)? {
            return Ok((path, Some(name)));
        }
    }
    let similar = lookalike::similar(&name, state.plugins.keys().cloned().chain(names_in(&folders.paths)));
    let installed = entry.map(|entry| entry.version.clone());
    Err(ManageError::NameNotFound(Box::new(NowhereFound { name, looked: folders.words(), similar, installed })))
}

/// A name that is nowhere.
#[derive(Debug)]
pub struct NowhereFound {
    /// The name.
    pub name: PluginName,
    /// Where it was looked for, and where it was not and why, one line each.
    pub looked: Vec<String>,
    /// Names that may be meant.
    pub similar: Vec<PluginName>,
    /// The version that is installed.
    pub installed: Option<semver::Version>,
}

/// The names of everything in the folders that can be read.
fn names_in(folders: &[PathBuf]) -> impl Iterator<Item = PluginName> {
    let found = folders.iter().filter_map(|folder| scan(folder).ok()).flatten();
    found.filter_map(|found| Some(found.opened.ok()?.index.name))
}

/// The newest version of a plugin in a folder, if it is there.
fn newest_in(folder: &Path, name: &PluginName) -> Result<Option<PathBuf>, ManageError> {
    let mut found = Vec::new();
    let mut other = None;
    for entry in scan(folder)? {
        match entry.opened {
            Ok(opened) if opened.index.name == *name => found.push((opened.index.version, entry.path)),
            Ok(opened) if is_called(&entry.path, folder, name) => other = Some((opened.index.name, entry.path)),
            // Whoever asks for it by its name is told what is wrong with it.
            Err(error) if is_called(&entry.path, folder, name) => return Err(error),
            _ => {}
        }
    }
    // The newest; of two forms of it the first in the order of names.
    let newest = found.into_iter().rev().max_by(|(one, _), (next, _)| one.cmp(next));
    match (newest, other) {
        (Some((_, path)), _) => Ok(Some(path)),
        (None, Some((found, path))) => Err(ManageError::NameMismatch { asked: name.clone(), found, place: path }),
        (None, None) => Ok(None),
    }
}

/// Whether a file in the plugins folder, or the folder that it lies in there, is called as a plugin's would be.
fn is_called(path: &Path, folder: &Path, name: &PluginName) -> bool {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let in_folder = below.components().count() > 1 || path.is_dir();
    let first = below.components().next().and_then(|first| first.as_os_str().to_str()).unwrap_or_default();
    if in_folder {
        return first == name.as_str();
    }
    let stem = first.rsplit_once('.').map_or(first, |(stem, _)| stem);
    let version = stem.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    version || stem.strip_prefix("lib").is_some_and(|stem| stem.replace('_', "-") == name.as_str())
}

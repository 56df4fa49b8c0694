//! Where newer versions of an installed plugin are looked for: where it came from, and in the plugins folder. Each kind of
//! source answers with files that [`install`](super::install()) takes; nothing is written here.

use std::path::{Path, PathBuf};

use semver::Version;

use super::keys::judged_time;
use super::list::Warning;
use super::maker::{OtherMaker, other_maker};
use super::origin::{Place, Source};
use super::remote::{Online, download};
use super::search::Folders;
use super::source::{judged, open_file, scan};
use super::{ManageError, source};
use crate::code::Coded as _;
use crate::ids::PluginName;
use crate::package::Opened;
use crate::policy::Policy;
use crate::store::{Entry, Home, Remote, State};
use crate::trust::{KeySet, Keyring, Time};
use crate::url::FileVersion;

/// Another version of an installed plugin that could be installed.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) version: Version,
    /// What is installed then.
    pub(super) source: Source,
    /// Whose it is, where that is somebody else than before.
    pub(super) other_maker: Option<OtherMaker>,
}

/// What is looked through, with what decides whether a version counts.
pub(super) struct Candidates<'a> {
    home: &'a Home,
    state: &'a State,
    keys: KeySet,
    policy: Policy,
    now: Time,
    /// What lies in the plugins folder, read once for all plugins.
    folder: Vec<(PathBuf, Opened)>,
    /// What could not be read, or would be refused.
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Candidates<'a> {
    /// Prepares to look; `now` is the time: RFC 3339, UTC.
    ///
    /// # Errors
    /// The keyring, a policy file or the plugins folder cannot be read, or the clock cannot be right.
    pub(super) fn new(home: &'a Home, state: &'a State, now: &str) -> Result<Self, ManageError> {
        let keys = Keyring::load_from(&home.keys_path())?;
        let now = judged_time(&keys, state, now)?;
        let (policy, mut warnings) = (home.policy()?, Vec::new());
        let mut folder = Vec::new();
        for source::Found { path, opened } in scan(&home.plugins_path())? {
            match opened {
                Ok(opened) => folder.push((path, opened)),
                Err(error) => warnings.push(warning(&path, &error)),
            }
        }
        Ok(Self { home, state, keys, policy, now, folder, warnings })
    }

    /// The newest version that may take the place of the installed one: newer, trusted, and the one that it is pinned to.
    ///
    /// # Errors
    /// The server that it came from cannot be asked, or hands out what is not to be installed.
    pub(super) fn newest(
        &mut self,
        (name, entry): (&PluginName, &Entry),
        online: &mut Online<'_>,
    ) -> Result<Option<Candidate>, ManageError> {
        let served = self.served((name, entry), online)?;
        let mut found: Vec<Candidate> = Vec::new();
        let mut warnings = Vec::new();
        let mut look = |source: Source, opened: &Opened| {
            let version = &opened.index.version;
            let wanted = entry.pinned.as_ref().map_or(*version > entry.version, |pinned| version == pinned);
            if opened.index.name != *name || !wanted || *version == entry.version {
                return;
            }
            let judged = judged(&self.keys, self.state, opened, &self.policy, false, Some(self.now));
            match judged.and_then(|_| other_maker(&self.keys, self.state, name, opened.signature.as_ref())) {
                Ok(other_maker) => found.push(Candidate { version: version.clone(), source, other_maker }),
                Err(error) => warnings.push(warning(&source.shown(), &error)),
            }
        };
        if let Some((source, opened)) = served {
            look(source, &opened);
        }
        for path in recorded(name, entry) {
            match open_file(&path) {
                Ok(opened) => look(path.into(), &opened),
                // What it came from may be gone, and need not be a plugin any more.
                Err(error) if path.exists() => self.warnings.push(warning(&path, &error)),
                Err(_) => {}
            }
        }
        self.folder.iter().for_each(|(path, opened)| look(path.clone().into(), opened));
        self.warnings.append(&mut warnings);
        Ok(found.into_iter().max_by(|one, other| one.version.cmp(&other.version)))
    }

    /// What the server has that the plugin came from, unless it is what was fetched before.
    fn served(
        &self,
        (name, entry): (&PluginName, &Entry),
        online: &mut Online<'_>,
    ) -> Result<Option<(Source, Opened)>, ManageError> {
        let Some(Remote { url, version }) = &entry.remote else { return Ok(None) };
        let known = Some(version).filter(|version| **version != FileVersion::default());
        let Some(download) = download(self.home, url, known, true, online)? else { return Ok(None) };
        let source = Source::Remote(download);
        let Place { path, opened, .. } = source.open(self.state, &Folders::default())?;
        if opened.index.name != *name {
            let (asked, found) = (name.clone(), opened.index.name);
            return Err(ManageError::NameMismatch { asked, found, place: path });
        }
        Ok(Some((source, opened)))
    }

    /// Where the versions of this plugin are looked for, for a message.
    pub(super) fn places(&self, entry: &Entry) -> String {
        let folder = self.home.plugins_path();
        let beside = entry.installed_from.as_deref().and_then(Path::parent).map(|place| place.display().to_string());
        let server = entry.remote.as_ref().map(|remote| remote.url.to_string());
        let places = beside.into_iter().chain(server).chain([folder.display().to_string()]);
        let mut places: Vec<String> = places.collect();
        // What came from the folder has it as its own place as well.
        places.dedup();
        places.join(" and ")
    }
}

fn warning(path: &Path, error: &ManageError) -> Warning {
    Warning { name: path.display().to_string(), message: format!("{}: {error}", error.code()) }
}

/// The files to look at for a plugin that came from a file: that very path, which may hold something newer by now, and
/// packages of its name beside it. One that came from elsewhere has none.
fn recorded(name: &PluginName, entry: &Entry) -> Vec<PathBuf> {
    let Some(path) = &entry.installed_from else { return Vec::new() };
    let prefix = format!("{name}-");
    let beside = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let is_package = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix) && path.extension().is_some_and(|extension| extension == "mgp")
    };
    let mut paths: Vec<PathBuf> = beside.map(|entry| entry.path()).filter(is_package).collect();
    paths.push(path.clone());
    paths.sort();
    paths.dedup();
    paths
}

//! `outdated` and `upgrade`: newer versions of what is installed, from where it came from. An upgrade is an installation,
//! with every check of one; what is refused leaves the version that is there as it is.

use std::path::{Path, PathBuf};

use semver::Version;
use serde::Serialize;

use super::candidates::Candidates;
use super::consent::Consenting;
use super::enable::not_own;
use super::install::{InstallReport, InstallRequest, install};
use super::list::Warning;
use super::lock::{Followed, Lock, Relock};
use super::remote::Online;
use super::{Allowed, Expected, ManageError};
use crate::code::Coded as _;
use crate::ids::PluginName;
use crate::store::{Entry, Home};

/// Which plugins have newer versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutdatedReport {
    /// Those that have one, by name.
    pub plugins: Vec<Outdated>,
    /// How many were looked at.
    pub checked: usize,
    /// Files that were found and cannot be installed.
    pub warnings: Vec<Warning>,
}

/// A plugin of which there is a newer version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outdated {
    /// The plugin.
    pub name: PluginName,
    /// The installed version.
    pub installed: Version,
    /// The newest that was found.
    pub available: Version,
    /// Where.
    pub source: PathBuf,
    /// Whose it is, in a sentence, where that is somebody else than the installed one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_maker: Option<String>,
}

/// What was upgraded, and what not.
#[derive(Debug, Serialize)]
pub struct UpgradeReport {
    /// Every plugin that was looked at, by name.
    pub plugins: Vec<Upgrade>,
    /// Files that were found and cannot be installed.
    pub warnings: Vec<Warning>,
}

/// How it went with one plugin.
#[derive(Debug, Serialize)]
pub struct Upgrade {
    /// The plugin.
    pub name: PluginName,
    /// The version that is installed now.
    pub version: Version,
    /// The same in one word.
    pub outcome: UpgradeOutcome,
    /// What was installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstallReport>,
    /// Why nothing was, with its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same, for the error that ends the command.
    #[serde(skip)]
    pub error: Option<ManageError>,
    /// What became of the lock of the project, where nothing was installed: an earlier upgrade may not have come to it.
    #[serde(flatten)]
    pub followed: Followed,
}

/// How an upgrade can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeOutcome {
    /// A newer version is installed.
    Upgraded,
    /// There is no newer one.
    Current,
    /// It stays at its version because the user said so.
    Pinned,
    /// The newer version cannot be installed, or not without more consent.
    Refused,
}

/// Looks for newer versions of every plugin, on the servers that some came from too; `now` is the time: RFC 3339, UTC.
///
/// # Errors
/// The state, the keyring or a policy file cannot be read, or the clock cannot be right.
pub fn outdated(home: &Home, now: &str, online: &mut Online<'_>) -> Result<OutdatedReport, ManageError> {
    let state = home.read()?;
    let mut candidates = Candidates::new(home, &state, now)?;
    let mut plugins = Vec::new();
    for (name, entry) in state.plugins.iter()?.filter(|(_, entry)| !is_held(entry)) {
        match candidates.newest((name, entry), online) {
            Ok(Some(found)) => {
                let (name, installed) = (name.clone(), entry.version.clone());
                let (source, other_maker) = (found.source.shown(), found.other_maker.map(|other| other.to_string()));
                plugins.push(Outdated { name, installed, available: found.version, source, other_maker });
            }
            Ok(None) => {}
            Err(error) => {
                let message = format!("{}: {error}", error.code());
                candidates.warnings.push(Warning { name: name.to_string(), message });
            }
        }
    }
    Ok(OutdatedReport { plugins, checked: state.plugins.len(), warnings: candidates.warnings })
}

/// Upgrades one plugin, or all of them; one that is refused does not keep the others from it. The lock of the project
/// follows where it names an older version of one.
///
/// # Errors
/// As [`outdated`], there is no such plugin, or the lock of the project cannot be read. What one plugin's upgrade was
/// refused for stands in the report.
pub fn upgrade(
    home: &Home,
    name: Option<&PluginName>,
    (project, now): (Option<&Path>, &str),
    consenting: &mut Consenting<'_>,
    online: &mut Online<'_>,
) -> Result<UpgradeReport, ManageError> {
    let state = home.read()?;
    if let Some(name) = name.filter(|name| !state.plugins.contains_key(name)) {
        return Err(not_own(&state, name));
    }
    project.map(Lock::of).transpose()?;
    let mut candidates = Candidates::new(home, &state, now)?;
    let mut plugins = Vec::new();
    let named = match name {
        Some(name) => state.plugins.get(name)?.into_iter().map(|entry| (name, entry)).collect(),
        None => state.plugins.iter()?.collect::<Vec<_>>(),
    };
    for (name, entry) in named {
        plugins.push(one(home, (name, entry), (project, now), &mut candidates, (consenting, online)));
    }
    Ok(UpgradeReport { plugins, warnings: candidates.warnings })
}

/// Whether it is pinned to the version that is installed.
fn is_held(entry: &Entry) -> bool {
    entry.pinned.as_ref() == Some(&entry.version)
}

fn one(
    home: &Home,
    (name, entry): (&PluginName, &Entry),
    (project, now): (Option<&Path>, &str),
    candidates: &mut Candidates<'_>,
    (consenting, online): (&mut Consenting<'_>, &mut Online<'_>),
) -> Upgrade {
    let stays = |outcome, reason, error| {
        let (name, version) = (name.clone(), entry.version.clone());
        Upgrade { name, version, outcome, installed: None, reason, error, followed: Followed::default() }
    };
    if is_held(entry) {
        return stays(UpgradeOutcome::Pinned, None, None);
    }
    let refused =
        |error: ManageError| stays(UpgradeOutcome::Refused, Some(format!("{}: {error}", error.code())), Some(error));
    let found = match candidates.newest((name, entry), online) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let places = candidates.places(entry);
            let stays = stays(UpgradeOutcome::Current, Some(format!("nothing newer in {places}")), None);
            return match caught_up(home, project, (name, entry)) {
                Ok(followed) => Upgrade { followed, ..stays },
                Err(error) => refused(error),
            };
        }
        Err(error) => return refused(error),
    };
    let project = match behind(project, name, &found.version) {
        Ok(project) => project.map(Path::to_owned),
        Err(error) => return refused(error),
    };
    let request = InstallRequest {
        source: found.source,
        expected: Expected { name: Some(name.clone()), ..Expected::default() },
        is_dry_run: false,
        allow_unsigned: false,
        trust_key: None,
        allowed: Allowed::default(),
        project,
        now: now.to_owned(),
    };
    match install(home, &request, consenting) {
        Ok(report) => Upgrade {
            name: name.clone(),
            version: report.version.clone(),
            outcome: UpgradeOutcome::Upgraded,
            installed: Some(report),
            reason: None,
            error: None,
            followed: Followed::default(),
        },
        Err(error) => refused(error),
    }
}

/// The project, if its lock names an older version of a plugin. One that names a newer one is not turned back.
fn behind<'a>(
    project: Option<&'a Path>,
    name: &PluginName,
    version: &Version,
) -> Result<Option<&'a Path>, ManageError> {
    let Some(project) = project else { return Ok(None) };
    let lock = Lock::of(project)?;
    let is_behind = lock.is_some_and(|lock| lock.plugins.get(name).is_some_and(|locked| locked.version < *version));
    Ok(is_behind.then_some(project))
}

/// Lets the lock follow what an earlier upgrade installed: that one may have been interrupted, or have left the lock alone.
fn caught_up(
    home: &Home,
    project: Option<&Path>,
    (name, entry): (&PluginName, &Entry),
) -> Result<Followed, ManageError> {
    let Some(project) = behind(project, name, &entry.version)? else { return Ok(Followed::default()) };
    let writer = home.writer()?;
    let same = writer.state().plugins.get(name)?.filter(|now| *now == entry);
    let entry = same.ok_or_else(|| ManageError::Changed { name: name.clone() })?;
    let relock = Relock::stage_named(home, project, (name, Some(entry)))?;
    Ok(Followed::of(relock.map(Relock::put)))
}

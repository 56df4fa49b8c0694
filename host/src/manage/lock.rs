//! `migraine.lock`: which plugins a project is run with, byte for byte. One entry holds for every kind of machine, since a
//! package's digest is that of its index, which names the files for all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::ManageError;
use super::list::Warning;
use super::lock_source::LockedSource;
use super::source::read;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::dependency::{Need, needs};
use crate::runtime::{Around, fitting, signer};
use crate::store::{Entry, Home, State, Status};
use crate::text::safe_line;
use crate::trust::Keyring;
use crate::trust::keyring::{Staged, forget_staged, save_public, stage_public};

/// The name of the file, in the directory of a project.
pub const LOCK_FILE: &str = "migraine.lock";
const FORMAT: u32 = 1;
/// The largest lock file in bytes.
const LOCK_MAX: usize = 1 << 20;
/// What a digest begins with.
const SHA256: &str = "sha256:";

/// The lock of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// The plugins, by name.
    pub plugins: BTreeMap<PluginName, Locked>,
}

/// A plugin as it is locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its name.
    pub name: PluginName,
    /// Its version.
    pub version: Version,
    /// The digest of its index.
    pub digest: TypedDigest,
    /// The key that signed it.
    pub key: Fingerprint,
    /// Where it can be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<LockedSource>,
}

/// A digest with its kind, `sha256:` and 64 lower-case hexadecimal digits: no other kind is taken, and none without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypedDigest(pub Digest);

impl fmt::Display for TypedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SHA256}{}", self.0)
    }
}

impl FromStr for TypedDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(SHA256).and_then(|digits| digits.parse().ok());
        digits.map(Self).ok_or_else(|| {
            format!("`{}` is no digest; it is `sha256:` and 64 lower-case hexadecimal digits", text.escape_debug())
        })
    }
}

impl Serialize for TypedDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TypedDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    plugins: Vec<Locked>,
}

/// What was locked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LockReport {
    /// The file.
    pub path: PathBuf,
    /// The plugins in it.
    pub plugins: Vec<Locked>,
    /// Whether it was written: it holds something else than before.
    pub changed: bool,
    /// What cannot be locked.
    pub warnings: Vec<Warning>,
}

/// What is installed otherwise than it is locked, one sentence each.
pub type Differences = Vec<String>;

impl Lock {
    /// Reads the text of a lock file.
    ///
    /// # Errors
    /// Anything but the accepted form, in words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("it has format {}, this program knows {FORMAT}", file.format));
        }
        let mut plugins = BTreeMap::new();
        for locked in file.plugins {
            let name = locked.name.clone();
            if plugins.insert(name.clone(), locked).is_some() {
                return Err(format!("the plugin {name} is there twice"));
            }
        }
        Ok(Self { plugins })
    }

    /// The text of the file: the same plugins give the same text.
    #[must_use]
    pub fn render(&self) -> String {
        let file = File { format: FORMAT, plugins: self.plugins.values().cloned().collect() };
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// The lock of a project; `None` where there is none.
    ///
    /// # Errors
    /// The file cannot be read or is not valid.
    pub fn of(project: &Path) -> Result<Option<Self>, ManageError> {
        let path = project.join(LOCK_FILE);
        let text = match read(&path, LOCK_MAX) {
            Err(ManageError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(ManageError::Package { source, .. }) => {
                return Err(ManageError::Lock { path, why: source.to_string() });
            }
            text => text?,
        };
        Self::parse(&text).map(Some).map_err(|why| ManageError::Lock { path, why })
    }

    /// The lock that a command needs.
    ///
    /// # Errors
    /// As [`Lock::of`], or there is none.
    pub fn needed(project: &Path) -> Result<Self, ManageError> {
        let path = project.join(LOCK_FILE);
        let absent =
            || ManageError::Lock { path, why: "there is no such file; `migraine plugin lock` writes one".to_owned() };
        Self::of(project)?.ok_or_else(absent)
    }

    /// Compares what is installed with it. Whatever is enabled has a part in a run, so it must be locked.
    ///
    /// # Errors
    /// What is held of an installed plugin cannot be read.
    pub fn differences(&self, state: &State) -> Result<Differences, ManageError> {
        let (mut found, plugins) = (Vec::new(), state.all());
        for locked in self.plugins.values() {
            match plugins.get(&locked.name)? {
                None => found.push(format!("{} {} is not installed", locked.name, locked.version)),
                Some(entry) => found.extend(difference(locked, entry)),
            }
        }
        let enabled = plugins.iter()?.filter(|(_, entry)| entry.status() == Status::Enabled);
        let extra = enabled.filter(|(name, _)| !self.plugins.contains_key(*name));
        found.extend(extra.map(|(name, entry)| format!("{name} {} is enabled and not in the lock", entry.version)));
        Ok(found)
    }
}

/// How an installed plugin differs from what is locked, in words.
pub(super) fn difference(locked: &Locked, entry: &Entry) -> Option<String> {
    let name = &locked.name;
    if entry.link.is_some() {
        return Some(format!("{name} is linked to files under development"));
    }
    if entry.version != locked.version {
        return Some(format!("{name} is installed in version {}, locked is {}", entry.version, locked.version));
    }
    if entry.digest != locked.digest.0 {
        return Some(format!(
            "{name} {} has the digest sha256:{}, locked is {}",
            entry.version, entry.digest, locked.digest
        ));
    }
    if signer(entry) != Some(locked.key) {
        return Some(format!("{name} {} is not signed by {}", entry.version, locked.key));
    }
    let status = entry.status();
    (status != Status::Enabled).then(|| format!("{name} {} is not enabled (status: {status})", entry.version))
}

/// An installed plugin as it is locked; what nobody signed cannot be.
fn locked(name: &PluginName, entry: &Entry, source: Option<LockedSource>) -> Option<Locked> {
    let (name, version, digest) = (name.clone(), entry.version.clone(), TypedDigest(entry.digest));
    Some(Locked { name, version, digest, key: signer(entry)?, source })
}

/// What a lock says of where packages are: a server that one came from; else what the lock said before of the same package,
/// which may be of another machine; else the file that it came from.
struct Places<'a> {
    home: &'a Home,
    project: &'a Path,
    before: &'a Lock,
}

impl Places<'_> {
    fn of(&self, name: &PluginName, entry: &Entry) -> Option<LockedSource> {
        let before = self.before.plugins.get(name).filter(|before| before.digest.0 == entry.digest);
        let before = || before.and_then(|before| before.source.clone());
        let file = || LockedSource::file(self.home, self.project, entry);
        LockedSource::server(entry).or_else(before).or_else(file)
    }
}

/// Which plugins are locked or bundled.
#[derive(Debug, Clone, Copy)]
pub struct LockRequest<'a> {
    /// Those, and what they need; all that are enabled, where none is named.
    pub names: &'a [PluginName],
    /// Also where something that is needed does not go along, where nothing is left, or where a file would be replaced that
    /// is none of ours.
    pub force: bool,
}

/// Writes the lock of a project.
///
/// # Errors
/// One that is named is not installed or not signed, something that is needed is missing, a lock would become an empty one,
/// or the file cannot be written.
pub fn lock(home: &Home, project: &Path, request: LockRequest<'_>) -> Result<LockReport, ManageError> {
    let before = Lock::of(project).ok().flatten().unwrap_or_default();
    let places = Places { home, project, before: &before };
    let (lock, warnings) = collected(home, &home.read()?, request, &|name, entry| places.of(name, entry))?;
    if lock.plugins.is_empty() && !before.plugins.is_empty() && !request.force {
        let kept = Some(project.join(LOCK_FILE));
        return Err(ManageError::NothingToLock { verb: "lock", kept, left_out: sentences(&warnings) });
    }
    written(project, lock, warnings)
}

/// Where a plugin can be had.
pub(super) type SourceOf<'a> = &'a dyn Fn(&PluginName, &Entry) -> Option<LockedSource>;

/// The lock of what is asked for, and what cannot be locked.
pub(super) fn collected(
    home: &Home,
    state: &State,
    LockRequest { names, force }: LockRequest<'_>,
    source: SourceOf<'_>,
) -> Result<(Lock, Vec<Warning>), ManageError> {
    let (mut wanted, plugins) = (names.to_vec(), state.all());
    if names.is_empty() {
        let enabled = plugins.iter()?.filter(|(_, entry)| entry.status() == Status::Enabled);
        wanted = enabled.map(|(name, _)| name.clone()).collect();
    }
    let (mut lock, mut warnings, mut unmet) = (Lock::default(), Vec::new(), Vec::new());
    let keys = Keyring::load_from(&home.keys_path())?;
    let around = Around { others: &plugins, keys: &keys };
    while let Some(name) = wanted.pop() {
        if lock.plugins.contains_key(&name) {
            continue;
        }
        let entry = plugins.get(&name)?.ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
        match locked(&name, entry, source(&name, entry)) {
            Some(locked) => {
                warnings.extend(secret_address(&name, entry));
                let needed = needs(&entry.dependencies);
                unmet.extend(needed.iter().filter_map(|need| unmet_need(&name, entry, need, around)));
                let installed = needed.into_iter().map(|need| need.name);
                wanted.extend(installed.filter(|needed| plugins.contains_key(needed)));
                lock.plugins.insert(name, locked);
            }
            None if names.contains(&name) => return Err(ManageError::NotLockable { name }),
            None => warnings.push(left_out(&name, "nobody signed it")),
        }
    }
    if names.is_empty() {
        // What would run is meant to be a part of it.
        let broken = plugins.iter()?.filter(|(_, entry)| entry.decided.enabled && entry.status() != Status::Enabled);
        let broken = broken.filter(|(name, _)| !lock.plugins.contains_key(*name));
        warnings.extend(broken.map(|(name, entry)| left_out(name, &standing(entry))));
    }
    match (unmet.is_empty(), force) {
        (false, false) => return Err(ManageError::LockNeeds { unmet }),
        _ => warnings.extend(unmet.into_iter().map(|message| Warning { name: String::new(), message })),
    }
    Ok((lock, warnings))
}

fn left_out(name: &PluginName, why: &str) -> Warning {
    Warning { name: name.to_string(), message: format!("is left out: {why}") }
}

fn standing(entry: &Entry) -> String {
    let reason = entry.problem.as_ref().map(|problem| format!(" ({})", safe_line(&problem.reason)));
    format!("its status is {}{}", entry.status(), reason.unwrap_or_default())
}

/// What a plugin needs and would not find where the lock is installed, in words.
fn unmet_need(name: &PluginName, entry: &Entry, need: &Need, around: Around<'_>) -> Option<String> {
    let why = match fitting(need, entry, around) {
        Ok(found) if signer(found).is_some() => return None,
        Ok(found) => format!("{} {} cannot be locked: nobody signed it", need.name, found.version),
        Err(why) => why,
    };
    Some(format!("{name} {} needs `plugin:{need}`: {why}", entry.version))
}

/// Warnings as sentences of their own.
pub(super) fn sentences(warnings: &[Warning]) -> Vec<String> {
    warnings.iter().map(|Warning { name, message }| format!("{name} {message}").trim().to_owned()).collect()
}

/// A query can hold a token, and a lock is for everybody.
fn secret_address(name: &PluginName, entry: &Entry) -> Option<Warning> {
    let remote = entry.remote.as_ref().filter(|remote| !remote.url.is_plain())?;
    let message = format!("is locked without the address that it came from, whose query may be secret: {}", remote.url);
    Some(Warning { name: name.to_string(), message })
}

/// A project's lock that follows what is about to change, written beside it: that it can be written is known before anything
/// changes.
pub(super) struct Relock {
    staged: Option<Staged>,
    report: LockReport,
}

impl Relock {
    /// The lock of a project, if there is one, with these plugins as they will be; what cannot be locked goes out of it.
    ///
    /// # Errors
    /// As [`Lock::of`], or the file cannot be written.
    pub(super) fn stage<'a>(
        home: &Home,
        project: &Path,
        entries: impl Iterator<Item = (&'a PluginName, &'a Entry)>,
    ) -> Result<Option<Self>, ManageError> {
        let Some(before) = Lock::of(project)? else { return Ok(None) };
        Self::follow(home, project, &before, entries.map(|(name, entry)| (name, Some(entry)))).map(Some)
    }

    /// The lock of a project, if it names this plugin, with what it will be; what will be gone goes out of it as well.
    ///
    /// # Errors
    /// As [`Relock::stage`].
    pub(super) fn stage_named(
        home: &Home,
        project: &Path,
        (name, entry): (&PluginName, Option<&Entry>),
    ) -> Result<Option<Self>, ManageError> {
        let before = Lock::of(project)?.filter(|before| before.plugins.contains_key(name));
        before.map(|before| Self::follow(home, project, &before, std::iter::once((name, entry)))).transpose()
    }

    fn follow<'a>(
        home: &Home,
        project: &Path,
        before: &Lock,
        entries: impl Iterator<Item = (&'a PluginName, Option<&'a Entry>)>,
    ) -> Result<Self, ManageError> {
        let (mut lock, places) = (before.clone(), Places { home, project, before });
        for (name, entry) in entries {
            match entry.and_then(|entry| locked(name, entry, places.of(name, entry))) {
                Some(locked) => drop(lock.plugins.insert(name.clone(), locked)),
                None => drop(lock.plugins.remove(name)),
            }
        }
        let path = project.join(LOCK_FILE);
        let text = lock.render();
        let changed = read(&path, LOCK_MAX).ok().as_deref() != Some(text.as_bytes());
        let staged = changed.then(|| stage_public(&path, text.as_bytes())).transpose();
        let staged = staged.map_err(|source| ManageError::Relock { source: Box::new(source) })?;
        if !changed {
            forget_staged(&path);
        }
        let plugins = lock.plugins.into_values().collect();
        Ok(Self { staged, report: LockReport { path, plugins, changed, warnings: Vec::new() } })
    }

    /// Puts it into its place, once the change is made.
    ///
    /// # Errors
    /// That failed; in words that say what is so now.
    pub(super) fn put(self) -> Result<LockReport, String> {
        let Self { staged, report } = self;
        staged.map_or(Ok(()), Staged::put).map(|()| report).map_err(|error| behind(&error))
    }
}

/// What is so where the change was made and the lock did not follow.
pub(super) fn behind(why: &dyn fmt::Display) -> String {
    format!("the change is made, and the lock of the project may not follow it: {why}")
}

/// What became of the lock of a project along with a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Followed {
    /// Why it did not follow, although the change was made.
    #[serde(rename = "lock_problem", skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The lock that did.
    #[serde(skip)]
    pub lock: Option<LockReport>,
}

impl Followed {
    pub(super) fn of(put: Option<Result<LockReport, String>>) -> Self {
        match put.transpose() {
            Ok(lock) => Self { problem: None, lock },
            Err(why) => Self { problem: Some(why), lock: None },
        }
    }

    /// The lock, where it holds something else than before.
    #[must_use]
    pub fn changed(&self) -> Option<&LockReport> {
        self.lock.as_ref().filter(|lock| lock.changed)
    }
}

fn written(project: &Path, lock: Lock, warnings: Vec<Warning>) -> Result<LockReport, ManageError> {
    let path = project.join(LOCK_FILE);
    let text = lock.render();
    let changed = read(&path, LOCK_MAX).ok().as_deref() != Some(text.as_bytes());
    if changed {
        save_public(&path, text.as_bytes(), true)?;
    }
    Ok(LockReport { path, plugins: lock.plugins.into_values().collect(), changed, warnings })
}

/// Refuses to go on where something is installed otherwise than the project's lock says.
///
/// # Errors
/// As [`Lock::needed`], or something differs.
pub fn check_lock(home: &Home, project: &Path) -> Result<(), ManageError> {
    let differences = Lock::needed(project)?.differences(&home.read()?)?;
    if differences.is_empty() { Ok(()) } else { Err(ManageError::LockDiffers { differences }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn text(digest: &str, more: &str) -> String {
        format!(
            r#"{{"format":1,"plugins":[{{"name":"a","version":"1.0.0","digest":"{digest}","key":"ed25519:{DIGITS}"{more}}}]}}"#
        )
    }

    #[test]
    fn a_lock_reads_what_it_writes() {
        let lock = Lock::parse(text(&format!("sha256:{DIGITS}"), "").as_bytes()).unwrap();
        assert_eq!(Lock::parse(lock.render().as_bytes()).unwrap(), lock);
        assert!(lock.render().ends_with("}\n"));
    }

    #[test]
    fn a_digest_has_its_kind_and_one_spelling() {
        let upper = format!("sha256:{}", DIGITS.to_uppercase());
        for digest in [DIGITS, "md5:d41d8cd98f00b204e9800998ecf8427e", &upper, "sha256:../../x", "sha256:", "sha512:00"]
        {
            assert!(Lock::parse(text(digest, "").as_bytes()).is_err(), "{digest}");
        }
    }

    #[test]
    fn every_other_text_is_refused() {
        let good = text(&format!("sha256:{DIGITS}"), "");
        for (from, to) in [
            (r#""format":1"#, r#""format":2"#),
            (r#""name":"a""#, r#""name":"../a""#),
            (r#""version":"1.0.0""#, r#""version":"latest""#),
            ("]}", r#"],"trust":["*"]}"#),
            (r#""plugins":["#, r#""plugins":[{},"#),
        ] {
            assert!(Lock::parse(good.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
        let with = |more: &str| Lock::parse(text(&format!("sha256:{DIGITS}"), more).as_bytes());
        assert!(with(r#","origin":"x""#).is_err() && with(r#","source":"https://a@h/x.mgp""#).is_err());
        let lock = with(r#","source":"https://h/x.mgp""#).unwrap();
        assert!(lock.render().contains(r#""source": "https://h/x.mgp""#));
        let twice = good.replacen("[{", "[{\"name\":\"a\",\"version\":\"1.0.0\",\"digest\":\"sha256:", 1);
        assert!(Lock::parse(twice.as_bytes()).is_err());
    }
}

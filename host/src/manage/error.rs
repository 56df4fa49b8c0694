//! Why a verb was refused or failed.

mod coded;

use std::io;
use std::path::PathBuf;

use super::companions::Companion;
use super::keys::KeyError;
use super::origin::NowhereFound;
use super::resolve::ResolveError;
use crate::fetch::FetchError;
use crate::ids::{Digest, PluginName};
use crate::package::PackageError;
use crate::policy::{Ask, PolicyError, Refusal};
use crate::runtime::Requirement;
use crate::store::{Status, StoreError};
use crate::text::{safe_line, safe_path};
use crate::trust::{PublicKey, TrustError};
use crate::url::{Url, UrlError};
use crate::wire::DIRECTORIES_MAX;

/// A verb that was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signature, the key or the keyring is refused.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Something about keys is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A word is no address that anything is fetched from.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Something was not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is nothing at an address.
    #[error("there is no package there; tried:{}", tried_lines(tried))]
    NothingThere {
        /// What was tried, and what was found there instead.
        tried: Vec<(Url, String)>,
    },
    /// A server hands out what nobody vouches for.
    #[error("{name} from {url} has no signature, and nothing is installed from a server without one")]
    RemoteUnsigned {
        /// Where.
        url: Url,
        /// The name in its index.
        name: PluginName,
    },
    /// A word is neither a file nor the name of a plugin that is there.
    #[error("there is no file and no plugin `{}`; looked in:{}", _0.name, difference_lines(&_0.looked))]
    NameNotFound(Box<NowhereFound>),
    /// A word is no file, and cannot be the name of a plugin.
    #[error(
        "there is no file `{}`, and it is no name of a plugin: names have small letters, digits and dashes",
        safe_line(word)
    )]
    NoName {
        /// The word.
        word: String,
        /// An installed plugin that may be meant.
        similar: Option<PluginName>,
        /// The plugins folder.
        folder: PathBuf,
    },
    /// A plugin has another name than the one that was asked for.
    #[error("{} is `{found}`, and not `{asked}`, which was asked for", safe_line(&place.to_string_lossy()))]
    NameMismatch {
        /// The name that was asked for.
        asked: PluginName,
        /// The one that it has.
        found: PluginName,
        /// The file or address.
        place: PathBuf,
    },
    /// The name of something new looks like one that is known.
    #[error("the name `{name}` could be taken for `{known}`, which is another plugin")]
    Lookalike {
        /// The name.
        name: PluginName,
        /// The one that is known.
        known: PluginName,
    },
    /// A digest is not of the one accepted form.
    #[error("`{text}` is no digest that can be compared")]
    DigestFormat {
        /// What was typed, made safe to show.
        text: String,
    },
    /// The digest is another one.
    #[error("{} is not what was expected:\n  expected  sha256:{expected}{}\n  index     sha256:{index}",
        safe_line(&place.to_string_lossy()), file.map(|file| format!("\n  file      sha256:{file}")).unwrap_or_default())]
    DigestMismatch {
        /// The file or address.
        place: PathBuf,
        /// The expected digest.
        expected: Digest,
        /// That of the file, if it is one file.
        file: Option<Digest>,
        /// That of its index.
        index: Digest,
    },
    /// It is the administrator's, and every user has it.
    #[error("plugin {name} belongs to the system store, which only root changes")]
    OfSystem {
        /// The plugin.
        name: PluginName,
    },
    /// The administrator does not offer it now.
    #[error("plugin {name} of the system store is not enabled there, so nobody can enable it")]
    Withheld {
        /// The plugin.
        name: PluginName,
    },
    /// A package is refused.
    #[error("{}: {source}", safe_line(&path.to_string_lossy()))]
    Package {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PackageError,
    },
    /// A grant or a scope makes no sense.
    #[error("{name}: {source}")]
    Policy {
        /// The plugin.
        name: PluginName,
        /// Why.
        source: PolicyError,
    },
    /// A policy file, or a default of it, does not allow something.
    #[error("{}: {source}", safe_line(what))]
    Refused {
        /// The plugin or the file.
        what: String,
        /// Why.
        source: Box<Refusal>,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", safe_line(&path.to_string_lossy()))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path that cannot be written down.
    #[error("{} cannot be recorded: it is not valid UTF-8", safe_path(path))]
    PathText {
        /// The path.
        path: PathBuf,
    },
    /// A directory that no plugin may have.
    #[error("no plugin may have {}: {why}", safe_line(&path.to_string_lossy()))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// More directories than a plugin can have.
    #[error("{name} can have {DIRECTORIES_MAX} directories, and these would be {count}")]
    TooManyDirectories {
        /// The plugin.
        name: PluginName,
        /// How many.
        count: usize,
    },
    /// A directory that was named is none.
    #[error("{} is no directory that can be granted: {source}", safe_line(&path.to_string_lossy()))]
    NoDirectory {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is to be taken back is not granted.
    #[error("{name} does not hold `{grant}`")]
    NotHeld {
        /// The plugin.
        name: PluginName,
        /// What was to be taken back.
        grant: String,
        /// What it holds, as grants.
        held: Vec<String>,
    },
    /// A manifest without a library.
    #[error("{} describes a plugin and holds no code to install", safe_line(&path.to_string_lossy()))]
    NoLibrary {
        /// The manifest.
        path: PathBuf,
    },
    /// A source cannot be built.
    #[error("cannot build {}: {reason}", safe_line(&path.to_string_lossy()))]
    Build {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A directory without a manifest.
    #[error("{} holds no plugin.yaml and no plugin.json", safe_line(&path.to_string_lossy()))]
    NoManifest {
        /// The directory.
        path: PathBuf,
    },
    /// A directory without anything that could be installed.
    #[error("{} holds no plugin: no plugin.yaml, no plugin.json, no package and no library", safe_line(&path.to_string_lossy()))]
    EmptyFolder {
        /// The directory.
        path: PathBuf,
    },
    /// A directory with several things that could be installed.
    #[error("{} holds several plugins, or one in several forms: {}", safe_line(&folder.to_string_lossy()), paths_line(paths))]
    Ambiguous {
        /// The directory.
        folder: PathBuf,
        /// What could be meant.
        paths: Vec<PathBuf>,
    },
    /// A directory with more than one manifest.
    #[error("one of these must go, since only one manifest can count: {}", paths_line(paths))]
    TwoManifests {
        /// The manifests.
        paths: Vec<PathBuf>,
    },
    /// There is no such plugin.
    #[error("there is no plugin `{name}`")]
    NotFound {
        /// The name.
        name: PluginName,
    },
    /// Something that the plugin asks for was not granted.
    #[error("{name} asks for what was not granted:{}{}", lines(missing), other_maker.as_ref().map(|other| format!("\n  {other}")).unwrap_or_default())]
    Consent {
        /// The plugin.
        name: PluginName,
        /// What is missing.
        missing: Vec<Ask>,
        /// Whose plugin it takes the place of, in a sentence, where that is somebody else's.
        other_maker: Option<String>,
        /// The command line that grants it, up to the flags.
        command: String,
    },
    /// The version is older than the newest that was seen.
    #[error("{name} {offered} is older than {newest}, which {}", if *installed { "is installed" } else { "was installed before" })]
    Rollback {
        /// The plugin.
        name: PluginName,
        /// The newest version that was seen.
        newest: semver::Version,
        /// The version of the package.
        offered: semver::Version,
        /// Whether the newest is installed now.
        installed: bool,
    },
    /// The version was seen with another content.
    #[error("{name} {version} is not the {version} that was installed before: its content is another one")]
    Reused {
        /// The plugin.
        name: PluginName,
        /// The version.
        version: semver::Version,
    },
    /// The plugin is pinned to another version.
    #[error("{name} is pinned to {pinned}, so that {offered} cannot take its place")]
    Pinned {
        /// The plugin.
        name: PluginName,
        /// The version it is pinned to.
        pinned: semver::Version,
        /// The version that was to be installed.
        offered: semver::Version,
    },
    /// A plugin would be pinned to a version that is gone.
    #[error("{name} cannot be pinned to {version}: {installed} is installed, which is newer")]
    PinBack {
        /// The plugin.
        name: PluginName,
        /// The installed version.
        installed: semver::Version,
        /// The version to be pinned.
        version: semver::Version,
    },
    /// There is no version to go back to.
    #[error("no version of {name} from before {version} is kept")]
    NoPrevious {
        /// The plugin.
        name: PluginName,
        /// The installed version.
        version: semver::Version,
    },
    /// Nothing is known of a plugin.
    #[error("nothing was recorded of a plugin `{name}`")]
    NoHistory {
        /// The name.
        name: PluginName,
    },
    /// The versions of plugins that need each other cannot be settled.
    #[error(transparent)]
    Resolve(Box<ResolveError>),
    /// Other plugins would be installed as well, and nobody agreed to that.
    #[error("{name} needs other plugins, which would be installed along with it:{}", companion_lines(companions))]
    Companions {
        /// The plugin.
        name: PluginName,
        /// What it needs.
        companions: Vec<Companion>,
        /// The command line that agrees.
        command: String,
    },
    /// Packages would be fetched from where a lock says, and nobody agreed to that.
    #[error(
        "these packages are not on this machine; the lock says where they are handed out:{}",
        difference_lines(places)
    )]
    FetchConsent {
        /// Each package and its address.
        places: Vec<String>,
        /// The command line that agrees.
        command: String,
    },
    /// Something that the plugin needs is missing, or not enabled.
    #[error("{name} needs `{}`: {}", safe_line(&requirement.needs), requirement.found)]
    Needs {
        /// The plugin.
        name: PluginName,
        /// What is missing.
        requirement: Box<Requirement>,
    },
    /// The version before needs other plugins than there are.
    #[error("{name} {version} needs `{}`: {}", safe_line(&requirement.needs), requirement.found)]
    RollbackNeeds {
        /// The plugin.
        name: PluginName,
        /// The version before.
        version: semver::Version,
        /// What is missing.
        requirement: Box<Requirement>,
    },
    /// Another plugin needs a newer version than the one before.
    #[error("{by} needs `{}`, which {name} {version} is not", safe_line(needs))]
    RollbackBreaks {
        /// The plugin.
        name: PluginName,
        /// The version before.
        version: semver::Version,
        /// The other plugin.
        by: PluginName,
        /// What that needs.
        needs: String,
    },
    /// Other plugins need the plugin.
    #[error("{name} is needed by {}", names_line(by))]
    InUse {
        /// The plugin.
        name: PluginName,
        /// Those that need it.
        by: Vec<PluginName>,
    },
    /// A plugin of that name is there otherwise than it is asked for: linked, or installed.
    #[error("{name} is there already: what is installed and what is linked do not take each other's place")]
    LinkTaken {
        /// The plugin.
        name: PluginName,
    },
    /// What is asked for by its name is linked.
    #[error("{name} is linked to {}, and runs from there", safe_line(&path.to_string_lossy()))]
    Linked {
        /// The plugin.
        name: PluginName,
        /// The files.
        path: PathBuf,
    },
    /// The plugin is installed and not linked.
    #[error("{name} is not linked")]
    NotLinked {
        /// The plugin.
        name: PluginName,
    },
    /// The files that a plugin is linked to are other ones by now.
    #[error("{name} is linked to {}, {}", safe_line(&path.to_string_lossy()), changed_how(why.as_deref()))]
    LinkChanged {
        /// The plugin.
        name: PluginName,
        /// The files.
        path: PathBuf,
        /// Why they cannot be read, if they cannot.
        why: Option<Box<Self>>,
    },
    /// Somebody else could have written what is to be linked.
    #[error("{} cannot be linked: {why}", safe_line(&path.to_string_lossy()))]
    NotOwn {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A lock file is not there, or not valid.
    #[error("{}: {}", safe_line(&path.to_string_lossy()), safe_line(why))]
    Lock {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The lock of a project cannot follow a change, which was not made then.
    #[error("nothing was changed, since the lock of the project could not follow: {source}")]
    Relock {
        /// Why.
        source: Box<TrustError>,
    },
    /// Something differs from the lock.
    #[error("this is not what the lock says:{}", difference_lines(differences))]
    LockDiffers {
        /// What, one sentence each.
        differences: Vec<String>,
    },
    /// What nobody signed cannot be locked or bundled.
    #[error("{name} cannot be locked: nobody signed it")]
    NotLockable {
        /// The plugin.
        name: PluginName,
    },
    /// Several plugins of a lock are signed by keys that are not trusted for them.
    #[error("these keys are not trusted for what they sign:{}", stranger_lines(keys))]
    Strangers {
        /// The keys, each with the plugins that it signed.
        keys: Vec<(Box<PublicKey>, Vec<PluginName>)>,
    },
    /// What is to be locked or bundled would not go together where it is installed.
    #[error("what is needed would be missing where this is installed:{}", difference_lines(unmet))]
    LockNeeds {
        /// What is needed and does not go along, one sentence each.
        unmet: Vec<String>,
    },
    /// Nothing is left to be locked or bundled.
    #[error(
        "there is nothing to {verb}: no plugin is enabled that can be{}{}",
        kept.as_ref().map(|path| format!(", and {} names plugins", safe_path(path))).unwrap_or_default(),
        difference_lines(left_out)
    )]
    NothingToLock {
        /// The verb.
        verb: &'static str,
        /// The lock that would have become an empty one.
        kept: Option<PathBuf>,
        /// What is left out, and why, one sentence each.
        left_out: Vec<String>,
    },
    /// A file would have been replaced that is no earlier one of what was made.
    #[error("{} is there already, and {why}", safe_path(path))]
    NotReplaced {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A bundle holds something else than its lock names.
    #[error("{} is no bundle of plugins: {}", safe_line(&path.to_string_lossy()), safe_line(why))]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The plugins of a directory were never trusted.
    #[error("the plugins of {} are not trusted", safe_line(&path.to_string_lossy()))]
    ProjectUnknown {
        /// The directory.
        path: PathBuf,
    },
    /// Another process changed the plugin while this one was deciding.
    #[error("{name} was changed by another process at the same time")]
    Changed {
        /// The plugin.
        name: PluginName,
    },
    /// The plugin has no such configuration key.
    #[error("{name} has no configuration key `{}`", safe_line(key))]
    NoKey {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: String,
        /// The keys that it has.
        known: Vec<String>,
    },
    /// A configuration value is of the wrong kind.
    #[error("{name}: `{}` is not valid for `{}`: {why}", safe_line(value), safe_line(key))]
    Value {
        /// The plugin.
        name: PluginName,
        /// The key.
        key: String,
        /// The value as it was typed.
        value: String,
        /// Why.
        why: String,
    },
    /// The plugin has no such command.
    #[error("{name} has no command `{}`", safe_line(command))]
    NoCommand {
        /// The plugin.
        name: PluginName,
        /// The command.
        command: String,
    },
    /// The plugin may not run as it stands.
    #[error("{name} cannot run: it is {}{}", standing(*status), reason.as_deref().map(because).unwrap_or_default())]
    NotRunnable {
        /// The plugin.
        name: PluginName,
        /// How it stands.
        status: Status,
        /// Why, for `error` and `quarantined`.
        reason: Option<String>,
    },
}

fn changed_how(why: Option<&ManageError>) -> String {
    why.map_or_else(
        || "whose content is not what was confirmed".to_owned(),
        |why| format!("which cannot be used: {why}"),
    )
}

fn stranger_lines(keys: &[(Box<PublicKey>, Vec<PluginName>)]) -> String {
    let line = |(key, names): &(Box<PublicKey>, Vec<PluginName>)| {
        let scopes: String = names.iter().map(|name| format!(" --scope '{name}'")).collect();
        format!("\n  {}: {}\n    migraine key trust {key}{scopes}", names_line(names), key.fingerprint())
    };
    keys.iter().map(line).collect()
}

fn difference_lines(differences: &[String]) -> String {
    differences.iter().map(|one| format!("\n  {}", safe_line(one))).collect()
}

impl From<ResolveError> for ManageError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(Box::new(error))
    }
}

fn companion_lines(companions: &[Companion]) -> String {
    companions.iter().map(|companion| format!("\n  {}", companion.words())).collect()
}

fn names_line(names: &[PluginName]) -> String {
    names.iter().map(PluginName::as_str).collect::<Vec<_>>().join(", ")
}

fn paths_line(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| safe_line(&path.to_string_lossy())).collect::<Vec<_>>().join(", ")
}

fn tried_lines(tried: &[(Url, String)]) -> String {
    tried.iter().map(|(url, found)| format!("\n  {url}: {found}")).collect()
}

fn standing(status: Status) -> &'static str {
    match status {
        Status::Installed => "installed but not enabled",
        Status::Error => "damaged",
        other => other.as_str(),
    }
}

fn because(reason: &str) -> String {
    format!(" ({})", safe_line(reason))
}

fn lines(missing: &[Ask]) -> String {
    let line = |ask: &Ask| {
        let danger = ask.danger.as_ref().map(|why| format!("\n      DANGEROUS: {why}")).unwrap_or_default();
        format!("\n  {} ({}){danger}", ask.words, ask.item.flag())
    };
    missing.iter().map(line).collect()
}

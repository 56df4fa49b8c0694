//! The state file: which plugins are installed, what each was granted. One read, one checksum; of what is held of each
//! plugin, what is asked for.
//!
//! The first line is a header `{"format":1,"generation":N,"checksum":"HEX"}`, the rest is the body, a JSON object. The
//! checksum is the SHA-256 digest of the generation in decimal, a line feed and the body. What the body holds of each
//! plugin is a line of its own; older programs wrote all of it as one line, which is read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use memchr::memmem;
use migraine_plugin_api::{CommandSpec, Handler, HookSpec, Permission, Timeout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decided::Decided;
use super::error::StoreError;
use super::history::History;
use super::records::{Chosen, Records, Text};
use super::system::{Overlay, SystemView};
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::policy::Item;
use crate::url::{FileVersion, Url};

const FORMAT: u32 = 1;
/// The form of times in seconds, which are in the order of their texts.
const TIME: &str = "0000-00-00T00:00:00Z";

/// Everything the store knows besides the trees themselves.
#[derive(Debug, Clone)]
pub struct State {
    /// Counts the commits.
    pub generation: u64,
    /// The installed plugins.
    pub plugins: Records<Entry>,
    /// Packages without a signature that the user allowed, by digest.
    pub exceptions: BTreeSet<Digest>,
    /// Plugins whose data is to be removed; an interrupted removal goes on with the next change.
    pub purges: BTreeSet<PluginName>,
    /// What was seen of each plugin, of those that are gone as well.
    pub history: Records<History>,
    /// Projects whose folder of plugins the user trusts, with the digest that the folder's content had then.
    pub projects: BTreeMap<PathBuf, Digest>,
    /// What the user decided about plugins of the system store.
    pub overlays: BTreeMap<PluginName, Overlay>,
    /// Those plugins, as they stand for the user. They are read along, and never written.
    pub system: SystemView,
    /// How many trees the records of plugins named as they were read, if the file tells.
    pub(super) trees_read: Option<usize>,
}

/// One installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its version.
    pub version: semver::Version,
    /// Its tree: the digest of its index.
    pub digest: Digest,
    /// Why it could be installed.
    pub trust: Trust,
    /// What the user decided about it.
    #[serde(flatten)]
    pub decided: Decided,
    /// One line of the author's, not made safe to show.
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// What its manifest asks for; scopes may hold `{{config.KEY}}`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asked: Vec<Permission>,
    /// Its subscriptions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hooks: Vec<HookSpec>,
    /// Its commands.
    #[serde(default, skip_serializing_if = "is_default")]
    pub commands: Vec<CommandSpec>,
    /// Programs and resources it says it needs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dependencies: Vec<String>,
    /// The configuration of its manifest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub defaults: BTreeMap<String, Value>,
    /// When it was installed: RFC 3339, UTC.
    pub installed_at: String,
    /// The file on this machine that it was installed from; what came from elsewhere has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed_from: Option<PathBuf>,
    /// The server that it was fetched from; what came from a file of this machine has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Remote>,
    /// The file that it is linked to while it is developed; what runs is what was confirmed of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBuf>,
    /// What ran its scripts on this machine when it was installed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interpreters: Vec<KnownInterpreter>,
    /// Why it may not run although it is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// The one version that may be installed in its place; absent, every newer one may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<semver::Version>,
    /// The version before, as it stood; its tree is kept. It has none before itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Box<Self>>,
}

/// A program of this machine that runs scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInterpreter {
    /// As a manifest names it: `python`, `bash`, or the name of another.
    pub name: String,
    /// The real file, behind links, virtual environments and shims.
    pub path: PathBuf,
    /// Its version, where its files tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Where on a server a plugin came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The address that was asked, without name and password.
    pub url: Url,
    /// Which version of the file it was.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: FileVersion,
}

/// Why a plugin could be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Signed with a key that was trusted at that time.
    Signed {
        /// The key.
        key: Fingerprint,
        /// The user's own note on the key.
        label: String,
    },
    /// Allowed by an exception for its digest.
    Unsigned,
}

/// Why a plugin may not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which kind.
    pub kind: ProblemKind,
    /// In one sentence, not made safe to show.
    pub reason: String,
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// It cannot be loaded as it is.
    Error,
    /// It failed too often.
    Quarantined,
}

/// How a plugin stands, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Installed, and it may run.
    Enabled,
    /// Installed and switched off.
    Disabled,
    /// Installed and never enabled: it waits for consent.
    Installed,
    /// Found in a plugins folder, not installed.
    Discovered,
    /// It cannot be loaded.
    Error,
    /// It failed too often and was stopped.
    Quarantined,
}

impl Status {
    /// Every status, in the order it is shown in help.
    pub const ALL: [Self; 6] =
        [Self::Enabled, Self::Disabled, Self::Installed, Self::Discovered, Self::Error, Self::Quarantined];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Installed => "installed",
            Self::Discovered => "discovered",
            Self::Error => "error",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| format!("a status is one of {names}"))
    }
}

pub(super) fn status(problem: Option<&Problem>, enabled: bool, was_enabled: bool) -> Status {
    match problem.map(|problem| problem.kind) {
        Some(ProblemKind::Error) => Status::Error,
        Some(ProblemKind::Quarantined) => Status::Quarantined,
        None if enabled => Status::Enabled,
        None if was_enabled => Status::Disabled,
        None => Status::Installed,
    }
}

impl Entry {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        status(self.problem.as_ref(), self.decided.enabled, self.decided.was_enabled)
    }

    /// Whether scripts answer its calls, as far as it tells.
    #[must_use]
    pub fn holds_scripts(&self) -> bool {
        self.hooks.iter().any(|hook| hook.handler.script().is_some())
            || self.commands.iter().any(|command| command.handler.is_some())
    }

    /// The scripts that answer its calls, as far as it tells.
    pub fn scripts(&self) -> impl Iterator<Item = Handler> {
        let of_hooks = self.hooks.iter().flat_map(HookSpec::scripts);
        of_hooks.chain(self.commands.iter().filter_map(|command| command.handler.clone()))
    }

    /// The time that the user granted one of its commands; absent, the host's default holds.
    #[must_use]
    pub fn timeout(&self, command: &str) -> Option<Timeout> {
        self.decided.consents.iter().find_map(|item| match item {
            Item::Timeout { command: granted, timeout } if granted == command => Some(*timeout),
            _ => None,
        })
    }

    /// Its tree, and that of the version before.
    fn trees(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.digest).chain(self.previous.as_ref().map(|previous| previous.digest))
    }

    /// The manifest's configuration with the user's overrides.
    #[must_use]
    pub fn config(&self) -> BTreeMap<String, Value> {
        let mut config = self.defaults.clone();
        config.extend(self.decided.overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
        config
    }
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    generation: u64,
    checksum: Digest,
}

/// What the body holds behind the lines of plugins. Strict: a body with anything else in it, plugins once more for instance,
/// is read whole, and then means the same to every reader or is damaged.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    exceptions: BTreeSet<Digest>,
    #[serde(default)]
    purges: BTreeSet<PluginName>,
    #[serde(default)]
    projects: BTreeMap<PathBuf, Digest>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    overlays: BTreeMap<PluginName, Overlay>,
    /// How many trees the plugins name: with as many in the store, no command left one behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trees: Option<usize>,
}

/// The whole body, in whatever order and on however many lines.
#[derive(Deserialize)]
struct Body {
    plugins: BTreeMap<PluginName, Entry>,
    #[serde(default)]
    history: BTreeMap<PluginName, History>,
    exceptions: BTreeSet<Digest>,
    #[serde(default)]
    purges: BTreeSet<PluginName>,
    #[serde(default)]
    projects: BTreeMap<PathBuf, Digest>,
    #[serde(default)]
    overlays: BTreeMap<PluginName, Overlay>,
}

const PLUGINS: &[u8] = br#"{"plugins":"#;
const HISTORY: &[u8] = br#","history":"#;

impl Default for State {
    fn default() -> Self {
        Self {
            generation: 0,
            plugins: Records::default(),
            exceptions: BTreeSet::new(),
            purges: BTreeSet::new(),
            history: Records::default(),
            projects: BTreeMap::new(),
            overlays: BTreeMap::new(),
            system: SystemView::default(),
            trees_read: Some(0),
        }
    }
}

/// How it was read makes no difference, nor does what is not written.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let Self { generation, plugins, exceptions, purges, history, projects, overlays, system: _, trees_read: _ } =
            self;
        *generation == other.generation
            && *plugins == other.plugins
            && *exceptions == other.exceptions
            && *purges == other.purges
            && *history == other.history
            && *projects == other.projects
            && *overlays == other.overlays
    }
}

impl State {
    /// The content of the state file.
    ///
    /// # Errors
    /// Something in it cannot be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Self { generation, plugins, exceptions, purges, history, projects, overlays, system: _, trees_read: _ } =
            self;
        let header = |checksum| serde_json::to_vec(&Header { format: FORMAT, generation: *generation, checksum });
        // Every checksum is of the same length.
        let mut text = header(Digest::from_bytes([0; 32]))?;
        text.push(b'\n');
        let start = text.len();
        text.extend_from_slice(PLUGINS);
        plugins.write(&mut text)?;
        text.extend_from_slice(HISTORY);
        history.write(&mut text)?;
        let rest = Rest {
            exceptions: exceptions.clone(),
            purges: purges.clone(),
            projects: projects.clone(),
            overlays: overlays.clone(),
            trees: self.count_trees(),
        };
        text.push(b',');
        text.extend_from_slice(serde_json::to_vec(&rest)?.strip_prefix(b"{").unwrap_or_default());
        let header = header(checksum(*generation, &text[start..]))?;
        text[..header.len()].copy_from_slice(&header);
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the content of the state file, all of it.
    ///
    /// # Errors
    /// It is not of the accepted form, or its checksum is another; in words.
    pub fn decode(text: &[u8]) -> Result<Self, String> {
        let state = Self::read(&Arc::new(Text { bytes: text.to_vec(), path: PathBuf::new() }))?;
        state.check().map_err(|error| error.to_string())?;
        Ok(state)
    }

    /// As [`State::decode`]; what is held of plugins is read once it is asked for.
    pub(super) fn read(text: &Arc<Text>) -> Result<Self, String> {
        checked(&text.bytes)?;
        Self::read_checked(text)
    }

    /// As [`State::read`], for a text whose checksum was compared.
    pub(super) fn read_checked(text: &Arc<Text>) -> Result<Self, String> {
        let (Header { generation, .. }, body) = parts(&text.bytes)?;
        if let Some(state) = Self::by_line(text, generation, body.clone()) {
            return Ok(state);
        }
        let body = text.bytes.get(body).unwrap_or_default();
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let Body { plugins, history, exceptions, purges, projects, overlays } = body;
        let (plugins, history) = (plugins.into(), history.into());
        Ok(Self { generation, plugins, exceptions, purges, history, projects, overlays, ..Self::default() })
    }

    fn by_line(text: &Arc<Text>, generation: u64, body: Range<usize>) -> Option<Self> {
        let behind = |at: usize, part: &[u8]| {
            let end = at.checked_add(part.len())?;
            (text.bytes.get(at..end)? == part).then_some(end)
        };
        let (plugins, at) = Records::read(text, behind(body.start, PLUGINS)?)?;
        let (history, at) = Records::read(text, behind(at, HISTORY)?)?;
        let rest = text.bytes.get(behind(at, b",")?..body.end)?;
        let rest = serde_json::from_slice(&[b"{", rest].concat()).ok()?;
        Some(Self::of(generation, plugins, history, rest))
    }

    fn of(generation: u64, plugins: Records<Entry>, history: Records<History>, rest: Rest) -> Self {
        let Rest { exceptions, purges, projects, overlays, trees: trees_read } = rest;
        let system = SystemView::default();
        Self { generation, plugins, exceptions, purges, history, projects, overlays, system, trees_read }
    }

    /// Reads what was not asked for yet.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn check(&self) -> Result<(), StoreError> {
        self.plugins.iter()?;
        self.history.iter()?;
        Ok(())
    }

    /// Why a state file must be left as it is: it can be read, or will be by the program that wrote it.
    pub(super) fn forbids_rescue(text: &[u8]) -> Option<String> {
        let header = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let format = serde_json::from_slice::<Value>(header).ok().and_then(|header| header["format"].as_u64());
        match format {
            Some(format) if format != u64::from(FORMAT) => {
                Some(format!("it has format {format}; a newer program wrote it"))
            }
            _ => Self::decode(text).is_ok().then(|| "it can be read after all".to_owned()),
        }
    }

    /// Whether a tree belongs to an installed plugin, or to the version before.
    ///
    /// # Errors
    /// What may name it cannot be read.
    pub fn refers_to(&self, digest: &Digest) -> Result<bool, StoreError> {
        let named = self.plugins.mentioning(&digest.to_string())?;
        Ok(named.flat_map(|(_, entry)| entry.trees()).any(|tree| tree == *digest))
    }

    /// The plugins that were installed after a moment (RFC 3339, UTC), and possibly others.
    ///
    /// # Errors
    /// What is held of one of them cannot be read.
    pub fn installed_after(&self, time: &str) -> Result<Chosen<'_, Entry>, StoreError> {
        self.plugins.those(|line| !is_of_before(line, time))
    }

    /// Every tree that is kept: of each installed plugin, and of the version before it.
    ///
    /// # Errors
    /// What is held of a plugin cannot be read.
    pub fn trees(&self) -> Result<BTreeSet<Digest>, StoreError> {
        Ok(self.plugins.iter()?.flat_map(|(_, entry)| entry.trees()).collect())
    }

    /// Keeps of the addresses that plugins came from no more than everybody may read. Earlier versions of this program kept
    /// their queries; a record that cannot be read stays as it is.
    pub(super) fn forget_queries(&mut self) {
        // JSON writes the question mark as it is, or as an escape.
        let may = |line: &[u8]| memchr::memchr(b'?', line).is_some() || memmem::find(line, br"\u").is_some();
        for name in self.plugins.named(may) {
            let is_kept = |remote: &Option<Remote>| remote.as_ref().is_none_or(|remote| remote.url.is_plain());
            let of =
                |entry: &Entry| is_kept(&entry.remote) && entry.previous.iter().all(|entry| is_kept(&entry.remote));
            if self.plugins.get(&name).map_or(true, |entry| entry.is_none_or(of)) {
                continue;
            }
            let Ok(Some(entry)) = self.plugins.get_mut(&name) else { continue };
            let plain = |remote: Remote| Some(Remote { url: remote.url.plain()?, ..remote });
            entry.remote = entry.remote.take().and_then(plain);
            if let Some(previous) = &mut entry.previous {
                previous.remote = previous.remote.take().and_then(plain);
            }
        }
    }

    /// How many trees the plugins name; `None` when what was read does not tell.
    pub(super) fn count_trees(&self) -> Option<usize> {
        let count = |entry: &Entry| entry.trees().count();
        let made: usize = self.plugins.made().map(count).sum();
        let replaced: usize = self.plugins.replaced().ok()?.iter().map(count).sum();
        self.trees_read?.checked_add(made)?.checked_sub(replaced)
    }

    /// The trees that plugins named when the state was read, of those that were changed or removed since.
    ///
    /// # Errors
    /// What was held of one cannot be read.
    pub(super) fn replaced_trees(&self) -> Result<BTreeSet<Digest>, StoreError> {
        Ok(self.plugins.replaced()?.iter().flat_map(Entry::trees).collect())
    }
}

/// The generation and the body of a state file, whose checksum fits; the error is the reason.
pub(super) fn checked(text: &[u8]) -> Result<(u64, &[u8]), String> {
    let (header, body) = parts(text)?;
    let body = text.get(body).unwrap_or_default();
    if checksum(header.generation, body) != header.checksum {
        return Err("its checksum does not match its content".to_owned());
    }
    Ok((header.generation, body))
}

/// The header of a state file, and where its body is.
fn parts(text: &[u8]) -> Result<(Header, Range<usize>), String> {
    let at = text.iter().position(|&byte| byte == b'\n').ok_or("it has no header line")?;
    let (header, rest) = text.split_at(at);
    let body = rest.strip_prefix(b"\n").and_then(|rest| rest.strip_suffix(b"\n")).ok_or("its end is missing")?;
    let header: Header = serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    if header.format != FORMAT {
        let format = header.format;
        return Err(format!("it has format {format}, this program knows {FORMAT}; a newer program wrote it"));
    }
    Ok((header, at + 1..at + 1 + body.len()))
}

/// The checksum that stands before a body.
#[must_use]
pub fn checksum(generation: u64, body: &[u8]) -> Digest {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    hasher.update(format!("{generation}\n"));
    hasher.update(body);
    Digest::from_bytes(hasher.finalize().into())
}

/// Whether the text of an entry tells that it was installed before a moment, or at that moment.
fn is_of_before(line: &[u8], time: &str) -> bool {
    const KEY: &str = r#""installed_at":""#;
    let is_time = |text: &[u8]| {
        let fits = |(byte, form): (&u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { *byte == form };
        text.len() == TIME.len() && text.iter().zip(TIME.bytes()).all(fits)
    };
    // The version before has a time as well, and settings may have such a key: all of them must be of before.
    let mut times = memmem::find_iter(line, KEY).map(|at| line.get(at + KEY.len()..).unwrap_or_default()).peekable();
    let is_told = times.peek().is_some() && memmem::find(line, br"\u").is_none() && is_time(time.as_bytes());
    is_told
        && times.all(|text| {
            let (found, end) = text.split_at(text.len().min(TIME.len()));
            is_time(found) && end.starts_with(b"\"") && found <= time.as_bytes()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program wrote that knew neither time for commands nor where directories lead.
    #[test]
    fn an_older_state_is_read() {
        let body = r#"{"plugins":{"demo":{"version":"1.0.0","digest":"DIGEST","trust":"unsigned","enabled":true,"#
            .to_owned()
            + r#""was_enabled":true,"asked":["filesystem","env_vars=A"],"grants":["filesystem","env_vars=A"],"#
            + r#""consents":["env_vars+network","filesystem",{"event":"post-command","pattern":"^git"},{"event":"x"}],"#
            + r#""hooks":[{"event":"x","priority":0,"on_failure":"warn","handler":"h"}],"commands":[{"name":"go"}],"#
            + r#""installed_at":"2026-01-02T03:04:05Z"}},"exceptions":[],"purges":[]}"#;
        let body = body.replace("DIGEST", &Digest::of(b"").to_string());
        let header = format!(r#"{{"format":1,"generation":7,"checksum":"{}"}}"#, checksum(7, body.as_bytes()));
        let state = State::decode(format!("{header}\n{body}\n").as_bytes()).unwrap();
        let entry = state.plugins.get(&"demo".parse().unwrap()).unwrap().unwrap();
        assert_eq!((entry.decided.consents.len(), entry.timeout("go")), (4, None));
        let hook = |event: &str, pattern: Option<&str>| Item::Hook {
            event: event.to_owned(),
            pattern: pattern.map(str::to_owned),
            command: None,
        };
        assert_eq!(entry.decided.consents[2..], [hook("post-command", Some("^git")), hook("x", None)]);
        assert!(entry.decided.directories.is_empty());
    }
}

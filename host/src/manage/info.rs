//! What is shown of a plugin: the fields of the reports, and `info`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use migraine_plugin_api::{CommandSpec, Executable, Handler, HookSpec, Manifest, Permission, Timeout};
use semver::Version;
use serde::Serialize;
use serde_json::Value;

use super::folder::meant;
use super::rules::Rules;
use super::source::{judged, named_plugin, open_file, unpacked};
use super::usage::usage_line;
use super::verify::judge_tree;
use super::{ManageError, manifest_file};
use crate::code::Coded as _;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::package::{Index, Opened};
use crate::policy::Ask;
use crate::runtime::{Around, Requirement, changes, interpreters, keys_of, requirements};
use crate::store::{Entry, Home, Installed, InstalledTree, KnownInterpreter, State, Status, StoreName, Trust};
use crate::trust::Keyring;

/// Everything known of a plugin without running it. Texts of the author are not made safe to show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginInfo {
    /// Its name; the file's name when it cannot be read.
    pub name: String,
    /// Its version; empty when it cannot be read.
    pub version: String,
    /// How it stands.
    pub status: Status,
    /// What answers its calls.
    pub kind: PluginKind,
    /// What its scripts are written in or run by, each once: `python`, `bash`, `program`, or the name of an interpreter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<String>,
    /// What ran them when it was installed; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interpreters: Vec<KnownInterpreter>,
    /// What of it is missing or different now; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interpreter_changes: Vec<String>,
    /// One line of the author's.
    pub description: String,
    /// Who wrote it, as the manifest says; not in lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Its license, as the manifest says; not in lists.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub license: String,
    /// Its commands.
    pub commands: Vec<CommandInfo>,
    /// Programs and resources it says it needs.
    pub dependencies: Vec<String>,
    /// How each of them stands; only `info` of an installed plugin says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Requirement>,
    /// The same in words; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub install_requires: Vec<String>,
    /// Its effective configuration.
    pub config: BTreeMap<String, Value>,
    /// Its subscriptions.
    pub hooks: Vec<HookSpec>,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// What it was granted.
    pub grants: Vec<Permission>,
    /// What that means; only `info` of an installed plugin says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// Who vouches for it.
    pub signature: Signature,
    /// The digest of its index.
    pub digest: Option<Digest>,
    /// When it was installed.
    pub installed_at: Option<String>,
    /// The file that it was installed from; what came from elsewhere has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed_from: Option<PathBuf>,
    /// The one version that may take its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Version>,
    /// The version before, which is kept to go back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Version>,
    /// The file, for one that is not installed.
    pub path: Option<PathBuf>,
    /// The files that it is linked to while it is developed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBuf>,
    /// The server that an installed one came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The store that an installed one is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreName>,
    /// The version in the system store that one of the user's own hides; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hides: Option<Version>,
    /// Why it cannot run or be installed.
    pub problem: Option<String>,
    /// The machines that its package is for: target triples, or `any`; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The files of a plugin of scripts; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

/// What answers the calls of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// A library.
    Native,
    /// Scripts or programs, through the adapter that is built in.
    Script,
}

impl PluginKind {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Script => "script",
        }
    }
}

fn handlers(commands: &[CommandSpec], hooks: &[HookSpec]) -> Vec<Handler> {
    let commands = commands.iter().filter_map(|command| command.handler.clone());
    commands.chain(hooks.iter().flat_map(HookSpec::scripts)).collect()
}

/// What is missing or different of what ran the scripts of a plugin when it was installed, a line for each.
pub(super) fn interpreter_changes(entry: &Entry) -> Vec<String> {
    let (now, missing) = interpreters(&handlers(&entry.commands, &entry.hooks));
    let missing = missing.iter().map(ToString::to_string);
    changes(&entry.interpreters, &now).into_iter().chain(missing).collect()
}

/// What scripts are written in or run by, in the order of names.
fn runs(commands: &[CommandSpec], hooks: &[HookSpec]) -> Vec<String> {
    let handlers = handlers(commands, hooks);
    let word = |handler| match handler {
        Handler::Python { .. } => "python".to_owned(),
        Handler::Bash(_) => "bash".to_owned(),
        Handler::Executable(Executable { interpreter: Some(interpreter), .. }) => interpreter,
        _ => "program".to_owned(),
    };
    handlers.into_iter().map(word).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A command, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandInfo {
    /// Its name.
    pub name: String,
    /// One line of help.
    pub description: String,
    /// A usage line.
    pub usage: String,
    /// The wall clock that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// The wall clock that it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_timeout: Option<Timeout>,
}

impl CommandInfo {
    /// The commands of an installed plugin.
    pub(super) fn of_entry(name: &PluginName, entry: &Entry) -> Vec<Self> {
        let commands = entry
            .commands
            .iter()
            .map(|spec| Self { granted_timeout: entry.timeout(&spec.name), ..Self::of(name.as_str(), spec) });
        commands.collect()
    }

    pub(super) fn of(name: &str, spec: &CommandSpec) -> Self {
        Self {
            name: spec.name.clone(),
            description: spec.description.clone(),
            usage: usage_line(name, spec),
            timeout: spec.timeout,
            granted_timeout: None,
        }
    }
}

/// Who vouches for a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Signature {
    /// The holder of a trusted key.
    Signed {
        /// The key.
        key: Fingerprint,
        /// The user's own note on the key.
        label: String,
    },
    /// Nobody; the user allowed it.
    Unsigned,
    /// Nobody who is trusted.
    NotTrusted,
}

impl From<&Trust> for Signature {
    fn from(trust: &Trust) -> Self {
        match trust {
            Trust::Signed { key, label } => Self::Signed { key: *key, label: label.clone() },
            Trust::Unsigned => Self::Unsigned,
        }
    }
}

/// An item that needs consent, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingItem {
    /// What to write after `--grant`.
    pub grant: String,
    /// What it lets the plugin do.
    pub words: String,
    /// Why it is dangerous, if it is.
    pub danger: Option<String>,
}

impl MissingItem {
    pub(super) fn of(ask: &Ask) -> Self {
        Self { grant: ask.item.grant_text(), words: ask.words.clone(), danger: ask.danger.clone() }
    }
}

impl PluginInfo {
    pub(super) fn installed(name: &PluginName, entry: &Entry) -> Self {
        let runs = runs(&entry.commands, &entry.hooks);
        Self {
            name: name.to_string(),
            version: entry.version.to_string(),
            status: entry.status(),
            kind: if runs.is_empty() { PluginKind::Native } else { PluginKind::Script },
            runs,
            interpreters: Vec::new(),
            interpreter_changes: Vec::new(),
            description: entry.description.clone(),
            author: String::new(),
            license: String::new(),
            commands: CommandInfo::of_entry(name, entry),
            dependencies: entry.dependencies.clone(),
            requirements: Vec::new(),
            install_requires: Vec::new(),
            config: entry.config(),
            hooks: entry.hooks.clone(),
            permissions: entry.asked.clone(),
            grants: entry.decided.grants.clone(),
            rules: None,
            signature: Signature::from(&entry.trust),
            digest: Some(entry.digest),
            installed_at: Some(entry.installed_at.clone()),
            installed_from: entry.installed_from.clone(),
            pinned: entry.pinned.clone(),
            previous: entry.previous.as_ref().map(|previous| previous.version.clone()),
            path: None,
            link: entry.link.clone(),
            url: entry.remote.as_ref().map(|remote| remote.url.to_string()),
            store: None,
            hides: None,
            problem: entry.problem.as_ref().map(|problem| problem.reason.clone()),
            targets: Vec::new(),
            files: Vec::new(),
        }
    }

    /// One that could not be read; `name` is the best that is known.
    pub(super) fn broken(name: String, path: PathBuf, problem: String) -> Self {
        Self {
            name,
            version: String::new(),
            status: Status::Error,
            kind: PluginKind::Native,
            runs: Vec::new(),
            interpreters: Vec::new(),
            interpreter_changes: Vec::new(),
            description: String::new(),
            author: String::new(),
            license: String::new(),
            commands: Vec::new(),
            dependencies: Vec::new(),
            requirements: Vec::new(),
            install_requires: Vec::new(),
            config: BTreeMap::new(),
            hooks: Vec::new(),
            permissions: Vec::new(),
            grants: Vec::new(),
            rules: None,
            signature: Signature::NotTrusted,
            digest: None,
            installed_at: None,
            installed_from: None,
            pinned: None,
            previous: None,
            path: Some(path),
            link: None,
            url: None,
            store: None,
            hides: None,
            problem: Some(problem),
            targets: Vec::new(),
            files: Vec::new(),
        }
    }

    /// One that is not installed, as its manifest describes it.
    pub(super) fn described_by(mut self, manifest: Manifest) -> Self {
        self.kind = if manifest.is_script() { PluginKind::Script } else { PluginKind::Native };
        self.runs = runs(&manifest.commands, &manifest.hooks);
        self.commands = manifest.commands.iter().map(|spec| CommandInfo::of(&manifest.name, spec)).collect();
        self.name = manifest.name;
        self.version = manifest.version;
        self.description = manifest.description;
        self.author = manifest.author;
        self.license = manifest.license;
        self.dependencies = manifest.dependencies;
        self.install_requires = manifest.install_requires;
        self.config = manifest.config;
        self.hooks = manifest.hooks;
        self.permissions = manifest.permissions;
        self
    }

    pub(super) fn with_problem(mut self, problem: String) -> Self {
        self.status = Status::Error;
        self.problem = Some(problem);
        self
    }
}

/// Everything known of an installed plugin, by its name, or of a file: a package, a library, a manifest, or a directory
/// that holds a manifest. Files and signatures are checked.
///
/// # Errors
/// There is no such plugin or file, the file is no plugin and no manifest, or the state or a policy file cannot be read.
/// A damaged or untrusted plugin is no error but has a problem.
pub fn info(home: &Home, target: &Path) -> Result<PluginInfo, ManageError> {
    let state = home.read()?;
    match named_plugin(&state, target) {
        Some(name) => of_installed(home, &state, &name),
        None => match meant(target) {
            Err(ManageError::NoLibrary { path }) => of_manifest(home, &state, path),
            Err(error) => Err(error),
            Ok(path) => match manifest_file::find(&path)? {
                Some(path) => of_manifest(home, &state, path),
                None => {
                    let opened = open_file(&path)?;
                    Ok(look_inside(home, &state, path, opened))
                }
            },
        },
    }
}

fn of_installed(home: &Home, state: &State, name: &PluginName) -> Result<PluginInfo, ManageError> {
    let (entry, place) = state.find(name)?.ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
    let policy = home.policy()?;
    let described = |entry: &Entry, place: StoreName| {
        let mut shown = PluginInfo { store: Some(place), ..PluginInfo::installed(name, entry) };
        let hidden = state.system.get(name).filter(|_| place == StoreName::User);
        shown.hides = hidden.map(|hidden| hidden.version.clone());
        shown.rules = Some(Rules::of(entry, &policy));
        shown.interpreters.clone_from(&entry.interpreters);
        shown.interpreter_changes = interpreter_changes(entry);
        if let Ok(keys) = &keys_of(home, place) {
            shown.requirements = requirements(entry, Around { others: &state.all(), keys });
        }
        shown
    };
    // What is shown is of the tree that was read, also when an upgrade comes in between.
    match home.load_plugin(name) {
        Ok(None) => Err(ManageError::NotFound { name: name.clone() }),
        Err(problem) => Ok(described(entry, place).with_problem(problem.to_string())),
        Ok(Some(Installed { entry, tree, place, .. })) => match verified_manifest(home, state, (place, &tree)) {
            Err(problem) => Ok(described(&entry, place).with_problem(problem.to_string())),
            Ok(Manifest { author, license, install_requires, .. }) => {
                let (files, targets) = (script_paths(&tree.index), tree.index.targets());
                Ok(PluginInfo { files, targets, author, license, install_requires, ..described(&entry, place) })
            }
        },
    }
}

/// Read only once the files were compared and the signature was judged.
fn verified_manifest(
    home: &Home,
    state: &State,
    (place, tree): (StoreName, &InstalledTree),
) -> Result<Manifest, ManageError> {
    judge_tree(home, state, (place, tree))?;
    let refused = |source| ManageError::Package { path: tree.index.entry.clone().into(), source };
    tree.manifest().map_err(refused)
}

/// The files of scripts; the one file of a library says nothing more than its name.
fn script_paths(index: &Index) -> Vec<String> {
    if index.holds_scripts() { index.files.iter().map(|file| file.path.clone()).collect() } else { Vec::new() }
}

fn of_manifest(home: &Home, state: &State, path: PathBuf) -> Result<PluginInfo, ManageError> {
    let manifest = manifest_file::read(&path)?;
    if manifest.is_script() {
        let opened = open_file(&path)?;
        // A file of the user's own, which is read in any case: signed or not, it can be shown whole.
        return Ok(look_inside(home, state, path, opened).described_by(manifest));
    }
    let mut shown = PluginInfo::broken(String::new(), path, String::new()).described_by(manifest);
    shown.status = Status::Discovered;
    shown.problem = Some("it is a manifest alone, which describes a plugin and cannot be installed".to_owned());
    Ok(shown)
}

/// A package or library that is not installed. The manifest is read only of what could be installed; of the rest no more
/// than the index.
pub(super) fn look_inside(home: &Home, state: &State, path: PathBuf, opened: Opened) -> PluginInfo {
    let name = opened.index.name.to_string();
    let file = path.clone();
    let mut shown = PluginInfo::broken(name, path, String::new());
    shown.version = opened.index.version.to_string();
    shown.digest = Some(opened.digest());
    shown.permissions.clone_from(&opened.index.permissions);
    shown.files = script_paths(&opened.index);
    shown.targets = opened.index.targets();
    shown.status = Status::Discovered;
    let keys = Keyring::load_from(&home.keys_path()).map_err(ManageError::from);
    let trust = match keys.and_then(|keys| judged(&keys, state, &opened, &home.policy()?, false, None)) {
        Ok(trust) => trust,
        Err(refused) => {
            shown.problem = Some(format!("{}: {refused}", refused.code()));
            return shown;
        }
    };
    shown.signature = Signature::from(&trust);
    match unpacked(opened, &file) {
        Err(problem) => shown.with_problem(problem.to_string()),
        Ok(package) => {
            shown.problem = None;
            shown.described_by(package.manifest)
        }
    }
}

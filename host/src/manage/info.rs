//! What is shown of a plugin: the fields of the reports, and `info`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use migraine_plugin_api::{HookSpec, Permission};
use serde::Serialize;
use serde_json::Value;

use super::ManageError;
use super::rules::Rules;
use super::usage::usage_line;
use super::verify::judge_tree;
use crate::ids::{Digest, Fingerprint, PluginName};
use crate::policy::Ask;
use crate::store::{Entry, Home, Status, Trust};

/// Everything known of a plugin without running it. Texts of the author are not made safe to show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginInfo {
    /// Its name; the file's name when it cannot be read.
    pub name: String,
    /// Its version; empty when it cannot be read.
    pub version: String,
    /// How it stands.
    pub status: Status,
    /// One line of the author's.
    pub description: String,
    /// Its commands.
    pub commands: Vec<CommandInfo>,
    /// Programs and resources it says it needs.
    pub dependencies: Vec<String>,
    /// Its effective configuration.
    pub config: BTreeMap<String, Value>,
    /// Its subscriptions.
    pub hooks: Vec<HookSpec>,
    /// What it asks for.
    pub permissions: Vec<Permission>,
    /// What it was granted.
    pub grants: Vec<Permission>,
    /// What that means; nothing for one that is not installed.
    pub rules: Option<Rules>,
    /// Who vouches for it.
    pub signature: Signature,
    /// The digest of its index.
    pub digest: Option<Digest>,
    /// When it was installed.
    pub installed_at: Option<String>,
    /// The file, for one that is not installed.
    pub path: Option<PathBuf>,
    /// Why it cannot run or be installed.
    pub problem: Option<String>,
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
        let commands = entry.commands.iter().map(|spec| CommandInfo {
            name: spec.name.clone(),
            description: spec.description.clone(),
            usage: usage_line(name.as_str(), spec),
        });
        Self {
            name: name.to_string(),
            version: entry.version.to_string(),
            status: entry.status(),
            description: entry.description.clone(),
            commands: commands.collect(),
            dependencies: entry.dependencies.clone(),
            config: entry.config(),
            hooks: entry.hooks.clone(),
            permissions: entry.asked.clone(),
            grants: entry.grants.clone(),
            rules: Some(Rules::of(entry)),
            signature: Signature::from(&entry.trust),
            digest: Some(entry.digest),
            installed_at: Some(entry.installed_at.clone()),
            path: None,
            problem: entry.problem.as_ref().map(|problem| problem.reason.clone()),
        }
    }

    /// One that could not be read; `name` is the best that is known.
    pub(super) fn broken(name: String, path: PathBuf, problem: String) -> Self {
        Self {
            name,
            version: String::new(),
            status: Status::Error,
            description: String::new(),
            commands: Vec::new(),
            dependencies: Vec::new(),
            config: BTreeMap::new(),
            hooks: Vec::new(),
            permissions: Vec::new(),
            grants: Vec::new(),
            rules: None,
            signature: Signature::NotTrusted,
            digest: None,
            installed_at: None,
            path: Some(path),
            problem: Some(problem),
        }
    }

    pub(super) fn with_problem(mut self, problem: String) -> Self {
        self.status = Status::Error;
        self.problem = Some(problem);
        self
    }
}

/// Everything known of an installed plugin; its files and its signature are checked.
///
/// # Errors
/// There is no such plugin, or the state cannot be read. A damaged plugin is no error but has the status `error`.
pub fn info(home: &Home, name: &PluginName) -> Result<PluginInfo, ManageError> {
    let state = home.read()?;
    let entry = state.plugins.get(name).ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
    let shown = PluginInfo::installed(name, entry);
    let checked = home.load(&entry.digest).map_err(ManageError::from).and_then(|tree| judge_tree(home, &state, &tree));
    Ok(match checked {
        Ok(_) => shown,
        Err(problem) => shown.with_problem(problem.to_string()),
    })
}

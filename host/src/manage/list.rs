//! `list` and `refresh`: one broken plugin is a warning with its name, never the end of the list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ManageError;
use super::info::{PluginInfo, Signature, look_inside};
use super::lapse::Lapses;
use super::link::check_link;
use super::search::{Folders, folders};
use super::source::{Found, scan};
use super::verify::judge_tree;
use crate::ids::{Digest, PluginName};
use crate::store::{Brief, Briefs, Entry, Home, Problem, ProblemKind, State, Status, StoreName, Trust};

/// What is to be listed.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Only those that stand so.
    pub status: Option<Status>,
    /// List the plugins that are part of this program as well.
    pub built_in: bool,
    /// Where the user stands: the plugins of that project are listed if it is trusted.
    pub working: Option<PathBuf>,
    /// Folders to look into besides those that are looked through anyway.
    pub folders: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListReport {
    /// By name; installed ones first.
    pub plugins: Vec<PluginInfo>,
    /// Plugins that are part of this program, where they were asked for; not counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub built_in: Vec<BuiltIn>,
    /// The numbers of those.
    pub summary: Summary,
    /// What could not be loaded.
    pub warnings: Vec<Warning>,
    /// Why the system store is not used, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_problem: Option<String>,
}

/// What is shown of it as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct ListTable {
    /// By name; installed ones first.
    pub rows: Vec<ListRow>,
    /// As [`ListReport::built_in`].
    pub built_in: Vec<BuiltIn>,
    /// The numbers of the rows.
    pub summary: Summary,
    /// What could not be loaded.
    pub warnings: Vec<Warning>,
}

/// A plugin in a table. Texts of the author are not made safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    /// Its name; the file's name when it cannot be read.
    pub name: String,
    /// Its version; empty when it cannot be read.
    pub version: String,
    /// How it stands.
    pub status: Status,
    /// One line of the author's.
    pub description: String,
    /// Nobody vouches for it; the user allowed it.
    pub is_unsigned: bool,
    /// It is linked to files while it is developed.
    pub is_linked: bool,
    /// It is in the system store.
    pub is_system: bool,
    /// Why it cannot run or be installed.
    pub problem: Option<String>,
}

impl From<PluginInfo> for ListRow {
    fn from(plugin: PluginInfo) -> Self {
        let PluginInfo { name, version, status, description, signature, link, problem, store, .. } = plugin;
        let (is_unsigned, is_linked) = (signature == Signature::Unsigned, link.is_some());
        let is_system = store == Some(StoreName::System);
        Self { name, version, status, description, is_unsigned, is_linked, is_system, problem }
    }
}

impl ListRow {
    fn installed(name: &PluginName, brief: Brief, lapsed: Option<String>) -> Self {
        let row = Self {
            name: name.to_string(),
            version: brief.version.to_string(),
            status: brief.status(),
            is_unsigned: brief.trust == Trust::Unsigned,
            is_linked: brief.link.is_some(),
            is_system: false,
            description: brief.description,
            problem: brief.problem.map(|problem| problem.reason),
        };
        row.with_problem(lapsed)
    }

    fn shared(name: &PluginName, entry: &Entry, lapsed: Option<String>) -> Self {
        let row = Self { is_system: true, ..Self::from(PluginInfo::installed(name, entry)) };
        row.with_problem(lapsed)
    }

    fn with_problem(self, problem: Option<String>) -> Self {
        if problem.is_none() { self } else { Self { status: Status::Error, problem, ..self } }
    }
}

/// A plugin that is part of this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltIn {
    /// Its name, which no other plugin can have.
    pub name: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// One line.
    pub description: &'static str,
}

/// What runs the scripts of other plugins.
const ADAPTER: BuiltIn = BuiltIn {
    name: "script-adapter",
    version: env!("CARGO_PKG_VERSION"),
    description: "Runs plugins that are Python, Bash or programs of any language",
};

/// Numbers of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// All that are listed.
    pub total: usize,
    /// Those that may run.
    pub enabled: usize,
    /// Those that are switched off.
    pub disabled: usize,
    /// Those that are damaged or quarantined.
    pub errors: usize,
}

impl Summary {
    fn of(statuses: impl Iterator<Item = Status>) -> Self {
        let mut summary = Self::default();
        for status in statuses {
            summary.total += 1;
            match status {
                Status::Enabled => summary.enabled += 1,
                Status::Disabled => summary.disabled += 1,
                Status::Error | Status::Quarantined => summary.errors += 1,
                Status::Installed | Status::Discovered => {}
            }
        }
        summary
    }
}

/// Something that could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The plugin, or the file.
    pub name: String,
    /// Why.
    pub message: String,
}

/// What `refresh` found and changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefreshReport {
    /// How many installed plugins were checked.
    pub checked: usize,
    /// Those that stand otherwise than before.
    pub changed: Vec<StatusChange>,
    /// Those in the plugins folder that are not installed.
    pub discovered: Vec<PluginInfo>,
    /// What could not be loaded.
    pub warnings: Vec<Warning>,
}

/// A plugin that stands otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// The plugin.
    pub name: PluginName,
    /// How it stood.
    pub before: Status,
    /// How it stands.
    pub after: Status,
}

/// Lists what is installed and what lies in the plugins folders.
///
/// # Errors
/// The state cannot be read.
pub fn list(home: &Home, request: &ListRequest) -> Result<ListReport, ManageError> {
    let (state, gone) = home.read_with_gone()?;
    let (lapses, lapse_warnings) = Lapses::new(home, &state, gone);
    let mut plugins: Vec<PluginInfo> = Vec::with_capacity(state.plugins.len() + state.system.len());
    for (name, (entry, place)) in &state.usable()? {
        let shown = PluginInfo { store: Some(*place), ..PluginInfo::installed(name, entry) };
        plugins.push(match lapses.of(name, &entry.trust, &entry.digest, *place) {
            Some(why) => shown.with_problem(why),
            None => shown,
        });
    }
    let found = look(home, &state, request.working.as_deref(), &request.folders)?;
    let (more, mut warnings) = (found.plugins, found.warnings);
    warnings.extend(lapse_warnings);
    plugins.extend(more);
    warnings.extend(plugins.iter().filter(|plugin| plugin.status == Status::Error).map(warning));
    if let Some(status) = request.status {
        plugins.retain(|plugin| plugin.status == status);
    }
    let summary = Summary::of(plugins.iter().map(|plugin| plugin.status));
    Ok(ListReport { plugins, built_in: built_in(request), summary, warnings, system_problem: state.system.problem() })
}

/// As [`list`], for a table. Of what is installed, no more than that is read.
///
/// # Errors
/// As [`list`].
pub fn list_table(home: &Home, request: &ListRequest) -> Result<ListTable, ManageError> {
    let Briefs { state, plugins, gone } = home.read_briefs()?;
    let found = look(home, &state, request.working.as_deref(), &request.folders)?;
    let (lapses, lapse_warnings) = Lapses::new(home, &state, gone);
    let own = plugins.into_iter().map(|(name, brief)| {
        let lapsed = lapses.of(&name, &brief.trust, &brief.digest, StoreName::User);
        ListRow::installed(&name, brief, lapsed)
    });
    let mut rows: Vec<ListRow> = own.collect();
    rows.extend(state.shared().map(|(name, entry)| {
        let lapsed = lapses.of(name, &entry.trust, &entry.digest, StoreName::System);
        ListRow::shared(name, entry, lapsed)
    }));
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows.extend(found.plugins.into_iter().map(ListRow::from));
    let mut warnings = found.warnings;
    warnings.extend(lapse_warnings);
    let broken = rows.iter().filter(|row| row.status == Status::Error);
    warnings
        .extend(broken.map(|row| Warning { name: row.name.clone(), message: row.problem.clone().unwrap_or_default() }));
    if let Some(status) = request.status {
        rows.retain(|row| row.status == status);
    }
    let summary = Summary::of(rows.iter().map(|row| row.status));
    Ok(ListTable { rows, built_in: built_in(request), summary, warnings })
}

fn built_in(request: &ListRequest) -> Vec<BuiltIn> {
    if request.built_in && request.status.is_none() { vec![ADAPTER] } else { Vec::new() }
}

/// What lies in the folders.
struct Looked {
    plugins: Vec<PluginInfo>,
    warnings: Vec<Warning>,
}

/// Looks through the folders; one that cannot be read does not keep the others from being listed.
fn look(home: &Home, state: &State, working: Option<&Path>, more: &[PathBuf]) -> Result<Looked, ManageError> {
    let Folders { mut paths, mut warnings, untrusted: _ } = folders(home, state, working);
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let known: Vec<PathBuf> = paths.iter().map(real).collect();
    paths.extend(more.iter().filter(|path| !known.contains(&real(path))).cloned());
    let (mut plugins, mut seen) = (Vec::new(), BTreeSet::new());
    for folder in paths {
        match scan(&folder) {
            Ok(found) => plugins.extend(discovered(home, state, found, &mut seen)?),
            Err(error) => warnings.push(Warning { name: folder.display().to_string(), message: error.to_string() }),
        }
    }
    Ok(Looked { plugins, warnings })
}

fn warning(plugin: &PluginInfo) -> Warning {
    Warning { name: plugin.name.clone(), message: plugin.problem.clone().unwrap_or_default() }
}

/// What lies in a folder and is not installed; the same package twice counts once.
fn discovered(
    home: &Home,
    state: &State,
    found: Vec<Found>,
    seen: &mut BTreeSet<Digest>,
) -> Result<Vec<PluginInfo>, ManageError> {
    let mut shown = Vec::new();
    for Found { path, opened } in found {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match opened {
            Err(problem) => shown.push(PluginInfo::broken(file, path, problem.to_string())),
            Ok(opened) if state.refers_to(&opened.digest())? || !seen.insert(opened.digest()) => {}
            Ok(opened) => shown.push(look_inside(home, state, path, opened)),
        }
    }
    shown.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(shown)
}

/// Checks every installed plugin's files and signature, records what is wrong or right again, and looks through
/// the folders as [`list`] does.
///
/// # Errors
/// The state cannot be read or written.
pub fn refresh(home: &Home, working: Option<&Path>) -> Result<RefreshReport, ManageError> {
    let mut writer = home.writer_if_used()?;
    let state = writer.as_ref().map_or_else(|| home.read(), |writer| Ok(writer.state().clone()))?;
    let (mut changed, mut recorded) = (Vec::new(), Vec::new());
    let mut warnings = Vec::new();
    for (name, entry) in state.plugins.iter()? {
        let checked = home.load(&entry.digest).map_err(ManageError::from);
        let problem = checked.and_then(|tree| judge_tree(home, &state, (StoreName::User, &tree))).err();
        // What runs is what was confirmed, so that this is no problem of the plugin's.
        if let Err(changed) = check_link(name, entry.link.as_deref(), &entry.digest) {
            warnings.push(Warning { name: name.to_string(), message: changed.to_string() });
        }
        let after = with_finding(entry, problem.as_ref());
        if let Some(problem) = problem {
            warnings.push(Warning { name: name.to_string(), message: problem.to_string() });
        }
        if after != *entry {
            changed.push(StatusChange { name: name.clone(), before: entry.status(), after: after.status() });
            recorded.push((name.clone(), after));
        }
    }
    if let Some(writer) = writer.as_mut().filter(|_| !recorded.is_empty()) {
        writer.state_mut().plugins.extend(recorded);
        writer.commit()?;
    }
    // What is wrong there is the administrator's to record; it is judged anew before each use anyway.
    for (name, entry) in state.system.iter() {
        let checked = home.load_in(StoreName::System, &entry.digest).map_err(ManageError::from);
        if let Err(problem) = checked.and_then(|tree| judge_tree(home, &state, (StoreName::System, &tree))) {
            warnings.push(Warning { name: name.to_string(), message: problem.to_string() });
        }
    }
    let found = look(home, &state, working, &[])?;
    warnings.extend(found.warnings);
    warnings.extend(found.plugins.iter().filter(|plugin| plugin.status == Status::Error).map(warning));
    Ok(RefreshReport {
        checked: state.plugins.len() + state.system.len(),
        changed,
        discovered: found.plugins,
        warnings,
    })
}

/// A quarantine stays until somebody enables the plugin again. What is found of trust is judged anew at each use and is not
/// kept: its files are what they should be.
fn with_finding(entry: &Entry, problem: Option<&ManageError>) -> Entry {
    let mut after = entry.clone();
    match (problem, &entry.problem) {
        (_, Some(Problem { kind: ProblemKind::Quarantined, .. })) => {}
        (Some(ManageError::Trust(_) | ManageError::Refused { .. }) | None, _) => after.problem = None,
        (Some(problem), _) => {
            after.problem = Some(Problem { kind: ProblemKind::Error, reason: problem.to_string() });
        }
    }
    after
}

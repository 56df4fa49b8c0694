//! Which plugins, in which versions, go together: what is asked for, what is installed, and what was found on this machine
//! are the facts, `pubgrub` solves them. Pure: nothing here reads a file.

mod order;
mod provider;
mod range;

use std::collections::{BTreeMap, BTreeSet};

use pubgrub::{DefaultStringReporter, DerivationTree, External, PubGrubError, Ranges, Reporter as _};
use semver::Version;

use crate::code::{Code, Coded};
use crate::controls::{Check, makes};
use crate::ids::{Fingerprint, PluginName};
use crate::package::dependency::Need;
use crate::text::{safe_line, safe_whole};
use provider::{COMMAND, Node, Provider};

pub(super) use order::{Cycle, load_order};

/// The most plugins that may have a part in one answer.
const PLUGINS_MAX: usize = 256;
/// The most versions of one plugin that are looked at.
const VERSIONS_MAX: usize = 128;
/// The longest chain of plugins that need each other.
const DEPTH_MAX: usize = 32;
/// The most steps of the solver: honest sets take some dozens.
const STEPS_MAX: u32 = 2_000;
/// The longest explanation that is shown, in lines.
const LINES_MAX: usize = 24;

/// A version of a plugin that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) version: Version,
    /// The key that signed it; none for what nobody signed.
    pub(super) signer: Option<Fingerprint>,
    /// The keys that the signer's key took the place of, as the keyring knows them.
    pub(super) stands_for: Vec<Fingerprint>,
    pub(super) needs: Vec<Need>,
    pub(super) place: Place,
}

/// Where a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is installed.
    Installed,
    /// It is installed, and linked to files of the user's own: it stands for whatever is asked for under its name.
    Linked,
    /// It was found: a number of the caller's.
    Found(usize),
}

/// All candidates, by name; of one version there is one.
#[derive(Debug, Default)]
pub(super) struct Universe(BTreeMap<PluginName, Vec<Candidate>>);

impl Universe {
    /// Adds a candidate, unless one of the same version is there: who comes first is preferred.
    pub(super) fn add(&mut self, name: &PluginName, candidate: Candidate) {
        let known = self.0.entry(name.clone()).or_default();
        if known.iter().all(|other| other.version != candidate.version) {
            known.push(candidate);
        }
    }

    /// Leaves versions out that are older than the installed one: nothing goes back by itself.
    pub(super) fn forget_older(&mut self) {
        for candidates in self.0.values_mut() {
            let installed = candidates.iter().find(|one| one.is_installed());
            let Some(least) = installed.map(|one| one.version.clone()) else { continue };
            candidates.retain(|one| one.version >= least);
        }
    }

    fn of(&self, name: &PluginName) -> &[Candidate] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn find(&self, name: &PluginName, version: &Version) -> Option<&Candidate> {
        self.of(name).iter().find(|one| one.version == *version)
    }

    /// The names that can have a part in an answer, with as many versions as there may be.
    fn reachable(&self, roots: impl Iterator<Item = PluginName>) -> Result<BTreeSet<PluginName>, ResolveError> {
        let mut left: Vec<PluginName> = roots.collect();
        let mut seen: BTreeSet<PluginName> = left.iter().cloned().collect();
        while let Some(name) = left.pop() {
            let candidates = self.of(&name);
            if candidates.len() > VERSIONS_MAX {
                let what = format!("there are {} versions of {name}", candidates.len());
                return Err(ResolveError::Limit { what, limit: format!("{VERSIONS_MAX} are looked at") });
            }
            for need in candidates.iter().flat_map(|one| &one.needs) {
                if seen.insert(need.name.clone()) {
                    left.push(need.name.clone());
                }
            }
            if seen.len() > PLUGINS_MAX {
                let what = format!("more than {PLUGINS_MAX} plugins need each other");
                return Err(ResolveError::Limit { what, limit: format!("{PLUGINS_MAX} may") });
            }
        }
        Ok(seen)
    }
}

impl Candidate {
    pub(super) fn is_installed(&self) -> bool {
        !matches!(self.place, Place::Found(_))
    }

    /// The key that something it needs must be signed with; none where anybody's word counts, since it is nobody's itself.
    pub(super) fn expects(&self, need: &Need) -> Option<Fingerprint> {
        need.key.or(self.signer)
    }

    /// Whether it is what a need with this key means.
    pub(super) fn is_of(&self, key: Option<Fingerprint>) -> bool {
        let Some(key) = key else { return true };
        let is_meant = self.place == Place::Linked || self.signer == Some(key) || self.stands_for.contains(&key);
        is_meant || !makes(Check::Maker)
    }

    /// Whether it fits a need of another candidate.
    pub(super) fn fits(&self, need: &Need, by: &Self) -> bool {
        need.range.matches(&self.version) && self.is_of(by.expects(need))
    }
}

/// A plugin of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) name: PluginName,
    pub(super) version: Version,
    pub(super) place: Place,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A plugin is needed that is nowhere.
    #[error("{by} needs the plugin {}, and there is none of that name here", safe_line(&need.to_string()))]
    Missing {
        /// Who needs it.
        by: PluginName,
        /// What is needed.
        need: Box<Need>,
    },
    /// A plugin is there, and signed by another key than the one that is asked for.
    #[error("{by} needs {} signed by {wanted}; {} {version} is {}", need.name, need.name, signed_by(*signer))]
    Source {
        /// Who needs it.
        by: PluginName,
        /// What is needed.
        need: Box<Need>,
        /// The version that was found.
        version: Box<Version>,
        /// The key that must have signed it.
        wanted: Fingerprint,
        /// The key that did.
        signer: Option<Fingerprint>,
    },
    /// The versions that there are do not go together.
    #[error("there are no versions that go together:{}", indented(words))]
    Conflict {
        /// Why, one sentence a line.
        words: String,
    },
    /// Plugins need each other in a circle.
    #[error("these plugins need each other in a circle: {}", circle(names))]
    Cycle {
        /// The plugins, each needed by the one before.
        names: Vec<PluginName>,
    },
    /// There is more than is looked at.
    #[error("{what}, and {limit}")]
    Limit {
        /// What there is.
        what: String,
        /// How much may be.
        limit: String,
    },
}

fn signed_by(signer: Option<Fingerprint>) -> String {
    signer.map_or_else(|| "not signed".to_owned(), |signer| format!("signed by {signer}"))
}

fn indented(words: &str) -> String {
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    let mut shown: Vec<String> = lines.map(|line| format!("\n  {}", safe_whole(line.trim()))).collect();
    if shown.len() > LINES_MAX {
        let more = shown.len() - LINES_MAX;
        shown.truncate(LINES_MAX);
        shown.push(format!("\n  and {more} more lines"));
    }
    shown.concat()
}

fn circle(names: &[PluginName]) -> String {
    names.iter().chain(names.first()).map(PluginName::as_str).collect::<Vec<_>>().join(" -> ")
}

impl Coded for ResolveError {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::DependencyMissing,
            Self::Source { .. } => Code::DependencySource,
            Self::Conflict { .. } => Code::DependencyConflict,
            Self::Cycle { .. } => Code::DependencyCycle,
            Self::Limit { .. } => Code::DependencyLimit,
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Missing { need, .. } => match &need.source {
                Some(source) => {
                    format!("its author hands it out at {}; install it from there first", safe_line(source))
                }
                None => "get it from its author and put it beside this one, or install it first".to_owned(),
            },
            Self::Source { .. } => "a plugin of another maker does not count: get the one that is meant".to_owned(),
            Self::Conflict { .. } => "upgrade or uninstall one of the plugins that are named".to_owned(),
            Self::Cycle { .. } => "tell their authors: no order of loading fulfils this".to_owned(),
            Self::Limit { .. } => "tell their authors: no honest set of plugins is that large".to_owned(),
        };
        Some(text)
    }
}

/// What an answer must hold.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: PluginName,
    /// This version; else any that there is.
    pub(super) version: Option<Version>,
}

/// Finds the plugins that fulfil all wishes: what is installed stays where that is possible, else the newest is taken.
/// What an answer consists of comes in the order of loading, what is needed before who needs it.
pub(super) fn resolve(universe: &Universe, wanted: &[Wanted]) -> Result<Vec<Chosen>, ResolveError> {
    universe.reachable(wanted.iter().map(|one| one.name.clone()))?;
    let provider = Provider::new(universe, wanted, STEPS_MAX);
    let solved = match pubgrub::resolve(&provider, Node::Command, Version::new(0, 0, 0)) {
        Ok(solved) => solved,
        Err(PubGrubError::NoSolution(tree)) => return Err(explained(&provider, tree)),
        Err(_) => {
            let limit = format!("it stops after {STEPS_MAX} steps");
            return Err(ResolveError::Limit { what: "the search for versions does not end".to_owned(), limit });
        }
    };
    let versions = solved.into_iter().filter_map(|(node, version)| match node {
        Node::Command => None,
        Node::Plugin(name) => Some((name, version)),
    });
    ordered(universe, &versions.collect())
}

fn ordered(universe: &Universe, versions: &BTreeMap<PluginName, Version>) -> Result<Vec<Chosen>, ResolveError> {
    let candidates: BTreeMap<&PluginName, &Candidate> =
        versions.iter().filter_map(|(name, version)| Some((name, universe.find(name, version)?))).collect();
    let needs = candidates.iter().map(|(name, one)| {
        let names: BTreeSet<PluginName> = one.needs.iter().map(|need| need.name.clone()).collect();
        ((*name).clone(), names)
    });
    let order = load_order(&needs.collect()).map_err(|Cycle(names)| ResolveError::Cycle { names })?;
    if let Some(name) = order.iter().find(|(_, depth)| *depth > DEPTH_MAX).map(|(name, _)| name) {
        let what = format!("{name} stands at the end of a chain of more than {DEPTH_MAX} plugins");
        return Err(ResolveError::Limit { what, limit: format!("chains have at most {DEPTH_MAX}") });
    }
    let chosen = order.into_iter().filter_map(|(name, _)| {
        let one = candidates.get(&name)?;
        Some(Chosen { version: one.version.clone(), place: one.place, name })
    });
    Ok(chosen.collect())
}

type Tree = DerivationTree<Node, Ranges<Version>, String>;

/// The nearest word for a failure: nothing there, another maker's, or versions that do not fit.
fn explained(provider: &Provider<'_>, mut tree: Tree) -> ResolveError {
    let mut lacking = Vec::new();
    collect(&tree, &mut lacking);
    if let Some(refused) = lacking.iter().find_map(|name| provider.of_another_key(name)) {
        return refused;
    }
    if let Some(missing) = lacking.iter().find_map(|name| provider.missing(name)) {
        return missing;
    }
    tree.collapse_no_versions();
    // The command itself is no plugin with a version.
    let words = DefaultStringReporter::report(&tree).replace(&format!("{} 0.0.0", Node::Command), COMMAND);
    ResolveError::Conflict { words }
}

/// The plugins of which a version was looked for and not found.
fn collect(tree: &Tree, lacking: &mut Vec<PluginName>) {
    match tree {
        DerivationTree::External(External::NoVersions(Node::Plugin(name), _)) => lacking.push(name.clone()),
        DerivationTree::External(_) => {}
        DerivationTree::Derived(derived) => {
            collect(&derived.cause1, lacking);
            collect(&derived.cause2, lacking);
        }
    }
}

#[cfg(test)]
mod tests;

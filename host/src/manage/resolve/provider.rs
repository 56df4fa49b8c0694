//! The facts as the solver asks for them.

use std::cell::Cell;
use std::cmp::Reverse;
use std::fmt;

use pubgrub::{Dependencies, DependencyProvider, PackageResolutionStatistics, Ranges};
use semver::Version;

use super::{Candidate, ResolveError, Universe, Wanted, range};
use crate::ids::PluginName;
use crate::package::dependency::Need;

/// How the command is called in explanations.
pub(super) const COMMAND: &str = "this command";

/// What the solver decides on: the command that asks, and plugins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Node {
    Command,
    Plugin(PluginName),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => COMMAND,
            Self::Plugin(name) => name.as_str(),
        })
    }
}

/// The solver took too many steps.
#[derive(Debug, thiserror::Error)]
#[error("too many steps")]
pub(super) struct OutOfSteps;

pub(super) struct Provider<'a> {
    universe: &'a Universe,
    wanted: &'a [Wanted],
    steps: Cell<u32>,
}

impl<'a> Provider<'a> {
    pub(super) fn new(universe: &'a Universe, wanted: &'a [Wanted], steps: u32) -> Self {
        Self { universe, wanted, steps: Cell::new(steps) }
    }

    /// Every wish for a plugin, and who has it.
    fn needs_of(&self, name: &PluginName) -> impl Iterator<Item = (&'a PluginName, &'a Candidate, &'a Need)> {
        let all = self.universe.0.iter().flat_map(|(by, candidates)| candidates.iter().map(move |one| (by, one)));
        let all = all.flat_map(|(by, one)| one.needs.iter().map(move |need| (by, one, need)));
        let name = name.clone();
        all.filter(move |(_, _, need)| need.name == name)
    }

    /// The refusal of a plugin of which a version that fits is there, and only its maker is another one.
    pub(super) fn of_another_key(&self, name: &PluginName) -> Option<ResolveError> {
        self.needs_of(name).find_map(|(by, one, need)| {
            let wanted = one.expects(need)?;
            let mut in_range = self.universe.of(name).iter().filter(|found| need.range.matches(&found.version));
            let found = in_range.clone().next().filter(|_| in_range.all(|found| !found.is_of(Some(wanted))))?;
            let (version, signer) = (Box::new(found.version.clone()), found.signer);
            Some(ResolveError::Source { by: by.clone(), need: Box::new(need.clone()), version, wanted, signer })
        })
    }

    /// The refusal of a plugin of which there is nothing at all.
    pub(super) fn missing(&self, name: &PluginName) -> Option<ResolveError> {
        if !self.universe.of(name).is_empty() {
            return None;
        }
        let (by, _, need) = self.needs_of(name).next()?;
        Some(ResolveError::Missing { by: by.clone(), need: Box::new(need.clone()) })
    }

    /// What a need means of what there is: its range, without the versions in it that do not fit.
    fn set_of(&self, need: &Need, by: &Candidate) -> Ranges<Version> {
        let range = range::of(&need.range);
        let found = self.universe.of(&need.name).iter();
        let left_out = found.filter(|found| range.contains(&found.version) && !found.fits(need, by));
        left_out
            .fold(range.clone(), |set, found| set.intersection(&Ranges::singleton(found.version.clone()).complement()))
    }
}

impl DependencyProvider for Provider<'_> {
    type P = Node;
    type V = Version;
    type VS = Ranges<Version>;
    type Priority = (u32, Reverse<usize>);
    type M = String;
    type Err = OutOfSteps;

    /// What conflicts most, then what has the fewest versions.
    fn prioritize(&self, node: &Node, set: &Self::VS, conflicts: &PackageResolutionStatistics) -> Self::Priority {
        let Node::Plugin(name) = node else { return (u32::MAX, Reverse(0)) };
        let fitting = self.universe.of(name).iter().filter(|one| set.contains(&one.version)).count();
        (conflicts.conflict_count(), Reverse(fitting))
    }

    fn choose_version(&self, node: &Node, set: &Self::VS) -> Result<Option<Version>, OutOfSteps> {
        let Node::Plugin(name) = node else { return Ok(Some(Version::new(0, 0, 0))) };
        let fitting = self.universe.of(name).iter().filter(|one| set.contains(&one.version));
        Ok(fitting.max_by_key(|one| (one.is_installed(), &one.version)).map(|one| one.version.clone()))
    }

    fn get_dependencies(
        &self,
        node: &Node,
        version: &Version,
    ) -> Result<Dependencies<Node, Self::VS, String>, OutOfSteps> {
        let Node::Plugin(name) = node else {
            let wish = |one: &Wanted| {
                let set = one.version.clone().map_or_else(Ranges::full, Ranges::singleton);
                (Node::Plugin(one.name.clone()), set)
            };
            return Ok(Dependencies::Available(self.wanted.iter().map(wish).collect()));
        };
        let Some(one) = self.universe.find(name, version) else {
            return Ok(Dependencies::Unavailable("since it is not there".to_owned()));
        };
        let needs = one.needs.iter().map(|need| (Node::Plugin(need.name.clone()), self.set_of(need, one)));
        Ok(Dependencies::Available(needs.collect()))
    }

    fn should_cancel(&self) -> Result<(), OutOfSteps> {
        let left = self.steps.get().checked_sub(1).ok_or(OutOfSteps)?;
        self.steps.set(left);
        Ok(())
    }
}

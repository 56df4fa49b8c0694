//! Which hooks run for an event, and in which order. Pure.
//!
//! The order is total: (1) priority, high first; (2) among equal priorities `before` and `after`, which name plugins;
//! (3) the plugin's name; (4) the order in the manifest. It does not depend on the order in which plugins were found.
//! Names of plugins that do not subscribe to the event are ignored. A constraint that a priority contradicts and a
//! cycle of constraints are reported as [`OrderIssue`]; in a cycle the plugin with the first name goes first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use migraine_plugin_api::{FailurePolicy, HookSpec, Permission, PermissionKind};
use regex::{Regex, RegexBuilder};

use super::catalogue::{Catalogue, canonical};
use super::error::HookError;
use crate::bound::BoundCommand;
use crate::ids::PluginName;
use crate::text::safe_line;

/// The longest pattern, in bytes.
const PATTERN_MAX: usize = 4096;
/// The memory a compiled pattern may take, in bytes.
const PATTERN_MEMORY: usize = 1 << 20;

/// A plugin that takes part: what it subscribes to and what it was granted.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its name.
    pub plugin: PluginName,
    /// Its subscriptions, in the order of the manifest.
    pub hooks: Vec<HookSpec>,
    /// The permissions it really has.
    pub granted: Vec<Permission>,
}

/// One subscription in its place.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The plugin.
    pub plugin: PluginName,
    /// What is called.
    pub target: Target,
    /// What a failure does.
    pub policy: FailurePolicy,
    granted: Vec<PermissionKind>,
    pattern: Option<Regex>,
    priority: i32,
    declared: usize,
    before: Vec<String>,
    after: Vec<String>,
}

/// What a subscription calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The handler of that name.
    Handler(String),
    /// A command of the plugin.
    Command {
        /// As the manifest writes it.
        text: String,
        /// The same, read.
        command: BoundCommand,
    },
}

impl Planned {
    /// Whether the plugin holds a permission of that kind without a scope.
    #[must_use]
    pub fn has(&self, kind: PermissionKind) -> bool {
        self.granted.contains(&kind)
    }

    fn matches(&self, command: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(command))
    }
}

/// A wish about the order that cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum OrderIssue {
    /// The constraints of these plugins form a cycle.
    Cycle {
        /// The event.
        event: String,
        /// The plugins, by name.
        plugins: Vec<PluginName>,
    },
    /// A plugin wants to run before or after another, and the priorities say otherwise.
    AgainstPriority {
        /// The event.
        event: String,
        /// The plugin with the wish.
        plugin: PluginName,
        /// The other plugin.
        other: PluginName,
    },
}

impl fmt::Display for OrderIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle { event, plugins } => {
                let names: Vec<_> = plugins.iter().map(PluginName::as_str).collect();
                write!(
                    f,
                    "event `{event}`: the before/after rules of {} form a cycle; ordered by name",
                    names.join(", ")
                )
            }
            Self::AgainstPriority { event, plugin, other } => {
                write!(f, "event `{event}`: the order `{plugin}` wants towards `{other}` contradicts their priorities")
            }
        }
    }
}

/// All subscriptions, by event and in order.
#[derive(Debug, Default)]
pub struct Plan {
    events: HashMap<String, Vec<Planned>>,
    issues: Vec<OrderIssue>,
}

impl Plan {
    /// Orders the subscriptions and compiles their patterns, once.
    ///
    /// # Errors
    /// An event that the catalogue does not have (unless the subscription is optional), a pattern that is refused, or
    /// a plugin given twice, or a bound command that is none.
    pub fn new(catalogue: &Catalogue, subscribers: &[Subscriber]) -> Result<Self, HookError> {
        let mut names = BTreeSet::new();
        let mut events: BTreeMap<String, Vec<Planned>> = BTreeMap::new();
        for subscriber in subscribers {
            if !names.insert(&subscriber.plugin) {
                return Err(HookError::DuplicateSubscriber { plugin: subscriber.plugin.clone() });
            }
            for (declared, hook) in subscriber.hooks.iter().enumerate() {
                if let Some(planned) = admit(catalogue, subscriber, declared, hook)? {
                    events.entry(canonical(&hook.event).into_owned()).or_default().push(planned);
                }
            }
        }
        let mut plan = Self::default();
        for (event, hooks) in events {
            let ordered = order(&event, hooks, &mut plan.issues);
            plan.events.insert(event, ordered);
        }
        Ok(plan)
    }

    /// Whether anybody subscribes to anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The hooks of an event whose pattern matches the resolved command, in order. Where an event has no command, the
    /// empty text is matched.
    pub fn matching<'a>(&'a self, event: &str, command: Option<&'a str>) -> impl Iterator<Item = &'a Planned> {
        let hooks = self.events.get(canonical(event).as_ref()).map_or(&[][..], Vec::as_slice);
        hooks.iter().filter(move |hook| hook.matches(command.unwrap_or("")))
    }

    /// Wishes about the order that could not be fulfilled.
    #[must_use]
    pub fn issues(&self) -> &[OrderIssue] {
        &self.issues
    }
}

fn admit(
    catalogue: &Catalogue,
    subscriber: &Subscriber,
    declared: usize,
    hook: &HookSpec,
) -> Result<Option<Planned>, HookError> {
    if catalogue.find(&hook.event).is_none() {
        if hook.optional {
            return Ok(None);
        }
        return Err(HookError::UnknownEvent {
            plugin: subscriber.plugin.clone(),
            event: hook.event.clone(),
            application: catalogue.application().to_owned(),
            nearest: catalogue.nearest(&hook.event).map(str::to_owned),
        });
    }
    let pattern = hook.pattern.as_deref().map(|pattern| compile(subscriber, hook, pattern)).transpose()?;
    let target = target(subscriber, declared, hook)?;
    Ok(Some(Planned {
        plugin: subscriber.plugin.clone(),
        target,
        policy: hook.on_failure,
        granted: subscriber.granted.iter().filter(|held| held.scope().is_none()).map(Permission::kind).collect(),
        pattern,
        priority: hook.priority,
        declared,
        before: hook.before.clone(),
        after: hook.after.clone(),
    }))
}

fn target(subscriber: &Subscriber, declared: usize, hook: &HookSpec) -> Result<Target, HookError> {
    let Some(text) = &hook.command else { return Ok(Target::Handler(hook.handler_name(declared))) };
    match BoundCommand::parse(text) {
        Ok(command) => Ok(Target::Command { text: text.clone(), command }),
        Err(reason) => Err(HookError::BadCommand {
            plugin: subscriber.plugin.clone(),
            event: hook.event.clone(),
            command: text.clone(),
            reason,
        }),
    }
}

fn compile(subscriber: &Subscriber, hook: &HookSpec, pattern: &str) -> Result<Regex, HookError> {
    let refuse = |reason: String| HookError::BadPattern {
        plugin: subscriber.plugin.clone(),
        event: hook.event.clone(),
        pattern: pattern.to_owned(),
        reason,
    };
    if pattern.len() > PATTERN_MAX {
        return Err(refuse(format!("it is longer than {PATTERN_MAX} bytes")));
    }
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY).dfa_size_limit(PATTERN_MEMORY).build();
    built.map_err(|error| {
        // The engine's own text shows the pattern over several lines; its last line is the reason.
        let text = error.to_string();
        refuse(safe_line(text.lines().last().unwrap_or_default().trim_start_matches("error: ")))
    })
}

fn order(event: &str, mut hooks: Vec<Planned>, issues: &mut Vec<OrderIssue>) -> Vec<Planned> {
    hooks.sort_by(|a, b| {
        (Reverse(a.priority), &a.plugin, a.declared).cmp(&(Reverse(b.priority), &b.plugin, b.declared))
    });
    report_contradictions(event, &hooks, issues);
    let mut ordered = Vec::with_capacity(hooks.len());
    while let Some(first) = hooks.first() {
        let level = first.priority;
        let rest = hooks.split_off(hooks.partition_point(|hook| hook.priority == level));
        ordered.extend(order_level(event, std::mem::replace(&mut hooks, rest), issues));
    }
    ordered
}

fn report_contradictions(event: &str, hooks: &[Planned], issues: &mut Vec<OrderIssue>) {
    let mut found = BTreeSet::new();
    let mut ranges: BTreeMap<&str, (i32, i32)> = BTreeMap::new();
    for hook in hooks {
        let range = ranges.entry(hook.plugin.as_str()).or_insert((hook.priority, hook.priority));
        *range = (range.0.min(hook.priority), range.1.max(hook.priority));
    }
    for hook in hooks {
        let too_high = |name: &&String| ranges.get(name.as_str()).is_some_and(|range| range.1 > hook.priority);
        let too_low = |name: &&String| ranges.get(name.as_str()).is_some_and(|range| range.0 < hook.priority);
        for name in hook.before.iter().filter(too_high).chain(hook.after.iter().filter(too_low)) {
            if name != hook.plugin.as_str() {
                found.insert((hook.plugin.clone(), name));
            }
        }
    }
    let named = |name: &str| hooks.iter().find(|hook| hook.plugin.as_str() == name).map(|hook| hook.plugin.clone());
    issues.extend(found.into_iter().filter_map(|(plugin, other)| {
        Some(OrderIssue::AgainstPriority { event: event.to_owned(), plugin, other: named(other)? })
    }));
}

/// Orders hooks of one priority, which come sorted by name: always the first one that waits for nobody.
fn order_level(event: &str, hooks: Vec<Planned>, issues: &mut Vec<OrderIssue>) -> Vec<Planned> {
    let (mut waits_for, followers) = edges(&hooks);
    let mut ready: BTreeSet<usize> = (0..hooks.len()).filter(|&index| waits_for[index].is_empty()).collect();
    let mut left: BTreeSet<usize> = (0..hooks.len()).collect();
    let mut sequence = Vec::with_capacity(hooks.len());
    while !left.is_empty() {
        let next = ready.pop_first().unwrap_or_else(|| {
            let cycle = cycle_of(&waits_for, &left);
            let plugins: BTreeSet<_> = cycle.iter().map(|&index| hooks[index].plugin.clone()).collect();
            issues.push(OrderIssue::Cycle { event: event.to_owned(), plugins: plugins.into_iter().collect() });
            *cycle.first().expect("a cycle has members")
        });
        left.remove(&next);
        sequence.push(next);
        for &follower in &followers[next] {
            waits_for[follower].remove(&next);
            if waits_for[follower].is_empty() && left.contains(&follower) {
                ready.insert(follower);
            }
        }
    }
    let mut slots: Vec<Option<Planned>> = hooks.into_iter().map(Some).collect();
    sequence.into_iter().filter_map(|index| slots[index].take()).collect()
}

/// For each hook the hooks it waits for, and those that wait for it.
fn edges(hooks: &[Planned]) -> (Vec<BTreeSet<usize>>, Vec<Vec<usize>>) {
    let mut of_plugin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, hook) in hooks.iter().enumerate() {
        of_plugin.entry(hook.plugin.as_str()).or_default().push(index);
    }
    let mut waits_for = vec![BTreeSet::new(); hooks.len()];
    let mut followers = vec![Vec::new(); hooks.len()];
    for (index, hook) in hooks.iter().enumerate() {
        let others = |names: &[String]| -> BTreeSet<usize> {
            let named = names.iter().filter(|name| name.as_str() != hook.plugin.as_str());
            named.filter_map(|name| of_plugin.get(name.as_str())).flatten().copied().collect()
        };
        let pairs = others(&hook.before).into_iter().map(|other| (index, other));
        for (first, then) in pairs.chain(others(&hook.after).into_iter().map(|other| (other, index))) {
            if waits_for[then].insert(first) {
                followers[first].push(then);
            }
        }
    }
    (waits_for, followers)
}

/// The members of one cycle: everyone left waits for somebody, so following the first wait ends in a circle.
fn cycle_of(waits_for: &[BTreeSet<usize>], left: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut path = Vec::new();
    let mut at = *left.first().expect("called with hooks left");
    while !path.contains(&at) {
        path.push(at);
        at = *waits_for[at].iter().find(|index| left.contains(index)).expect("a hook that waits for nobody is ready");
    }
    path.into_iter().skip_while(|&index| index != at).collect()
}

#[cfg(test)]
mod tests;

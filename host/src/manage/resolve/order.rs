//! The order of loading: what is needed comes before who needs it.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::PluginName;

/// Plugins that need each other in a circle, each needed by the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manage) struct Cycle(pub(in crate::manage) Vec<PluginName>);

/// The given plugins in the order of loading, each with the length of the longest chain of plugins that it needs; where
/// nothing else decides, by name. Needs outside of the given plugins do not count.
pub(in crate::manage) fn load_order(
    needs: &BTreeMap<PluginName, BTreeSet<PluginName>>,
) -> Result<Vec<(PluginName, usize)>, Cycle> {
    let mut waits: BTreeMap<&PluginName, usize> = BTreeMap::new();
    let mut needed_by: BTreeMap<&PluginName, Vec<&PluginName>> = BTreeMap::new();
    for (name, needed) in needs {
        let needed: Vec<_> = needed.iter().filter(|other| needs.contains_key(*other)).collect();
        waits.insert(name, needed.len());
        needed.into_iter().for_each(|other| needed_by.entry(other).or_default().push(name));
    }
    let mut depths: BTreeMap<&PluginName, usize> = BTreeMap::new();
    let mut ready: BTreeSet<&PluginName> =
        waits.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    let mut ordered = Vec::with_capacity(needs.len());
    while let Some(name) = ready.pop_first() {
        let depth = depths.get(name).copied().unwrap_or(0);
        ordered.push((name.clone(), depth));
        waits.remove(name);
        for follower in needed_by.get(name).into_iter().flatten() {
            let longest = depths.entry(follower).or_default();
            *longest = (depth + 1).max(*longest);
            if let Some(count) = waits.get_mut(follower) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(follower);
                }
            }
        }
    }
    match waits.first_key_value() {
        None => Ok(ordered),
        Some((first, _)) => Err(Cycle(circle(needs, &waits, first))),
    }
}

/// Everyone who still waits, waits for somebody who does: following the first such wait ends in a circle.
fn circle(
    needs: &BTreeMap<PluginName, BTreeSet<PluginName>>,
    waits: &BTreeMap<&PluginName, usize>,
    first: &PluginName,
) -> Vec<PluginName> {
    let (mut path, mut seen) = (vec![first.clone()], BTreeMap::from([(first.clone(), 0)]));
    loop {
        let last = &path[path.len() - 1];
        let next = needs.get(last).into_iter().flatten().find(|name| waits.contains_key(name));
        let Some(next) = next.cloned() else { return path };
        if let Some(at) = seen.insert(next.clone(), path.len()) {
            return path.split_off(at);
        }
        path.push(next);
    }
}

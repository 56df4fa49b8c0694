//! Asked × granted: what the plugin gets, and what still needs consent.

use migraine_plugin_api::{Permission, PermissionKind};

use super::{Ask, Grant, Item, PolicyError};

/// What the user has said so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Decisions<'a> {
    /// Everything but dangerous items is accepted.
    pub yes: bool,
    /// Grants of the command line.
    pub grants: &'a [Grant],
    /// Items that were accepted at the prompt just now.
    pub answered: &'a [Item],
    /// Items that were accepted when an earlier version or state of the plugin was enabled.
    pub held: &'a [Item],
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Consent {
    /// The permissions the plugin gets; a granted scope can be narrower than what was asked.
    pub granted: Vec<Permission>,
    /// All accepted items, to be kept for the next decision.
    pub accepted: Vec<Item>,
    /// What still needs consent.
    pub missing: Vec<Ask>,
}

impl Consent {
    /// Whether everything asked for was answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Matches what is asked with what was said.
///
/// # Errors
/// A grant that the plugin does not ask for: most likely a typing error, and never something to pass over.
pub fn decide(asks: &[Ask], decisions: &Decisions<'_>) -> Result<Consent, PolicyError> {
    for grant in decisions.grants {
        if !asks.iter().any(|ask| concerns(grant, &ask.item)) {
            let asked = asks.iter().map(|ask| ask.item.grant_text()).collect();
            return Err(PolicyError::NotAsked { grant: grant.to_string(), asked });
        }
    }
    let mut consent = Consent::default();
    // Permissions come before the pairs of them, as `asks` puts them: a pair is judged by what was accepted.
    for ask in asks {
        let accepted = match &ask.item {
            Item::Permission(asked) => permissions_for(asked, ask.danger.is_some(), decisions),
            Item::Pair(first, second) if pair_accepted(*first, *second, &consent, decisions) => vec![ask.item.clone()],
            Item::Hook { event, .. } if hook_accepted(event, &ask.item, decisions) => vec![ask.item.clone()],
            Item::Pair(..) | Item::Hook { .. } => Vec::new(),
        };
        if accepted.is_empty() {
            consent.missing.push(ask.clone());
        }
        consent.accepted.extend(accepted);
    }
    consent.accepted.sort();
    consent.accepted.dedup();
    consent.granted = consent.accepted.iter().filter_map(as_permission).cloned().collect();
    Ok(consent)
}

fn as_permission(item: &Item) -> Option<&Permission> {
    match item {
        Item::Permission(permission) => Some(permission),
        _ => None,
    }
}

fn concerns(grant: &Grant, item: &Item) -> bool {
    match (grant, item) {
        (Grant::Permission(grant), Item::Permission(asked)) => grant.covers(asked) || asked.covers(grant),
        (Grant::Pair(..), Item::Pair(first, second)) => is_pair(grant, *first, *second),
        (Grant::Hook(event), Item::Hook { event: asked, .. }) => event == asked,
        (Grant::AllHooks, Item::Hook { .. }) => true,
        _ => false,
    }
}

fn is_pair(grant: &Grant, first: PermissionKind, second: PermissionKind) -> bool {
    matches!(grant, Grant::Pair(a, b) if (*a, *b) == (first, second) || (*b, *a) == (first, second))
}

/// What of a permission was accepted: itself, or narrower scopes where all of a kind was asked.
fn permissions_for(asked: &Permission, dangerous: bool, decisions: &Decisions<'_>) -> Vec<Item> {
    let whole = || vec![Item::Permission(asked.clone())];
    let said = |item: &Item| as_permission(item).is_some_and(|permission| permission == asked);
    let granted: Vec<&Permission> = decisions
        .grants
        .iter()
        .filter_map(|grant| match grant {
            Grant::Permission(permission) => Some(permission),
            _ => None,
        })
        .collect();
    if decisions.answered.iter().any(said) || granted.contains(&asked) {
        return whole();
    }
    // An earlier version held all of the kind: a single scope is no more than that.
    if decisions.held.iter().filter_map(as_permission).any(|held| held.covers(asked)) {
        return whole();
    }
    // A bare kind on the command line accepts every scope of it but the dangerous ones, which need their own words.
    if !dangerous && (decisions.yes || granted.iter().any(|grant| grant.covers(asked))) {
        return whole();
    }
    let narrower = granted.into_iter().chain(decisions.held.iter().filter_map(as_permission));
    narrower.filter(|permission| asked.covers(permission)).cloned().map(Item::Permission).collect()
}

fn pair_accepted(first: PermissionKind, second: PermissionKind, so_far: &Consent, decisions: &Decisions<'_>) -> bool {
    let item = Item::Pair(first, second);
    if decisions.answered.contains(&item) || decisions.grants.iter().any(|grant| is_pair(grant, first, second)) {
        return true;
    }
    // A new permission on either side makes it another pair: `--yes` must not widen a way out that was accepted narrow.
    let nothing_new = so_far.accepted.iter().filter_map(as_permission).all(|accepted| {
        let concerned = accepted.kind() == first || accepted.kind() == second;
        !concerned || decisions.held.iter().filter_map(as_permission).any(|held| held.covers(accepted))
    });
    decisions.held.contains(&item) && nothing_new
}

fn hook_accepted(event: &str, item: &Item, decisions: &Decisions<'_>) -> bool {
    let held = decisions.held.iter().any(|held| match (held, item) {
        // Without a pattern it saw everything of the event before.
        (Item::Hook { event: before, pattern: None }, Item::Hook { .. }) => before == event,
        (held, item) => held == item,
    });
    let granted = decisions.grants.iter().any(|grant| match grant {
        Grant::AllHooks => true,
        Grant::Hook(granted) => granted == event,
        _ => false,
    });
    held || granted || decisions.yes || decisions.answered.contains(item)
}

//! Asked × granted: what the plugin gets, and what still needs consent.

use std::collections::BTreeSet;

use migraine_plugin_api::{Permission, PermissionKind};

use super::cover::covers;
use super::directory::{DirectoryScope, is_open};
use super::variable::refused_variable;
use super::{Ask, Grant, Item, PolicyError};

/// What the user has said so far. Directories are absolute and canonical.
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
    /// The questions for directories that none was named for. They keep nothing from running.
    pub open: Vec<Ask>,
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
/// A grant that the plugin does not ask for, one of all directories, or one of a variable that no plugin may see: most
/// likely a mistake, and never something to pass over.
pub fn decide(asks: &[Ask], decisions: &Decisions<'_>) -> Result<Consent, PolicyError> {
    for grant in decisions.grants {
        check_grant(grant, asks)?;
    }
    let mut consent = Consent::default();
    // Permissions come before the pairs of them, as `asks` puts them: a pair is judged by what was accepted.
    for ask in asks {
        let accepted = match &ask.item {
            Item::Permission(asked) if ask.open().is_some() => {
                let named = narrower(asked, decisions);
                let of_access = |item: &Item| item.permission().and_then(DirectoryScope::of).map(|scope| scope.access);
                if !named.iter().any(|item| of_access(item) == ask.open()) {
                    consent.open.push(ask.clone());
                }
                consent.accepted.extend(named);
                continue;
            }
            Item::Permission(asked) => permissions_for(asked, ask.danger.is_some(), decisions),
            Item::Pair(first, second) => {
                if !gets(*first, asks, &consent) || !gets(*second, asks, &consent) {
                    continue;
                }
                one(&ask.item, pair_accepted(*first, *second, &consent, decisions))
            }
            Item::Hook { .. } => one(&ask.item, hook_accepted(&ask.item, decisions)),
            Item::Timeout { .. } => one(&ask.item, timeout_accepted(&ask.item, decisions)),
        };
        if accepted.is_empty() {
            consent.missing.push(ask.clone());
        }
        consent.accepted.extend(accepted);
    }
    consent.accepted = BTreeSet::from_iter(consent.accepted).into_iter().collect();
    consent.granted = consent.accepted.iter().filter_map(Item::permission).cloned().collect();
    Ok(consent)
}

fn one(item: &Item, accepted: bool) -> Vec<Item> {
    accepted.then(|| item.clone()).into_iter().collect()
}

fn check_grant(grant: &Grant, asks: &[Ask]) -> Result<(), PolicyError> {
    if !asks.iter().any(|ask| grant.concerns(&ask.item)) {
        let asked = asks.iter().map(|ask| ask.item.grant_text()).collect();
        return Err(PolicyError::NotAsked { grant: grant.to_string(), asked });
    }
    match grant {
        Grant::Permission(permission) if is_open(permission) => {
            // The bare kind still stands for all directories that the manifest itself names.
            let all_named = permission.scope().is_none() && asks.iter().all(|ask| ask.open().is_none());
            if all_named { Ok(()) } else { Err(PolicyError::NameDirectory { grant: grant.to_string() }) }
        }
        // A manifest that asks for every variable can be granted one by name.
        Grant::Permission(permission) if permission.kind() == PermissionKind::EnvVars => {
            let refused = permission.scope().and_then(refused_variable);
            refused.map_or(Ok(()), |why| Err(PolicyError::Variable { grant: grant.to_string(), why }))
        }
        _ => Ok(()),
    }
}

/// Whether a plugin has something of this kind, or would have it if everything were accepted. Directories that are
/// still to be named are nothing.
fn gets(kind: PermissionKind, asks: &[Ask], so_far: &Consent) -> bool {
    let asked = asks.iter().filter(|ask| ask.open().is_none()).map(|ask| &ask.item);
    asked.chain(&so_far.accepted).filter_map(Item::permission).any(|permission| permission.kind() == kind)
}

/// What of a permission was accepted: itself, or narrower scopes of it.
fn permissions_for(asked: &Permission, dangerous: bool, decisions: &Decisions<'_>) -> Vec<Item> {
    let item = Item::Permission(asked.clone());
    let mut granted = decisions.grants.iter().filter_map(Grant::permission);
    let named = decisions.answered.contains(&item) || granted.clone().any(|grant| grant == asked);
    // An earlier version held more: this is no more than that.
    let inherited = held(decisions).any(|held| covers(held, asked));
    // A bare kind on the command line accepts every scope of it but the dangerous ones, which need their own words.
    let bare = granted.any(|grant| grant.scope().is_none() && grant.kind() == asked.kind());
    if named || inherited || (!dangerous && (decisions.yes || bare)) {
        return vec![item];
    }
    narrower(asked, decisions)
}

/// What was said that is within what was asked.
fn narrower(asked: &Permission, decisions: &Decisions<'_>) -> Vec<Item> {
    let granted = decisions.grants.iter().filter_map(Grant::permission);
    let said = granted.chain(decisions.answered.iter().filter_map(Item::permission)).chain(held(decisions));
    let within = said.filter(|permission| !is_open(permission) && Grant::is_within(permission, asked));
    within.cloned().map(Item::Permission).collect()
}

/// Permissions that were accepted before. Directories are held by name only.
fn held<'a>(decisions: &Decisions<'a>) -> impl Iterator<Item = &'a Permission> {
    decisions.held.iter().filter_map(Item::permission).filter(|permission| !is_open(permission))
}

fn pair_accepted(first: PermissionKind, second: PermissionKind, so_far: &Consent, decisions: &Decisions<'_>) -> bool {
    let item = Item::Pair(first, second);
    if decisions.answered.contains(&item) || decisions.grants.iter().any(|grant| grant.concerns(&item)) {
        return true;
    }
    // A new permission on either side makes it another pair: `--yes` must not widen a way out that was accepted narrow.
    let nothing_new = so_far.accepted.iter().filter_map(Item::permission).all(|accepted| {
        let concerned = accepted.kind() == first || accepted.kind() == second;
        !concerned || held(decisions).any(|held| covers(held, accepted))
    });
    decisions.held.contains(&item) && nothing_new
}

fn hook_accepted(item: &Item, decisions: &Decisions<'_>) -> bool {
    let held = decisions.held.iter().any(|held| match (held, item) {
        // Without a pattern it saw everything of the event before.
        (Item::Hook { event: before, pattern: None, command: ran }, Item::Hook { event, command, .. }) => {
            before == event && ran == command
        }
        (held, item) => held == item,
    });
    held || accepted_now(item, decisions)
}

fn timeout_accepted(item: &Item, decisions: &Decisions<'_>) -> bool {
    let held = decisions.held.iter().any(|held| match (held, item) {
        (Item::Timeout { command: before, timeout: most }, Item::Timeout { command, timeout }) => {
            before == command && timeout <= most
        }
        _ => false,
    });
    held || accepted_now(item, decisions)
}

fn accepted_now(item: &Item, decisions: &Decisions<'_>) -> bool {
    decisions.yes || decisions.answered.contains(item) || decisions.grants.iter().any(|grant| grant.concerns(item))
}

//! `revoke`: takes back what was granted. A plugin that cannot do without it is not enabled any more.

use serde::Serialize;

use super::ManageError;
use super::consent::{Asking, Consenting, NoPrompt};
use super::directories::Directories;
use super::enable::{entry, replace};
use super::info::MissingItem;
use crate::ids::PluginName;
use crate::policy::{Grant, Item, granted_words};
use crate::store::{Home, Status};

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokeReport {
    /// The plugin.
    pub name: PluginName,
    /// How it stands now.
    pub status: Status,
    /// What it does not hold any more, as grants.
    pub revoked: Vec<String>,
    /// What it may still do, in plain words.
    pub granted: Vec<String>,
    /// What it needs consent for before it can be enabled.
    pub missing: Vec<MissingItem>,
}

/// Takes grants back: a bare kind takes all of that kind, a directory all below it.
///
/// # Errors
/// There is no such plugin, it does not hold one of the grants, or the store failed. Nothing has changed then.
pub fn revoke(
    home: &Home,
    name: &PluginName,
    grants: &[Grant],
    directories: &Directories,
) -> Result<RevokeReport, ManageError> {
    let before = entry(home, name)?;
    let mut after = before.clone();
    for grant in grants {
        let grant = directories.of_held(grant)?;
        let held = after.decided.consents.len();
        after.decided.consents.retain(|item| !grant.takes_back(item));
        if after.decided.consents.len() == held {
            let held = before.decided.consents.iter().map(Item::grant_text).collect();
            return Err(ManageError::NotHeld { name: name.clone(), grant: grant.to_string(), held });
        }
    }
    let mut consenting = Consenting { yes: false, grants: &[], directories, prompt: &mut NoPrompt };
    let asking = Asking { is_to_run: false, ..Asking::installed(name, &after) };
    let settled = consenting.settle(&asking, Some(&after), &home.policy()?)?;
    settled.keep_in(&mut after);
    if before.decided.enabled && !settled.consent.is_complete() {
        // It waits for consent again, as after an installation.
        (after.decided.enabled, after.decided.was_enabled) = (false, false);
    }
    let status = after.status();
    let gone = before.decided.consents.iter().filter(|item| !after.decided.consents.contains(item));
    let revoked = gone.map(Item::grant_text).collect();
    replace(home, name, &before, after)?;
    Ok(RevokeReport {
        name: name.clone(),
        status,
        revoked,
        granted: granted_words(&settled.asks, &settled.consent),
        missing: settled.consent.missing.iter().map(MissingItem::of).collect(),
    })
}

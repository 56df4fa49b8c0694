//! Consent: what the command line says is counted first, then a person is asked for the rest, if there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use migraine_plugin_api::{CommandSpec, HookSpec, Permission};
use serde_json::Value;

use super::ManageError;
use super::companions::Companion;
use super::directories::{Directories, permission};
use super::first_use::KeyQuestion;
use super::maker::OtherMaker;
use crate::ids::PluginName;
use crate::package::scan::Scan;
use crate::policy::{
    Access, Ask, Consent, Decisions, DirectoryScope, Grant, Item, Policy, Refusal, Request, asks, covers, decide,
    opened, resolve,
};
use crate::store::{Entry, Trust};
use crate::wire::DIRECTORIES_MAX;

/// Asks a person. The plugin is not running, and nothing it wrote can answer.
pub trait Prompt {
    /// The items that were accepted; `None` when there is nobody to ask.
    fn ask(&mut self, question: &Question<'_>) -> Option<Vec<Item>>;

    /// Whether what a plugin needs is to be installed along with it; no, when there is nobody to ask.
    fn along(&mut self, question: &CompanionsQuestion<'_>) -> bool {
        let _ = question;
        false
    }

    /// Whether packages are to be fetched from where a lock says that they are; no, when there is nobody to ask.
    fn fetch(&mut self, question: &FetchQuestion<'_>) -> bool {
        let _ = question;
        false
    }

    /// Whether an unknown key is to be trusted for this one plugin; no, when there is nobody to ask.
    fn pin(&mut self, question: &KeyQuestion<'_>) -> bool {
        let _ = question;
        false
    }
}

/// What a person needs to know to decide on plugins that come along.
#[derive(Debug)]
pub struct CompanionsQuestion<'a> {
    /// The plugin that needs them.
    pub name: &'a PluginName,
    /// Its version.
    pub version: &'a semver::Version,
    /// What it needs, in the order of loading.
    pub companions: &'a [Companion],
}

/// What a person needs to know to decide on downloads.
#[derive(Debug)]
pub struct FetchQuestion<'a> {
    /// Each package and its address, in one line.
    pub places: &'a [String],
}

/// What a person needs to know to decide.
#[derive(Debug)]
pub struct Question<'a> {
    /// The plugin.
    pub name: &'a PluginName,
    /// Its version.
    pub version: &'a semver::Version,
    /// Who vouches for it.
    pub trust: &'a Trust,
    /// Whose plugin it takes the place of, in a sentence, where that is somebody else's.
    pub other_maker: Option<String>,
    /// The author's one line, not made safe to show.
    pub description: &'a str,
    /// What was found in its scripts, where they were looked at just now.
    pub scan: Option<&'a Scan>,
    /// What is asked for and not accepted yet.
    pub asks: &'a [Ask],
    /// Reads what a person types for a directory.
    pub directories: &'a Directories,
}

impl Question<'_> {
    /// The item that accepts a directory, as a person typed it, for an open question ([`Ask::open`]).
    ///
    /// # Errors
    /// As [`Directories::named`].
    pub fn named(&self, access: Access, typed: &str) -> Result<Item, ManageError> {
        let path = self.directories.expanded(Path::new(typed))?;
        permission(access, self.directories.named(access, &path)?).map(Item::Permission)
    }
}

/// Nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn ask(&mut self, _question: &Question<'_>) -> Option<Vec<Item>> {
        None
    }
}

/// What the command line says, and who can be asked for the rest.
pub struct Consenting<'a> {
    /// Accept everything but dangerous items.
    pub yes: bool,
    /// Grants by name; directories as they were typed.
    pub grants: &'a [Grant],
    /// Reads directories.
    pub directories: &'a Directories,
    /// Asked for what is left.
    pub prompt: &'a mut dyn Prompt,
}

/// A plugin that asks, with all that it asks for.
pub(super) struct Asking<'a> {
    pub(super) name: &'a PluginName,
    pub(super) version: &'a semver::Version,
    pub(super) trust: &'a Trust,
    pub(super) other_maker: Option<OtherMaker>,
    pub(super) description: &'a str,
    pub(super) scan: Option<&'a Scan>,
    pub(super) permissions: &'a [Permission],
    pub(super) hooks: &'a [HookSpec],
    pub(super) commands: &'a [CommandSpec],
    pub(super) config: BTreeMap<String, Value>,
    /// Whether it is to run now: then nobody is asked for what the policy leaves nothing of.
    pub(super) is_to_run: bool,
}

/// How it was settled.
pub(super) struct Settled {
    pub(super) asks: Vec<Ask>,
    pub(super) consent: Consent,
    /// Where the manifest's own directories lead, of those that were accepted.
    pub(super) directories: BTreeMap<String, PathBuf>,
}

impl<'a> Asking<'a> {
    /// An installed plugin.
    pub(super) fn installed(name: &'a PluginName, entry: &'a Entry) -> Self {
        Self {
            name,
            version: &entry.version,
            trust: &entry.trust,
            other_maker: None,
            description: &entry.description,
            scan: None,
            permissions: &entry.asked,
            hooks: &entry.hooks,
            commands: &entry.commands,
            config: entry.config(),
            is_to_run: true,
        }
    }
}

impl Settled {
    /// Writes the outcome into an entry.
    pub(super) fn keep_in(&self, entry: &mut Entry) {
        entry.decided.grants.clone_from(&self.consent.granted);
        entry.decided.consents.clone_from(&self.consent.accepted);
        entry.decided.directories.clone_from(&self.directories);
    }
}

impl Consenting<'_> {
    /// Decides on everything a plugin asks for; `before` is what stands in the store of it. What is accepted beyond it is
    /// within what the policy allows.
    pub(super) fn settle(
        &mut self,
        asking: &Asking<'_>,
        before: Option<&Entry>,
        policy: &Policy,
    ) -> Result<Settled, ManageError> {
        let name = asking.name;
        let failed = |source| ManageError::Policy { name: name.clone(), source };
        let permissions = resolve(asking.permissions, &asking.config).map_err(failed)?;
        let known = before.map(|before| before.decided.directories.clone()).unwrap_or_default();
        let mut directories = self.directories.of_manifest(&permissions, &known)?;
        let request = Request {
            permissions: &permissions,
            directories: &directories,
            hooks: asking.hooks,
            commands: asking.commands,
            combos: &policy.combos(),
        };
        let asks = asks(&request);
        if asking.is_to_run {
            let asked: Vec<Item> = asks.iter().map(|ask| ask.item.clone()).collect();
            refuse(asking, before, &asked, |item| policy.check_ask(item))?;
        }
        let grants = self.directories.of_grants(self.grants, &asks)?;
        let held = before.map(|before| before.decided.consents.as_slice()).unwrap_or_default();
        let said = Decisions { yes: self.yes, grants: &grants, answered: &[], held };
        let mut consent = decide(&asks, &said).map_err(failed)?;
        // Which directories it may have is asked once; afterwards they are named on the command line.
        let first = !self.yes && before.is_none_or(|before| !before.decided.was_enabled);
        let (mut shown, mut answered) = (Vec::new(), Vec::new());
        loop {
            let open = consent.open.iter().filter(|_| first);
            let rest: Vec<Ask> =
                consent.missing.iter().chain(open).filter(|ask| !shown.contains(*ask)).cloned().collect();
            if rest.is_empty() {
                break;
            }
            let Asking { version, trust, description, scan, .. } = *asking;
            let (directories, other_maker) = (self.directories, asking.other_maker.map(|other| other.to_string()));
            let question = Question { name, version, trust, other_maker, description, scan, asks: &rest, directories };
            let Some(more) = self.prompt.ask(&question) else { break };
            answered.extend(more);
            shown.extend(rest);
            // A directory that was named just now can make a pair, which is then asked for as well.
            consent = decide(&asks, &Decisions { answered: &answered, ..said }).map_err(failed)?;
        }
        refuse(asking, before, &consent.accepted, |item| {
            item.permission().map_or(Ok(()), |new| policy.check_grant(new))
        })?;
        // Fewer than before are fine even where an older state holds too many: each can be taken back.
        let (now, before) =
            (opened(&consent.granted).len(), before.map_or(0, |before| opened(&before.decided.grants).len()));
        if now > DIRECTORIES_MAX && now > before {
            return Err(ManageError::TooManyDirectories { name: name.clone(), count: now });
        }
        let granted: Vec<PathBuf> =
            consent.granted.iter().filter_map(|granted| DirectoryScope::of(granted)?.directory).collect();
        directories.retain(|_, leads| granted.iter().any(|granted| granted.starts_with(&*leads)));
        Ok(Settled { asks, consent, directories })
    }

    /// What the command line said already, to be said again where nothing was kept of it.
    pub(super) fn flags(&self) -> String {
        let grants = self.grants.iter().map(|grant| format!(" {}", grant.flag()));
        self.yes.then(|| " --yes".to_owned()).into_iter().chain(grants).collect()
    }
}

/// Refuses the first of some items that was not accepted before.
fn refuse(
    asking: &Asking<'_>,
    before: Option<&Entry>,
    items: &[Item],
    check: impl Fn(&Item) -> Result<(), Refusal>,
) -> Result<(), ManageError> {
    // What was granted before the policy said otherwise stays granted, and is not in force.
    let held = |item: &Item| {
        let held = before.into_iter().flat_map(|before| &before.decided.consents).filter_map(Item::permission);
        item.permission().is_some_and(|new| held.clone().any(|held| covers(held, new)))
    };
    let refused = items.iter().filter(|item| !held(item)).find_map(|item| check(item).err());
    let error = |refusal| ManageError::Refused { what: asking.name.to_string(), source: Box::new(refusal) };
    refused.map_or(Ok(()), |refusal| Err(error(refusal)))
}

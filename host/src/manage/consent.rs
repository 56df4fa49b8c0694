//! Consent: what the command line says is counted first, then a person is asked for the rest, if there is one.

use super::ManageError;
use crate::ids::PluginName;
use crate::policy::{Ask, Consent, Decisions, Grant, Item, decide};
use crate::store::Trust;

/// Asks a person. The plugin is not running, and nothing it wrote can answer.
pub trait Prompt {
    /// The items that were accepted; `None` when there is nobody to ask.
    fn ask(&mut self, question: &Question<'_>) -> Option<Vec<Item>>;
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
    /// The author's one line, not made safe to show.
    pub description: &'a str,
    /// What is asked for and not accepted yet.
    pub asks: &'a [Ask],
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
    /// Grants by name.
    pub grants: &'a [Grant],
    /// Asked for what is left.
    pub prompt: &'a mut dyn Prompt,
}

impl Consenting<'_> {
    /// Decides on everything in a question; `held` was accepted before.
    pub(super) fn settle(&mut self, question: &Question<'_>, held: &[Item]) -> Result<Consent, ManageError> {
        let failed = |source| ManageError::Policy { name: question.name.clone(), source };
        let said = Decisions { yes: self.yes, grants: self.grants, answered: &[], held };
        let consent = decide(question.asks, &said).map_err(failed)?;
        if consent.is_complete() {
            return Ok(consent);
        }
        let rest = Question { asks: &consent.missing, ..*question };
        match self.prompt.ask(&rest) {
            Some(answered) => decide(question.asks, &Decisions { answered: &answered, ..said }).map_err(failed),
            None => Ok(consent),
        }
    }
}

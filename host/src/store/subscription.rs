//! What a run of a workflow needs of the state, and no more of it: of a thousand plugins, most are passed over as text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use memchr::memmem;
use migraine_plugin_api::{HookSpec, Permission};
use serde::Deserialize;

use super::decided::Decided;
use super::error::StoreError;
use super::home::{Home, STATE, STATE_MAX};
use super::state::{Entry, Problem, Status, checked};
use super::system::Overlay;
use crate::ids::{Digest, PluginName};

/// The subscriptions of a plugin that may run; the same fields as those of an [`Entry`](super::Entry).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    /// What it subscribes to; never empty.
    #[serde(default)]
    pub hooks: Vec<HookSpec>,
    /// What it was granted.
    #[serde(default)]
    pub grants: Vec<Permission>,
    /// What it says it needs.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Its tree.
    pub digest: Digest,
    /// The files that it is linked to while it is developed.
    #[serde(default)]
    pub link: Option<PathBuf>,
    enabled: bool,
    #[serde(default)]
    problem: Option<Problem>,
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    plugins: BTreeMap<PluginName, Subscription>,
    #[serde(default)]
    overlays: BTreeMap<PluginName, Overlay>,
}

impl From<Entry> for Subscription {
    fn from(entry: Entry) -> Self {
        let Entry { hooks, dependencies, digest, link, problem, decided, .. } = entry;
        let Decided { grants, enabled, .. } = decided;
        Self { hooks, grants, dependencies, digest, link, enabled, problem }
    }
}

impl Home {
    /// The plugins that are enabled and subscribe to something, as the state is now.
    ///
    /// # Errors
    /// As [`Home::read`].
    pub fn subscriptions(&self) -> Result<BTreeMap<PluginName, Subscription>, StoreError> {
        let text = self.root.read(STATE, STATE_MAX)?;
        let own = text.map(|text| decode(&text)).transpose();
        let own = own.map_err(|why| StoreError::Corrupt { path: self.path().join(STATE), why })?;
        let Body { plugins: mut found, overlays } = own.unwrap_or_default();
        let system = self.read_system(&overlays);
        for (name, entry) in system.those(may_subscribe) {
            // One of the user's own hides it, whether that one runs or not.
            if entry.status() == Status::Enabled && !found.contains_key(name) {
                found.insert(name.clone(), entry.clone().into());
            }
        }
        keep_running(&mut found);
        Ok(found)
    }
}

/// Whether the text of an entry may be that of an enabled plugin with subscriptions: false only where it cannot be.
fn may_subscribe(line: &[u8]) -> bool {
    let holds = |text: &str| memmem::find(line, text.as_bytes()).is_some();
    // JSON can write any letter as an escape, and spaces between two words; this program writes neither.
    let is_other = [r"\u", "\": ", "\" :", "\t", "\r"].into_iter().any(holds);
    is_other || holds(r#""hooks":["#) && holds(r#""enabled":true"#)
}

fn keep_running(plugins: &mut BTreeMap<PluginName, Subscription>) {
    plugins.retain(|_, plugin| plugin.enabled && plugin.problem.is_none() && !plugin.hooks.is_empty());
}

fn decode(text: &[u8]) -> Result<Body, String> {
    let (_, body) = checked(text)?;
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{entry, one};
    use crate::store::{Entry, ProblemKind, State, Status};

    #[test]
    fn those_that_may_run_and_subscribe_are_as_in_the_whole_state() {
        let whole = entry(&one("1.0.0"));
        let problem = Problem { kind: ProblemKind::Quarantined, reason: "r".to_owned() };
        let off = Decided { enabled: false, ..whole.decided.clone() };
        let bare = Decided { grants: Vec::new(), ..whole.decided.clone() };
        let entries = [
            whole.clone(),
            Entry { decided: off, ..whole.clone() },
            Entry { hooks: Vec::new(), ..whole.clone() },
            Entry { problem: Some(problem), ..whole.clone() },
            Entry { decided: bare, previous: Some(Box::new(whole.clone())), ..whole },
        ];
        let mut state = State::default();
        for (number, entry) in entries.into_iter().enumerate() {
            state.plugins.insert(format!("plugin-{number}").parse().unwrap(), entry);
        }
        let text = state.encode().unwrap();
        let expected = state
            .plugins
            .iter()
            .unwrap()
            .filter(|(_, entry)| entry.status() == Status::Enabled && !entry.hooks.is_empty());
        let expected: Vec<_> = expected.map(|(name, entry)| (name, &entry.hooks, &entry.decided.grants)).collect();
        let mut found = decode(&text).unwrap().plugins;
        keep_running(&mut found);
        let found: Vec<_> = found.iter().map(|(name, found)| (name, &found.hooks, &found.grants)).collect();
        assert_eq!((found.len(), found), (2, expected));
        let mut changed = text;
        let last = changed.len() - 5;
        changed[last] ^= 1;
        assert!(decode(&changed).unwrap_err().contains("checksum"));
    }

    #[test]
    fn the_text_of_what_may_subscribe_is_never_passed_over() {
        let whole = entry(&one("1.0.0"));
        let off = Decided { enabled: false, ..whole.decided.clone() };
        let text = |entry: &Entry| serde_json::to_string(entry).unwrap();
        let subscribed = text(&whole);
        assert!(!whole.hooks.is_empty() && may_subscribe(subscribed.as_bytes()), "{subscribed}");
        assert!(!may_subscribe(text(&Entry { hooks: Vec::new(), ..whole.clone() }).as_bytes()));
        assert!(!may_subscribe(text(&Entry { decided: off, ..whole }).as_bytes()));
        // The same, written otherwise.
        for (from, to) in
            [(r#""hooks":["#, r#""hooks": ["#), ("hooks", r"h\u006foks"), (":true", ":\ttrue"), (":true", " :true")]
        {
            let other = subscribed.replace(from, to);
            assert_eq!(serde_json::from_str::<Entry>(&other).unwrap(), serde_json::from_str(&subscribed).unwrap());
            assert!(may_subscribe(other.as_bytes()), "{other}");
        }
    }
}

//! The events of an application as data: what each carries, and what an answer may do.
//!
//! In names `-` and `_` are equal; the form with dashes is the one shown.

use std::borrow::Cow;
use std::collections::BTreeMap;

use migraine_plugin_api::PermissionKind;

use super::error::HookError;

/// A part of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// The workflow that runs.
    Workflow,
    /// The step that runs.
    Step,
    /// Its command.
    Command,
    /// The captured output and its size.
    Output,
    /// The workflow's variables.
    Variables,
    /// Free fields of the event.
    Data,
}

impl Field {
    /// The name used in a context and in its list of withheld fields.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Step => "step",
            Self::Command => "command",
            Self::Output => "output",
            Self::Variables => "variables",
            Self::Data => "data",
        }
    }
}

/// A field that an event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Which.
    pub field: Field,
    /// The permission a plugin needs to see it; without one the subscription is enough.
    pub needs: Option<PermissionKind>,
}

/// What the answer to an event may do besides being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing.
    Recorded,
    /// Refuse what is about to happen, if the plugin has this permission.
    Veto(PermissionKind),
}

/// One event, or one family of events whose names begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSpec {
    name: String,
    summary: String,
    carries: Vec<Carried>,
    reply: Reply,
}

impl EventSpec {
    /// An event that carries nothing and whose answer is only recorded. A name that ends with `*` is a family:
    /// `workflow:pre-*` is every event of that beginning. The summary says when it happens, as in "before a command runs".
    #[must_use]
    pub fn new(name: &str, summary: &str) -> Self {
        let name = canonical(name).into_owned();
        Self { name, summary: summary.to_owned(), carries: Vec::new(), reply: Reply::Recorded }
    }

    /// Adds fields; variables need `task_read`, the others only the subscription.
    #[must_use]
    pub fn carrying(mut self, fields: &[Field]) -> Self {
        self.carries.extend(
            fields.iter().map(|&field| Carried {
                field,
                needs: (field == Field::Variables).then_some(PermissionKind::TaskRead),
            }),
        );
        self
    }

    /// Adds a field that needs a permission.
    #[must_use]
    pub fn carrying_for(mut self, field: Field, needs: PermissionKind) -> Self {
        self.carries.push(Carried { field, needs: Some(needs) });
        self
    }

    /// Lets an answer refuse what is about to happen.
    #[must_use]
    pub fn vetoed_with(mut self, needs: PermissionKind) -> Self {
        self.reply = Reply::Veto(needs);
        self
    }

    /// The name with dashes; a family's ends with `*`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it happens.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// What it carries.
    #[must_use]
    pub fn carries(&self) -> &[Carried] {
        &self.carries
    }

    /// What an answer may do.
    #[must_use]
    pub fn reply(&self) -> Reply {
        self.reply
    }

    /// Whether it carries a field.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.carries.iter().any(|carried| carried.field == field)
    }
}

/// The events of one application.
#[derive(Debug, Clone)]
pub struct Catalogue {
    application: String,
    events: BTreeMap<String, EventSpec>,
}

impl Catalogue {
    /// A catalogue of an application's own events.
    ///
    /// # Errors
    /// A name of the wrong form, or two of the same name.
    pub fn new(application: &str, events: Vec<EventSpec>) -> Result<Self, HookError> {
        let mut known = BTreeMap::new();
        for event in events {
            if !is_event_name(event.name.strip_suffix('*').unwrap_or(&event.name)) {
                return Err(HookError::BadEventName { event: event.name });
            }
            if let Some(first) = known.insert(event.name.clone(), event) {
                return Err(HookError::DuplicateEvent { event: first.name });
            }
        }
        Ok(Self { application: application.to_owned(), events: known })
    }

    /// The events of migraine itself.
    #[must_use]
    pub fn migraine() -> Self {
        Self::new("migraine", migraine_events()).expect("the built-in table has unique names of the right form")
    }

    /// The application's name.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// All events, by name.
    pub fn events(&self) -> impl Iterator<Item = &EventSpec> {
        self.events.values()
    }

    /// The event of that name, or the family it belongs to.
    #[must_use]
    pub fn find(&self, event: &str) -> Option<&EventSpec> {
        let event = canonical(event);
        if event.ends_with('*') {
            return None;
        }
        self.events.get(event.as_ref()).or_else(|| {
            self.events.values().find(|spec| {
                spec.name.strip_suffix('*').is_some_and(|start| event.len() > start.len() && event.starts_with(start))
            })
        })
    }

    /// The known name that is most similar, if any is similar enough to be meant.
    #[must_use]
    pub fn nearest(&self, event: &str) -> Option<&str> {
        // Names are short; what is longer was written by nobody who meant one of them.
        if event.len() > 64 {
            return None;
        }
        let event = canonical(event);
        let (distance, name) = self.events.keys().map(|name| (edit_distance(&event, name), name)).min()?;
        (distance <= (event.len() / 3).max(2)).then_some(name)
    }
}

/// A name in the form that is compared and shown.
#[must_use]
pub fn canonical(event: &str) -> Cow<'_, str> {
    if event.contains('_') { Cow::Owned(event.replace('_', "-")) } else { Cow::Borrowed(event) }
}

fn is_event_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b':');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(allowed)
}

fn migraine_events() -> Vec<EventSpec> {
    use Field::{Command, Data, Output, Step, Variables, Workflow};
    use PermissionKind::TaskWrite;
    let run = [Workflow, Variables, Data];
    let command = [Workflow, Step, Command, Variables, Data];
    let output = [Workflow, Step, Command, Output, Variables, Data];
    let event = EventSpec::new;
    vec![
        event("workflow-load", "when a workflow file was read").carrying(&[Workflow, Data]),
        event("variable-resolution", "when variables got their values").carrying(&run),
        event("pre-workflow", "before a workflow").carrying(&run).vetoed_with(TaskWrite),
        event("pre-command", "before each command").carrying(&command).vetoed_with(TaskWrite),
        event("command-output", "with every piece of a command's output").carrying(&output),
        event("post-command", "after each command, with its output").carrying(&output),
        event("command-error", "after each failed command, with its output").carrying(&output),
        event("pre-check-status", "after each pre-check").carrying(&command),
        event("workflow-progress", "after each step").carrying(&run),
        event("workflow-error", "when a workflow failed").carrying(&run),
        event("post-workflow", "after a workflow").carrying(&run),
        event("workflow:pre-*", "before the action of that name").carrying(&run).vetoed_with(TaskWrite),
        event("workflow:post-*", "after the action of that name").carrying(&run),
        event("plugin-install", "after a plugin was installed").carrying(&[Data]),
        event("plugin-uninstall", "after a plugin was removed").carrying(&[Data]),
        event("plugin-enabled", "after a plugin was enabled").carrying(&[Data]),
        event("config-validate", "before a configuration value is stored").carrying(&[Data]).vetoed_with(TaskWrite),
        event("cli-command", "when a command of a plugin is called").carrying(&[Data]),
    ]
}

/// Levenshtein's distance in bytes.
fn edit_distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: S39, S40, S41, S42, S43, S44, S45, S46, S47, S48, S49, S50, S208, S209, S210, S211
    #[test]
    fn every_event_of_both_documents_is_known_in_either_spelling() {
        let catalogue = Catalogue::migraine();
        for name in [
            "pre-command",
            "post_command",
            "command-output",
            "command_error",
            "pre-workflow",
            "post-workflow",
            "workflow-progress",
            "workflow_error",
            "workflow-load",
            "variable-resolution",
            "pre-check-status",
            "workflow:post-deploy",
            "workflow:pre_deploy_all",
            "plugin_install",
            "plugin_uninstall",
            "plugin_enabled",
            "config_validate",
            "cli_command",
        ] {
            assert!(catalogue.find(name).is_some(), "{name}");
        }
        for name in ["", "workflow:post-", "workflow:post-*", "workflow:", "Pre-command", "pre-task-submit"] {
            assert!(catalogue.find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_only_when_it_is_near() {
        let catalogue = Catalogue::migraine();
        assert_eq!(catalogue.nearest("pre-comand"), Some("pre-command"));
        assert_eq!(catalogue.nearest("post_comand"), Some("post-command"));
        assert_eq!(catalogue.nearest("zzzzzz"), None);
        assert_eq!(catalogue.nearest(&"pre-command".repeat(100)), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn an_application_brings_its_own_events() {
        let events = vec![EventSpec::new("pre_task_submit", "before a task is accepted").carrying(&[Field::Data])];
        let catalogue = Catalogue::new("marathon", events).unwrap();
        assert!(catalogue.find("pre-task-submit").is_some());
        assert!(catalogue.find("pre-command").is_none());
        let twice = vec![EventSpec::new("a_b", ""), EventSpec::new("a-b", "")];
        assert!(matches!(Catalogue::new("x", twice), Err(HookError::DuplicateEvent { .. })));
        for bad in ["", "*", "A", "a b", "a*b", "é"] {
            let bad = vec![EventSpec::new(bad, "")];
            assert!(matches!(Catalogue::new("x", bad), Err(HookError::BadEventName { .. })));
        }
    }
}

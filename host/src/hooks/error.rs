//! What can be wrong with a catalogue or with the subscriptions of plugins.

use crate::code::{Code, Coded};
use crate::ids::PluginName;
use crate::text::safe_line;

/// A catalogue or a set of subscriptions that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// A plugin subscribes to an event that the application does not have.
    #[error("plugin `{plugin}` subscribes to the unknown event `{}`", safe_line(event))]
    UnknownEvent {
        /// The plugin.
        plugin: PluginName,
        /// The event as the plugin wrote it.
        event: String,
        /// The application whose catalogue was asked.
        application: String,
        /// The known event with the most similar name.
        nearest: Option<String>,
    },
    /// A pattern is no regular expression, or needs more memory than a pattern may.
    #[error(
        "plugin `{plugin}`, event `{}`: the pattern `{}` is refused: {reason}",
        safe_line(event),
        safe_line(pattern)
    )]
    BadPattern {
        /// The plugin.
        plugin: PluginName,
        /// The event as the plugin wrote it.
        event: String,
        /// The pattern.
        pattern: String,
        /// Why, in one line.
        reason: String,
    },
    /// A command that a subscription is bound to cannot be read.
    #[error(
        "plugin `{plugin}`, event `{}`: the command `{}` is refused: {}",
        safe_line(event),
        safe_line(command),
        safe_line(reason)
    )]
    BadCommand {
        /// The plugin.
        plugin: PluginName,
        /// The event as the plugin wrote it.
        event: String,
        /// The command as the plugin wrote it.
        command: String,
        /// Why, in one line.
        reason: String,
    },
    /// The same plugin was given twice.
    #[error("plugin `{plugin}` was registered twice")]
    DuplicateSubscriber {
        /// The plugin.
        plugin: PluginName,
    },
    /// An application's catalogue has a name that is not of the form of event names.
    #[error("`{}` is not an event name: lower-case letters, digits, `-` and `:`, at most 64 bytes", safe_line(event))]
    BadEventName {
        /// The name.
        event: String,
    },
    /// An application's catalogue names an event twice.
    #[error("the event `{event}` appears twice in the catalogue")]
    DuplicateEvent {
        /// The event.
        event: String,
    },
}

impl Coded for HookError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownEvent { .. } | Self::BadPattern { .. } | Self::BadCommand { .. } => Code::ManifestInvalid,
            Self::DuplicateSubscriber { .. } | Self::BadEventName { .. } | Self::DuplicateEvent { .. } => {
                Code::ValueInvalid
            }
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::UnknownEvent { application, nearest: Some(nearest), .. } => Some(format!(
                "{application} has `{nearest}`; a hook that other applications need is marked `optional: true`"
            )),
            Self::UnknownEvent { application, nearest: None, .. } => Some(format!(
                "the plugin may be made for another application than {application}; `optional: true` tolerates that"
            )),
            Self::BadPattern { .. } => Some("write a shorter or simpler regular expression".to_owned()),
            _ => None,
        }
    }
}

//! What is asked for in plain words, after "it wants to".

use migraine_plugin_api::{Permission, PermissionKind, Timeout};

use super::directory::{Access, DirectoryScope};
use super::endpoint::EndpointScope;
use super::grant::Grant;
use super::{Ask, Consent, program_set};
use crate::bound::BoundCommand;
use crate::text::safe_whole;

/// What a plugin may do now, in the order of what it asked for.
#[must_use]
pub fn granted_words(asks: &[Ask], consent: &Consent) -> Vec<String> {
    let within = |asked: &Permission| {
        consent.granted.iter().filter(|granted| Grant::is_within(granted, asked)).cloned().collect::<Vec<_>>()
    };
    let words = asks.iter().flat_map(|ask| match ask.item.permission() {
        _ if consent.accepted.contains(&ask.item) => vec![ask.words.clone()],
        Some(asked) => {
            let mut words: Vec<String> = within(asked).iter().map(|granted| permission(granted, None)).collect();
            words.extend(consent.open.contains(ask).then(|| format!("{} (none so far)", ask.words)));
            words
        }
        None => Vec::new(),
    });
    let mut seen = Vec::new();
    for text in words {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// `written` is what the author wrote for a directory that leads elsewhere.
pub(super) fn permission(permission: &Permission, written: Option<&str>) -> String {
    let text = match permission.kind() {
        PermissionKind::TaskRead => "see the variables of every workflow that runs",
        PermissionKind::TaskWrite => "set variables, change or stop commands and end the hook chain",
        PermissionKind::UserAuth => "see authentication data and values from the vault",
        PermissionKind::Network => return network(permission.scope()),
        PermissionKind::Filesystem => return directory(permission, written),
        PermissionKind::EnvVars => match permission.scope() {
            Some(name) => return format!("see the environment variable {}", safe_whole(name)),
            None => "see every environment variable",
        },
        PermissionKind::Exec => match permission.scope() {
            Some(program) => {
                return match program_set(program) {
                    Some(set) => format!("run the programs of {program}: {}", set.join(", ")),
                    None => format!("run the program {}", safe_whole(program)),
                };
            }
            None => "run any program",
        },
        _ => return format!("use the permission {}", safe_whole(&permission.to_string())),
    };
    text.to_owned()
}

fn network(scope: Option<&str>) -> String {
    let Some(scope) = scope else { return "connect to any host and port".to_owned() };
    let socket = scope.parse::<EndpointScope>().ok().and_then(|scope| scope.socket().map(ToOwned::to_owned));
    match socket {
        Some(path) => format!("connect to the socket {}", safe_whole(&path.to_string_lossy())),
        None => format!("connect to {}", safe_whole(scope)),
    }
}

fn directory(permission: &Permission, written: Option<&str>) -> String {
    let Some(DirectoryScope { access, directory }) = DirectoryScope::of(permission) else {
        return format!("use the permission {}", safe_whole(&permission.to_string()));
    };
    let Some(directory) = directory.map(|directory| safe_whole(&directory.to_string_lossy())) else {
        return match access {
            Access::Read => "read the files of directories that you name".to_owned(),
            Access::Write => "read and change the files of directories that you name".to_owned(),
        };
    };
    let place = written.map_or_else(|| directory.clone(), |written| format!("{} ({directory})", safe_whole(written)));
    match access {
        Access::Read => format!("read files in {place}"),
        Access::Write => format!("read and change files in {place}"),
    }
}

pub(super) fn timeout(command: &str, timeout: Timeout) -> String {
    let command = safe_whole(command);
    match timeout {
        Timeout::None => format!("run `{command}` for as long as it likes"),
        Timeout::Seconds(seconds) => format!("run `{command}` for up to {}", duration(seconds)),
    }
}

fn duration(seconds: u32) -> String {
    let (count, unit) = match seconds {
        seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// What one sees of an event, and when it happens. `{}` stands after the command that a pattern can narrow.
fn event_words(event: &str) -> Option<(&'static str, &'static str)> {
    let words = match event {
        "pre-command" => ("see every command{} before it runs", "before every command{}"),
        "post-command" => ("see the output of every command{} after it has run", "after every command{}"),
        "command-output" => ("see the output of every command{} while it runs", "at the output of every command{}"),
        "command-error" => ("see the output of every command{} that fails", "after every command{} that fails"),
        "pre-workflow" => ("know when a workflow starts", "before every workflow"),
        "post-workflow" => ("know when a workflow has ended", "after every workflow"),
        "workflow-progress" => ("know which step of a workflow is running", "at every step of a workflow"),
        "workflow-error" => ("know when a workflow fails and why", "when a workflow fails"),
        "workflow-load" => ("see every workflow file that is loaded", "when a workflow file is loaded"),
        "variable-resolution" => ("know which variables a command uses", "when the variables of a command are found"),
        "pre-check-status" => ("see the result of every pre-check", "after every pre-check"),
        "plugin-install" | "plugin-uninstall" | "plugin-enabled" => {
            ("know which plugins come and go", "when a plugin comes or goes")
        }
        "config-validate" => ("check configuration before it is used", "when configuration is checked"),
        "cli-command" => ("see every command line of this program", "at every command line of this program"),
        _ => return None,
    };
    Some(words)
}

pub(super) fn hook(event: &str, pattern: Option<&str>) -> String {
    let text = match (event_words(event), action(event)) {
        (Some((sees, _)), _) => sees.to_owned(),
        (None, Some((Moment::Before, action))) => format!("know when the action `{action}` is about to start"),
        (None, Some((Moment::After, action))) => format!("know when the action `{action}` has ended"),
        (None, None) => format!("be told of every event `{}`", safe_whole(event)),
    };
    narrowed(&text, pattern)
}

/// A subscription that runs a command of the plugin.
pub(super) fn bound(event: &str, pattern: Option<&str>, command: &str) -> String {
    let when = match (event_words(event), action(event)) {
        (Some((_, when)), _) => when.to_owned(),
        (None, Some((Moment::Before, action))) => format!("before the action `{action}`"),
        (None, Some((Moment::After, action))) => format!("after the action `{action}`"),
        (None, None) => format!("at every event `{}`", safe_whole(event)),
    };
    let variables = BoundCommand::parse(command).map(|command| variables_of(&command)).unwrap_or_default();
    format!("run its command `{}` {}{variables}", safe_whole(command), narrowed(&when, pattern))
}

fn variables_of(command: &BoundCommand) -> String {
    let names: Vec<String> = command.variables().into_iter().map(|name| format!("`{}`", safe_whole(name))).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(", with the workflow's variable {one}"),
        [first @ .., last] => format!(", with the workflow's variables {} and {last}", first.join(", ")),
    }
}

enum Moment {
    Before,
    After,
}

/// The action that an event of a workflow's action is about, safe to show.
fn action(event: &str) -> Option<(Moment, String)> {
    let name = event.strip_prefix("workflow:")?;
    let before = name.strip_prefix("pre-").map(|action| (Moment::Before, safe_whole(action)));
    before.or_else(|| name.strip_prefix("post-").map(|action| (Moment::After, safe_whole(action))))
}

/// The pattern narrows which commands are meant, so it stands right after them where there is a place for it.
fn narrowed(text: &str, pattern: Option<&str>) -> String {
    let of_commands = text.contains("{}");
    match pattern.map(safe_whole) {
        Some(pattern) if of_commands => text.replacen("{}", &format!(" whose text matches `{pattern}`"), 1),
        Some(pattern) => format!("{text}, where the command's text matches `{pattern}`"),
        None if of_commands => text.replacen("{}", "", 1),
        None => text.to_owned(),
    }
}

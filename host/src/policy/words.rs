//! Permissions and subscriptions in plain words, after "it wants to".

use migraine_plugin_api::{Permission, PermissionKind};

use crate::text::safe_line;

pub(super) fn permission(permission: &Permission) -> String {
    let scope = permission.scope().map(safe_line);
    let text = match (permission.kind(), scope.as_deref()) {
        (PermissionKind::TaskRead, _) => "see the variables of every workflow that runs",
        (PermissionKind::TaskWrite, _) => "set variables, change or stop commands and end the hook chain",
        (PermissionKind::UserAuth, _) => "see authentication data and values from the vault",
        (PermissionKind::Network, None) => "connect to any host and port",
        (PermissionKind::Filesystem, None) => "read and change every file that you can",
        (PermissionKind::EnvVars, None) => "see every environment variable",
        (PermissionKind::Exec, None) => "run any program",
        (kind, Some(scope)) => return scoped(kind, scope),
        (kind, None) => return format!("use the permission {kind}"),
    };
    text.to_owned()
}

fn scoped(kind: PermissionKind, scope: &str) -> String {
    match (kind, scope.split_once(':')) {
        (PermissionKind::Network, Some(("unix", path))) => format!("connect to the socket {path}"),
        (PermissionKind::Network, _) => format!("connect to {scope}"),
        (PermissionKind::Filesystem, Some(("write", directory))) => format!("read and change files in {directory}"),
        (PermissionKind::Filesystem, Some((_, directory))) => format!("read files in {directory}"),
        (PermissionKind::EnvVars, _) => format!("see the environment variable {scope}"),
        (PermissionKind::Exec, _) => format!("run the program {scope}"),
        _ => format!("use the permission {kind}={scope}"),
    }
}

pub(super) fn hook(event: &str, pattern: Option<&str>) -> String {
    // The pattern narrows which commands are seen, so it stands right after them.
    let (text, of_commands) = match event {
        "pre-command" => ("see every command{} before it runs", true),
        "post-command" => ("see the output of every command{} after it has run", true),
        "command-output" => ("see the output of every command{} while it runs", true),
        "command-error" => ("see the output of every command{} that fails", true),
        "pre-workflow" => ("know when a workflow starts", false),
        "post-workflow" => ("know when a workflow has ended", false),
        "workflow-progress" => ("know which step of a workflow is running", false),
        "workflow-error" => ("know when a workflow fails and why", false),
        "workflow-load" => ("see every workflow file that is loaded", false),
        "variable-resolution" => ("know which variables a command uses", false),
        "pre-check-status" => ("see the result of every pre-check", false),
        "plugin-install" | "plugin-uninstall" | "plugin-enabled" => ("know which plugins come and go", false),
        "config-validate" => ("check configuration before it is used", false),
        "cli-command" => ("see every command line of this program", false),
        _ => ("", false),
    };
    let text = if text.is_empty() { format!("be told of every event `{}`", safe_line(event)) } else { text.to_owned() };
    match pattern.map(safe_line) {
        Some(pattern) if of_commands => text.replacen("{}", &format!(" whose text matches `{pattern}`"), 1),
        Some(pattern) => format!("{text}, where the command's text matches `{pattern}`"),
        None if of_commands => text.replacen("{}", "", 1),
        None => text,
    }
}

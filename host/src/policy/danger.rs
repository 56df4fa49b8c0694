//! Which permissions and which pairs of them open a way out, and why.

use std::collections::BTreeSet;

use migraine_plugin_api::{Permission, PermissionKind};

/// Why a permission is dangerous on its own, if it is.
pub(super) fn of(permission: &Permission) -> Option<String> {
    let Some(scope) = permission.scope() else {
        let bare = permission.kind().takes_scope();
        return bare.then(|| "it names no scope, so it means everything of its kind".to_owned());
    };
    if means_everything(permission.kind(), scope) {
        return Some("its scope leaves nothing out".to_owned());
    }
    let path = match permission.kind() {
        PermissionKind::Network => scope.strip_prefix("unix:"),
        PermissionKind::Filesystem => scope.split_once(':').map(|(_, directory)| directory),
        _ => None,
    };
    let service = path.and_then(control_socket).or_else(|| control_port(permission.kind(), scope))?;
    Some(format!("it reaches {service}, which can act as you outside the sandbox"))
}

fn means_everything(kind: PermissionKind, scope: &str) -> bool {
    match kind {
        PermissionKind::Network => scope.split(':').next().is_some_and(|host| host.contains('*')),
        PermissionKind::Filesystem => {
            let directory = scope.split_once(':').map_or(scope, |(_, directory)| directory);
            let shortest = normalized(directory);
            directory.contains('*') || matches!(shortest.as_str(), "/" | "~" | "$HOME" | "/home" | "/root")
        }
        PermissionKind::EnvVars | PermissionKind::Exec => scope.contains('*'),
        _ => false,
    }
}

/// The service that listens on a socket of that path or keeps its socket in that directory.
fn control_socket(path: &str) -> Option<&'static str> {
    let path = normalized(path);
    let path = path.strip_prefix("/var/run").map_or_else(|| path.clone(), |rest| format!("/run{rest}"));
    let name = path.rsplit('/').next().unwrap_or_default();
    let has = |part: &str| path.split('/').any(|component| component == part);
    let user_runtime = path.strip_prefix("/run/user/").map(|rest| rest.split('/').count());
    let service = match name {
        _ if name.contains("docker") || has("docker") => "the Docker service",
        _ if name.contains("containerd") || has("containerd") || name.contains("crio") => "the containerd service",
        _ if name.contains("podman") || has("podman") => "the Podman service",
        _ if has("systemd") => "the systemd service",
        "bus" | "system_bus_socket" | "at-spi" => "D-Bus",
        _ if has("dbus") || has("dbus-1") => "D-Bus",
        _ if name.starts_with("agent.") || name.contains("ssh-agent") || name.contains("ssh_auth") => "the ssh agent",
        _ if path.starts_with("/tmp/ssh-") || has("keyring") || has("gcr") || has("openssh_agent") => "the ssh agent",
        _ if name.starts_with("S.gpg-agent") || has("gnupg") || has(".gnupg") => "the GnuPG agent",
        _ if has(".X11-unix") || has(".ICE-unix") => "the X11 display",
        _ if name.starts_with("wayland-") => "the Wayland display",
        // The directory that holds such sockets is as good as each of them.
        "run" if path == "/run" => "the sockets of all services",
        _ if user_runtime == Some(1) => "the sockets of your session",
        _ => return None,
    };
    Some(service)
}

fn control_port(kind: PermissionKind, scope: &str) -> Option<&'static str> {
    let port = scope.rsplit_once(':').map(|(_, port)| port)?;
    (kind == PermissionKind::Network && matches!(port, "2375" | "2376")).then_some("the Docker service")
}

/// The path without empty, `.` and `..` components: `/run/./x/../docker.sock` must not hide anything.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The pairs of kinds that are asked for and dangerous together, with the reason.
pub(super) fn pairs(permissions: &[Permission]) -> Vec<(PermissionKind, PermissionKind, &'static str)> {
    use PermissionKind::{EnvVars, Exec, Filesystem, Network, UserAuth};
    let asked: BTreeSet<PermissionKind> = permissions.iter().map(Permission::kind).collect();
    let changes_files = permissions.iter().any(|permission| {
        permission.kind() == Filesystem && permission.scope().is_none_or(|scope| scope.starts_with("write:"))
    });
    let run_own = "it can change files and run programs, so it can run what it wrote";
    let all = [
        (UserAuth, Network, "it can send what it learns of your logins over the network"),
        (UserAuth, Exec, "it can pass what it learns of your logins to other programs"),
        (EnvVars, Network, "it can send values of environment variables over the network"),
        (EnvVars, Exec, "it can pass values of environment variables to other programs"),
        (Filesystem, Network, "it can send your files over the network"),
        (Filesystem, Exec, if changes_files { run_own } else { "it can pass your files to other programs" }),
    ];
    all.into_iter().filter(|(first, second, _)| asked.contains(first) && asked.contains(second)).collect()
}

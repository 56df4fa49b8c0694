//! Which permissions and which pairs of them open a way out, and why.

use std::collections::BTreeSet;
use std::path::Path;

use migraine_plugin_api::{Permission, PermissionKind};

use super::directory::{Access, DirectoryScope, is_open};
use super::endpoint::EndpointScope;

/// Why a permission is dangerous on its own, if it is.
pub(super) fn of(permission: &Permission) -> Option<String> {
    let Some(scope) = permission.scope() else {
        let whole = permission.kind().takes_scope() && !is_open(permission);
        return whole.then(|| "it names no scope, so it means everything of its kind".to_owned());
    };
    match permission.kind() {
        PermissionKind::Network => match scope.parse::<EndpointScope>() {
            Ok(scope) => of_endpoints(&scope),
            Err(_) => Some("its scope cannot be read".to_owned()),
        },
        PermissionKind::Filesystem => {
            let DirectoryScope { access, directory } = DirectoryScope::of(permission)?;
            let directory = normalized(&directory?.to_string_lossy());
            let socket = control_socket(&directory).map(reaching);
            let system = || is_systems(&directory).then(|| CHANGES_SYSTEM.to_owned());
            socket.or_else(|| system().filter(|_| access == Access::Write))
        }
        _ => None,
    }
}

fn of_endpoints(scope: &EndpointScope) -> Option<String> {
    if let Some(why) = scope.breadth() {
        return Some(why.to_owned());
    }
    let socket = scope.socket().and_then(|path| control_socket(&path.to_string_lossy()));
    let port = || matches!(scope.port(), Some(2375 | 2376)).then_some(("the Docker service", CONTROLS));
    socket.or_else(port).map(reaching)
}

fn reaching((service, power): Service) -> String {
    format!("it reaches {service}, which {power}")
}

/// A service and what whoever reaches it can do.
type Service = (&'static str, &'static str);

const CONTROLS: &str = "controls this machine";
const USES_KEYS: &str = "can use your keys";

/// The service that listens on a socket of that path or keeps its socket in that directory.
fn control_socket(path: &str) -> Option<Service> {
    let path = normalized(path);
    let path = path.strip_prefix("/var/run").map_or_else(|| path.clone(), |rest| format!("/run{rest}"));
    let name = path.rsplit('/').next().unwrap_or_default();
    let has = |part: &str| path.split('/').any(|component| component == part);
    let user_runtime = path.strip_prefix("/run/user/").map(|rest| rest.split('/').count());
    let service = match name {
        _ if name.contains("docker") || has("docker") => ("the Docker service", CONTROLS),
        _ if name.contains("containerd") || has("containerd") => ("the containerd service", CONTROLS),
        _ if name.contains("crio") || has("crio") => ("the CRI-O service", CONTROLS),
        _ if name.contains("podman") || has("podman") => ("the Podman service", CONTROLS),
        _ if has("systemd") => ("the systemd service", CONTROLS),
        "bus" | "system_bus_socket" | "at-spi" => ("D-Bus", CONTROLS),
        _ if has("dbus") || has("dbus-1") => ("D-Bus", CONTROLS),
        _ if name.starts_with("agent.") || name.contains("ssh-agent") || name.contains("ssh_auth") => SSH_AGENT,
        _ if path.starts_with("/tmp/ssh-") || has("keyring") || has("gcr") || has("openssh_agent") => SSH_AGENT,
        _ if name.starts_with("S.gpg-agent") || has("gnupg") || has(".gnupg") => ("the GnuPG agent", USES_KEYS),
        _ if has(".X11-unix") || has(".ICE-unix") => ("the X11 display", CONTROLS),
        _ if name.starts_with("wayland-") => ("the Wayland display", CONTROLS),
        // The directory that holds such sockets is as good as each of them.
        "run" if path == "/run" => ("the sockets of all services", CONTROLS),
        _ if user_runtime == Some(1) => ("the sockets of your session", CONTROLS),
        _ => return None,
    };
    Some(service)
}

const CHANGES_SYSTEM: &str = "it can change what this machine itself runs, when root runs it";

/// Directories of programs, settings and services: what is written there, others run.
const SYSTEM: [&str; 12] =
    ["/bin", "/boot", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr", "/var/lib", "/var/spool"];

/// Whether a directory is one of the system's, lies in one or holds one. That which holds all homes is as much everybody's.
fn is_systems(path: &str) -> bool {
    let (path, homes) = (Path::new(path), Path::new("/home"));
    path.is_absolute()
        && (path == homes
            || SYSTEM.iter().any(|system| path.starts_with(system) || Path::new(system).starts_with(path)))
}

const SSH_AGENT: Service = ("the ssh agent", USES_KEYS);

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

/// The pairs of kinds that are asked for and dangerous together, with the reason; `combos` are those of the policy files.
pub(super) fn pairs(
    permissions: &[Permission],
    combos: &BTreeSet<(PermissionKind, PermissionKind)>,
) -> Vec<(PermissionKind, PermissionKind, &'static str)> {
    use PermissionKind::{EnvVars, Exec, Filesystem, Network, UserAuth};
    let asked: BTreeSet<PermissionKind> = permissions.iter().map(Permission::kind).collect();
    let changes_files = permissions.iter().filter_map(DirectoryScope::of).any(|scope| scope.access == Access::Write);
    let run_own = "it can change files and run programs, so it can run what it wrote";
    let all = [
        (UserAuth, Network, "it can send what it learns of your logins over the network"),
        (UserAuth, Exec, "it can pass what it learns of your logins to other programs"),
        (EnvVars, Network, "it can send values of environment variables over the network"),
        (EnvVars, Exec, "it can pass values of environment variables to other programs"),
        (Filesystem, Network, "it can send your files over the network"),
        (Filesystem, Exec, if changes_files { run_own } else { "it can pass your files to other programs" }),
    ];
    let built_in = |one, other| all.iter().any(|&(a, b, _)| (a, b) == (one, other) || (b, a) == (one, other));
    let own = combos.iter().filter(|&&(one, other)| !built_in(one, other));
    let own = own.map(|&(one, other)| (one, other, "the policy calls the two together dangerous"));
    let pairs = all.iter().copied().chain(own);
    pairs.filter(|(first, second, _)| asked.contains(first) && asked.contains(second)).collect()
}

//! The broker: connects plugins to endpoints. Each request is judged by the granted scopes alone, a name before anybody
//! is asked what it stands for, and its addresses before any of them is connected to.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use migraine_plugin_api::Permission;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::dial::{self, Patience};
use super::upstream;
use crate::controls::{Check, makes};
use crate::policy::{Access, DirectoryScope, Endpoint, EndpointScope, Name, address_allowed, endpoints};
use crate::sandbox::awake::Deadline;

/// How long one connection may take, where the call has that long.
const PATIENCE: Duration = Duration::from_secs(10);

/// How connections are made, whatever is connected to.
#[derive(Clone, Copy, Default)]
pub(super) struct Route<'a> {
    /// When nobody needs the connection any more, if there is such a time.
    pub(super) until: Option<Deadline>,
    /// Set by another thread when nobody needs it any more.
    pub(super) stop: Option<&'a AtomicBool>,
    /// The user's own proxy, through which public addresses are reached.
    pub(super) upstream: Option<&'a Endpoint>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// No scope allows the endpoint.
    #[error("`connect` needs the permission network={0}, which was not granted")]
    NotGranted(Endpoint),
    /// The name stands for addresses that must be granted by themselves.
    #[error(
        "`{endpoint}` stands for {address}, which is not a public address: it needs the permission network={scope} as well"
    )]
    NotPublic {
        /// What was asked for.
        endpoint: Endpoint,
        /// One of its addresses.
        address: IpAddr,
        /// The scope that would allow it.
        scope: Endpoint,
    },
    /// The path leads out of a directory that the plugin itself can change.
    #[error("`{endpoint}` leads to {}, out of a directory that the plugin can change: it needs the permission \
             network=unix:{} itself", real.display(), real.display())]
    Diverted {
        /// What was asked for.
        endpoint: Endpoint,
        /// Where the socket really is.
        real: PathBuf,
    },
    /// The name could not be looked up.
    #[error("`{endpoint}` has no address: {source}")]
    NoAddress {
        /// What was asked for.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// The path names something else.
    #[error("`{0}` is not a socket")]
    NotASocket(Endpoint),
    /// The user who runs the host may not open it.
    #[error("`{endpoint}` cannot be opened: {source}")]
    Closed {
        /// What was asked for.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
    /// Nobody is there.
    #[error("nobody answers at `{endpoint}`: {source}")]
    NoAnswer {
        /// What was asked for.
        endpoint: Endpoint,
        /// Why.
        source: io::Error,
    },
}

impl ConnectError {
    /// The permission that is missing, where one is.
    pub(super) fn missing(&self) -> Option<String> {
        match self {
            Self::NotGranted(scope) | Self::NotPublic { scope, .. } => Some(format!("network={scope}")),
            Self::Diverted { real, .. } => Some(format!("network=unix:{}", real.display())),
            _ => None,
        }
    }

    /// What the user can do about a connection that was allowed.
    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Closed { .. } => Some("the user who runs migraine must be allowed to open it"),
            Self::NoAnswer { .. } => Some("the service may not be running, or may listen elsewhere"),
            _ => None,
        }
    }

    fn of_io(endpoint: &Endpoint, source: io::Error) -> Self {
        let endpoint = endpoint.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Closed { endpoint, source },
            _ => Self::NoAnswer { endpoint, source },
        }
    }
}

/// A connected stream to an endpoint.
///
/// # Errors
/// It is not granted, or nobody answers.
pub(super) fn connect(
    permissions: &[Permission],
    endpoint: &Endpoint,
    route: Route<'_>,
) -> Result<OwnedFd, ConnectError> {
    let scopes: Vec<EndpointScope> = permissions.iter().filter_map(endpoints).collect();
    if !scopes.iter().any(|scope| scope.allows(endpoint)) && makes(Check::Scope) {
        return Err(ConnectError::NotGranted(endpoint.clone()));
    }
    let left = route.until.map_or(PATIENCE, |until| until.left().min(PATIENCE));
    let patience = Patience { until: Instant::now() + left, stop: route.stop };
    match endpoint {
        Endpoint::Unix(path) => {
            let socket = socket_file(permissions, endpoint, path)?;
            dial::unix(&socket, patience)
        }
        Endpoint::Tcp { host, port } => {
            let addresses = addresses(&scopes, endpoint, host, *port, patience)?;
            match route.upstream {
                Some(proxy) => upstream::tcp(proxy, &addresses, patience),
                None => dial::tcp(&addresses, patience),
            }
        }
    }
    .map_err(|error| ConnectError::of_io(endpoint, error))
}

/// The addresses of a host that may be connected to.
fn addresses(
    scopes: &[EndpointScope],
    endpoint: &Endpoint,
    host: &Name,
    port: u16,
    patience: Patience<'_>,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = match host {
        Name::Address(address) => vec![*address],
        Name::Domain(name) => dial::look_up(name, patience)
            .map_err(|source| ConnectError::NoAddress { endpoint: endpoint.clone(), source })?,
    };
    let (allowed, refused): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address_allowed(scopes, endpoint, *address) || !makes(Check::Address));
    match refused.first() {
        Some(&address) if allowed.is_empty() => {
            let scope = Endpoint::Tcp { host: Name::Address(address.to_canonical()), port };
            Err(ConnectError::NotPublic { endpoint: endpoint.clone(), address, scope })
        }
        _ => Ok(allowed.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
    }
}

/// A handle on the socket that a path names.
fn socket_file(permissions: &[Permission], endpoint: &Endpoint, path: &Path) -> Result<OwnedFd, ConnectError> {
    let failed = |error: io::Error| ConnectError::of_io(endpoint, error);
    // It opens nothing, whatever stands there (open(2), O_PATH).
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(|error| failed(error.into()))?;
    let handle = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if !fs::metadata(&handle).map_err(failed)?.file_type().is_socket() {
        return Err(ConnectError::NotASocket(endpoint.clone()));
    }
    let real = fs::read_link(&handle).map_err(failed)?;
    if is_diverted(permissions, path, &real) && makes(Check::Path) {
        return Err(ConnectError::Diverted { endpoint: endpoint.clone(), real });
    }
    Ok(file)
}

/// Whether a path goes through a directory that the plugin may write to, and the socket lies outside of all such: then the
/// plugin itself may have laid the link. The first step into such a directory is one that it could not lay, so the look
/// cannot be raced.
fn is_diverted(permissions: &[Permission], path: &Path, real: &Path) -> bool {
    let written = permissions.iter().filter_map(DirectoryScope::of).filter(|scope| scope.access == Access::Write);
    let written: Vec<PathBuf> = written.filter_map(|scope| scope.directory).collect();
    let is_written = |path: &Path| written.iter().any(|directory| path.starts_with(directory));
    let passes = || path.ancestors().filter_map(|step| fs::canonicalize(step).ok()).any(|step| is_written(&step));
    !written.is_empty() && !is_written(real) && (is_written(path) || passes())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn attempt(granted: &[&str], endpoint: &str) -> Result<OwnedFd, ConnectError> {
        let permissions: Vec<Permission> = granted.iter().map(|text| text.parse().unwrap()).collect();
        connect(&permissions, &endpoint.parse().unwrap(), Route::default())
    }

    fn missing(granted: &[&str], endpoint: &str) -> String {
        attempt(granted, endpoint).unwrap_err().missing().unwrap_or_default()
    }

    #[test]
    fn only_what_is_granted_is_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (by_name, by_number) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
        let [name, number] = [&by_name, &by_number].map(|endpoint| format!("network={endpoint}"));
        attempt(&[&name], &by_name).unwrap();
        attempt(&[&number], &by_number).unwrap();
        assert_eq!(missing(&[], &by_name), name);
        assert_eq!(missing(&["network=unix:/run/x"], &by_name), name);
        assert_eq!(missing(&["task_read"], "unix:/run/x"), "network=unix:/run/x");
        // Everything is no more than what is public.
        assert_eq!(missing(&["network"], &by_number), number);
        assert!(missing(&["network"], &by_name).starts_with("network="));
        assert_eq!(missing(&["network"], "unix:/run/x"), "network=unix:/run/x");
    }

    #[test]
    fn what_is_no_listening_socket_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("unix:{}", folder.path().join(name).display());
        fs::write(folder.path().join("file"), "").unwrap();
        drop(UnixListener::bind(folder.path().join("closed")).unwrap());
        let listener = UnixListener::bind(folder.path().join("open")).unwrap();
        symlink("open", folder.path().join("link")).unwrap();
        let error = |name: &str| {
            let error = attempt(&[&format!("network={}", at(name))], &at(name)).unwrap_err();
            assert_eq!(error.missing(), None);
            error.to_string()
        };
        assert_eq!(error("file"), format!("`{}` is not a socket", at("file")));
        assert!(error("closed").ends_with("Connection refused (os error 111)"), "{}", error("closed"));
        assert!(error("none").starts_with(&format!("nobody answers at `{}`: ", at("none"))), "{}", error("none"));
        for name in ["open", "link"] {
            attempt(&[&format!("network={}", at(name))], &at(name)).unwrap();
            listener.accept().unwrap();
        }
    }

    // A plugin that can write where its socket stands could otherwise put a link to another one there.
    #[test]
    fn no_link_leads_out_of_what_a_plugin_can_change() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (mine, outside) = (root.join("mine"), root.join("outside"));
        for directory in [&mine, &outside] {
            fs::create_dir(directory).unwrap();
        }
        let _other = UnixListener::bind(outside.join("socket")).unwrap();
        let _own = UnixListener::bind(mine.join("own")).unwrap();
        symlink(outside.join("socket"), mine.join("socket")).unwrap();
        symlink("own", mine.join("near")).unwrap();
        symlink(&outside, mine.join("far")).unwrap();
        symlink(&mine, root.join("alias")).unwrap();
        let write = format!("filesystem=write:{}", mine.display());
        let read = format!("filesystem=read:{}", mine.display());
        let real = format!("network=unix:{}", outside.join("socket").display());
        for (path, diverted) in [
            ("mine/socket", true),
            ("alias/socket", true),
            ("mine/far/socket", true),
            ("alias/far/socket", true),
            ("mine/own", false),
            ("mine/near", false),
            ("alias/own", false),
            ("outside/socket", false),
        ] {
            let endpoint = format!("unix:{}", root.join(path).display());
            let network = format!("network={endpoint}");
            attempt(&[&network, &read], &endpoint).unwrap();
            match attempt(&[&network, &write], &endpoint) {
                Ok(_) => assert!(!diverted, "{path}"),
                Err(error) => assert!(diverted && error.missing().as_deref() == Some(&real), "{path}: {error}"),
            }
        }
    }
}

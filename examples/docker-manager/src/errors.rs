//! What the client and the daemon report, as one line for the user.

use std::io;

use bollard::errors::Error;
use migraine_plugin_api::{ErrorKind, PluginError};

/// A failure while something was done: `doing` says what, on which object.
pub(crate) fn lift(doing: &str, error: Error) -> PluginError {
    let why = match error {
        Error::IOError { err } => match host_error(&err) {
            Some(error) => return error.clone(),
            None => err.to_string(),
        },
        Error::DockerResponseServerError { message, .. } => message,
        Error::DockerStreamError { error } => error,
        Error::HyperResponseError { .. } => format!("the daemon's answer broke off: {}", chain(&error)),
        other => other.to_string(),
    };
    PluginError::failed(format!("{doing}: {}", one_line(&why)))
}

/// The host refused to connect to the daemon, or nobody answered there.
pub(crate) fn unconnected(endpoint: &str, error: PluginError) -> PluginError {
    // A missing grant and an old host have their own words.
    if error.kind() != ErrorKind::Failed {
        return error;
    }
    let said = error.message();
    let why = said.strip_prefix(&format!("nobody answers at `{endpoint}`: ")).unwrap_or(said);
    PluginError::failed(format!("no Docker daemon answers at {endpoint}: {why}"))
        .with_help("is it running? start it with `systemctl start docker`, or set another socket: migraine plugin config docker-manager set docker_socket PATH")
}

/// The host's own error, on its way through the client.
pub(crate) fn carried(error: PluginError) -> Error {
    Error::IOError { err: io::Error::other(error) }
}

fn host_error(error: &io::Error) -> Option<&PluginError> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_host_passes_through_unchanged() {
        let refused =
            PluginError::new(ErrorKind::PermissionDenied, "network=unix:/x is not granted").with_help("grant it");
        assert_eq!(lift("anything", carried(refused.clone())), refused);
        assert_eq!(unconnected("unix:/x", refused.clone()), refused);
    }

    #[test]
    fn every_failure_is_one_line() {
        let error = Error::DockerResponseServerError { status_code: 404, message: "No such\n container: x\n".into() };
        assert_eq!(lift("cannot start", error).message(), "cannot start: No such container: x");
        let nobody = PluginError::failed("nobody answers at `unix:/x.sock`: No such file or directory");
        let away = unconnected("unix:/x.sock", nobody);
        assert_eq!(away.message(), "no Docker daemon answers at unix:/x.sock: No such file or directory");
        assert!(away.help().is_some_and(|help| help.contains("systemctl start docker")), "{away:?}");
    }
}

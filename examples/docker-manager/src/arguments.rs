//! Names and ports as they are typed. They become part of a request's path, so only the daemon's own alphabet passes.

use std::fmt;
use std::str::FromStr;

/// The name or id of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerName(String);

impl FromStr for ContainerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The daemon's own answers write names with a slash before them.
        let name = text.strip_prefix('/').unwrap_or(text);
        let starts = name.starts_with(|char: char| char.is_ascii_alphanumeric());
        if starts && name.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char)) {
            return Ok(Self(name.to_owned()));
        }
        Err("a container's name has letters, digits, `_`, `.` and `-`, and starts with a letter or digit".to_owned())
    }
}

impl ContainerName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an image: `NAME`, `NAME:TAG` or `NAME@DIGEST`, with or without a registry before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageName(String);

impl FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let starts = |part: &str| part.starts_with(|char: char| char.is_ascii_alphanumeric());
        let known = |part: &str| part.chars().all(|char| char.is_ascii_alphanumeric() || "_.-:@".contains(char));
        if text.split('/').all(|part| starts(part) && known(part)) {
            return Ok(Self(text.to_owned()));
        }
        Err("an image is named NAME, NAME:TAG or NAME@DIGEST, with its registry and a slash before it".to_owned())
    }
}

impl ImageName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole name for a pull: a name without a registry gets this one, and one without a tag gets `latest`, since the
    /// daemon would pull every tag.
    pub(crate) fn qualified(&self, registry: &str) -> String {
        // Docker's own rule: what stands before the first slash is a registry if it can be a host.
        let first = self.0.split_once('/').map(|(first, _)| first);
        let has_registry = first.is_some_and(|first| first.contains(['.', ':']) || first == "localhost");
        let name = if has_registry { self.0.clone() } else { format!("{registry}/{}", self.0) };
        let last = self.0.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) { name } else { format!("{name}:latest") }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A port of this machine and the port of the container that answers there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) host: u16,
    pub(crate) container: u16,
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse().ok().filter(|&port: &u16| port > 0);
        let (host, container) = text.split_once(':').unwrap_or((text, text));
        match (port(host), port(container)) {
            (Some(host), Some(container)) => Ok(Self { host, container }),
            _ => Err("a port is written HOST or HOST:CONTAINER, each a number from 1 to 65535".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_alphabet_passes() {
        for name in ["web", "/web", "a.b_c-1", "0123456789ab"] {
            assert_eq!(name.parse::<ContainerName>().unwrap().as_str(), name.trim_start_matches('/'));
        }
        for name in ["", "/", "..", "a/b", "a?all=1", "a b", "-a", "{{container_name}}", "ä"] {
            assert!(name.parse::<ContainerName>().is_err(), "{name}");
        }
        for name in ["web", "web:1.0", "team/web", "r.example:5000/team/web:1", "web@sha256:0123"] {
            assert_eq!(name.parse::<ImageName>().unwrap().as_str(), name);
        }
        for name in ["", "/web", "web/", "../web", "a//b", "a?b", "a b", "-a"] {
            assert!(name.parse::<ImageName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_is_completed_as_docker_does_it() {
        for (name, expected) in [
            ("web", "docker.io/web:latest"),
            ("web:1", "docker.io/web:1"),
            ("team/web", "docker.io/team/web:latest"),
            ("web@sha256:0123", "docker.io/web@sha256:0123"),
            ("localhost/web", "localhost/web:latest"),
            ("r.example/web:1", "r.example/web:1"),
            ("r:5000/web", "r:5000/web:latest"),
        ] {
            assert_eq!(name.parse::<ImageName>().unwrap().qualified("docker.io"), expected, "{name}");
        }
    }

    #[test]
    fn ports_are_numbers() {
        assert_eq!("8080".parse(), Ok(Publish { host: 8080, container: 8080 }));
        assert_eq!("8080:80".parse(), Ok(Publish { host: 8080, container: 80 }));
        for text in ["", "0", "65536", "80:", ":80", "80:81:82", "http", "-1"] {
            assert!(text.parse::<Publish>().is_err(), "{text}");
        }
    }
}

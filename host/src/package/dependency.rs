//! What a plugin needs besides itself: other plugins, programs and sockets of the machine. Texts of the manifest become
//! values; those about plugins stand in the signed index as well.

use std::fmt;
use std::str::FromStr;

use semver::VersionReq;

use crate::ids::{Fingerprint, PluginName};

/// The most plugins that a plugin may need.
pub const NEEDS_MAX: usize = 32;
/// The longest text about one plugin in bytes.
const NEED_MAX: usize = 512;
/// What a text about a plugin begins with.
const PLUGIN: &str = "plugin:";

/// One thing that a plugin needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// Another plugin.
    Plugin(Need),
    /// A program, by its name.
    Program(String),
    /// The socket at this path.
    Socket(String),
    /// The socket of the plugin's own `network=unix:` scope whose path holds this name: `docker` of `docker-socket`.
    ScopedSocket(String),
    /// Words for people, which nobody can check.
    Words(String),
}

/// Another plugin that a plugin needs. Written `NAME RANGE [key=FINGERPRINT] [source=URL]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub name: PluginName,
    /// Which versions fit.
    pub range: VersionReq,
    /// The key that must have signed it; absent, the key of the plugin that needs it.
    pub key: Option<Fingerprint>,
    /// Where its author hands it out, for people: nothing is fetched from there by itself.
    pub source: Option<String>,
}

impl Dependency {
    /// Reads one text of a manifest.
    ///
    /// # Errors
    /// It begins like a plugin and is none; the error says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(need) = text.strip_prefix(PLUGIN) {
            return need.parse().map(Self::Plugin);
        }
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Socket(path.to_owned()));
        }
        if !is_program(text) {
            return Ok(Self::Words(text.to_owned()));
        }
        let scoped = text.strip_suffix("-socket").map(|name| Self::ScopedSocket(name.to_owned()));
        Ok(scoped.unwrap_or_else(|| Self::Program(text.to_owned())))
    }
}

/// The plugins among the dependencies of a manifest, by name. Those that cannot be read are left out: a manifest with one
/// is refused before.
#[must_use]
pub fn needs(dependencies: &[String]) -> Vec<Need> {
    let read = |text: &String| match Dependency::parse(text) {
        Ok(Dependency::Plugin(need)) => Some(need),
        _ => None,
    };
    let mut needs: Vec<Need> = dependencies.iter().filter_map(read).collect();
    needs.sort_by(|one, other| one.name.cmp(&other.name));
    needs
}

/// What a list of dependencies may not hold, one sentence each; `own` is the name of the plugin.
#[must_use]
pub fn findings(dependencies: &[String], own: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for text in dependencies {
        match Dependency::parse(text) {
            Err(why) => {
                let shown: String = text.chars().take(80).collect();
                findings.push(format!("dependencies: `{}` is refused: {why}", shown.escape_debug()));
            }
            Ok(Dependency::Plugin(need)) if need.name.as_str() == own => {
                findings.push("dependencies: a plugin cannot need itself".to_owned());
            }
            Ok(Dependency::Plugin(need)) if !names.insert(need.name.clone()) => {
                findings.push(format!("dependencies: the plugin `{}` is there twice", need.name));
            }
            Ok(_) => {}
        }
    }
    if names.len() > NEEDS_MAX {
        findings.push(format!("dependencies: {} plugins are too many, at most {NEEDS_MAX} are allowed", names.len()));
    }
    findings
}

/// One word that could be the name of a program in a directory.
fn is_program(text: &str) -> bool {
    let bytes_fit = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte));
    bytes_fit && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.range.to_string().replace(", ", ","))?;
        if let Some(key) = &self.key {
            write!(f, " key={key}")?;
        }
        match &self.source {
            Some(source) => write!(f, " source={source}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Need {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > NEED_MAX {
            return Err(format!("it has more than {NEED_MAX} bytes"));
        }
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let name: PluginName = words.next().unwrap_or_default().parse().map_err(|error| format!("{error}"))?;
        let (mut range, mut key, mut source) = (Vec::new(), None, None);
        for word in words {
            let twice = if let Some(text) = word.strip_prefix("key=") {
                key.replace(text.parse::<Fingerprint>().map_err(|error| error.to_string())?).is_some()
            } else if let Some(text) = word.strip_prefix("source=") {
                source.replace(url(text)?).is_some()
            } else {
                range.push(word);
                false
            };
            if twice {
                return Err(format!("`{}` is there twice", word.split('=').next().unwrap_or_default()));
            }
        }
        let range = if range.is_empty() { VersionReq::STAR } else { versions(&range.join(" "))? };
        Ok(Self { name, range, key, source })
    }
}

fn versions(text: &str) -> Result<VersionReq, String> {
    text.parse().map_err(|error: semver::Error| {
        format!("`{}` is no range of versions like ^1.2 or >=1.2, <2: {error}", text.escape_debug())
    })
}

fn url(text: &str) -> Result<String, String> {
    let fits = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    if fits && text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Ok(text.to_owned());
    }
    Err("a source is an https:// URL".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_a_plugin_a_program_a_socket_or_words() {
        let parse = |text: &str| Dependency::parse(text).unwrap();
        assert_eq!(parse("docker"), Dependency::Program("docker".to_owned()));
        assert_eq!(parse("python3.11"), Dependency::Program("python3.11".to_owned()));
        assert_eq!(parse("docker-socket"), Dependency::ScopedSocket("docker".to_owned()));
        assert_eq!(parse("unix:/run/x.sock"), Dependency::Socket("/run/x.sock".to_owned()));
        for words in ["Docker daemon running", "", "../x", "-rf", "unix:relative"] {
            assert_eq!(parse(words), Dependency::Words(words.to_owned()));
        }
    }

    #[test]
    fn a_need_has_one_spelling_in_the_index() {
        let key = Fingerprint::of(&[1; 32]);
        for (text, canonical) in [
            ("log-tools", "log-tools *".to_owned()),
            ("log-tools 1.2", "log-tools ^1.2".to_owned()),
            ("log-tools >=1.2, <2", "log-tools >=1.2,<2".to_owned()),
            (&format!("a source=https://h/x ~1 key={key}"), format!("a ~1 key={key} source=https://h/x")),
        ] {
            let need: Need = text.parse().unwrap();
            assert_eq!(need.to_string(), canonical);
            assert_eq!(canonical.parse::<Need>().unwrap(), need);
        }
        for bad in ["", "A", "a latest", "a key=ed25519:00", "a source=http://h", "a key=x key=x", "a source=https://"]
        {
            assert!(bad.parse::<Need>().is_err(), "{bad}");
        }
        assert!("a ".repeat(NEED_MAX).parse::<Need>().is_err());
    }

    #[test]
    fn a_list_names_each_plugin_once_and_never_its_own() {
        let check = |texts: &[&str]| findings(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), "own");
        assert!(check(&["git", "plugin:a", "plugin:b ^1"]).is_empty());
        assert_eq!(check(&["plugin:a", "plugin:a ^1"]).len(), 1);
        assert_eq!(check(&["plugin:own"]).len(), 1);
        assert_eq!(check(&["plugin:A", "plugin:b latest"]).len(), 2);
        let many: Vec<String> = (0..=NEEDS_MAX).map(|n| format!("plugin:p{n}")).collect();
        assert_eq!(findings(&many, "own").len(), 1);
    }
}

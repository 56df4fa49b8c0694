//! Newtypes with one parser each: whoever holds one holds a checked value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is not of the form a newtype wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {what}: {rule}", text.escape_debug())]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

/// The name of a plugin: `[a-z][a-z0-9-]{0,62}`. Safe as a file name and on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

/// The words that `migraine plugin` uses itself; a plugin of such a name could never be called by its name alone.
pub const RESERVED_NAMES: &[&str] = &[
    "add",
    "audit",
    "bundle",
    "config",
    "disable",
    "discard",
    "enable",
    "execute",
    "explain",
    "forget",
    "fsck",
    "grant",
    "help",
    "history",
    "info",
    "init",
    "install",
    "key",
    "link",
    "list",
    "lock",
    "log",
    "logs",
    "new",
    "outdated",
    "package",
    "pin",
    "publish",
    "quarantine",
    "refresh",
    "reload",
    "remove",
    "revoke",
    "rollback",
    "run",
    "script-adapter",
    "search",
    "stats",
    "test",
    "trust",
    "trust-project",
    "uninstall",
    "unlink",
    "unpin",
    "untrust-project",
    "update",
    "upgrade",
    "verify",
    "watch",
];

impl PluginName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the program's own words.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED_NAMES.contains(&self.0.as_str())
    }
}

impl FromStr for PluginName {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let goes_on = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if starts && goes_on && text.len() <= 63 {
            return Ok(Self(text.to_owned()));
        }
        let rule = "a lower-case letter, then up to 62 lower-case letters, digits and dashes";
        Err(ParseIdError { text: shorten(text), what: "a plugin name", rule })
    }
}

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Reads, and computes the digest of what was read.
#[derive(Debug)]
pub(crate) struct Digesting<R> {
    from: R,
    hasher: sha2::Sha256,
}

impl<R> Digesting<R> {
    pub(crate) fn new(from: R) -> Self {
        use sha2::Digest as _;
        Self { from, hasher: sha2::Sha256::new() }
    }

    /// The digest of all that was read.
    pub(crate) fn digest(self) -> Digest {
        use sha2::Digest as _;
        Digest(self.hasher.finalize().into())
    }
}

impl<R: std::io::Read> std::io::Read for Digesting<R> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        use sha2::Digest as _;
        let length = self.from.read(piece)?;
        self.hasher.update(piece.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or_else(|| ParseIdError {
            text: shorten(text),
            what: "a SHA-256 digest",
            rule: "64 lower-case hexadecimal digits",
        })
    }
}

/// The full fingerprint of a public key: the SHA-256 digest of its 32 bytes, written `ed25519:HEX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// The fingerprint of a public key.
    #[must_use]
    pub fn of(public_key: &[u8; 32]) -> Self {
        Self(Digest::of(public_key))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("ed25519:").and_then(from_hex).map(|bytes| Self(Digest(bytes))).ok_or_else(|| ParseIdError {
            text: shorten(text),
            what: "a key fingerprint",
            rule: "`ed25519:` and 64 lower-case hexadecimal digits",
        })
    }
}

/// Lower-case hexadecimal digits of some bytes.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Exactly `N` bytes from `2 N` lower-case hexadecimal digits; upper case is refused, so that each value has one text.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (target, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *target = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

macro_rules! text_forms {
    ($($name:ident),*) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

text_forms!(PluginName, Digest, Fingerprint);

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In tables, names are padded.
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_digest_is_the_same_in_pieces() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(1000).collect();
        let mut digesting = Digesting::new(bytes.as_slice());
        let mut piece = [0; 300];
        assert_eq!(digesting.read(&mut piece).unwrap(), 300);
        let mut rest = Vec::new();
        digesting.read_to_end(&mut rest).unwrap();
        assert_eq!((&piece[..], rest.as_slice()), bytes.split_at(300));
        assert_eq!(digesting.digest(), Digest::of(&bytes));
    }

    #[test]
    fn names_follow_the_grammar() {
        for good in ["a", "hello-world", "k8s", &"a".repeat(63)] {
            assert!(good.parse::<PluginName>().is_ok(), "{good}");
        }
        for bad in
            ["", ".", "..", "a/b", "-rf", "A", "CON", "a_b", "é", "1a", "a b", "a\n", &"a".repeat(64), &"a".repeat(300)]
        {
            assert!(bad.parse::<PluginName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_have_one_text() {
        let digest = Digest::of(b"");
        let text = digest.to_string();
        assert_eq!(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        assert!(text.to_uppercase().parse::<Digest>().is_err());
        assert!(text[1..].parse::<Digest>().is_err());
        assert!("sha256:../../x".parse::<Digest>().is_err());
    }
}

//! The address of a file on a server. What it may hold that is secret is never shown: a name and password, and the values
//! of its query.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::code::{Code, Coded};
use crate::text::safe_line;

/// The longest address in bytes.
const URL_MAX: usize = 2048;
/// How the name of a package ends.
const PACKAGE: &str = ".mgp";
/// What a package is called in a place that is named without it.
const DEFAULT_FILE: &str = "plugin.mgp";

/// A text that is no address that anything is fetched from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It has not the form of one.
    #[error("`{text}` is no address of a package: {why}")]
    Form {
        /// The text, without what is secret, made safe to show.
        text: String,
        /// Why.
        why: &'static str,
    },
    /// Whoever stands between would see and could change what comes.
    #[error("{url} is not encrypted, and leads to another machine")]
    Insecure {
        /// The address, as it is shown.
        url: String,
    },
    /// A server leads to what is not encrypted.
    #[error("{url} is not encrypted, and a server may only lead to what is")]
    Unencrypted {
        /// The address, as it is shown.
        url: String,
    },
}

impl Coded for UrlError {
    fn code(&self) -> Code {
        match self {
            Self::Form { .. } => Code::ValueInvalid,
            Self::Insecure { .. } | Self::Unencrypted { .. } => Code::Tls,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Form { .. } => "write https://HOST/PATH.mgp".to_owned(),
            Self::Insecure { .. } => "use https://; plain http:// is for servers of this machine alone".to_owned(),
            Self::Unencrypted { .. } => {
                "ask for the file's own address; if that is of this machine, it can be fetched".to_owned()
            }
        })
    }
}

/// An address: `https://`, or `http://` of this machine itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Box<Uri>);

/// Which version of a file a server has, in its own words (RFC 9110, 8.8).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileVersion {
    /// Its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
}

impl Url {
    /// Whether a word is meant as an address, well written or not.
    #[must_use]
    pub fn is_meant(word: &str) -> bool {
        word.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
    }

    /// What is asked for: the address without name and password, which travel in a header.
    #[must_use]
    pub fn request(&self) -> Uri {
        self.kept().parse().unwrap_or_default()
    }

    /// Name and password, `NAME:PASSWORD`, as they are sent.
    #[must_use]
    pub fn credentials(&self) -> Option<Vec<u8>> {
        let (user, _) = self.authority().rsplit_once('@')?;
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        Some([decoded(name), decoded(password)].join(&b':'))
    }

    /// The address as it is kept: without name and password, with its query.
    #[must_use]
    pub fn kept(&self) -> String {
        let path = self.0.path_and_query().map_or("/", |path| path.as_str());
        format!("{}://{}{path}", self.scheme(), self.host_and_port())
    }

    /// The address without all that can be secret: name, password and query.
    #[must_use]
    pub fn plain(&self) -> Option<Self> {
        format!("{}://{}{}", self.scheme(), self.host_and_port(), self.0.path()).parse().ok()
    }

    /// Whether nothing in it can be secret: it has no name, no password and no query.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.authority().contains('@') && self.0.query().is_none()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme() == "https"
    }

    /// What may be meant by it, in the order it is tried: a place without the name of a package holds `plugin.mgp`, or
    /// answers with a package itself.
    #[must_use]
    pub fn candidates(&self) -> Vec<Self> {
        if self.0.path().to_ascii_lowercase().ends_with(PACKAGE) {
            return vec![self.clone()];
        }
        let inside = format!("{}/{DEFAULT_FILE}", self.0.path().trim_end_matches('/'));
        let query = self.0.query().map(|query| format!("?{query}")).unwrap_or_default();
        let inside = format!("{}://{}{inside}{query}", self.scheme(), self.authority());
        inside.parse().into_iter().chain([self.clone()]).collect()
    }

    /// Where a redirection leads (RFC 9110, 10.2.2; RFC 3986, 5.3). Name and password stay with the server that they
    /// were given for.
    ///
    /// # Errors
    /// It is no address, or leads from an encrypted connection, or from this machine, to one that is not.
    pub fn redirected(&self, location: &str) -> Result<Self, UrlError> {
        let (scheme, authority) = (self.scheme(), self.authority());
        let text = if Self::is_meant(location) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else {
            let folder = self.0.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        };
        let text = text.split_once('#').map_or(text.as_str(), |(before, _)| before);
        let url: Self = text.parse()?;
        if url.is_secure() { Ok(url) } else { Err(UrlError::Unencrypted { url: url.to_string() }) }
    }

    fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    fn host_and_port(&self) -> &str {
        let authority = self.authority();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// Whether it names no port, or one that there is.
    fn has_usable_port(&self) -> bool {
        let port = self.0.host().and_then(|host| self.host_and_port().strip_prefix(host)?.strip_prefix(':'));
        let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        port.is_none_or(|port| is_number(port) && port.parse::<u16>().is_ok_and(|port| port != 0))
    }

    fn is_of_this_machine(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why| Err(UrlError::Form { text: shown(text), why });
        if text.len() > URL_MAX {
            return refuse("it is longer than 2048 bytes");
        }
        if text.contains('#') {
            // Some would take a digest there for one that is compared.
            return refuse("nothing comes after a #; a digest is given by --expect-digest");
        }
        let Ok(uri) = text.parse::<Uri>() else { return refuse("it is not well-formed") };
        if !["https", "http"].contains(&uri.scheme_str().unwrap_or_default()) {
            return refuse("only https:// is known");
        }
        let url = Self(Box::new(uri));
        if url.0.host().is_none_or(str::is_empty) || url.host_and_port().ends_with(':') {
            return refuse("it names no server");
        }
        if !url.has_usable_port() {
            // Who connects would take the scheme's own port in its place.
            return refuse("a port is a number from 1 to 65535");
        }
        if !url.is_secure() && !url.is_of_this_machine() {
            return Err(UrlError::Insecure { url: url.to_string() });
        }
        Ok(url)
    }
}

/// An address as it is shown, well-formed or not: nothing before an @, and no value of the query.
fn shown(text: &str) -> String {
    let text: String = text.chars().take(URL_MAX).collect();
    let (scheme, rest) = text.split_once("://").map_or(("", text.as_str()), |(scheme, rest)| (scheme, rest));
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let names = query.map(|query| {
        let hidden =
            |pair: &str| pair.split_once('=').map_or_else(|| "...".to_owned(), |(name, _)| format!("{name}=..."));
        format!("?{}", query.split('&').map(hidden).collect::<Vec<_>>().join("&"))
    });
    let slashes = if scheme.is_empty() { "" } else { "://" };
    safe_line(&format!("{scheme}{slashes}{host}{path}{}", names.unwrap_or_default()))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.kept()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As it is kept.
impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.kept())
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// With all that is secret.
    fn whole(url: &Url) -> String {
        url.0.to_string()
    }

    #[test]
    fn a_plain_address_holds_nothing_secret() {
        for (address, expected) in [
            ("https://ann:pw@example.com:8443/a/b.mgp?token=x&y", "https://example.com:8443/a/b.mgp"),
            ("https://example.com", "https://example.com/"),
            ("http://ann@[::1]:1/?x", "http://[::1]:1/"),
        ] {
            let plain = url(address).plain().unwrap();
            assert_eq!((whole(&plain), plain.is_plain()), (expected.to_owned(), true));
        }
    }

    // covers: A172
    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in ["http://localhost/a.mgp", "http://127.0.0.1:8080/a", "http://[::1]:1/", "https://example.com"] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for bad in ["http://example.com/a.mgp", "http://10.0.0.1/", "http://localhost.example.com/", "http://0.0.0.0/"]
        {
            assert_eq!(bad.parse::<Url>().unwrap_err().code(), Code::Tls, "{bad}");
        }
        for bad in
            // Ports that nothing listens on, among them one that is 80 to whoever cuts it.
            [
                "http://127.0.0.1:99999/",
                "https://a:65536/",
                "https://a:65616/b.mgp",
                "https://[::1]:0/",
                "https://a:+80/",
            ]
        {
            assert_eq!(bad.parse::<Url>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
        }
        for good in ["https://a:65535/", "https://u:99999@a/", "https://u:99999@[::1]:1/"] {
            assert!(good.parse::<Url>().is_ok(), "{good}");
        }
        for bad in
            ["ftp://a/b", "https://", "https:///a", "https://a:/", "git+ssh://a/b", "https://a b/", "https://a/#x", "a"]
        {
            assert_eq!(bad.parse::<Url>().unwrap_err().code(), Code::ValueInvalid, "{bad}");
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let url = url("https://ann:secret@example.com:8443/a/b.mgp?token=secret&plain");
        assert_eq!(url.to_string(), "https://example.com:8443/a/b.mgp?token=...&...");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(url.kept(), "https://example.com:8443/a/b.mgp?token=secret&plain");
        assert_eq!(url.request().to_string(), url.kept());
        let sent = |text: &str| text.parse::<Url>().unwrap().credentials();
        assert_eq!(sent("https://ann:a%40b:c@host/").unwrap(), b"ann:a@b:c");
        assert_eq!(
            (sent("https://ann@host/").unwrap().as_slice(), sent("https://host/a@b")),
            (b"ann:".as_slice(), None)
        );
        for bad in ["https://ann:secret@exa mple/?t=secret", "ftp://secret@b/?x=secret", "https://u:secret@a/#secret"] {
            let said = bad.parse::<Url>().unwrap_err().to_string();
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn a_place_holds_a_package_of_a_known_name() {
        let candidates = |text| url(text).candidates().iter().map(whole).collect::<Vec<_>>();
        assert_eq!(candidates("https://a/b.mgp"), ["https://a/b.mgp"]);
        assert_eq!(candidates("https://a/B.MGP?x=1"), ["https://a/B.MGP?x=1"]);
        assert_eq!(candidates("https://a/user/p"), ["https://a/user/p/plugin.mgp", "https://a/user/p"]);
        assert_eq!(candidates("https://u@a"), ["https://u@a/plugin.mgp", "https://u@a/"]);
        assert_eq!(candidates("https://a/p/?x=y"), ["https://a/p/plugin.mgp?x=y", "https://a/p/?x=y"]);
    }

    #[test]
    fn a_redirection_never_leaves_encryption() {
        let from = url("https://u:p@a/b/c.mgp?q=1");
        let to = |location| from.redirected(location).map(|url| whole(&url));
        assert_eq!(to("https://x/y").unwrap(), "https://x/y");
        assert_eq!(to("//x/y").unwrap(), "https://x/y");
        assert_eq!(to("/y?z=1#part").unwrap(), "https://u:p@a/y?z=1");
        assert_eq!(to("y").unwrap(), "https://u:p@a/b/y");
        assert!(matches!(to("http://x/y"), Err(UrlError::Insecure { .. })));
        assert!(matches!(to("http://127.0.0.1/y"), Err(UrlError::Unencrypted { .. })));
        assert!(matches!(to("file:///etc/passwd"), Err(UrlError::Form { .. })));
        let error = url("http://localhost/a").redirected("/b").unwrap_err();
        assert_eq!(error.code(), Code::Tls);
        assert!(!error.to_string().contains("another machine"), "{error}");
    }
}

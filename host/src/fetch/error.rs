//! Why something was not fetched.

use std::time::Duration;

use crate::code::{Code, Coded};
use crate::policy::show_size;
use crate::text::safe_line;
use crate::url::{Url, UrlError};

/// A download that was refused or failed. Addresses are shown without what is secret in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server does not prove who it is.
    #[error("{url}: {}", safe_line(why))]
    Tls {
        /// Where.
        url: Url,
        /// Why.
        why: String,
    },
    /// Nothing is known of whom this machine trusts to vouch for servers.
    #[error("no server can prove who it is: {}", safe_line(why))]
    NoCertificates {
        /// Why.
        why: String,
    },
    /// The server leads to a place that nothing is fetched from.
    #[error("{url} leads elsewhere: {source}")]
    Redirection {
        /// Where.
        url: Url,
        /// Why it is not followed.
        source: UrlError,
    },
    /// The server leads from place to place.
    #[error("{url}: it leads from place to place, more than {most} times")]
    Redirections {
        /// The last place.
        url: Url,
        /// How many are followed.
        most: usize,
    },
    /// It ended before the size that was announced.
    #[error("{url}: it broke off after {arrived} bytes{}", of(*total))]
    Short {
        /// Where.
        url: Url,
        /// The bytes that came.
        arrived: u64,
        /// The bytes that were announced.
        total: Option<u64>,
    },
    /// What came has another size than was said, or none that could be said.
    #[error("{url}: {why}")]
    Size {
        /// Where.
        url: Url,
        /// Why.
        why: String,
    },
    /// It is larger than a package may be.
    #[error("{url}: it is larger than {}, the most that a package may have (max_plugin_size)", show_size(*most))]
    TooLarge {
        /// Where.
        url: Url,
        /// The most bytes.
        most: u64,
    },
    /// The whole took too long.
    #[error("{url}: it did not arrive within {} seconds", limit.as_secs())]
    Deadline {
        /// Where.
        url: Url,
        /// The limit.
        limit: Duration,
    },
    /// Nothing came for too long.
    #[error("{url}: nothing came for {} seconds", limit.as_secs())]
    Idle {
        /// Where.
        url: Url,
        /// The limit.
        limit: Duration,
    },
    /// The server answers with something else than the file.
    #[error("{url}: the server answers {status}{}", meaning(*status))]
    Status {
        /// Where.
        url: Url,
        /// The status (RFC 9110, 15).
        status: u16,
    },
    /// The server was not reached, or broke off.
    #[error("{url}: {}", safe_line(why))]
    Failed {
        /// Where.
        url: Url,
        /// Why.
        why: String,
    },
    /// The proxy is none that can be used.
    #[error("the proxy {}: {why}", safe_line(proxy))]
    Proxy {
        /// The proxy, without name and password.
        proxy: String,
        /// Why.
        why: &'static str,
    },
    /// A signal came.
    #[error("{url}: interrupted")]
    Interrupted {
        /// Where.
        url: Url,
        /// Whether the next download goes on where this one ended.
        is_kept: bool,
    },
}

fn of(total: Option<u64>) -> String {
    total.map(|total| format!(" of {total}")).unwrap_or_default()
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 => ": it wants a name and a password",
        403 => ": it does not hand this out",
        404 | 410 => ": there is no such file",
        429 => ": it was asked too often",
        500..=599 => ": it has a problem of its own",
        _ => "",
    }
}

impl FetchError {
    /// Whether the server says that there is no such file.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Status { status: 404 | 410, .. })
    }
}

impl Coded for FetchError {
    fn code(&self) -> Code {
        match self {
            Self::Tls { .. } | Self::NoCertificates { .. } => Code::Tls,
            Self::Redirection { source, .. } => source.code(),
            Self::Short { .. } | Self::Size { .. } | Self::TooLarge { .. } => Code::Size,
            Self::Deadline { .. } | Self::Idle { .. } => Code::Timeout,
            Self::Status { status: 404 | 410, .. } => Code::FileNotFound,
            Self::Redirections { .. } | Self::Status { .. } | Self::Failed { .. } | Self::Proxy { .. } => {
                Code::DownloadFailed
            }
            Self::Interrupted { .. } => Code::Interrupted,
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Tls { .. } => {
                "check the address; a company's own certificates are named by SSL_CERT_FILE. The check cannot be switched off"
            }
            Self::NoCertificates { .. } => {
                "install the system's certificates (ca-certificates), or name a file of them by SSL_CERT_FILE"
            }
            Self::Redirection { source, .. } => return source.help(),
            Self::Redirections { .. } => "ask for the file's own address",
            Self::Short { .. } | Self::Size { .. } => "try again; if it stays so, tell whoever runs the server",
            Self::TooLarge { .. } => "if you want it all the same, raise `max_plugin_size` in policy.yaml",
            Self::Deadline { .. } => "try again; --timeout gives it more time",
            Self::Idle { .. } => "try again",
            Self::Status { status: 401 | 403, .. } => {
                "write a name and password as https://NAME:PASSWORD@HOST/...; they are not kept"
            }
            Self::Status { .. } | Self::Failed { .. } => "check the address, and whether the server can be reached",
            Self::Proxy { .. } => "write the proxy as http://HOST:PORT, in HTTPS_PROXY or policy.yaml",
            Self::Interrupted { is_kept: true, .. } => "what came is kept: the same command goes on from there",
            Self::Interrupted { is_kept: false, .. } => return None,
        };
        Some(text.to_owned())
    }
}

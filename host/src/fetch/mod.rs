//! Fetching a file from a server: one address, one file, of a size that is known to be right, within a time. Nothing here
//! is trusted for having arrived; what it is worth is judged afterwards.
#![forbid(unsafe_code)]

mod agent;
mod error;
mod excess;
mod get;
mod proxy;
mod transfer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use error::FetchError;
pub use get::{Begun, Fetched, Part, Unkept, Watch, get};
pub use proxy::Proxies;

use crate::url::{FileVersion, Url};

/// The longest that a whole download takes where nothing else is said.
pub const DEADLINE: Duration = Duration::from_secs(600);
/// The longest silence of a server.
pub const IDLE: Duration = Duration::from_secs(30);
/// The most places that a server leads to, one after the other.
pub const REDIRECTIONS_MAX: usize = 5;

/// How files are fetched.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The longest that a whole download may take, all its attempts included.
    pub deadline: Duration,
    /// The longest that nothing may come.
    pub idle: Duration,
    /// Proxies.
    pub proxies: Proxies,
    /// Files of certificates that vouch for servers, in place of the system's (as `SSL_CERT_FILE`, `SSL_CERT_DIR`).
    pub certificates: Certificates,
    /// Ends the download when it is set.
    pub interrupted: Option<&'static AtomicBool>,
}

/// Who vouches for servers.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// A file of certificates in PEM.
    pub file: Option<PathBuf>,
    /// A directory of such files.
    pub directory: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadline: DEADLINE,
            idle: IDLE,
            proxies: Proxies::default(),
            certificates: Certificates::default(),
            interrupted: None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where it is.
    pub url: Url,
    /// The most bytes that it may have.
    pub most: u64,
    /// The version that is there already: no bytes come if it is the same.
    pub known: Option<FileVersion>,
}

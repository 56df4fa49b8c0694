//! One connection to one server: whom it trusts, by which proxy it goes, and how long it may take.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector as _, DefaultConnector, NextTimeout};

use super::excess::Watching;
use super::{Certificates, FetchError, Settings};
use crate::url::Url;

/// How this program calls itself.
const USER_AGENT: &str = concat!("migraine/", env!("CARGO_PKG_VERSION"));
/// The longest that making the connection may take.
const CONNECT: Duration = Duration::from_secs(30);

/// An agent for one request.
pub(super) struct Connection {
    pub(super) agent: Agent,
    /// Whether more came than was announced; known once the answer is gone.
    pub(super) is_excess: Arc<AtomicBool>,
}

/// Makes an agent that reaches one server within a time.
pub(super) fn connection(url: &Url, settings: &Settings, left: Duration) -> Result<Connection, FetchError> {
    let server: Uri = url.request();
    let host = server.host().unwrap_or_default();
    let is_secure = url.is_secure();
    // Without encryption nothing may leave this machine, so no proxy either.
    let proxy = if is_secure { settings.proxies.to(host)? } else { None };
    let mut config = Config::builder()
        .proxy(proxy)
        .https_only(is_secure)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .user_agent(USER_AGENT)
        // A size that is not that of the file says nothing.
        .accept_encoding("identity")
        .timeout_global(Some(left))
        .timeout_connect(Some(CONNECT.min(settings.idle)))
        .timeout_per_read(Some(settings.idle))
        .timeout_per_write(Some(settings.idle));
    if is_secure {
        config = config.tls_config(tls(&settings.certificates)?);
    }
    let is_excess = Arc::new(AtomicBool::new(false));
    let connector = DefaultConnector::new().chain(Watching { server, is_excess: is_excess.clone() });
    let agent = Agent::with_parts(
        config.build(),
        connector,
        Lookup { is_local: !is_secure, inner: DefaultResolver::default() },
    );
    Ok(Connection { agent, is_excess })
}

fn tls(certificates: &Certificates) -> Result<TlsConfig, FetchError> {
    let config = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots(certificates)?)));
    Ok(config.build())
}

fn roots(certificates: &Certificates) -> Result<Vec<Certificate<'static>>, FetchError> {
    let Certificates { file, directory } = certificates;
    let found = if file.is_none() && directory.is_none() {
        rustls_native_certs::load_native_certs()
    } else {
        rustls_native_certs::load_certs_from_paths(file.as_deref(), directory.as_deref())
    };
    let roots: Vec<_> = found.certs.iter().map(|found| Certificate::from_der(found.as_ref()).to_owned()).collect();
    if !roots.is_empty() {
        return Ok(roots);
    }
    let place = |path: &Path| format!("{} holds no certificate", path.display());
    let why = match (found.errors.first(), file.as_deref().or(directory.as_deref())) {
        (Some(error), _) => error.to_string(),
        (None, Some(path)) => place(path),
        (None, None) => "this machine has no certificates of those who vouch for servers".to_owned(),
    };
    Err(FetchError::NoCertificates { why })
}

/// Looks names up. Where the connection is not encrypted, a name stands for addresses of this machine or for none.
#[derive(Debug)]
struct Lookup {
    is_local: bool,
    inner: DefaultResolver,
}

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if !self.is_local {
            return Ok(found);
        }
        let mut kept = self.inner.empty();
        found.iter().filter(|address| address.ip().is_loopback()).for_each(|address| kept.push(*address));
        if kept.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(kept) }
    }
}

//! The way to the daemon: the host connects, and each request goes over a socket of its own that the host passes.

use std::os::unix::net::UnixStream;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Response, Uri};
use hyper_util::rt::TokioIo;
use migraine_plugin_api::{Host, PluginError};
use tokio::runtime::{Builder, Runtime};

use crate::errors::{carried, unconnected};

/// How long the client waits for the head of an answer, in seconds: for ever, since the host ends every call in time.
const NO_TIMEOUT: u64 = u64::MAX;

/// The daemon, and the run-time that its client needs. One thread and no signals: a plugin has few threads, and may make
/// no sockets.
pub(crate) struct Daemon {
    runtime: Runtime,
    docker: Docker,
}

impl Daemon {
    /// Prepares a client; nothing is connected yet.
    ///
    /// # Errors
    /// The configuration names no socket, or the run-time cannot start.
    pub(crate) fn open(host: &Host) -> Result<Self, PluginError> {
        let socket = host.config_text("docker_socket").filter(|path| path.starts_with('/')).ok_or_else(|| {
            PluginError::failed("the configuration key `docker_socket` is no absolute path")
                .with_help("set it with: migraine plugin config docker-manager set docker_socket PATH")
        })?;
        let endpoint = format!("unix:{socket}");
        let host = host.clone();
        let transport = move |request: BollardRequest| {
            let stream = host.connect(&endpoint).map_err(|error| carried(unconnected(&endpoint, error)));
            async move { exchange(UnixStream::from(stream?), request).await }
        };
        let docker =
            Docker::connect_with_custom_transport(transport, Some("http://docker"), NO_TIMEOUT, API_DEFAULT_VERSION)
                .map_err(|error| PluginError::failed(error.to_string()))?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { runtime, docker })
    }

    /// Runs requests to their end. Whatever they left open is closed when this returns.
    pub(crate) fn run<T>(self, work: impl AsyncFnOnce(&Docker) -> T) -> T {
        self.runtime.block_on(work(&self.docker))
    }
}

/// One request and the head of its answer; the body follows as it is read.
async fn exchange(stream: UnixStream, request: BollardRequest) -> Result<Response<Incoming>, bollard::errors::Error> {
    stream.set_nonblocking(true)?;
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    // A failure of the connection is also what the request and its body end with.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender.send_request(addressed(request)?).await?)
}

/// The daemon answers requests that name a path alone, with a host in the header.
fn addressed(mut request: BollardRequest) -> Result<BollardRequest, bollard::errors::Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    Ok(request)
}

//! An encrypted web server on this machine that does what a test says, and who vouches for it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use migraine_host::ids::Digest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// What `openssl ca` wants to be told.
const CONFIG: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n\
                      policy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n";

/// Somebody who vouches for servers, made by openssl.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    /// How many identities it gave out; held while it makes one, since its books take one writer.
    given: Mutex<usize>,
}

/// A server's key and certificate.
#[derive(Debug)]
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// A new one that nobody knows.
    ///
    /// # Panics
    /// There is no openssl.
    #[must_use]
    pub fn new() -> Self {
        // Every user may read who vouches for servers.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("migraine-authority-").permissions(open).tempdir();
        let authority = Self { folder: folder.expect("make a directory"), given: Mutex::new(0) };
        let name = authority.folder.path().file_name().unwrap_or_default().to_string_lossy();
        let subject = format!("/CN={name}");
        authority.openssl(
            &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
            &["-subj", &subject, "-keyout", "ca.key", "-out", "ca.pem"],
        );
        for (name, text) in [("ca.cnf", CONFIG), ("index", "")] {
            fs::write(authority.folder.path().join(name), text).expect("write a file");
        }
        authority
    }

    /// Its certificate, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// An identity for a host, as in `DNS:localhost`, that is valid now.
    #[must_use]
    pub fn identity(&self, host: &str) -> Identity {
        self.issue(host, "20250101000000Z", "20991231000000Z")
    }

    /// An identity whose time is over.
    #[must_use]
    pub fn expired(&self, host: &str) -> Identity {
        self.issue(host, "20200101000000Z", "20200102000000Z")
    }

    /// An identity that nobody vouches for but itself.
    #[must_use]
    pub fn self_signed(&self, host: &str) -> Identity {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = self.next(&mut given);
        let (key, certificate) = (path(&identity.key), path(&identity.certificate));
        let name = format!("subjectAltName={host}");
        self.openssl(
            &["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
            &["-subj", "/CN=localhost", "-addext", &name, "-keyout", key, "-out", certificate],
        );
        identity
    }

    fn issue(&self, host: &str, from: &str, until: &str) -> Identity {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = self.next(&mut given);
        let (key, certificate) = (path(&identity.key), path(&identity.certificate));
        let (name, request) = (format!("subjectAltName={host}"), format!("{key}.csr"));
        self.openssl(
            &["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            &["-subj", "/CN=server", "-addext", &name, "-keyout", key, "-out", &request],
        );
        self.openssl(
            &["ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-notext"],
            &["-startdate", from, "-enddate", until, "-in", &request, "-out", certificate],
        );
        identity
    }

    fn next(&self, given: &mut usize) -> Identity {
        *given += 1;
        let at = |kind: &str| self.folder.path().join(format!("{given}.{kind}"));
        Identity { certificate: at("pem"), key: at("key") }
    }

    fn openssl(&self, words: &[&str], more: &[&str]) {
        let done = Command::new("openssl").args(words).args(more).current_dir(self.folder.path()).output();
        let done = done.expect("run openssl");
        assert!(done.status.success(), "{words:?}: {done:?}");
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of the test kit is UTF-8")
}

/// What a server was asked: the head, line by line, in small letters but for the path.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path with its query.
    pub path: String,
    head: String,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    is_secure: bool,
    asked: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// Starts an encrypted server; each request is answered by what a function writes.
    ///
    /// # Panics
    /// It cannot listen, or the identity is none.
    #[must_use]
    pub fn start(
        identity: &Identity,
        answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let certificates = CertificateDer::pem_file_iter(&identity.certificate).expect("read the certificate");
        let certificates = certificates.collect::<Result<Vec<_>, _>>().expect("read the certificate");
        let key = PrivateKeyDer::from_pem_file(&identity.key).expect("read the key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("the versions are known").with_no_client_auth();
        let config = Arc::new(config.with_single_cert(certificates, key).expect("the key is the certificate's"));
        Self::serve(true, answer, move |stream| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Ok(Box::new(StreamOwned::new(connection, stream)))
        })
    }

    /// Starts a server that is not encrypted.
    #[must_use]
    pub fn plain(answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::serve(false, answer, |stream| Ok(Box::new(stream)))
    }

    fn serve(
        is_secure: bool,
        answer: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> io::Result<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on a port");
        let port = listener.local_addr().expect("bound").port();
        let (asked, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let server = Self { port, is_secure, asked: asked.clone(), is_over: is_over.clone() };
        let (answer, wrap) = (Arc::new(answer), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, wrap, asked) = (answer.clone(), wrap.clone(), asked.clone());
                // A client that gives up is no failure of the server.
                std::thread::spawn(move || one(wrap(stream)?, &*answer, &asked));
            }
        });
        server
    }

    /// The address of a path on it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it was asked since this was asked last.
    #[must_use]
    pub fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

trait Stream: io::Read + Write + Send {}
impl<T: io::Read + Write + Send> Stream for T {}

fn one(
    stream: Box<dyn Stream>,
    answer: &dyn Fn(&Request, &mut dyn Write) -> io::Result<()>,
    asked: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let request = Request { path, head: head.replace("\r\n", "\n") };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    answer(&request, stream.get_mut())?;
    stream.get_mut().flush()
}

/// What a well-behaved server answers: files by path, with tags, parts and the answer that nothing has changed.
#[derive(Debug, Clone, Default)]
pub struct Files(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Files {
    /// Puts a file there, in place of another one.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), bytes);
    }

    /// The file under a path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The client has gone.
    pub fn answer(&self, request: &Request, out: &mut dyn Write) -> io::Result<()> {
        let Some(bytes) = self.file(request.path.split('?').next().unwrap_or_default()) else {
            return head(out, "404 Not Found", &[("Content-Length", "0")]);
        };
        let etag = format!("\"{}\"", Digest::of(&bytes));
        if request.header("if-none-match") == Some(&etag) {
            return head(out, "304 Not Modified", &[("ETag", &etag)]);
        }
        let from = request.header("range").filter(|_| request.header("if-range") == Some(&etag));
        let from = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        let (status, from) = from.map_or(("200 OK", 0), |from| ("206 Partial Content", from));
        let (rest, total) = (&bytes[from.min(bytes.len())..], bytes.len());
        let range = format!("bytes {from}-{}/{total}", total.saturating_sub(1));
        let length = rest.len().to_string();
        let mut lines = vec![("Content-Length", length.as_str()), ("ETag", &etag), ("Accept-Ranges", "bytes")];
        if status.starts_with("206") {
            lines.push(("Content-Range", &range));
        }
        head(out, status, &lines)?;
        out.write_all(rest)
    }
}

/// Writes the head of an answer.
///
/// # Errors
/// The client has gone.
pub fn head(out: &mut dyn Write, status: &str, lines: &[(&str, &str)]) -> io::Result<()> {
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    out.write_all(format!("HTTP/1.1 {status}\r\n{lines}\r\n").as_bytes())
}

//! The head of a request to the proxy, read strictly: what two readers could understand differently is refused, before
//! anybody outside gets a byte of it.

use std::fmt::Write as _;

use super::body::Body;
use crate::policy::Endpoint;

#[cfg(test)]
mod tests;

/// The largest head, in bytes.
const HEAD_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
const HTTP_PORT: u16 = 80;

/// Headers that concern one connection (RFC 9110, 7.6.1), and the one that is written anew.
const NOT_PASSED_ON: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "upgrade",
];

/// Why bytes are no request that the proxy takes. Holds nothing of the bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::runtime) struct Malformed(pub(super) String);

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A stream to an endpoint, whatever goes over it.
    Tunnel(Endpoint),
    /// One request for a server.
    Forward {
        /// The server.
        endpoint: Endpoint,
        /// The head that the server gets.
        head: Vec<u8>,
        /// What follows the head.
        body: Body,
    },
}

pub(super) fn refuse<T>(why: &str) -> Result<T, Malformed> {
    Err(Malformed(why.to_owned()))
}

/// Where the head ends, if it is all there.
///
/// # Errors
/// It is too large already, or holds what no part of a head may hold: line ends by half, folded lines, control characters.
pub(super) fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    for (at, &byte) in bytes.iter().enumerate().take(HEAD_MAX) {
        let before = &bytes[..at];
        match byte {
            b'\n' if before.ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            b'\n' if before.ends_with(b"\r") => {}
            _ if before.ends_with(b"\r") => return refuse("a carriage return stands alone"),
            b'\n' => return refuse("a line does not end with a carriage return and a line feed"),
            b' ' | b'\t' if before.ends_with(b"\n") => return refuse("a header is folded over lines"),
            b'\r' | b'\t' => {}
            byte if byte.is_ascii_control() => return refuse("the head holds a control character"),
            _ => {}
        }
    }
    if bytes.len() < HEAD_MAX { Ok(None) } else { refuse("the head is larger than 32 KiB") }
}

/// Reads a head that [`end_of_head`] has passed.
///
/// # Errors
/// It is no head of a request, or of one that the proxy does not take.
pub(super) fn parse(head: &[u8]) -> Result<Request, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = request.parse(head).map_err(|error| Malformed(error.to_string()))?;
    let (httparse::Status::Complete(length), Some(method), Some(target), Some(version)) =
        (length, request.method, request.path, request.version)
    else {
        return refuse("the head is not complete");
    };
    if length != head.len() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("the first line is not METHOD TARGET HTTP/VERSION");
    }
    let fields = Fields::of(request.headers, version)?;
    if method == "CONNECT" {
        let endpoint = server(target, None)?;
        fields.agree_on(&endpoint, port(&endpoint))?;
        return match fields.body {
            None => Ok(Request::Tunnel(endpoint)),
            Some(_) => refuse("CONNECT has no body"),
        };
    }
    let (endpoint, path) = split_target(method, target)?;
    fields.agree_on(&endpoint, Some(HTTP_PORT))?;
    if fields.host.is_none() && version == 1 {
        return refuse("a request by HTTP/1.1 names its host");
    }
    let mut head = format!("{method} {path} HTTP/1.{version}\r\nHost: {}\r\n", host_text(&endpoint)).into_bytes();
    for header in request.headers.iter().filter(|header| fields.passes_on(header.name)) {
        head.extend([header.name.as_bytes(), b": ", header.value, b"\r\n"].concat());
    }
    // One request for each connection: the server is told, and no second one is passed on.
    head.extend(b"Connection: close\r\n\r\n");
    Ok(Request::Forward { endpoint, head, body: fields.body.unwrap_or_else(Body::none) })
}

/// What the headers say that concerns the proxy itself.
struct Fields<'a> {
    host: Option<&'a str>,
    body: Option<Body>,
    /// What the client calls its own and the proxy's alone, in lower case.
    connection: Vec<String>,
}

impl<'a> Fields<'a> {
    fn of(headers: &[httparse::Header<'a>], version: u8) -> Result<Self, Malformed> {
        let all = |name: &'static str| {
            headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(move |header| {
                std::str::from_utf8(header.value).map_err(|_| Malformed(format!("{name} is not text")))
            })
        };
        let one = |name: &'static str| {
            let mut all = all(name);
            let first = all.next().transpose()?;
            if all.next().is_some() { refuse(&format!("{name} stands twice")) } else { Ok(first) }
        };
        let body = match (one("content-length")?, one("transfer-encoding")?) {
            (None, None) => None,
            (Some(length), None) => Some(Body::of_length(length)?),
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") && version == 1 => Some(Body::chunked()),
            (None, Some(_)) => return refuse("the only transfer coding is chunked, by HTTP/1.1"),
            (Some(_), Some(_)) => return refuse("a body has a length or is chunked, not both"),
        };
        let mut connection = Vec::new();
        for value in all("connection") {
            connection.extend(value?.split(',').map(|name| name.trim().to_ascii_lowercase()));
        }
        // Left out on the way, these would let the server take the body for a second request.
        if connection.iter().any(|name| matches!(name.as_str(), "content-length" | "transfer-encoding" | "host")) {
            return refuse("connection names a header that the server needs");
        }
        Ok(Self { host: one("host")?, body, connection })
    }

    /// A server may go by the host alone: nothing but what was judged may stand there.
    fn agree_on(&self, endpoint: &Endpoint, port: Option<u16>) -> Result<(), Malformed> {
        match self.host.map(|host| server(host, port)) {
            None => Ok(()),
            Some(Ok(host)) if host == *endpoint => Ok(()),
            Some(_) => refuse("the host is another one than the target's"),
        }
    }

    fn passes_on(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        !NOT_PASSED_ON.contains(&name.as_str()) && !self.connection.contains(&name)
    }
}

/// The server of an absolute target, and what it is asked for.
fn split_target(method: &str, target: &str) -> Result<(Endpoint, String), Malformed> {
    let Some((scheme, rest)) = target.split_once("://") else {
        return refuse("the target is not http://HOST/PATH: this is a proxy");
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return refuse("only http:// is asked for so; everything else by CONNECT");
    }
    if rest.contains(['#', '\\']) {
        return refuse("the target holds a `#` or a `\\`");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = match path {
        "" if method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        query => format!("/{query}"),
    };
    Ok((server(authority, Some(HTTP_PORT))?, path))
}

/// The endpoint of `HOST` or `HOST:PORT`.
fn server(text: &str, port: Option<u16>) -> Result<Endpoint, Malformed> {
    let (_, after) = text.rsplit_once(']').unwrap_or(("", text));
    let mut full = text.to_owned();
    if let Some(port) = port
        && !after.contains(':')
    {
        let _ = write!(full, ":{port}");
    }
    tcp_endpoint(&full)
}

/// The endpoint of `HOST:PORT`.
pub(super) fn tcp_endpoint(text: &str) -> Result<Endpoint, Malformed> {
    match text.parse() {
        Ok(endpoint @ Endpoint::Tcp { .. }) => Ok(endpoint),
        Ok(Endpoint::Unix(_)) => refuse("sockets in the file system are not reached through the proxy"),
        Err(error) => Err(Malformed(error.to_string())),
    }
}

fn port(endpoint: &Endpoint) -> Option<u16> {
    match endpoint {
        Endpoint::Tcp { port, .. } => Some(*port),
        Endpoint::Unix(_) => None,
    }
}

fn host_text(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp { host, port: HTTP_PORT } => host.to_string(),
        other => other.to_string(),
    }
}

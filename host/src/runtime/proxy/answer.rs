//! What the proxy itself says by HTTP.

use crate::code::Code;

/// To CONNECT: from now on the server speaks.
pub(super) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A permission is missing. Clients show the body of an answer to CONNECT to nobody, but some show its first line.
pub(super) fn denied(missing: &str, why: &str, help: &str) -> Vec<u8> {
    answer(&format!("403 {missing} was not granted"), Code::PermissionDenied, why, Some(help))
}

/// Nobody could be connected to.
pub(super) fn unreachable(why: &str, help: Option<&str>) -> Vec<u8> {
    answer("502 Bad Gateway", Code::Io, why, help)
}

/// A limit was reached.
pub(super) fn limit(why: &str) -> Vec<u8> {
    answer("503 Service Unavailable", Code::LimitNetwork, why, None)
}

/// The request is none.
pub(super) fn malformed(why: &str) -> Vec<u8> {
    answer("400 Bad Request", Code::ProtocolError, why, None)
}

fn answer(status: &str, code: Code, why: &str, help: Option<&str>) -> Vec<u8> {
    let help = help.map(|help| format!("help: {help}\n")).unwrap_or_default();
    let body = format!("{code}: {why}\n{help}");
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

//! Accepts clients, each for a thread of its own, as many at a time as the limit allows.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::PollFlags;

use super::session::Session;
use super::{Shared, answer};
use crate::code::Code;

/// Clients over the limit that are kept until they have read why: closed at once, they would lose the answer.
const TURNED_AWAY: usize = 16;
/// How long to wait where the system has no descriptor for another client.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs until the end is asked for, and until every client's thread has ended.
pub(super) fn run(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    let mut away = VecDeque::new();
    while shared.stop.wait(&[(listener.as_fd(), PollFlags::POLLIN)], None).is_ok() {
        clients.retain(|client| !client.is_finished());
        match listener.accept() {
            Ok((client, _)) => match shared.admit(clients.len()) {
                Ok(()) => match start(client, shared) {
                    Ok(thread) => clients.push(thread),
                    Err(error) => shared.audit(Code::Io, &format!("a connection to the proxy was dropped: {error}")),
                },
                Err(line) => {
                    away.truncate(TURNED_AWAY - 1);
                    away.push_front(turn_away(client, &line));
                }
            },
            // A client that has left again.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
            Err(_) => drop(shared.stop.wait(&[], Some(PAUSE))),
        }
    }
    for client in clients {
        let _ = client.join();
    }
}

fn start(client: TcpStream, shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    // What fails in it is the client's own affair.
    let run = move || drop(Session::new(&client, &shared).serve());
    std::thread::Builder::new().name("proxy client".to_owned()).spawn(run)
}

/// Without reading, which could take long: whoever speaks SOCKS finds no version of it in the answer.
fn turn_away(mut client: TcpStream, line: &str) -> TcpStream {
    let _ = client.set_nonblocking(true).and_then(|()| client.write_all(&answer::limit(line)));
    let _ = client.shutdown(Shutdown::Write);
    client
}

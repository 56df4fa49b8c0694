//! The example docker-manager through the real program, on a real Docker daemon of the tests' own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test says that it cannot go on")]

mod manager;

/// Images are built from granted directories, and from no other.
mod build;
/// The user learns what the socket is before anything is granted.
mod consent;
/// The daemon of the tests leaves nothing behind.
mod daemon;
/// Containers are started and answer, or nothing of them remains.
mod deploy;
/// Containers are listed as the daemon knows them.
mod list;
/// What containers printed is shown, while they run and afterwards.
mod logs;
/// What was not granted is refused, and what is not there is said.
mod refused;
/// Actions of workflows show what they deployed.
mod workflow;

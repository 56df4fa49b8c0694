//! The example docker-manager through the real program, on a real Docker daemon of the tests' own.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test says that it cannot go on")]

/// The daemon of the tests leaves nothing behind.
mod daemon;

//! Test kit: builds what the suites need, runs it as root and as a plain user, and holds each run to what must always
//! be true (nothing left behind, no memory without bound).
//!
//! # Adding an attack
//!
//! 1. Write it as a command of `fixtures/hostile`: one function, one line in its table. It says `worked` or `refused
//!    ERRNO`; it must be harmless where it works, since it is also run without any protection.
//! 2. Add an [`Attack`](attack::Attack) to the table of its theme in `sandbox/`: the case's number in a comment, the
//!    command, for whom it works unprotected, and which half of the sandbox must stop it alone.
//!
//! [`attack::check`] then runs it unprotected (it must work: else the test proves nothing), in the whole sandbox by both
//! ways of loading, and under each half alone; each time as root and as a plain user. What it must not touch is compared
//! from outside afterwards.
//!
//! # Adding an ending
//!
//! A command of `fixtures/hostile` that does not answer, and a row in `sandbox/endings.rs`: its code and a word of its
//! message.
//!
//! # What a machine cannot do
//!
//! [`kernel`] prints `SKIPPED: ...`; with `MIGRAINE_TEST_ENFORCE=full` in the environment that is a failure.
#![forbid(unsafe_code)]

pub mod arena;
pub mod artifacts;
pub mod attack;
pub mod docker;
pub mod home;
pub mod kernel;
pub mod package;
pub mod run;
pub mod scene;
pub mod terminal;

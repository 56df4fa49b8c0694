//! Test kit: builds what the suites need, runs it as root and as a plain user, and holds each run to what must always
//! be true (nothing left behind, no memory without bound).
//!
//! # Adding an attack
//!
//! 1. Write it as a command of `fixtures/hostile`: one function, one line in its table. It says `worked` or `refused
//!    ERRNO`; it must be harmless where it works, since it is also run without any protection.
//! 2. Add an [`Attack`](attack::Attack) to the test of its case, `aNNN_...` in `sandbox/`: the command, and which half of
//!    the sandbox must stop it alone. What the host stops and no layer could is a [`Guarded`](guarded::Guarded) with the
//!    check that stops it, or a test of its own in `e2e/attacks.rs`.
//! 3. `cargo xtask attacks --bless` writes its rows into `sandbox/matrix.txt`. Read them before they are checked in.
//!
//! [`attack::check`] runs it under each choice of layers and by both ways of loading, each time as root and as a plain
//! user. Without layers it must work, or get past the kernel's checks: else the test proves nothing. What it must not
//! touch is compared from outside afterwards.
//!
//! Only the programs that [`artifacts`] builds with the feature `attack-controls`, in a target folder of their own, can
//! leave layers and checks out.
//!
//! # Adding a case
//!
//! A line in `sandbox/cases.txt` and a test that is named after its number; the suite says what is missing.
//!
//! # What a machine cannot do
//!
//! [`kernel`] prints `SKIPPED: ...`; with `MIGRAINE_TEST_ENFORCE=full` in the environment that is a failure. An attack that
//! the machine's kernel has no call for is listed in `sandbox/exceptions.txt`, five at most; with that variable it is a
//! failure as well when the kernel does have it.
#![forbid(unsafe_code)]

pub mod archive;
pub mod arena;
pub mod artifacts;
pub mod attack;
pub mod cases;
pub mod crash;
pub mod docker;
pub mod guarded;
pub mod home;
pub mod kernel;
pub mod matrix;
pub mod package;
pub mod run;
pub mod scene;
pub mod scripts;
pub mod server;
pub mod terminal;

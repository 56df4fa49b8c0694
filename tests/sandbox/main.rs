//! The sandbox holds: attacks, endings, identity and the binary interface. Case numbers (A1, ...) are those of the
//! project's attack matrix.
#![forbid(unsafe_code)]

mod abi;
mod code;
mod constructor;
mod endings;
mod files;
mod identity;
mod kernel;
mod limits;
mod memory;
mod network;
mod processes;
mod roots;
mod suspend;
mod sweep;
mod teardown;

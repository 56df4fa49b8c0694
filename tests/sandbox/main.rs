//! The sandbox holds: attacks, identity and the binary interface. A test whose name begins with `aNNN_` belongs to the case of
//! that number in `cases.txt`; what becomes of each attack under which layers stands in `matrix.txt`.
#![forbid(unsafe_code)]

mod abi;
mod cases;
mod descriptors;
mod devices;
mod engines;
mod exhaustion;
mod files;
mod identity;
mod kernel;
mod loader;
mod network;
mod processes;
mod product;
mod protocol;
mod roots;
mod secrets;
mod suspend;
mod sweep;
mod teardown;

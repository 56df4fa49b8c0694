//! The plugin framework behind `migraine`: packages, trust, store, sandbox, hooks and workflows.
//!
//! An embedding program calls [`worker::enter`] first in its `main` and then works with the types re-exported here.

pub mod bound;
pub mod cli;
pub mod code;
pub(crate) mod controls;
pub(crate) mod family;
pub mod fetch;
pub mod hooks;
pub mod ids;
pub mod manage;
pub mod package;
pub mod policy;
pub mod runtime;
pub mod sandbox;
pub mod secrets;
pub mod store;
pub(crate) mod sys;
pub mod text;
pub mod trust;
pub mod url;
pub mod wire;
pub mod worker;
pub mod workflow;

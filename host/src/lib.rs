//! The plugin framework behind `migraine`: packages, trust, store, sandbox, hooks and workflows.
//!
//! An embedding program calls [`worker::enter`] first in its `main` and then works with the types re-exported here.

pub mod code;
pub mod ids;
pub mod package;
pub mod text;
pub mod trust;

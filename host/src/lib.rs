//! The plugin framework behind `migraine`: packages, trust, store, sandbox, hooks and workflows.
//!
//! An embedding program calls [`worker::enter`] first in its `main` and then works with the types re-exported here.

/// Temporary until `cli/mod.rs` exists.
pub mod cli {
    pub mod run;
}
pub mod code;
pub mod hooks;
pub mod ids;
pub mod text;
pub mod workflow;

//! The layout on disk: immutable plugin trees named by digest, one state file whose rename is the commit, and the
//! database of plugin state. Readers take no lock; writers hold one.
#![forbid(unsafe_code)]

mod brief;
mod decided;
mod dir;
mod downloads;
mod error;
mod history;
mod hold;
mod home;
mod inspect;
mod plugin_data;
mod records;
mod root;
mod state;
mod subscription;
mod system;
mod tree;
mod user;
mod writer;

#[cfg(test)]
mod tests;

pub use brief::Brief;
pub use decided::Decided;
pub use downloads::PartFile;
pub use error::StoreError;
pub use history::History;
pub use home::{Briefs, Home, Installed, home_path};
pub use inspect::{Flaw, FlawKind, Inspection};
pub use plugin_data::{DataOwner, PluginData};
pub use records::{Chosen, Records};
pub use state::{
    Entry, KnownInterpreter, Problem, ProblemKind, Remote, State, Status, Trust, checksum as state_checksum,
};
pub use subscription::Subscription;
pub use system::{Overlay, StoreName, SystemView};
pub use tree::InstalledTree;
pub use user::user_homes;
pub use writer::{LOCK_DEADLINE, Writer};

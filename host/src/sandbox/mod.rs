//! The host's handle on the sandbox: the launcher process, the workers it makes, one deadline per call, the end of each.

mod attend;
pub mod awake;
mod bare_host;
mod cgroup;
mod code;
mod control;
mod cure;
mod error;
mod examine;
mod launcher;
mod lines;
mod ordered;
mod orders;
mod record;
mod run;
mod said;
mod spare;
mod stage;
mod usage;
mod worker;

pub use crate::sys::memory::Room;
pub use crate::wire::CPU_WINDOW;
pub use attend::{Stray, StraySink};
pub use bare_host::BareHost;
pub use cgroup::LimitedBy;
pub use code::seal_code;
pub use error::{Death, SandboxError};
pub use examine::{Examination, Outcome, Step, examine};
pub use launcher::Launcher;
pub use ordered::Ordered;
pub use record::{Recorded, Recorder};
pub use run::Caller;
pub use stage::Stage;
pub use usage::{CallUsage, Traffic};
pub use worker::{CallLimits, HostSide, Stream, Usage, Worker};

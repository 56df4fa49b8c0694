//! The host's handle on the sandbox: the launcher process, the workers it makes, one deadline per call, the end of each.

mod attend;
mod code;
mod error;
mod launcher;
mod run;
mod usage;
mod worker;

pub use attend::{Stray, StraySink};
pub use code::seal_code;
pub use error::{Death, SandboxError};
pub use launcher::Launcher;
pub use run::Caller;
pub use worker::{CPU_WINDOW, CallLimits, HostSide, Stream, Usage, Worker};

//! The host's handle on the sandbox: the launcher process, the workers it makes, one deadline per call, the end of each.

mod attend;
mod code;
mod cure;
mod error;
mod examine;
mod launcher;
mod stage;
mod worker;

pub use attend::{Stray, StraySink};
pub use code::seal_code;
pub use error::{Death, SandboxError};
pub use examine::{Examination, MEMORY, Outcome, Step, examine};
pub use launcher::Launcher;
pub use stage::Stage;
pub use worker::{CPU_WINDOW, CallLimits, HostSide, Stream, Usage, Worker};

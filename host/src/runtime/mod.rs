//! Runs plugins: admission (bytes, verdict, grants), which workers run, one call with its deadline, replacement after a
//! failure, quarantine, and the host's own services.
#![forbid(unsafe_code)]

mod admission;
mod broker;
mod dial;
mod directories;
mod environment;
mod error;
mod exec;
mod host;
mod input;
mod launchers;
mod learn;
mod masked;
mod needs;
mod programs;
mod proxy;
mod run_program;
mod script;
mod scripts;
mod services;
mod settings;
mod spec;
mod streams;
mod trial;
mod upstream;
pub mod wall;

pub use admission::keys_of;
pub use error::CallError;
pub use host::Host;
pub use learn::{Learned, Learner};
pub use needs::{Around, Requirement, RequirementState, fitting, needed_plugins, requirements, signer};
pub use proxy::{Gate, Proxy, proxy_variables};
pub use script::{InterpreterError, Python, changes, interpreters, shown};
pub use services::Voice;
pub use settings::Settings;
pub use spec::{call_limits, proxy_limits, rlimits, stream_limits, worker_spec};
pub use trial::{Trial, TrialProblem, try_engines};

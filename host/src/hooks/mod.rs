//! Events, who subscribes to them, in which order the hooks run and what their answers do.
//!
//! [`catalogue`] is data, [`plan`] and [`chain`] are pure, [`dispatch`] calls the plugins.
#![forbid(unsafe_code)]

mod caller;
pub mod catalogue;
pub mod chain;
pub mod dispatch;
mod error;
pub mod plan;

pub use catalogue::{Carried, Catalogue, EventSpec, Field, Reply};
pub use chain::Note;
pub use dispatch::{CallFailure, FireReport, HookCaller, HookReport, MAX_DEPTH, Outcome, Registry, Stop};
pub use error::HookError;
pub use plan::{OrderIssue, Plan, Planned, Subscriber, Target};

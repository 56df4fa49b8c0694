//! What a plugin author depends on: the stable ABI, the typed surface and the macros.
//!
//! A whole plugin:
//!
//! ```
//! use std::io::Write;
//! use migraine_plugin_api::prelude::*;
//!
//! struct Hello;
//!
//! #[plugin]
//! impl Hello {
//!     /// Greet somebody
//!     #[command]
//!     fn greet(&mut self, ctx: &mut CommandContext, name: String) -> Result<(), PluginError> {
//!         writeln!(ctx.out(), "Hello, {name}!")?;
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # Rules of the ABI
//!
//! * Types that cross the border never grow fields; they carry serialized bodies ([`abi`]).
//! * An operation that the other side does not know answers [`ErrorKind::Unsupported`]; authors can fall back.
//! * A panic in author code becomes an error reply.
//! * The manifest is JSON in the section [`MANIFEST_SECTION`], read without loading the library.
#![deny(missing_docs)]

pub mod abi;
mod command;
mod context;
mod dependency;
mod error;
mod handler;
mod manifest;
mod permission;
mod plugin;
#[doc(hidden)]
pub mod private;
mod result;
mod services;
pub mod testing;
mod version;

pub use command::{CommandContext, Input, Invocation, Output};
pub use context::{CommandInfo, Context, StepInfo, WorkflowInfo};
pub use error::{ErrorKind, PluginError};
pub use handler::{BashSource, Executable, Handler, HookHandler, Protocol};
pub use manifest::{CommandSpec, FailurePolicy, HookSpec, MANIFEST_SECTION, Manifest, Timeout};
pub use migraine_plugin_macros::plugin;
pub use permission::{Permission, PermissionError, PermissionKind, read_permissions};
pub use plugin::Plugin;
pub use result::{HookResult, failure, success};
pub use services::{
    Config, ExecOutput, Host, LogLevel, STATE_KEY_MAX, STATE_TOTAL_MAX, STATE_VALUE_MAX, Services, is_unsupported,
};
pub use version::{API_VERSION, ApiVersion, FIRST, ParseVersionError};

/// What most plugins need.
pub mod prelude {
    pub use crate::{
        CommandContext, Context, HookResult, Host, LogLevel, Permission, PluginError, failure, plugin, success,
    };
    pub use std::io::{Read as _, Write as _};
}

//! The safe trait behind the generated code.

use crate::command::CommandContext;
use crate::context::Context;
use crate::error::{ErrorKind, PluginError};
use crate::result::HookResult;
use crate::services::Host;

/// A plugin. The [`plugin`](macro@crate::plugin) macro implements it; writing it by hand is possible and needs the
/// manifest and the exported root module as well.
pub trait Plugin: Send + Sized + 'static {
    /// The manifest as JSON.
    const MANIFEST: &'static str;

    /// Makes the plugin: called once in a worker, before everything else.
    ///
    /// # Errors
    /// The plugin cannot work with this configuration; the worker ends.
    fn create(host: &Host) -> Result<Self, PluginError>;

    /// An event arrived that the manifest subscribes to; [`Context::handler`] says which subscription.
    ///
    /// # Errors
    /// The hook failed; the same as a result with `success: false`.
    fn hook(&mut self, context: &Context, host: &Host) -> Result<HookResult, PluginError>;

    /// A command of the manifest was called.
    ///
    /// # Errors
    /// Usage errors and failures of the command.
    fn command(&mut self, context: &mut CommandContext) -> Result<(), PluginError>;

    /// The worker is about to end.
    fn shutdown(&mut self) {}

    /// An operation that came after API version 1.0.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] unless overridden.
    fn call(&mut self, operation: &str, body: &[u8]) -> Result<Vec<u8>, PluginError> {
        let _ = body;
        Err(PluginError::new(ErrorKind::Unsupported, format!("this plugin does not know the operation `{operation}`")))
    }
}

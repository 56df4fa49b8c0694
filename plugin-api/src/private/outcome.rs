//! What methods may return, turned into what the host wants.

use crate::error::PluginError;
use crate::result::HookResult;

/// The return type of a command.
#[diagnostic::on_unimplemented(
    message = "a command cannot return `{Self}`",
    label = "not an outcome of a command",
    note = "a command returns nothing or `Result<(), E>` where `PluginError` is `From<E>`"
)]
pub trait CommandOutcome {
    /// The outcome.
    ///
    /// # Errors
    /// What the command answered.
    fn into_outcome(self) -> Result<(), PluginError>;
}

impl CommandOutcome for () {
    fn into_outcome(self) -> Result<(), PluginError> {
        Ok(())
    }
}

impl<E: Into<PluginError>> CommandOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), PluginError> {
        self.map_err(Into::into)
    }
}

/// The return type of a hook.
#[diagnostic::on_unimplemented(
    message = "a hook cannot return `{Self}`",
    label = "not an outcome of a hook",
    note = "a hook returns nothing, `HookResult`, or a `Result<_, E>` of either where `PluginError` is `From<E>`"
)]
pub trait HookOutcome {
    /// The outcome.
    ///
    /// # Errors
    /// What the hook answered.
    fn into_outcome(self) -> Result<HookResult, PluginError>;
}

impl HookOutcome for () {
    fn into_outcome(self) -> Result<HookResult, PluginError> {
        Ok(HookResult::success())
    }
}

impl HookOutcome for HookResult {
    fn into_outcome(self) -> Result<HookResult, PluginError> {
        Ok(self)
    }
}

impl<E: Into<PluginError>> HookOutcome for Result<HookResult, E> {
    fn into_outcome(self) -> Result<HookResult, PluginError> {
        self.map_err(Into::into)
    }
}

impl<E: Into<PluginError>> HookOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<HookResult, PluginError> {
        self.map(|()| HookResult::success()).map_err(Into::into)
    }
}

/// The return type of `#[init]`.
#[diagnostic::on_unimplemented(
    message = "`#[init]` of `{T}` cannot return `{Self}`",
    label = "not a `{T}`",
    note = "`#[init]` returns `Self` or `Result<Self, E>` where `PluginError` is `From<E>`"
)]
pub trait InitOutcome<T> {
    /// The outcome.
    ///
    /// # Errors
    /// What the function answered.
    fn into_outcome(self) -> Result<T, PluginError>;
}

impl<T> InitOutcome<T> for T {
    fn into_outcome(self) -> Result<T, PluginError> {
        Ok(self)
    }
}

impl<T, E: Into<PluginError>> InitOutcome<T> for Result<T, E> {
    fn into_outcome(self) -> Result<T, PluginError> {
        self.map_err(Into::into)
    }
}

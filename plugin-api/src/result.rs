//! What a hook answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer of a hook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookResult {
    /// Whether the hook did its work.
    pub success: bool,
    /// Shown to the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether later hooks of this event still run; stopping them needs `task_write`.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub continue_chain: bool,
    /// Free data, recorded in the history and read by events that take an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_data: Option<Value>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_true(value: &bool) -> bool {
    *value
}

impl HookResult {
    /// The hook did its work.
    #[must_use]
    pub fn success() -> Self {
        Self { success: true, message: None, continue_chain: true, result_data: None }
    }

    /// The hook could not do its work.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        Self { success: false, message: Some(message.into()), continue_chain: true, result_data: None }
    }

    /// Adds a message for the user.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds data.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.result_data = Some(data.into());
        self
    }

    /// Ends the chain: later hooks of this event do not run.
    #[must_use]
    pub fn stop_chain(mut self) -> Self {
        self.continue_chain = false;
        self
    }
}

/// The hook did its work.
#[must_use]
pub fn success() -> HookResult {
    HookResult::success()
}

/// The hook could not do its work.
#[must_use]
pub fn failure(message: impl Into<String>) -> HookResult {
    HookResult::failure(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: S212, S213, S214, S215, S252, S253
    #[test]
    fn defaults_are_those_of_the_interface() {
        let read: HookResult = serde_json::from_str(r#"{"success":true}"#).unwrap();
        assert_eq!(read, success());
        assert!(read.continue_chain);
        let stopped = failure("no").stop_chain().with_data(7);
        let text = serde_json::to_string(&stopped).unwrap();
        assert_eq!(text, r#"{"success":false,"message":"no","continue_chain":false,"result_data":7}"#);
        assert_eq!(serde_json::from_str::<HookResult>(&text).unwrap(), stopped);
    }
}

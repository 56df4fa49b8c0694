//! Calls of programs that speak lines of JSON instead of frames: one line asks, one line answers. As hostile as any frame.

use migraine_plugin_api::PluginError;
use serde::Deserialize;
use serde_json::Value;

use super::error::SandboxError;
use super::usage::length;
use super::worker::Worker;
use crate::wire::{Kind, WireError};

/// The one line that answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Repeats the number of the call.
    call: u32,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

impl Worker {
    /// Sends a call, the body being a JSON object, with its number as the first field, and takes the answer.
    pub(super) fn ask_in_line(&mut self, call: u32, body: &[u8]) -> Result<(Kind, Vec<u8>), SandboxError> {
        use std::io::Write as _;
        let fields = body.strip_prefix(b"{").unwrap_or(body);
        let line = [format!("{{\"call\":{call},").as_bytes(), fields, b"\n"].concat();
        // A closed pipe here is a dead worker; reading says the same and also finds an answer sent before.
        let _ = self.channel.requests.write_all(&line);
        let read = match self.channel.replies.next_line() {
            Ok(line) => Ok((line.len(), serde_json::from_slice::<Line>(line))),
            Err(error) => Err(error),
        };
        let (size, parsed) = read.map_err(|error: WireError| self.lost(&error))?;
        self.usage.bytes_out += length(size);
        match parsed {
            Ok(Line { call: answered, .. }) if answered != call => {
                Err(self.broken(format!("an answer to call {answered} where {call} runs")))
            }
            Ok(Line { error: Some(message), answer: None, .. }) => {
                Ok((Kind::Failed, serde_json::to_vec(&PluginError::failed(message)).unwrap_or_default()))
            }
            Ok(Line { answer, error: None, .. }) => Ok((Kind::Reply, serde_json::to_vec(&answer).unwrap_or_default())),
            Ok(_) => Err(self.broken("an answer that is an error as well".to_owned())),
            Err(error) => Err(self.broken(format!("its line is not an answer: {error}"))),
        }
    }
}

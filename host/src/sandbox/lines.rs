//! Calls of programs that speak lines of JSON instead of frames: one line asks, one line answers, and in between the program
//! may ask the host in the same way. As hostile as any frame.

use std::io::Write as _;

use migraine_plugin_api::{ErrorKind, PluginError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::{Death, SandboxError};
use super::usage::length;
use super::worker::{CallLimits, HostSide, Worker, pass};
use crate::controls::{Check, makes};
use crate::wire::{Kind, WireError};

/// A line of the program's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Repeats the number of the call.
    call: u32,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    error: Option<String>,
    /// Neither: what it wants of the host first.
    #[serde(default)]
    ask: Option<Ask>,
}

/// A host service, as a program in any language can write it.
#[derive(Debug, Deserialize)]
#[serde(tag = "service", deny_unknown_fields)]
enum Ask {
    #[serde(rename = "log")]
    Log {
        #[serde(default = "info")]
        level: String,
        message: String,
    },
    #[serde(rename = "state.get")]
    StateGet { key: String },
    #[serde(rename = "state.put")]
    StatePut { key: String, value: String },
    #[serde(rename = "state.delete")]
    StateDelete { key: String },
    #[serde(rename = "state.keys")]
    StateKeys {},
    #[serde(rename = "variables")]
    Variables {},
    #[serde(rename = "exec")]
    Exec(Map<String, Value>),
    #[serde(rename = "connect")]
    Connect { endpoint: String },
}

fn info() -> String {
    "info".to_owned()
}

impl Ask {
    /// Asks a service and reads its answer as JSON.
    fn served(self, side: &mut dyn HostSide) -> Result<Value, PluginError> {
        let json = |bytes: Vec<u8>| Ok(serde_json::from_slice(&bytes)?);
        match self {
            Self::StateGet { key } => match side.service("state.get", key.as_bytes())?.split_first() {
                Some((1, value)) => std::str::from_utf8(value).map(Value::from).map_err(|_| {
                    let message = "the value is no text, and a line of JSON holds nothing else";
                    PluginError::new(ErrorKind::Invalid, message)
                }),
                _ => Ok(Value::Null),
            },
            Self::StatePut { key, value } => {
                side.service("state.put", &[key.as_bytes(), b"\0", value.as_bytes()].concat()).map(|_| Value::Null)
            }
            Self::StateDelete { key } => side.service("state.delete", key.as_bytes()).map(|_| Value::Null),
            Self::StateKeys {} => side.service("state.keys", b"").and_then(json),
            Self::Variables {} => side.service("variables", b"").and_then(json),
            Self::Exec(request) => side.service("exec", &serde_json::to_vec(&request)?).and_then(json),
            // These two are served where the channel is.
            Self::Log { .. } | Self::Connect { .. } => Ok(Value::Null),
        }
    }
}

impl Worker {
    /// Sends a call, the body being a JSON object, with its number as the first field, serves what the program asks, and
    /// takes the answer.
    pub(super) fn ask_in_line(
        &mut self,
        (call, body): (u32, &[u8]),
        limits: &CallLimits,
        side: &mut dyn HostSide,
    ) -> Result<(Kind, Vec<u8>), SandboxError> {
        let fields = body.strip_prefix(b"{").unwrap_or(body);
        self.write_line(&[format!("{{\"call\":{call},").as_bytes(), fields].concat());
        let mut logged = 0;
        loop {
            let read = match self.channel.replies.next_line() {
                Ok(line) => Ok((line.len(), serde_json::from_slice::<Line>(line))),
                Err(error) => Err(error),
            };
            let (size, parsed) = read.map_err(|error: WireError| self.lost(&error))?;
            self.usage.bytes_out += length(size);
            match parsed {
                Ok(Line { call: answered, .. }) if answered != call => {
                    return Err(self.broken(format!("an answer to call {answered} where {call} runs")));
                }
                Ok(Line { ask: Some(ask), answer: None, error: None, .. }) => {
                    self.serve_line(call, ask, (limits, &mut logged), side)?;
                }
                Ok(Line { error: Some(message), answer: None, ask: None, .. }) => {
                    let error = PluginError::failed(message);
                    return Ok((Kind::Failed, serde_json::to_vec(&error).unwrap_or_default()));
                }
                Ok(Line { answer, error: None, ask: None, .. }) => {
                    return Ok((Kind::Reply, serde_json::to_vec(&answer).unwrap_or_default()));
                }
                Ok(_) => return Err(self.broken("one line that says two things".to_owned())),
                Err(error) => return Err(self.broken(format!("its line is not an answer: {error}"))),
            }
        }
    }

    /// Serves one request. A log line gets no answer.
    fn serve_line(
        &mut self,
        call: u32,
        ask: Ask,
        (limits, logged): (&CallLimits, &mut u64),
        side: &mut dyn HostSide,
    ) -> Result<(), SandboxError> {
        self.usage.services += 1;
        if self.usage.services > limits.services && makes(Check::Calls) {
            self.watched.kill(Some(Death::Calls(limits.services)));
            return Err(self.died());
        }
        let outcome = match ask {
            Ask::Log { level, message } => {
                let line = json!({"level": level, "message": message}).to_string();
                *logged += length(line.len());
                if *logged > limits.log {
                    self.watched.kill(Some(Death::Log(limits.log)));
                    return Err(self.died());
                }
                side.log(line.as_bytes());
                return Ok(());
            }
            Ask::Connect { endpoint } => {
                // Before the answer, which tells the program that it is there.
                let passing = self.channel.passing.as_ref();
                side.descriptor("connect", endpoint.as_bytes()).and_then(|fd| pass(passing, &fd)).map(|()| Value::Null)
            }
            other => other.served(side),
        };
        let line = match outcome {
            Ok(answer) => json!({"call": call, "answer": answer}),
            Err(error) => json!({"call": call, "error": error}),
        };
        let line = line.to_string();
        self.usage.bytes_in += length(line.len());
        self.write_line(line.as_bytes());
        Ok(())
    }

    /// A closed pipe here is a dead worker; reading says the same and also finds an answer sent before.
    fn write_line(&mut self, line: &[u8]) {
        let _ = self.channel.requests.write_all(&[line, b"\n"].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_one_thing_and_no_more() {
        let read = |text: &str| serde_json::from_str::<Line>(text).is_ok();
        for text in [
            r#"{"call":1}"#,
            r#"{"call":1,"answer":{"a":1}}"#,
            r#"{"call":1,"ask":{"service":"log","message":"m"}}"#,
            r#"{"call":1,"ask":{"service":"state.put","key":"k","value":"v"}}"#,
            r#"{"call":1,"ask":{"service":"state.keys"}}"#,
            r#"{"call":1,"ask":{"service":"exec","program":"env","args":["-0"]}}"#,
        ] {
            assert!(read(text), "{text}");
        }
        for text in [
            "{}",
            r#"{"call":1,"x":1}"#,
            r#"{"call":1,"ask":{"service":"stdin"}}"#,
            r#"{"call":1,"ask":{"service":"log"}}"#,
            r#"{"call":1,"ask":{"service":"state.get","key":"k","x":1}}"#,
            r#"{"call":1,"ask":{"service":"state.keys","x":1}}"#,
            r#"{"call":1,"ask":{"key":"k"}}"#,
        ] {
            assert!(!read(text), "{text}");
        }
    }
}

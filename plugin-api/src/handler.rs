//! Who answers a hook or a command: code in the plugin's library, or a script or program that is packaged beside the
//! manifest.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A script or a program of the plugin that answers calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Handler {
    /// A function of a Python module: called with the configuration and the context, both dictionaries.
    Python {
        /// The module, `a` or `a.b`; its file lies beside the manifest.
        module: String,
        /// The function in it.
        function: String,
    },
    /// A Bash script.
    Bash(BashSource),
    /// A program of any language.
    Executable(Executable),
}

/// Where the text of a Bash script is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BashFields", into = "BashFields")]
pub enum BashSource {
    /// In the manifest itself.
    Script(String),
    /// In a file beside the manifest, by its path in the package.
    File(String),
}

#[derive(Serialize, Deserialize)]
struct BashFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl TryFrom<BashFields> for BashSource {
    type Error = &'static str;

    fn try_from(fields: BashFields) -> Result<Self, Self::Error> {
        match (fields.script, fields.file) {
            (Some(script), None) => Ok(Self::Script(script)),
            (None, Some(file)) => Ok(Self::File(file)),
            (Some(_), Some(_)) => Err("a bash handler has a `script` or a `file`, not both"),
            (None, None) => Err("a bash handler needs a `script`, or a `file` beside the manifest"),
        }
    }
}

impl From<BashSource> for BashFields {
    fn from(source: BashSource) -> Self {
        match source {
            BashSource::Script(script) => Self { script: Some(script), file: None },
            BashSource::File(file) => Self { script: None, file: Some(file) },
        }
    }
}

/// A program that is packaged beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Executable {
    /// Its path in the package.
    pub program: String,
    /// What runs it, where it is no ELF file: the name of a program such as `perl`, or its absolute path. A `#!` line
    /// is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// How it is called.
    #[serde(default)]
    pub protocol: Protocol,
}

/// How a program is called and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protocol {
    /// A new process for each call of a command: its name and arguments on the command line, the configuration as
    /// variables (`log_file` is `MIGRAINE_LOG_FILE`), the caller's standard input for a command with `stdin: true`, and the
    /// exit code as the outcome. Hooks cannot be answered so.
    #[default]
    Argv,
    /// One process, one line of JSON for each call and each answer: descriptor 3 is read, descriptor 4 written. What is
    /// printed is shown and is no answer.
    ///
    /// An event comes as `{"call": N, "context": {…}, "output": "…", "plugin_config": {…}}`, a command as
    /// `{"call": N, "invocation": {…}, "plugin_config": {…}}`. The answer is `{"call": N, "answer": …}` or
    /// `{"call": N, "error": "why"}`; that to a command may hold `exit_code` and `output`, that to an event is the
    /// dictionary that a Python handler returns. At the end of the input the program ends.
    ///
    /// Until it has answered, the program may ask the host, `{"call": N, "ask": {"service": …}}`, and reads one line with
    /// `answer` or `error`:
    ///
    /// | service | fields | answer |
    /// |---|---|---|
    /// | `log` | `message`, `level` | no line |
    /// | `state.get` | `key` | a text, or null |
    /// | `state.put` | `key`, `value` | null |
    /// | `state.delete` | `key` | null |
    /// | `state.keys` | | a list |
    /// | `variables` | | a map; needs `task_read` |
    /// | `exec` | `program`, `args`, `cwd`, `stdin` | `exit_code`, `stdout`, `stderr`; needs `exec` |
    /// | `connect` | `endpoint` | null, and the stream comes beside a message on descriptor 7 (`SCM_RIGHTS`); needs `network` |
    Json,
    /// One process, frames: descriptor 3 is read, descriptor 4 written, and nothing is escaped or copied.
    ///
    /// A frame is a header of 16 bytes, little-endian, a body and a raw segment: kind (2 bytes), extra (2), number of the
    /// call (4), size of the body (4) and of the raw segment (4). Kinds that come are 1 (load: the configuration and more;
    /// answer with 17 and `{"api_version": "1.0"}`), 2 (an event: the context, its output raw), 3 (a command: the
    /// invocation) and 4 (end). `extra` is the number of the handler, in the order of the manifest. The answer carries the number of its
    /// call: 19 with the result, or 20 with `{"kind": "failed", "message": "why"}`. Until then 22 and 23 are output and error output
    /// of a command, 24 a log line (`{"level": …, "message": …}`), and 21 asks the host: the name of a service, whose length `extra` is,
    /// and its body, as [`Host::call`](crate::Host::call) has them; 5 answers and 6 refuses. 26 asks for a descriptor, which
    /// comes beside a message on descriptor 7 before the answer.
    Frames,
}

/// What answers a hook. In a manifest, a text names a handler of the library, and a map a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookHandler {
    /// A handler of the plugin's library; empty where a command is bound.
    Named(String),
    /// A script or a program.
    Script(Handler),
}

impl HookHandler {
    /// The name of a handler of the library.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Script(_) => None,
        }
    }

    /// The script or program.
    #[must_use]
    pub fn script(&self) -> Option<&Handler> {
        match self {
            Self::Named(_) => None,
            Self::Script(handler) => Some(handler),
        }
    }

    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Named(name) if name.is_empty())
    }
}

impl Default for HookHandler {
    fn default() -> Self {
        Self::Named(String::new())
    }
}

impl Serialize for HookHandler {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => serializer.serialize_str(name),
            Self::Script(handler) => handler.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HookHandler {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Named(name)),
            value => Handler::deserialize(value).map(Self::Script).map_err(serde::de::Error::custom),
        }
    }
}

/// A hook as it is meant where only its `script` says what runs: `script: |` without a handler, or beside
/// `handler: {type: bash}`, is the handler itself. Beside another handler it is its fallback and stays.
pub(crate) fn with_script_as_handler(mut hook: Value) -> Value {
    let Value::Object(fields) = &mut hook else { return hook };
    if !fields.get("script").is_some_and(Value::is_string) {
        return hook;
    }
    let takes_it = match fields.get("handler") {
        None => !fields.contains_key("command"),
        Some(Value::Object(handler)) => {
            handler.get("type").is_some_and(|kind| kind == "bash")
                && !["script", "file"].iter().any(|key| handler.contains_key(*key))
        }
        Some(_) => false,
    };
    if takes_it && let Some(script) = fields.remove("script") {
        fields.insert("handler".to_owned(), serde_json::json!({ "type": "bash", "script": script }));
    }
    hook
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HookHandler, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn handlers_are_read_as_they_are_written() {
        for text in [
            r#""on_start""#,
            r#"{"type":"python","module":"log_processor","function":"process_log"}"#,
            r#"{"type":"bash","script":"echo a\n"}"#,
            r#"{"type":"bash","file":"hooks/log.sh"}"#,
            r#"{"type":"executable","program":"bin/tool","protocol":"frames"}"#,
            r#"{"type":"executable","program":"tool.pl","interpreter":"perl","protocol":"json"}"#,
        ] {
            let handler = read(text).unwrap();
            assert_eq!(serde_json::to_string(&handler).unwrap(), text);
        }
        let program = read(r#"{"type":"executable","program":"tool"}"#).unwrap();
        let Some(Handler::Executable(program)) = program.script() else { panic!("{program:?}") };
        assert_eq!((program.protocol, &program.interpreter), (Protocol::Argv, &None));
    }

    #[test]
    fn a_handler_that_cannot_be_understood_says_why() {
        for (text, why) in [
            (r#"{"type":"ruby"}"#, "unknown variant `ruby`, expected one of `python`, `bash`, `executable`"),
            (r#"{"module":"a","function":"b"}"#, "missing field `type`"),
            (r#"{"type":"python","module":"a"}"#, "missing field `function`"),
            (r#"{"type":"bash"}"#, "needs a `script`, or a `file`"),
            (r#"{"type":"bash","script":"a","file":"b"}"#, "not both"),
            (r#"{"type":"executable"}"#, "missing field `program`"),
            (r#"{"type":"executable","program":"a","protocol":"http"}"#, "unknown variant `http`"),
            ("7", "invalid type"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

//! What a Bash plugin is told: named values, each behind its length, that its runner puts into the environment of one
//! subshell. No value is ever part of a text that is run.

use migraine_plugin_api::{BashSource, Context, Handler, Invocation};
use serde_json::Value;

use super::{Scripts, Told, inline_path};
use crate::wire::Interpreter;

/// More output than this lies in a file; the variable then holds both ends of it. A program that the script starts gets
/// its environment within the kernel's limits (execve(2)).
const OUTPUT_MAX: usize = 64 * 1024;

/// The files of the handlers, the environment, and where scripts start.
pub(super) fn load(scripts: &Scripts, told: &Told<'_>) -> Vec<u8> {
    let mut body = Body::new();
    body.add("directory", told.directory.as_deref().map_or(b"".as_slice(), |path| path.as_os_str().as_encoded_bytes()));
    for (number, handler) in scripts.handlers.iter().enumerate() {
        let file = match handler {
            Handler::Bash(BashSource::File(file)) => file.clone(),
            Handler::Bash(BashSource::Script(_)) => inline_path(number),
            _ => continue,
        };
        body.add(&format!("handler{number}"), format!("{}/{file}", Interpreter::PLUGIN).as_bytes());
    }
    for variable in &told.environment {
        body.add(&format!("={}", variable.name), variable.value.as_encoded_bytes());
    }
    body.finish()
}

/// The context of an event, as it is and in variables of its own. A larger output travels beside.
pub(super) fn hook<'a>(context: &'a Context, json: &[u8], told: &Told<'_>) -> (Vec<u8>, &'a [u8]) {
    let mut body = Body::new();
    add_config(&mut body, told);
    body.add("=MIGRAINE_CONTEXT", json);
    body.add("=MIGRAINE_EVENT", context.event.as_bytes());
    body.add("=MIGRAINE_TIMESTAMP", context.timestamp.as_bytes());
    if let Some(workflow) = &context.workflow {
        body.add("=MIGRAINE_WORKFLOW", workflow.name.as_bytes());
        body.add("=MIGRAINE_WORKFLOW_ID", workflow.id.as_bytes());
    }
    if let Some(step) = &context.step {
        body.add("=MIGRAINE_STEP", step.name.as_bytes());
    }
    if let Some(command) = &context.command {
        body.add("=MIGRAINE_COMMAND", command.resolved.as_bytes());
        if let Some(code) = command.exit_code {
            body.add("=MIGRAINE_EXIT_CODE", code.to_string().as_bytes());
        }
    }
    for (name, value) in &context.variables {
        body.add(&format!("=MIGRAINE_VAR_{}", word(name)), value.as_bytes());
    }
    let output = context.output.as_deref().unwrap_or_default();
    let is_large = output.len() > OUTPUT_MAX;
    if context.output_size.is_some() {
        body.add("=MIGRAINE_CMD_OUTPUT", &shown(output));
    }
    (body.finish(), if is_large { output } else { b"" })
}

/// The arguments of a command.
pub(super) fn command(invocation: &Invocation, told: &Told<'_>) -> Vec<u8> {
    let mut body = Body::new();
    add_config(&mut body, told);
    for argument in &invocation.args {
        body.add("+", argument.as_bytes());
    }
    body.add("=MIGRAINE_COMMAND", invocation.command.as_bytes());
    body.finish()
}

/// The configuration as variables: `log_file` is `MIGRAINE_LOG_FILE`.
pub(super) fn config<'a>(told: &'a Told<'_>) -> impl Iterator<Item = (String, String)> + 'a {
    told.config.iter().map(|(key, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        (format!("MIGRAINE_{}", word(key)), text)
    })
}

fn add_config(body: &mut Body, told: &Told<'_>) {
    for (name, text) in config(told) {
        body.add(&format!("={name}"), text.as_bytes());
    }
    body.add("=MIGRAINE_PLUGIN", told.plugin.as_bytes());
}

/// A name as variables of a shell have it.
fn word(name: &str) -> String {
    let upper = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    name.chars().map(upper).collect()
}

/// Both ends of an output that is too large for a variable.
fn shown(output: &[u8]) -> Vec<u8> {
    if output.len() <= OUTPUT_MAX {
        return output.to_vec();
    }
    let half = OUTPUT_MAX / 2;
    let left_out = output.len() - 2 * half;
    let marker = format!("\n[... {left_out} bytes left out; all of it is in $MIGRAINE_CMD_OUTPUT_FILE ...]\n");
    [&output[..half], marker.as_bytes(), &output[output.len() - half..]].concat()
}

/// Names and values: how many, then for each `NAME LENGTH`, a line break, the value and a line break.
struct Body {
    count: usize,
    bytes: Vec<u8>,
}

impl Body {
    fn new() -> Self {
        Self { count: 0, bytes: Vec::new() }
    }

    /// Bash has no place for NUL bytes in a value, and would miscount them.
    fn add(&mut self, name: &str, value: &[u8]) {
        let value: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
        self.count += 1;
        self.bytes.extend_from_slice(format!("{name} {}\n", value.len()).as_bytes());
        self.bytes.extend_from_slice(&value);
        self.bytes.push(b'\n');
    }

    fn finish(self) -> Vec<u8> {
        [format!("{}\n", self.count).into_bytes(), self.bytes].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_behind_their_lengths() {
        let mut body = Body::new();
        body.add("=A", b"x\ny");
        body.add("+", b"a\0b");
        assert_eq!(body.finish(), b"2\n=A 3\nx\ny\n+ 2\nab\n");
    }

    #[test]
    fn a_large_output_is_shown_by_its_ends() {
        let output = [vec![b'a'; OUTPUT_MAX], vec![b'b'; 10]].concat();
        let text = shown(&output);
        assert!(text.starts_with(b"aaa") && text.ends_with(b"abbbbbbbbbb"));
        let marker = "\n[... 10 bytes left out; all of it is in $MIGRAINE_CMD_OUTPUT_FILE ...]\n";
        assert_eq!(text.len(), OUTPUT_MAX + marker.len());
        assert_eq!(shown(&output[..OUTPUT_MAX]), &output[..OUTPUT_MAX]);
    }
}

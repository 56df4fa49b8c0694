//! What a program that speaks lines of JSON is asked: one object, whose first field the sandbox adds, the call's number.

use migraine_plugin_api::Context;

use super::Told;

/// An event: `{"context": …, "output": …, "plugin_config": …}`, the context as every handler receives it.
pub(super) fn hook(context: &Context, json: &[u8], told: &Told<'_>) -> Vec<u8> {
    let mut line = [b"{\"context\":", json].concat();
    if context.output_size.is_some() {
        line.extend_from_slice(b",\"output\":");
        line.extend_from_slice(&serde_json::to_vec(&context.output_text()).unwrap_or_default());
    }
    finish(line, told)
}

/// A command: `{"invocation": …, "plugin_config": …}`.
pub(super) fn command(json: &[u8], told: &Told<'_>) -> Vec<u8> {
    finish([b"{\"invocation\":", json].concat(), told)
}

fn finish(mut line: Vec<u8>, told: &Told<'_>) -> Vec<u8> {
    line.extend_from_slice(b",\"plugin_config\":");
    line.extend_from_slice(&serde_json::to_vec(told.config.as_ref()).unwrap_or_default());
    line.push(b'}');
    line
}

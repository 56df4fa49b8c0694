//! What a script answers, read strictly: the answer of a native hook, or the dictionary of the first form, whose `status`
//! and `output` say the same.

use migraine_plugin_api::HookResult;
use serde_json::{Map, Value};

/// Reads an answer.
///
/// # Errors
/// It is no JSON, or neither a map nor nothing.
pub(in crate::runtime) fn hook_result(answer: &[u8]) -> Result<HookResult, String> {
    let value: Value = serde_json::from_slice(answer).map_err(|error| {
        let said = String::from_utf8_lossy(answer);
        match said.strip_prefix("the handler's answer is no JSON: ") {
            Some(reason) => reason.to_owned(),
            None => error.to_string(),
        }
    })?;
    match value {
        Value::Null => Ok(migraine_plugin_api::success()),
        Value::Object(fields) if fields.contains_key("success") => {
            serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
        }
        Value::Object(fields) => Ok(of_status(fields)),
        other => Err(format!("a map was expected, not {}", kind(&other))),
    }
}

/// `status` other than `error` and its like is success; everything that was answered is kept.
fn of_status(fields: Map<String, Value>) -> HookResult {
    let failed = fields.get("status").and_then(Value::as_str);
    let failed = failed.is_some_and(|status| ["error", "failure", "failed", "fail"].contains(&status));
    let message = fields.get("output").or_else(|| fields.get("message")).or_else(|| fields.get("error"));
    let message = message.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let result = if failed {
        HookResult::failure(message.unwrap_or_else(|| "it answered with a failure".to_owned()))
    } else {
        let success = HookResult::success();
        match message {
            Some(message) => success.with_message(message),
            None => success,
        }
    };
    if fields.is_empty() { result } else { result.with_data(Value::Object(fields)) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Null | Value::Object(_) => "this",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let read = |text: &str| hook_result(text.as_bytes());
        assert_eq!(read("null"), Ok(migraine_plugin_api::success()));
        assert_eq!(read("{}"), Ok(HookResult::success()));
        let seed = read(r#"{"status":"success","output":"Logged","processed_lines":1}"#).unwrap();
        assert!(seed.success && seed.message.as_deref() == Some("Logged"));
        assert_eq!(seed.result_data.unwrap()["processed_lines"], 1);
        let failed = read(r#"{"status":"error","output":"no"}"#).unwrap();
        assert!(!failed.success && failed.message.as_deref() == Some("no"));
        let veto = read(r#"{"success":false,"result_data":{"veto":true},"continue_chain":false}"#).unwrap();
        assert!(!veto.success && !veto.continue_chain && veto.result_data.unwrap()["veto"] == true);
    }

    // covers: A180
    #[test]
    fn junk_is_no_answer() {
        for text in [
            "",
            "x",
            "{} {}",
            "{}x",
            "x{}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "NaN",
            "{'a':1}",
            "[1]",
            "1",
            "true",
            "\"text\"",
            "{\"success\":1}",
            "{\"a\":1,}",
            "{\"a\"",
        ] {
            assert!(hook_result(text.as_bytes()).is_err(), "{text}");
        }
        assert!(hook_result(b"{\"a\":\"\xff\"}").is_err());
    }
}

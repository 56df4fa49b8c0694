//! Rules of `bind(...)`: a subscription that runs a command. The host reads the text again and has the last word.

use std::collections::HashSet;

use syn::LitStr;

use super::hook::check_subscription;
use crate::ast::Plugin;
use crate::error::Errors;

pub(super) fn check(plugin: &Plugin, errors: &mut Errors) {
    let commands: Vec<String> = plugin.commands().map(|(method, args)| method.command_name(args)).collect();
    let mut seen = HashSet::new();
    for bind in &plugin.args.binds {
        check_subscription(&bind.hook, errors);
        let span = bind.command.span();
        match first_word(&bind.command.value()) {
            Err(why) => errors.push(span, format!("this is not a command of the plugin with its arguments: {why}")),
            Ok(name) if !commands.contains(&name) => {
                let known = commands.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
                errors.push(span, format!("the plugin has no command `{}`; {known}", name.escape_debug()));
            }
            Ok(_) => {}
        }
        let text = |literal: &Option<LitStr>| literal.as_ref().map(LitStr::value);
        let event = text(&bind.hook.event).map(|event| event.replace('_', "-"));
        if !seen.insert((event, text(&bind.hook.pattern), bind.command.value())) {
            errors.push(bind.hook.span, "this subscription is given twice");
        }
    }
}

/// The name of the command, once quotes and braces were found to be in order.
fn first_word(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("it has a control character".to_owned());
    }
    let words = shell_words::split(&without_blanks(text)?).map_err(|_| "a quote does not end".to_owned())?;
    let first = words.into_iter().next().filter(|first| !first.is_empty());
    let first = first.ok_or_else(|| "it is empty".to_owned())?;
    if first.contains("{{") { Err("its name holds a placeholder".to_owned()) } else { Ok(first) }
}

/// The text with `{{name}}` for `{{ name }}`, so that a blank within braces splits no word.
fn without_blanks(text: &str) -> Result<String, String> {
    let mut normal = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        let (inner, after) = inside.split_once("}}").ok_or_else(|| "`{{` has no `}}`".to_owned())?;
        let name = inner.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Err(format!("`{{{{{}}}}}` is not of the form {{{{NAME}}}}", inner.escape_debug()));
        }
        normal.push_str(&format!("{before}{{{{{name}}}}}"));
        rest = after;
    }
    normal.push_str(rest);
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_command() {
        for text in ["logs", "logs --name {{ a }}", "'logs' \"{{a}} b\" ''", "lo\\gs {{a-b.c_d}}{{e}}", "logs } {"] {
            assert_eq!(first_word(text), Ok("logs".to_owned()), "{text}");
        }
        for (text, part) in [
            ("", "empty"),
            (" ", "empty"),
            ("'' x", "empty"),
            ("{{a}}", "placeholder"),
            ("logs-{{a}}", "placeholder"),
            ("logs 'a", "quote"),
            ("logs {{a", "has no"),
            ("logs {{}}", "form"),
            ("logs {{a b}}", "form"),
            ("logs\na", "control"),
        ] {
            let why = first_word(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}

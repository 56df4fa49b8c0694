//! The manifest, made while the macro runs: what Cargo says of the package, what the attributes say of the plugin.

use std::env;

use serde_json::{Map, Value, json};
use syn::{Expr, Lit, LitStr, UnOp};

use crate::ast::Plugin;
use crate::attr::HookArgs;
use crate::usage;

/// The interface version that this macro generates code for; the same as `API_VERSION` of the plugin API.
const API_VERSION: &str = "1.0";

/// The variables of Cargo that the manifest is made of.
pub(crate) const VARIABLES: [&str; 5] =
    ["CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_PKG_DESCRIPTION", "CARGO_PKG_AUTHORS", "CARGO_PKG_LICENSE"];

/// The plugin's name: the argument, else the package's with dashes.
pub(crate) fn name(plugin: &Plugin) -> String {
    let package = || variable("CARGO_PKG_NAME").replace('_', "-");
    plugin.args.name.as_ref().map_or_else(package, LitStr::value)
}

/// The whole manifest as JSON.
pub(crate) fn render(plugin: &Plugin, name: &str) -> String {
    let description = plugin.args.description.as_ref().map_or_else(|| variable("CARGO_PKG_DESCRIPTION"), LitStr::value);
    let commands: Vec<Value> = plugin
        .commands()
        .map(|(method, args)| {
            let command = method.command_name(args);
            let mut entry = json!({
                "usage": usage::line(name, &command, &method.params),
                "name": command,
                "description": one_line(&method.doc.summary),
            });
            if args.stdin {
                entry["stdin"] = true.into();
            }
            if let Some(timeout) = args.timeout.as_ref().and_then(timeout) {
                entry["timeout"] = timeout;
            }
            entry
        })
        .collect();
    let handlers = plugin
        .methods
        .iter()
        .flat_map(|method| method.hooks().map(|hook| subscription(hook, "handler", method.name())));
    let binds = plugin.args.binds.iter().map(|bind| subscription(&bind.hook, "command", bind.command.value()));
    let hooks: Vec<Value> = handlers.chain(binds).collect();
    let config: Map<String, Value> = plugin
        .args
        .config
        .iter()
        .filter_map(|(key, value)| Some((syn::ext::IdentExt::unraw(key).to_string(), literal(value)?)))
        .collect();
    json!({
        "name": name,
        "version": variable("CARGO_PKG_VERSION"),
        "description": one_line(&description),
        "author": first_author(&variable("CARGO_PKG_AUTHORS")),
        "license": variable("CARGO_PKG_LICENSE"),
        "api_version": API_VERSION,
        "permissions": texts(&plugin.args.permissions),
        "commands": commands,
        "hooks": hooks,
        "config": config,
        "dependencies": texts(&plugin.args.dependencies),
        "install_requires": texts(&plugin.args.install_requires),
    })
    .to_string()
}

/// A configuration default.
pub(crate) fn literal(value: &Expr) -> Option<Value> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value().into()),
            Lit::Bool(flag) => Some(flag.value.into()),
            Lit::Int(number) => number.base10_parse::<i64>().ok().map(Value::from),
            Lit::Float(number) => {
                number.base10_parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
            }
            _ => None,
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match &*unary.expr {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(number) => format!("-{}", number.base10_digits()).parse::<i64>().ok().map(Value::from),
                Lit::Float(_) => self::literal(&unary.expr)?.as_f64().map(|number| (-number).into()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// A priority, if the expression is one.
pub(crate) fn priority(value: &Expr) -> Option<i32> {
    i32::try_from(literal(value)?.as_i64()?).ok()
}

/// A timeout, if the expression is one.
pub(crate) fn timeout(value: &Expr) -> Option<Value> {
    match value {
        Expr::Path(path) if path.path.is_ident("none") => Some("none".into()),
        _ => u32::try_from(literal(value)?.as_i64()?).ok().filter(|&seconds| seconds > 0).map(Value::from),
    }
}

/// A subscription and what it calls: a `handler` or a `command`.
fn subscription(hook: &HookArgs, called: &str, target: String) -> Value {
    let mut entry = Map::new();
    entry.insert("event".to_owned(), hook.event.as_ref().map(LitStr::value).into());
    entry.insert(called.to_owned(), target.into());
    entry.insert("priority".to_owned(), hook.priority.as_ref().and_then(priority).unwrap_or(0).into());
    let policy = hook.on_failure.as_ref().map_or_else(|| "warn".to_owned(), LitStr::value);
    entry.insert("on_failure".to_owned(), policy.into());
    if let Some(pattern) = &hook.pattern {
        entry.insert("pattern".to_owned(), pattern.value().into());
    }
    for (key, names) in [("before", &hook.before), ("after", &hook.after)] {
        if !names.is_empty() {
            entry.insert(key.to_owned(), texts(names));
        }
    }
    if hook.optional {
        entry.insert("optional".to_owned(), true.into());
    }
    entry.into()
}

fn texts(literals: &[LitStr]) -> Value {
    literals.iter().map(LitStr::value).collect()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The first of Cargo's `A <a@b>:C`, without the address.
fn first_author(authors: &str) -> String {
    let first = authors.split(':').next().unwrap_or_default();
    first.split('<').next().unwrap_or_default().trim().to_owned()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_is_the_first_without_address() {
        for (authors, expected) in
            [("", ""), ("Ann", "Ann"), ("Ann B <a@b.c>:Carl <c@d>", "Ann B"), ("<a@b.c>", ""), ("A:B", "A")]
        {
            assert_eq!(first_author(authors), expected, "{authors}");
        }
    }

    #[test]
    fn literals_become_values() {
        let check = |text: &str, expected: Option<Value>| {
            let expression: Expr = syn::parse_str(text).unwrap();
            assert_eq!(literal(&expression), expected, "{text}");
        };
        check("\"a\"", Some("a".into()));
        check("true", Some(true.into()));
        check("-3", Some((-3).into()));
        check("-9223372036854775808", Some(i64::MIN.into()));
        check("0.5", Some(0.5.into()));
        check("-0.5", Some((-0.5).into()));
        check("b\"a\"", None);
        check("[1]", None);
        check("99999999999999999999", None);
        check("-\"a\"", None);
    }
}

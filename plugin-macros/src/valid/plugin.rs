//! Rules of the plugin as a whole: its type and the arguments of `#[plugin]`.

use proc_macro2::Span;
use syn::{LitStr, Type};

use super::{is_kebab, is_one_line};
use crate::ast::Plugin;
use crate::error::Errors;
use crate::manifest;

/// The longest name the host accepts, in bytes.
const NAME_MAX: usize = 63;
/// Kinds of permission, and whether each takes a scope. Agrees with `Permission` of the plugin API, which a test checks.
const PERMISSIONS: [(&str, bool); 7] = [
    ("task_read", false),
    ("task_write", false),
    ("user_auth", false),
    ("network", true),
    ("filesystem", true),
    ("env_vars", true),
    ("exec", true),
];

pub(super) fn check(plugin: &Plugin, name: &str, errors: &mut Errors) {
    check_type(plugin, errors);
    if !is_kebab(name, NAME_MAX) {
        let span = plugin.args.name.as_ref().map_or_else(Span::call_site, LitStr::span);
        let rule = "a lower-case letter, then up to 62 lower-case letters, digits and dashes";
        let hint = if plugin.args.name.is_some() { "" } else { "; give one with `name = \"...\"`" };
        errors.push(span, format!("`{}` is not a plugin name: {rule}{hint}", name.escape_debug()));
    }
    if let Some(description) = &plugin.args.description
        && !is_one_line(&description.value())
    {
        errors.push(description.span(), "a description is one line");
    }
    for text in plugin.args.dependencies.iter().chain(&plugin.args.install_requires) {
        if text.value().trim().is_empty() || !is_one_line(&text.value()) {
            errors.push(text.span(), "a requirement is one line of text");
        }
    }
    check_permissions(&plugin.args.permissions, errors);
    check_config(plugin, errors);
}

fn check_type(plugin: &Plugin, errors: &mut Errors) {
    let block = &plugin.block;
    if let Some((path, _)) = &block.trait_ {
        errors.push_on(path, "`#[plugin]` stands on the type's own impl block, not on that of a trait");
    }
    if !block.generics.params.is_empty() {
        errors.push_on(&block.generics, "a plugin type has no generics: the host makes it by name");
    }
    if !matches!(&*block.self_ty, Type::Path(path) if path.qself.is_none()) {
        errors.push_on(&block.self_ty, "the plugin's type is named by a path");
    }
}

fn check_permissions(permissions: &[LitStr], errors: &mut Errors) {
    let mut seen = Vec::new();
    for permission in permissions {
        let text = permission.value();
        if let Some(why) = refuse_permission(&text) {
            errors.push(permission.span(), why);
        } else if seen.contains(&text) {
            errors.push(permission.span(), "this permission is asked for twice");
        }
        seen.push(text);
    }
}

fn refuse_permission(text: &str) -> Option<String> {
    let (kind, scope) = text.split_once('=').map_or((text, None), |(kind, scope)| (kind, Some(scope)));
    let Some((_, takes_scope)) = PERMISSIONS.iter().find(|(known, _)| *known == kind) else {
        let known = PERMISSIONS.map(|(known, _)| known).join(", ");
        return Some(format!("`{}` is not a permission; known are {known}", kind.escape_debug()));
    };
    let scope = scope?;
    if !takes_scope {
        return Some(format!("`{kind}` takes no scope"));
    }
    if scope.is_empty() || scope.len() > 1024 || !is_one_line(scope) {
        return Some("a scope has 1 to 1024 bytes and no control characters".to_owned());
    }
    let directory = scope.strip_prefix("read:").or_else(|| scope.strip_prefix("write:"));
    if kind == "filesystem" && directory.is_none_or(str::is_empty) {
        return Some("a directory is written `filesystem=read:DIR` or `filesystem=write:DIR`".to_owned());
    }
    if kind == "env_vars" && scope.contains(['=', ' ']) {
        return Some("the scope of `env_vars` is the name of one variable".to_owned());
    }
    None
}

fn check_config(plugin: &Plugin, errors: &mut Errors) {
    let mut seen = Vec::new();
    for (key, value) in &plugin.args.config {
        if seen.contains(&key) {
            errors.push(key.span(), format!("the configuration key `{key}` is given twice"));
        }
        seen.push(key);
        if manifest::literal(value).is_none() {
            errors.push_on(value, "a configuration default is a text, a number or a boolean");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_name_that_is_no_plugin_name_asks_for_one() {
        let plugin = Plugin::parse(quote::quote!(), syn::parse_quote!(impl T {}), &mut Errors::default());
        for (name, fine) in [("hello-world", true), ("Hello", false), ("", false), ("9lives", false)] {
            let mut errors = Errors::default();
            check(&plugin, name, &mut errors);
            let message = errors.into_result().err().map(|error| error.to_string());
            assert_eq!(message.is_none(), fine, "{name}: {message:?}");
            assert!(message.is_none_or(|text| text.contains("give one with `name")), "{name}");
        }
    }
}

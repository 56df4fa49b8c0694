//! Rules of a `#[command]` method and its arguments.

use std::collections::HashSet;

use proc_macro2::Span;
use syn::{LitStr, Type};

use super::{is_kebab, refuse_arg};
use crate::ast::{Method, Param, ParamKind, Plugin, Shape, Taken, last_segment};
use crate::attr::Long;
use crate::error::Errors;
use crate::manifest;

pub(super) fn check(method: &Method, errors: &mut Errors) {
    check_name(method, errors);
    check_timeout(method, errors);
    check_helpers(method, errors);
    for param in &method.params {
        if let ParamKind::Value(shape, ty) = &param.kind {
            check_value(param, *shape, ty, errors);
        }
    }
    check_order(method, errors);
    check_options(method, errors);
}

/// No two commands share a name.
pub(super) fn check_names(plugin: &Plugin, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for (method, args) in plugin.commands() {
        let name = method.command_name(args);
        let span = args.name.as_ref().map_or_else(|| method.ident.span(), LitStr::span);
        if !seen.insert(name.clone()) {
            errors.push(span, format!("the plugin already has a command `{name}`"));
        }
    }
}

fn check_name(method: &Method, errors: &mut Errors) {
    let Some(args) = method.command() else { return };
    let name = method.command_name(args);
    if !is_kebab(&name, 63) {
        let span = args.name.as_ref().map_or_else(|| method.ident.span(), LitStr::span);
        let rule = "a lower-case letter, then up to 62 lower-case letters, digits and dashes";
        errors.push(span, format!("`{}` is not a command name: {rule}", name.escape_debug()));
    }
}

fn check_timeout(method: &Method, errors: &mut Errors) {
    if let Some(timeout) = method.command().and_then(|args| args.timeout.as_ref())
        && manifest::timeout(timeout).is_none()
    {
        errors.push_on(timeout, "a timeout is a whole number of seconds, at least 1, or `none`");
    }
}

/// `ctx` and `host` come before what is parsed, once each, and are borrowed.
fn check_helpers(method: &Method, errors: &mut Errors) {
    let (mut values, mut contexts, mut hosts) = (0, 0, 0);
    for param in &method.params {
        let count = match &param.kind {
            ParamKind::Value(..) => {
                values += 1;
                continue;
            }
            ParamKind::HookContext(_) => {
                errors.push(param.span, "a command receives `ctx: &mut CommandContext`; `Context` is that of a hook");
                continue;
            }
            ParamKind::CommandContext(Taken::Value) => {
                errors.push(param.span, "the context is borrowed: `ctx: &mut CommandContext`");
                &mut contexts
            }
            ParamKind::Host(Taken::Value | Taken::Mutable) => {
                errors.push(param.span, "the host is borrowed: `host: &Host`");
                &mut hosts
            }
            ParamKind::CommandContext(_) => &mut contexts,
            ParamKind::Host(_) => &mut hosts,
        };
        *count += 1;
        if *count > 1 {
            errors.push(param.span, "this parameter is given twice");
        }
        if values > 0 {
            errors.push(param.span, "the context and the host come before the arguments that are parsed");
        }
        refuse_arg(param.args.span, errors);
    }
}

fn check_value(param: &Param, shape: Shape, ty: &Type, errors: &mut Errors) {
    match &param.ident {
        None => return errors.push(param.span, "an argument is a plain name: it is shown in the help"),
        Some(_) if param.name().is_empty() => {
            errors.push(param.span, "an argument is a plain name: it is shown in the help");
        }
        Some(ident) if param.name() == "help" => errors.push(ident.span(), "`help` is taken by `--help`"),
        Some(_) => {}
    }
    match ty {
        Type::Reference(_) => errors.push_on(ty, "an argument is owned: `String` instead of `&str`"),
        Type::ImplTrait(_) => errors.push_on(ty, "an argument has a concrete type, which it is parsed into"),
        _ => {}
    }
    if matches!(shape, Shape::Optional | Shape::Many) && matches!(last_segment(ty).as_deref(), Some("Option" | "Vec")) {
        errors.push_on(ty, "an argument is `T`, `Option<T>` or `Vec<T>`, not one inside the other");
    }
    check_default(param, shape, ty, errors);
}

fn check_default(param: &Param, shape: Shape, ty: &Type, errors: &mut Errors) {
    let Some(default) = &param.args.default else { return };
    if shape != Shape::One {
        return errors.push(default.span(), "only a plain `T` has a default: this one may already be left out");
    }
    let text = default.value();
    let kind = last_segment(ty).unwrap_or_default();
    let fits = match kind.as_str() {
        "u8" => text.parse::<u8>().is_ok(),
        "u16" => text.parse::<u16>().is_ok(),
        "u32" => text.parse::<u32>().is_ok(),
        "u64" | "usize" => text.parse::<u64>().is_ok(),
        "i8" => text.parse::<i8>().is_ok(),
        "i16" => text.parse::<i16>().is_ok(),
        "i32" => text.parse::<i32>().is_ok(),
        "i64" | "isize" => text.parse::<i64>().is_ok(),
        "f32" | "f64" => text.parse::<f64>().is_ok(),
        "char" => text.parse::<char>().is_ok(),
        _ => true,
    };
    if !fits {
        errors.push(default.span(), format!("`{}` is not a value of type `{kind}`", text.escape_debug()));
    }
}

/// Positions are filled from the left: what may be left out comes after what may not, and the rest comes last.
fn check_order(method: &Method, errors: &mut Errors) {
    let (mut optional, mut rest) = (false, false);
    for param in method.params.iter().filter(|param| !param.is_option()) {
        let ParamKind::Value(shape, _) = &param.kind else { continue };
        let required = *shape == Shape::One && param.args.default.is_none();
        if rest {
            errors.push(param.span, "nothing can follow the `Vec<T>` that takes all remaining arguments");
        } else if optional && required {
            errors.push(param.span, "a required argument cannot follow one that may be left out");
        }
        optional |= !required;
        rest |= *shape == Shape::Many;
    }
}

fn check_options(method: &Method, errors: &mut Errors) {
    let (mut longs, mut shorts) = (HashSet::new(), HashSet::new());
    for param in method.params.iter().filter(|param| param.is_option()) {
        if !matches!(param.kind, ParamKind::Value(..)) || param.ident.is_none() {
            continue;
        }
        check_long(param, &mut longs, errors);
        let Some(short) = &param.args.short else { continue };
        let letter = short.value();
        if !letter.is_ascii_alphanumeric() {
            errors.push(short.span(), "a short option is one ASCII letter or digit");
        } else if letter == 'h' {
            errors.push(short.span(), "`-h` is taken by the help");
        } else if !shorts.insert(letter) {
            errors.push(short.span(), format!("the command already has an option `-{letter}`"));
        }
    }
}

fn check_long(param: &Param, longs: &mut HashSet<String>, errors: &mut Errors) {
    let long = param.long();
    let given: Option<Span> = match &param.args.long {
        Some(Long::Named(name)) => Some(name.span()),
        _ => None,
    };
    let span = given.unwrap_or(param.span);
    if long == "help" {
        // The derived name was refused with the parameter.
        if given.is_some() {
            errors.push(span, "`help` is taken by `--help`");
        }
    } else if !is_kebab(&long, 63) {
        let rule = "a lower-case letter, then lower-case letters, digits and dashes";
        errors.push(span, format!("`{}` is not an option name: {rule}", long.escape_debug()));
    } else if !longs.insert(long.clone()) {
        errors.push(span, format!("the command already has an option `--{long}`"));
    }
}

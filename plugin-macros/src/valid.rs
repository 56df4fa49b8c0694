//! Every rule and every message. Nothing stops at the first error: an author sees all of them at once.

mod bind;
mod command;
mod hook;
mod pattern;
mod plugin;

use proc_macro2::Span;
use syn::{Receiver, ReceiverKind, ReturnType, Safety, Type};

use crate::ast::{Method, ParamKind, Plugin, RoleKind, Taken};
use crate::error::Errors;

/// Checks the whole plugin.
pub(crate) fn check(plugin: &Plugin, name: &str, errors: &mut Errors) {
    plugin::check(plugin, name, errors);
    for method in &plugin.methods {
        check_roles(method, errors);
        check_signature(method, errors);
        check_receiver(method, errors);
        for role in &method.roles {
            match role.kind {
                RoleKind::Command(_) => command::check(method, errors),
                RoleKind::Hook(_) => {}
                RoleKind::Init => check_init(method, errors),
                RoleKind::Shutdown => check_shutdown(method, errors),
            }
        }
        hook::check(method, errors);
    }
    check_once(plugin, "init", |kind| matches!(kind, RoleKind::Init), errors);
    check_once(plugin, "shutdown", |kind| matches!(kind, RoleKind::Shutdown), errors);
    command::check_names(plugin, errors);
    bind::check(plugin, errors);
}

/// `[a-z][a-z0-9-]*`, as the host wants names of plugins and commands.
fn is_kebab(text: &str, longest: usize) -> bool {
    let goes_on = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= longest && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(goes_on)
}

/// Whether a text fits on one line of a list.
fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn check_roles(method: &Method, errors: &mut Errors) {
    let Some((first, others)) = method.roles.split_first() else { return };
    for other in others {
        match (&first.kind, &other.kind) {
            (RoleKind::Hook(_), RoleKind::Hook(_)) => {}
            (first, other) if mark(first) == mark(other) => {
                errors.push(other_span(method, other), format!("`#[{}]` is given twice", mark(other)));
            }
            (first, other) => errors.push(
                other_span(method, other),
                format!("a method has one role: `#[{}]` and `#[{}]` exclude each other", mark(first), mark(other)),
            ),
        }
    }
    if let Some(cfg) = &method.cfg {
        errors.push_on(
            cfg,
            format!("`#[{}]` is read before `cfg` is: the manifest cannot depend on it", mark(&first.kind)),
        );
    }
}

fn other_span(method: &Method, wanted: &RoleKind) -> Span {
    let found = method.roles.iter().find(|role| std::ptr::eq(&raw const role.kind, wanted));
    found.map_or_else(|| method.ident.span(), |role| role.span)
}

fn mark(kind: &RoleKind) -> &'static str {
    match kind {
        RoleKind::Command(_) => "command",
        RoleKind::Hook(_) => "hook",
        RoleKind::Init => "init",
        RoleKind::Shutdown => "shutdown",
    }
}

fn check_signature(method: &Method, errors: &mut Errors) {
    let signature = &method.signature;
    if let Some(token) = &signature.asyncness {
        errors.push(token.span, "a plugin method is not async: the host waits for its answer");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(token.span, "a plugin method is not unsafe: generated code calls it");
    }
    if let Some(abi) = &signature.abi {
        errors.push_on(abi, "a plugin method has Rust's own ABI");
    }
    if !signature.generics.params.is_empty() {
        errors.push_on(&signature.generics, "a plugin method has no generics: generated code calls it by name");
    }
}

fn check_receiver(method: &Method, errors: &mut Errors) {
    let wants = method.roles.iter().any(|role| !matches!(role.kind, RoleKind::Init));
    let refuses = method.roles.iter().any(|role| matches!(role.kind, RoleKind::Init));
    match method.signature.receiver() {
        None if wants => errors.push(method.ident.span(), "this method takes `&mut self` or `&self` first"),
        Some(receiver) if refuses => {
            errors.push_on(receiver, "`#[init]` makes the plugin: it takes no `self`");
        }
        Some(receiver) if !is_borrowed(receiver) => {
            errors.push_on(receiver, "the plugin lives on after a call: take `&mut self` or `&self`");
        }
        _ => {}
    }
}

fn is_borrowed(receiver: &Receiver) -> bool {
    matches!(receiver.kind, ReceiverKind::Reference(..))
}

fn check_init(method: &Method, errors: &mut Errors) {
    let mut hosts = 0;
    for param in &method.params {
        match param.kind {
            ParamKind::Host(Taken::Shared) if hosts == 0 => hosts += 1,
            _ => errors.push(param.span, "`#[init]` takes `host: &Host` or nothing"),
        }
        refuse_arg(param.args.span, errors);
    }
    if matches!(method.signature.output, ReturnType::Default) {
        errors.push(method.ident.span(), "`#[init]` returns `Self` or `Result<Self, E>`");
    }
}

fn check_shutdown(method: &Method, errors: &mut Errors) {
    for param in &method.params {
        errors.push(param.span, "`#[shutdown]` takes nothing but `self`");
        refuse_arg(param.args.span, errors);
    }
    if let ReturnType::Type(_, ty) = &method.signature.output
        && !matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty())
    {
        errors.push_on(ty, "`#[shutdown]` returns nothing: nobody is left to read it");
    }
}

fn refuse_arg(span: Option<Span>, errors: &mut Errors) {
    if let Some(span) = span {
        errors.push(span, "`#[arg]` stands on a typed argument of a command");
    }
}

fn check_once(plugin: &Plugin, mark: &str, wanted: fn(&RoleKind) -> bool, errors: &mut Errors) {
    let marked = plugin.methods.iter().filter(|method| method.roles.iter().any(|role| wanted(&role.kind)));
    for method in marked.skip(1) {
        errors.push(method.ident.span(), format!("a plugin has one `#[{mark}]`"));
    }
}

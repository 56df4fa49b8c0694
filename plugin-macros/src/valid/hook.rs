//! Rules of a `#[hook]` method and its subscriptions.

use std::collections::HashSet;

use syn::LitStr;

use super::{is_kebab, pattern, refuse_arg};
use crate::ast::{Method, ParamKind, Taken};
use crate::attr::HookArgs;
use crate::error::Errors;
use crate::manifest;

/// What may happen when a handler fails.
const POLICIES: [&str; 3] = ["fail", "warn", "ignore"];

pub(super) fn check(method: &Method, errors: &mut Errors) {
    let mut seen = HashSet::new();
    for hook in method.hooks() {
        check_subscription(hook, errors);
        let text = |literal: &Option<LitStr>| literal.as_ref().map(LitStr::value);
        let event = text(&hook.event).map(|event| event.replace('_', "-"));
        if event.is_some() && !seen.insert((event, text(&hook.pattern))) {
            errors.push(hook.span, "this subscription is given twice");
        }
    }
    if method.hooks().next().is_some() {
        check_params(method, errors);
    }
}

fn check_params(method: &Method, errors: &mut Errors) {
    let (mut contexts, mut hosts) = (0, 0);
    for param in &method.params {
        match param.kind {
            ParamKind::HookContext(Taken::Shared) if contexts == 0 => contexts += 1,
            ParamKind::Host(Taken::Shared) if hosts == 0 => hosts += 1,
            _ => errors.push(param.span, "a hook takes `context: &Context` and, if it wants, `host: &Host`"),
        }
        refuse_arg(param.args.span, errors);
    }
}

pub(super) fn check_subscription(hook: &HookArgs, errors: &mut Errors) {
    match &hook.event {
        None if hook.is_read => errors.push(hook.span, "a hook names its event: `#[hook(event = \"post-command\")]`"),
        Some(event) if !is_event(&event.value()) => {
            errors.push(event.span(), "an event is 1 to 64 letters, digits, `-`, `_`, `.` and `:`");
        }
        _ => {}
    }
    if let Some(literal) = &hook.pattern
        && let Err(why) = pattern::check(&literal.value())
    {
        errors.push(literal.span(), format!("this pattern is not a regular expression of the host: {why}"));
    }
    if let Some(priority) = &hook.priority
        && manifest::priority(priority).is_none()
    {
        errors.push_on(priority, "a priority is a whole number of 32 bits; higher runs earlier");
    }
    if let Some(policy) = &hook.on_failure
        && !POLICIES.contains(&policy.value().as_str())
    {
        errors.push(policy.span(), format!("a failure policy is one of {}", POLICIES.join(", ")));
    }
    for name in hook.before.iter().chain(&hook.after) {
        if !is_kebab(&name.value(), 63) {
            errors.push(name.span(), "`before` and `after` take names of plugins");
        }
    }
    for name in &hook.after {
        if hook.before.iter().any(|other| other.value() == name.value()) {
            errors.push(name.span(), "a plugin cannot be both before and after this one");
        }
    }
}

fn is_event(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !text.is_empty() && text.len() <= 64 && text.bytes().all(allowed)
}

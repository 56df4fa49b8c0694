//! Unsafe code stands where it is expected, and the modules that must never have any say so themselves.

use proc_macro2::{TokenStream, TokenTree};

use super::Finding;
use super::source::Source;

/// Where unsafe tokens may stand.
const ALLOWED: &[&str] = &[
    "host/src/sys/",
    "host/src/sys.rs",
    "host/src/worker/loader.rs",
    "plugin-macros/src/expand",
    "plugin-api/src/abi.rs",
    "plugin-api/src/private.rs",
    // The attacker, and libraries that are made by hand to be misfits.
    "tests/fixtures/",
];

/// Modules of the host that forbid unsafe code at their top, so that no inner attribute can lift the ban.
const FORBIDDING: &[&str] = &["cli", "hooks", "manage", "package", "policy", "store", "trust", "wire", "workflow"];

const FORBID: &str = "#![forbid(unsafe_code)]";

pub(super) fn check(source: &Source, tokens: &TokenStream) -> Vec<Finding> {
    let mut findings = Vec::new();
    if must_forbid(&source.path) && !source.text.lines().any(|line| line.trim() == FORBID) {
        findings.push(Finding::new(source, 1, "unsafe", format!("put `{FORBID}` below the header")));
    }
    if !ALLOWED.iter().any(|prefix| source.path.starts_with(prefix)) {
        let mut lines = Vec::new();
        unsafe_lines(tokens, &mut lines);
        findings.extend(lines.into_iter().map(|(line, word)| {
            Finding::new(source, line, "unsafe", format!("`{word}` may not stand here; use a wrapper of host/src/sys"))
        }));
    }
    findings
}

fn must_forbid(path: &str) -> bool {
    let module = |name: &str| path == format!("host/src/{name}/mod.rs") || path == format!("host/src/{name}.rs");
    path == "xtask/src/main.rs" || FORBIDDING.iter().any(|name| module(name))
}

/// Lines with the keyword, or with an attribute that lifts the ban on it.
fn unsafe_lines(tokens: &TokenStream, lines: &mut Vec<(usize, &'static str)>) {
    let mut lifting = false;
    for tree in tokens.clone() {
        match tree {
            TokenTree::Ident(ident) if ident == "unsafe" => lines.push((ident.span().start().line, "unsafe")),
            TokenTree::Ident(ident) => lifting = ident == "allow" || ident == "expect" || ident == "warn",
            TokenTree::Group(group) => {
                if lifting && group.stream().into_iter().any(|tree| tree.to_string() == "unsafe_code") {
                    lines.push((group.span().start().line, "unsafe_code"));
                }
                unsafe_lines(&group.stream(), lines);
                lifting = false;
            }
            _ => lifting = false,
        }
    }
}

//! What the structures of a library say about its code: how it protects itself against its own faults, and what it takes
//! from the system's libraries. Its instructions are not looked at: what it may do is decided by its grants, and the sandbox
//! enforces that whatever is found here. What no plugin may be at all (an executable stack, text relocations, search paths
//! and the like) is refused by [`elf`](crate::package::elf) before.

use migraine_plugin_api::PermissionKind;

use super::{Finding, Rule, Severity};
use crate::package::ElfFacts;

/// The most symbols that one line names.
const NAMES_MAX: usize = 8;

/// Symbols that a reader would stop at, and what they are for. A trailing `*` stands for any ending.
const SYMBOLS: [(&[&str], Rule, Severity, &str); 6] = [
    (
        &["exec*", "fexecve", "posix_spawn*", "system", "popen", "fork", "vfork", "_Fork", "clone", "clone3", "daemon"],
        Rule::Program,
        Severity::Warning,
        "starts programs by itself, which the sandbox refuses; granted programs are run by the host (`exec`)",
    ),
    (
        &["socket", "bind", "listen", "accept", "accept4", "connect", "getaddrinfo", "gethostbyname*", "res_query"],
        Rule::Network,
        Severity::Warning,
        "makes connections by itself, which the sandbox refuses; granted ones are made by the host (`network`)",
    ),
    (
        &["dlopen", "dlmopen", "memfd_create"],
        Rule::Dynamic,
        Severity::Warning,
        "could load code while it runs; the sandbox lets no new code be mapped",
    ),
    (
        // The standard library of Rust guards its stacks by it.
        &["mprotect", "pkey_mprotect"],
        Rule::Dynamic,
        Severity::Note,
        "can change what its memory is for; the sandbox lets none of it become code",
    ),
    (
        &["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "perf_event_open", "bpf"],
        Rule::Privilege,
        Severity::Warning,
        "looks into other processes, which the sandbox refuses",
    ),
    (
        &[
            "set*uid",
            "set*gid",
            "setgroups",
            "initgroups",
            "capset",
            "chroot",
            "pivot_root",
            "mount",
            "umount*",
            "unshare",
            "setns",
            "reboot",
            "init_module",
            "finit_module",
            "mknod*",
            "iopl",
            "ioperm",
        ],
        Rule::Privilege,
        Severity::Warning,
        "asks for rights that no plugin has",
    ),
];

/// Looks at a library, given what it may do: the kinds of permissions that it asks for.
pub(super) fn check(library: &str, facts: &ElfFacts, asks_for: impl Fn(PermissionKind) -> bool) -> Vec<Finding> {
    let finding = |rule, severity, message| Finding { file: library.to_owned(), line: 0, rule, severity, message };
    let mut found = Vec::new();
    let mut hardening = |is_there: bool, severity, message: &str| {
        if !is_there {
            found.push(finding(Rule::Hardening, severity, message.to_owned()));
        }
    };
    let protection = facts.hardening;
    hardening(protection.relro, Severity::Warning, "its tables of addresses stay writable: link it with -z relro");
    hardening(protection.bind_now, Severity::Warning, "its symbols are bound while it runs: link it with -z now");
    // Rust checks its accesses itself; a library of C alone has nothing else.
    let is_rust = facts.compilers.iter().any(|compiler| compiler.contains("rustc"));
    let checks_frames = protection.stack_protector || is_rust;
    hardening(
        checks_frames,
        Severity::Note,
        "its stack frames are not checked: compile C with -fstack-protector-strong",
    );
    for (patterns, rule, usual, why) in SYMBOLS {
        let names: Vec<&str> =
            facts.imports.iter().map(String::as_str).filter(|name| patterns.iter().any(|p| matches(p, name))).collect();
        if names.is_empty() {
            continue;
        }
        let is_asked = match rule {
            Rule::Program => asks_for(PermissionKind::Exec),
            Rule::Network => asks_for(PermissionKind::Network),
            _ => false,
        };
        let severity = if is_asked { Severity::Note } else { usual };
        found.push(finding(rule, severity, format!("it imports {}, and so {why}", listed(&names))));
    }
    found
}

/// What a library that is refused is refused for.
pub(super) fn refused(library: &str, why: &str) -> Finding {
    let message = why.lines().collect::<Vec<_>>().join("; ");
    Finding { file: library.to_owned(), line: 0, rule: Rule::Refused, severity: Severity::Error, message }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
        None => pattern == name,
    }
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

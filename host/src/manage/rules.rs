//! The effective rules of a plugin in plain words, made from what its sandbox is made from: the grants, the kind of worker
//! that they lead to, and the limits of its calls.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use migraine_plugin_api::{Handler, Permission, PermissionKind, Protocol};
use serde::Serialize;

use crate::policy::{Capped, Item, LimitCaps, Policy, Request, asks, show_size};
use crate::runtime::{call_limits, proxy_limits, rlimits as rlimits_of, stream_limits, wall};
use crate::sandbox::CPU_WINDOW;
use crate::store::Entry;
use crate::text::safe_line;
use crate::wire::{Limits, Rlimits};

/// What a plugin can do when it runs, what it cannot, and how much of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// After "it can".
    pub can: Vec<String>,
    /// After "it cannot".
    pub cannot: Vec<String>,
    /// What was granted and is not in force, since a policy file does not allow it.
    pub capped: Vec<String>,
    /// What is limited.
    pub limits: Vec<Limit>,
}

/// The most that a plugin gets of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Of what.
    pub what: String,
    /// How much, with its unit.
    pub most: String,
    /// The policy file that makes it less than plugins have anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capped_by: Option<PathBuf>,
}

/// For each kind of permission: what a plugin without a grant of it cannot do, and what one with a grant still cannot.
const KINDS: [(PermissionKind, &str, &str); 7] = [
    (PermissionKind::Filesystem, "see any of your files", "see any other of your files"),
    (PermissionKind::Network, "connect to anything", "connect to anything else, or open a socket itself"),
    (PermissionKind::Exec, "have a program run", "have any other program run"),
    (PermissionKind::EnvVars, "see a variable of your environment", "see any other variable of your environment"),
    (PermissionKind::TaskRead, "see the variables of a workflow", ""),
    (PermissionKind::TaskWrite, "change what a workflow does", ""),
    (PermissionKind::UserAuth, "see authentication data", ""),
];

impl Rules {
    /// The rules of an installed plugin, as they are when it runs.
    pub(super) fn of(entry: &Entry, policy: &Policy) -> Self {
        let (grants, capped) = policy.in_force(&entry.decided.grants);
        Self {
            can: can(entry, &grants),
            cannot: cannot(entry, &grants),
            capped: capped.iter().map(Capped::notice).collect(),
            limits: limits(entry, policy, &grants),
        }
    }
}

fn can(entry: &Entry, grants: &[Permission]) -> Vec<String> {
    let request = Request {
        permissions: grants,
        directories: &entry.decided.directories,
        hooks: &entry.hooks,
        commands: &[],
        combos: &BTreeSet::new(),
    };
    let in_force = |item: &Item| match item {
        Item::Permission(_) => true,
        Item::Hook { .. } => entry.decided.consents.contains(item),
        Item::Pair(..) | Item::Timeout { .. } => false,
    };
    let granted = asks(&request).into_iter().filter(|ask| in_force(&ask.item)).map(|ask| ask.words);
    let always = ["use a scratch directory of its own, which is gone when it ends", "keep values under its own name"];
    let programs = of_programs(entry, grants).into_iter();
    granted.chain(programs.map(str::to_owned)).chain(always.map(str::to_owned)).collect()
}

/// What its programs can do by its grants.
fn of_programs(entry: &Entry, grants: &[Permission]) -> Vec<&'static str> {
    let held = |kind: PermissionKind| grants.iter().any(|grant| grant.kind() == kind);
    if !held(PermissionKind::Exec) {
        return Vec::new();
    }
    let starts = if entry.holds_scripts() { Some("start its programs itself, within its own limits") } else { None };
    let mut words: Vec<_> = starts.into_iter().collect();
    words.push("let its programs read the system's programs and libraries, and no other file of the system");
    if held(PermissionKind::Filesystem) {
        words.push("let its programs do in the granted directories what it can do itself");
    }
    if held(PermissionKind::EnvVars) {
        words.push("let its programs see the granted variables");
    }
    if held(PermissionKind::Network) {
        words.push(match (entry.holds_scripts(), has_programs_run(entry)) {
            (true, true) => {
                "let programs that a shell of its own starts or the host runs for it reach the granted servers, through \
                 the proxy that their environment names"
            }
            _ => "let its programs reach the granted servers, through the proxy that their environment names",
        });
    }
    words
}

/// Whether the host runs programs for it, each in a sandbox of its own: neither a shell nor a program that is called by
/// arguments could ask for one.
fn has_programs_run(entry: &Entry) -> bool {
    let asks = |script: &Handler| match script {
        Handler::Bash(_) => false,
        Handler::Executable(program) => program.protocol != Protocol::Argv,
        _ => true,
    };
    !entry.holds_scripts() || entry.scripts().any(|script| asks(&script))
}

fn cannot(entry: &Entry, grants: &[Permission]) -> Vec<String> {
    let held = |kind: PermissionKind| grants.iter().any(|grant| grant.kind() == kind);
    let kinds = KINDS.iter().map(|&(kind, without, with)| if held(kind) { with } else { without });
    let is_script = entry.holds_scripts();
    // Granted programs are started by scripts themselves; and a text is code to an interpreter.
    let starts = (!is_script || !held(PermissionKind::Exec)).then_some("start a program itself");
    let codes = (!is_script).then_some("turn data into code");
    let always = ["see or signal another process", "gain rights", "use your terminal"];
    let always = starts.into_iter().chain(codes).chain(always);
    let mut programs = Vec::new();
    if held(PermissionKind::Exec) {
        programs.push("let its programs run another one, or what they wrote");
        programs.push(match held(PermissionKind::Network) {
            true => "let its programs connect past the proxy, or wait for connections",
            false => "let its programs use a network",
        });
    }
    kinds.filter(|words| !words.is_empty()).chain(programs).chain(always).map(str::to_owned).collect()
}

fn limits(entry: &Entry, policy: &Policy, grants: &[Permission]) -> Vec<Limit> {
    let caps = policy.limits();
    let (has, anyway) = (all_limits(entry, &caps, grants), all_limits(entry, &LimitCaps::default(), grants));
    let limits = has.into_iter().zip(anyway).map(|((what, most, cap), (_, without, _))| {
        let by = if most == without { None } else { policy.limiting(cap) };
        Limit { what, most, capped_by: by.map(Path::to_owned) }
    });
    limits.collect()
}

/// Of what, how much, and which limit of a policy can make it less.
type Line = (String, String, fn(&LimitCaps) -> Option<u64>);

fn line(what: &str, most: String, cap: fn(&LimitCaps) -> Option<u64>) -> Line {
    (what.to_owned(), most, cap)
}

fn all_limits(entry: &Entry, caps: &LimitCaps, grants: &[Permission]) -> Vec<Line> {
    let of_kind = if entry.holds_scripts() { Limits::SCRIPT } else { Limits::NATIVE };
    let (rlimits, calls) = (rlimits_of(of_kind.rlimits, caps), call_limits(&of_kind, caps));
    let [commands, handlers] = [caps.command_wall, caps.hook_wall].map(|cap| cap.map(Duration::from_secs));
    let cpu = format!("{} in each {}", seconds(calls.cpu), seconds(CPU_WINDOW));
    let mut lines: Vec<Line> = vec![
        line("memory", show_size(rlimits.data), |caps| caps.memory),
        line("threads", rlimits.threads.to_string(), |caps| caps.processes),
        line("open files", rlimits.descriptors.to_string(), |caps| caps.descriptors),
        line("size of a file", show_size(rlimits.file_size), |caps| caps.file_size),
        line("scratch", show_size(rlimits.scratch), |caps| caps.scratch),
        line("files in the scratch", rlimits.scratch_files.to_string(), |caps| caps.scratch_files),
        line("CPU time", cpu, |caps| caps.cpu),
        line("requests of one call", calls.services.to_string(), |caps| caps.host_calls),
        line("output of a command", show_size(calls.command_output), |caps| caps.command_output),
        line("stray output of one call", show_size(calls.output), |caps| caps.output),
        line("log lines of one call", show_size(calls.log), |caps| caps.log),
        line("time of a command", time(wall::of_command(None, None, commands)), |caps| caps.command_wall),
        line("time of a hook", time(wall::of_handler(None, handlers)), |caps| caps.hook_wall),
    ];
    let held = |kind| grants.iter().any(|grant| grant.kind() == kind);
    if held(PermissionKind::Network) {
        let own = stream_limits(caps);
        lines.extend([
            line("connections of one call", calls.connections.to_string(), |caps| caps.connections),
            line("connections at a time", own.open.to_string(), |caps| caps.proxy_open),
            line("bytes over connections in one call", show_size(own.bytes), |caps| caps.proxy_bytes),
            line("silence of a connection to no local socket", seconds(own.idle), |caps| caps.proxy_idle),
        ]);
    }
    if held(PermissionKind::Exec) && has_programs_run(entry) {
        let program = rlimits_of(Rlimits::PROGRAM, caps);
        lines.extend([
            line("memory of a program", show_size(program.data), |caps| caps.memory),
            line("processes of a program", program.threads.to_string(), |caps| caps.processes),
            line("open files of a program", program.descriptors.to_string(), |caps| caps.descriptors),
        ]);
    }
    if held(PermissionKind::Network) && held(PermissionKind::Exec) {
        let proxy = proxy_limits(caps);
        lines.extend([
            line("connections of a program at a time", proxy.open.to_string(), |caps| caps.proxy_open),
            line("bytes over a program's connections", show_size(proxy.bytes), |caps| caps.proxy_bytes),
            line("silence of a program's connection", seconds(proxy.idle), |caps| caps.proxy_idle),
        ]);
    }
    lines.extend(entry.commands.iter().filter_map(|command| {
        let granted = entry.timeout(&command.name)?;
        let most = time(wall::of_command(None, Some(granted), commands));
        Some(line(&format!("time of `{}`", safe_line(&command.name)), most, |caps| caps.command_wall))
    }));
    lines
}

fn time(wall: Option<Duration>) -> String {
    wall.map_or_else(|| "no limit".to_owned(), seconds)
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::PolicyFile;

    fn entry(grants: &[&str], more: &Value) -> Entry {
        let mut entry = json!({
            "version": "1.0.0",
            "digest": "0".repeat(64),
            "trust": "unsigned",
            "enabled": true,
            "grants": grants,
            "installed_at": "2026-01-02T03:04:05Z",
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(entry).unwrap()
    }

    #[track_caller]
    fn has(words: &[String], wanted: &str) {
        assert!(words.iter().any(|word| word == wanted), "`{wanted}` is missing: {words:?}");
    }

    #[test]
    fn a_plugin_without_grants_can_do_nothing() {
        let rules = Rules::of(&entry(&[], &json!({})), &Policy::default());
        assert_eq!(rules.can.len(), 2, "its own things only: {:?}", rules.can);
        for words in ["see any of your files", "connect to anything", "have a program run", "start a program itself"] {
            has(&rules.cannot, words);
        }
        let limit = |what: &str| rules.limits.iter().find(|limit| limit.what == what).map(|limit| limit.most.as_str());
        assert_eq!((limit("memory"), limit("CPU time")), (Some("64 MiB"), Some("10 s in each 30 s")));
        assert_eq!((limit("time of a command"), limit("scratch")), (Some("30 s"), Some("32 MiB")));
    }

    #[test]
    fn scripts_have_limits_of_their_own() {
        let handler = json!({"type": "bash", "script": "echo"});
        let more = json!({"commands": [{"name": "go", "description": "Goes", "handler": handler}]});
        let rules = Rules::of(&entry(&[], &more), &Policy::default());
        let limit = |what: &str| rules.limits.iter().find(|limit| limit.what == what).map(|limit| limit.most.as_str());
        assert_eq!((limit("memory"), limit("CPU time")), (Some("256 MiB"), Some("30 s in each 30 s")));
        has(&rules.cannot, "start a program itself");
        let rules = Rules::of(&entry(&["exec=awk"], &more), &Policy::default());
        assert!(!rules.cannot.iter().any(|word| word == "start a program itself"), "{:?}", rules.cannot);
    }

    #[test]
    fn programs_are_told_of_where_there_are_some() {
        let rules = |grants: &[&str]| Rules::of(&entry(grants, &json!({})), &Policy::default());
        let alone = rules(&["exec=git"]);
        has(&alone.can, "let its programs read the system's programs and libraries, and no other file of the system");
        has(&alone.cannot, "let its programs use a network");
        has(&alone.cannot, "let its programs run another one, or what they wrote");
        let all = rules(&["exec=git", "network=example.com:443", "env_vars=TOKEN", "filesystem=read:/srv"]);
        has(&all.can, "let its programs reach the granted servers, through the proxy that their environment names");
        has(&all.can, "let its programs see the granted variables");
        has(&all.can, "let its programs do in the granted directories what it can do itself");
        has(&all.cannot, "let its programs connect past the proxy, or wait for connections");
        let limit = |what: &str| all.limits.iter().find(|limit| limit.what == what).map(|limit| limit.most.as_str());
        assert_eq!((limit("connections at a time"), limit("connections of one call")), (Some("10"), Some("1024")));
        assert_eq!((limit("memory of a program"), limit("processes of a program")), (Some("256 MiB"), Some("32")));
        let without = rules(&["network=example.com:443"]);
        assert!(!without.can.iter().chain(&without.cannot).any(|words| words.contains("programs")), "{without:?}");
    }

    #[test]
    fn what_a_script_starts_is_told_apart_from_what_is_run_for_it() {
        let grants = ["exec=curl", "network=example.com:443"];
        let of = |handler: Value| {
            let more = json!({"commands": [{"name": "go", "description": "Goes", "handler": handler}]});
            Rules::of(&entry(&grants, &more), &Policy::default())
        };
        let is_limited = |rules: &Rules| rules.limits.iter().any(|limit| limit.what == "processes of a program");
        for alone in [json!({"type": "bash", "script": "echo"}), json!({"type": "executable", "program": "tool"})] {
            let rules = of(alone);
            has(&rules.can, "start its programs itself, within its own limits");
            has(
                &rules.can,
                "let its programs reach the granted servers, through the proxy that their environment names",
            );
            assert!(!is_limited(&rules), "{:?}", rules.limits);
        }
        let rules = of(json!({"type": "python", "module": "main", "function": "f"}));
        has(&rules.can, "start its programs itself, within its own limits");
        assert!(
            rules.can.iter().any(|words| words.contains("the host runs for it reach the granted")),
            "{:?}",
            rules.can
        );
        assert!(is_limited(&rules), "{:?}", rules.limits);
    }

    #[test]
    fn grants_move_what_can_be_done() {
        let hook = json!({"event": "pre-command", "handler": "watch"});
        let commands = json!([
            {"name": "follow", "description": "", "timeout": "none"},
            {"name": "build", "description": "", "timeout": 600},
            {"name": "wait", "description": "", "timeout": 900},
        ]);
        let granted = json!([{"command": "follow", "timeout": "none"}, {"command": "build", "timeout": 600}]);
        let more = json!({"hooks": [hook], "commands": commands, "consents": granted});
        let grants = ["network=unix:/run/docker.sock", "filesystem=read:/srv/data", "task_read"];
        let rules = Rules::of(&entry(&grants, &more), &Policy::default());
        has(&rules.can, "connect to the socket /run/docker.sock");
        has(&rules.can, "read files in /srv/data");
        has(&rules.can, "see the variables of every workflow that runs");
        has(&rules.cannot, "connect to anything else, or open a socket itself");
        has(&rules.cannot, "see any other of your files");
        has(&rules.cannot, "change what a workflow does");
        let all = rules.cannot.join("\n");
        assert!(!all.contains("see the variables of a workflow") && !all.contains("connect to anything\n"), "{all}");
        assert!(!rules.can.iter().any(|words| words.contains("before it runs")), "nobody agreed to the hook");
        let times = |rules: &Rules| {
            let limits = rules.limits.iter().filter(|limit| limit.what.starts_with("time of"));
            limits.map(|limit| limit.most.clone()).collect::<Vec<_>>()
        };
        assert_eq!(times(&rules), ["30 s", "30 s", "no limit", "600 s"], "nobody agreed to the time of `wait`");
        let file = PolicyFile::parse("limits: {command_wall: 20}").unwrap();
        let policy = Policy::new(vec![("/etc/migraine/policy.yaml".into(), file)]);
        let capped = Rules::of(&entry(&grants, &more), &policy);
        assert_eq!(times(&capped), ["20 s", "30 s", "20 s", "20 s"], "handlers are not commands");

        let more = json!({"hooks": [hook], "consents": [{"event": "pre-command"}]});
        has(&Rules::of(&entry(&[], &more), &Policy::default()).can, "see every command before it runs");
    }
}

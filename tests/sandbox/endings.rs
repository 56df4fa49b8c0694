//! Every way to end other than with an answer has its own code and one readable line, and leaves nothing behind.

use std::time::Duration;

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::everywhere;
use migraine_tests::kernel;

struct Ending {
    command: &'static str,
    args: &'static [&'static str],
    options: &'static [&'static str],
    code: &'static str,
    says: &'static str,
}

const fn ending(command: &'static str, code: &'static str, says: &'static str) -> Ending {
    Ending { command, args: &[], options: &["--wall", "700"], code, says }
}

/// For what never ends: each case waits this long.
const SHORT: &[&str] = &["--wall", "300"];

impl Ending {
    const fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }
}

fn number(code: &str) -> i32 {
    let code = migraine_host::code::Code::ALL.iter().find(|known| known.as_str() == code);
    i32::from(code.expect("a known code").exit().number())
}

fn check(endings: &[Ending]) {
    everywhere(|arena, user| {
        for Ending { command, args, options, code, says } in endings {
            let outcome = arena.clone().with(options).run(command, args);
            let last = outcome.last();
            assert!(last.starts_with(&format!("{code}: ")), "{command} {args:?} as {user:?}: {outcome:?}");
            assert!(last.contains(says), "{command} {args:?} as {user:?} does not say `{says}`: {last}");
            assert_eq!(outcome.code, number(code), "{command}: {outcome:?}");
            assert!(outcome.took < Duration::from_secs(4), "{command} took {:?}", outcome.took);
        }
    });
}

// A60, A61, A62, A67
#[test]
fn time_runs_out() {
    check(&[
        ending("spin", "limit_time", "0.3 s").options(SHORT),
        ending("spin", "limit_cpu", "0.2 s").options(&["--cpu", "200"]),
        ending("sleep", "limit_time", "0.3 s").options(SHORT),
        ending("deadlock", "limit_time", "0.3 s").options(SHORT),
        ending("block-signals", "limit_time", "0.3 s").options(SHORT),
        ending("stop", "limit_time", "0.3 s").options(SHORT),
        ending("half-header-sleep", "limit_time", "0.3 s").options(SHORT),
        ending("slow-header", "limit_time", "0.3 s").options(SHORT),
    ]);
    for code in ["limit_time", "limit_cpu"] {
        assert_eq!(number(code), 124);
    }
}

// A57, A63, A76, A92
#[test]
fn processes_die() {
    check(&[
        ending("panic", "plugin_panicked", "as asked"),
        ending("double-panic", "plugin_crashed", "SIG"),
        ending("abort", "plugin_crashed", "SIG"),
        ending("segfault", "plugin_crashed", "SIGSEGV"),
        ending("smash", "plugin_crashed", "SIG"),
        ending("stack", "plugin_crashed", "SIG"),
        ending("hog", "limit_memory", "64 MiB"),
        ending("exit", "plugin_exited", "exit code 0").args(&["0"]),
        ending("exit", "plugin_exited", "exit code 7").args(&["7"]),
        ending("close-channel", "plugin_exited", "closed its channel"),
        ending("fork-bomb", "plugin_failed", "cannot fork after 0 processes: EPERM"),
    ]);
}

// A81, A82, A83, A85, A89
#[test]
fn the_protocol_is_kept() {
    check(&[
        ending("garbage", "protocol_error", "the limit is 1048576"),
        ending("huge-header", "protocol_error", "4294967295 bytes"),
        ending("huge-header", "protocol_error", "1048577 bytes").args(&["1048577"]),
        ending("half-header", "protocol_error", "in the middle of a message"),
        ending("unknown-kind", "protocol_error", "unknown message tag 999"),
        ending("wrong-kind", "protocol_error", "unexpected Command"),
        ending("bad-error", "protocol_error", "broke the protocol"),
        ending("deep-error", "protocol_error", "broke the protocol"),
        ending("service-name", "protocol_error", "without a name"),
        ending("two-replies", "protocol_error", "another call").options(&["--again", "quiet"]),
        ending("large-answer", "limit_message", "2097").args(&["2"]),
    ]);
}

// A69, A70, A89
#[test]
fn floods_are_cut() {
    check(&[
        ending("flood-stdout", "limit_output", "1024 KiB"),
        ending("flood-stderr", "limit_output", "1024 KiB"),
        ending("overprint", "limit_output", "1024 KiB"),
        ending("flood-log", "limit_calls", "1000 host calls").options(&["--services", "1000"]),
        ending("flood-log", "limit_output", "logged more than 1024 KiB").options(&["--wall", "30000"]),
        ending("many-calls", "limit_calls", "1000 host calls").options(&["--services", "1000"]),
    ]);
}

// A70: what a command writes to its caller has no cap, and takes no memory.
#[test]
fn output_to_the_caller_is_streamed() {
    for &user in kernel::users() {
        let outcome = Arena::new(On::All, user).with(&["--wall", "30000"]).run("flood-out", &["100"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.out.starts_with(&format!("[{} bytes]", 100 << 20)), "{:.200}", outcome.out);
    }
}

// A86
#[test]
fn stray_prints_do_not_harm_the_protocol() {
    everywhere(|arena, _| {
        let outcome = arena.clone().with(&["--again", "quiet"]).run("print", &["hello"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.err.contains("stdout hello\n") && outcome.err.contains("stderr hello\n"), "{outcome:?}");
        assert_eq!(outcome.out, "", "stray prints are not the command's output");
    });
}

// A83, A85, A92, A93
#[test]
fn hooks_end_as_commands_do() {
    let cases = [
        ("quiet", "answer", r#"{"success":true}"#),
        ("stop-chain", "answer", r#""continue_chain":false"#),
        ("failure", "answer", r#""success":false"#),
        // The transport passes every answer on; the host reads and judges it.
        ("bad-reply", "answer", "not JSON"),
        ("garbage", "protocol_error", "the limit is"),
        ("never", "limit_time", "0.3 s"),
        ("spin", "limit_time", "0.3 s"),
        ("panic", "plugin_panicked", "as asked"),
        ("abort", "plugin_crashed", "SIG"),
        ("exit", "plugin_exited", "exit code 0"),
        ("large", "limit_message", "2097"),
    ];
    everywhere(|arena, _| {
        for (hook, code, says) in cases {
            let config = format!("hook={hook}");
            let outcome = arena.clone().with(SHORT).with(&["--hook", "--config", &config]).run("pre-command", &[]);
            assert!(outcome.last().starts_with(&format!("{code}: ")), "{hook}: {outcome:?}");
            assert!(outcome.last().contains(says), "{hook}: {outcome:?}");
        }
    });
}

// A12, A21
#[test]
fn a_refused_call_is_named() {
    everywhere(|arena, _| {
        let outcome = arena.run("ptrace", &["1"]);
        assert_eq!(outcome.last(), "sandbox_violation: it made the system call ptrace, which no plugin may make");
        assert_eq!(outcome.code, number("sandbox_violation"));
    });
}

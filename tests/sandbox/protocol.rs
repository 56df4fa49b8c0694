//! The protocol is kept: whoever breaks it is ended, with a code of its own and one readable line.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::everywhere;
use migraine_tests::guarded::{Guarded, check};
use migraine_tests::kernel;
use migraine_tests::matrix::{Rows, WORKS};

const SHORT: &[&str] = &["--wall", "300"];

#[test]
fn a081_sizes_are_capped_before_memory_is_taken() {
    check(
        81,
        &[
            Guarded::new("large-frame", "protocol_error", "1048577 bytes").by("FrameSize"),
            Guarded::new("garbage", "protocol_error", "the limit is 1048576"),
            Guarded::new("huge-header", "protocol_error", "4294967295 bytes"),
            Guarded::new("huge-header", "protocol_error", "1048577 bytes").args(&["1048577"]),
        ],
    );
}

#[test]
fn a082_half_a_message_is_none() {
    check(
        82,
        &[
            Guarded::new("half-header", "protocol_error", "in the middle of a message").by_design(),
            Guarded::new("half-header-sleep", "limit_time", "0.3 s").args(&["600"]).options(SHORT).by("Deadline"),
            Guarded::new("slow-header", "limit_time", "0.3 s").options(SHORT),
        ],
    );
}

#[test]
fn a083_answers_have_their_form() {
    check(
        83,
        &[
            Guarded::new("bad-error", "protocol_error", "broke the protocol").by("AnswerForm"),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["infinity"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["nan"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["surrogate"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["nul"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["utf8"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["two"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["bom"]),
            Guarded::new("odd-error", "protocol_error", "broke the protocol").args(&["nothing"]),
            Guarded::new("deep-error", "protocol_error", "broke the protocol").by("AnswerForm"),
        ],
    );
}

#[test]
fn a085_messages_have_their_order() {
    check(
        85,
        &[
            Guarded::new("unknown-kind", "protocol_error", "unknown message tag 999"),
            Guarded::new("wrong-kind", "protocol_error", "unexpected Command"),
            Guarded::new("service-name", "protocol_error", "without a name"),
            Guarded::new("two-replies", "protocol_error", "another call")
                .options(&["--again", "quiet"])
                .by("CallNumber"),
        ],
    );
}

#[test]
fn a086_stray_prints_do_not_harm_the_protocol() {
    everywhere(|arena, _| {
        let outcome = arena.clone().with(&["--again", "quiet"]).run("print", &["hello"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.err.contains("stdout hello\n") && outcome.err.contains("stderr hello\n"), "{outcome:?}");
        assert_eq!(outcome.out, "", "stray prints are not the command's output");
    });
    let mut rows = Rows::of(86);
    kernel::users().iter().for_each(|&user| rows.design("print", user, "shown as its own"));
    rows.settle();
}

#[test]
fn a089_calls_and_answers_are_counted() {
    check(
        89,
        &[
            Guarded::new("many-calls", "limit_calls", "1000 host calls")
                .args(&["1500"])
                .options(&["--services", "1000"])
                .by("Calls"),
            Guarded::new("flood-log", "limit_calls", "1000 host calls").options(&["--services", "1000"]),
            Guarded::new("flood-log", "limit_output", "logged more than 1024 KiB").options(&["--wall", "30000"]),
            Guarded::new("large-answer", "limit_message", "2097").args(&["2"]),
        ],
    );
}

#[test]
fn a086_only_a_command_writes_to_its_caller() {
    let mut rows = Rows::of(86);
    for &user in kernel::users() {
        let ways =
            [("hook print", &["--hook", "--config", "hook=print"][..], "pre-command"), ("late-out", &[], "late-out")];
        for (label, options, command) in ways {
            let arena = Arena::new(On::All, user).with(options);
            let outcome = arena.run(command, &[]);
            let shown =
                ["[stray] forged output\n", "[stray] forged error\n"].iter().all(|line| outcome.err.contains(line));
            if outcome.code != 0 || !shown || outcome.out.contains("output") {
                rows.fail(format!("{label} as {user}: {outcome:?}"));
            }
            let without = arena.without("Caller").run(command, &[]);
            let worked = without.out.contains("forged output\n") && !without.err.contains("[stray]");
            let without = if worked { WORKS } else { "fails" };
            rows.host(label, user, "shown as its own", "without Caller", without);
        }
    }
    rows.settle();
}

#[test]
fn a090_an_answer_is_for_its_own_call() {
    check(90, &[Guarded::new("early-reply", "protocol_error", "another call").by("CallNumber")]);
}

#[test]
fn a092_a_crash_is_the_plugins_own() {
    check(
        92,
        &[
            Guarded::new("panic", "plugin_panicked", "as asked").by_design(),
            Guarded::new("double-panic", "plugin_crashed", "SIG").by_design(),
            Guarded::new("abort", "plugin_crashed", "SIG").by_design(),
            Guarded::new("segfault", "plugin_crashed", "SIGSEGV").by_design(),
            Guarded::new("smash", "plugin_crashed", "SIG").by_design(),
            Guarded::new("exit", "plugin_exited", "exit code 0").args(&["0"]).by_design(),
            Guarded::new("exit", "plugin_exited", "exit code 7").args(&["7"]).by_design(),
            Guarded::new("close-channel", "plugin_exited", "closed its channel").by_design(),
        ],
    );
}

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

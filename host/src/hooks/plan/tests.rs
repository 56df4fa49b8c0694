//! Tests of the order of hooks: the same for every order in which plugins were found.

use migraine_plugin_api::HookHandler;

use super::*;

fn hook(event: &str, priority: i32, before: &[&str], after: &[&str]) -> HookSpec {
    let mut hook = HookSpec::new(event);
    hook.priority = priority;
    hook.before = before.iter().map(ToString::to_string).collect();
    hook.after = after.iter().map(ToString::to_string).collect();
    hook
}

fn subscriber(plugin: &str, hooks: Vec<HookSpec>) -> Subscriber {
    let hooks = hooks.into_iter().enumerate().map(|(index, mut hook)| {
        hook.handler = HookHandler::Named(format!("h{index}"));
        hook
    });
    Subscriber { plugin: plugin.parse().unwrap(), hooks: hooks.collect(), granted: Vec::new() }
}

fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|index| {
            let mut rest = items.to_vec();
            let first = rest.remove(index);
            permutations(&rest).into_iter().map(move |mut tail| {
                tail.insert(0, first.clone());
                tail
            })
        })
        .collect()
}

fn target(hook: &Planned) -> &str {
    match &hook.target {
        Target::Handler(handler) => handler,
        Target::Command { text, .. } => text,
    }
}

fn check(subscribers: &[Subscriber], expected: &str, issues: &[&str]) {
    for found in permutations(subscribers) {
        let plan = Plan::new(&Catalogue::migraine(), &found).unwrap();
        let order: Vec<_> =
            plan.matching("pre_command", Some("x")).map(|hook| format!("{}.{}", hook.plugin, target(hook))).collect();
        assert_eq!(order.join(" "), expected);
        let told: Vec<_> = plan.issues().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), issues.len(), "{told:?}");
        for (told, part) in told.iter().zip(issues) {
            assert!(told.contains(part), "{told} has no {part}");
        }
    }
}

// covers: S142
#[test]
fn the_order_is_total_and_does_not_depend_on_discovery() {
    let pre = |priority, before: &[&str], after: &[&str]| hook("pre-command", priority, before, after);
    let plain = [
        subscriber("delta", vec![pre(0, &[], &[]), pre(5, &[], &[])]),
        subscriber("alpha", vec![pre(0, &[], &[]), pre(0, &[], &[])]),
        subscriber("beta", vec![pre(5, &[], &[])]),
        subscriber("gamma", vec![pre(-1, &[], &[]), hook("post-command", 9, &[], &[])]),
    ];
    check(&plain, "beta.h0 delta.h1 alpha.h0 alpha.h1 delta.h0 gamma.h0", &[]);
    let constrained = [
        subscriber("a", vec![pre(0, &[], &["d", "absent"])]),
        subscriber("b", vec![pre(0, &[], &[])]),
        subscriber("c", vec![pre(0, &["b", "c"], &[])]),
        subscriber("d", vec![pre(0, &[], &[]), pre(0, &[], &[])]),
        subscriber("e", vec![hook("pre_command", 0, &["c"], &[])]),
    ];
    check(&constrained, "d.h0 d.h1 a.h0 e.h0 c.h0 b.h0", &[]);
}

#[test]
fn impossible_wishes_are_reported_and_the_order_stays_total() {
    let pre = |priority, before: &[&str], after: &[&str]| hook("pre-command", priority, before, after);
    let cycle = [
        subscriber("a", vec![pre(0, &[], &["b"])]),
        subscriber("b", vec![pre(0, &[], &["c"])]),
        subscriber("c", vec![pre(0, &[], &["b"])]),
        subscriber("d", vec![pre(0, &[], &[])]),
    ];
    check(&cycle, "d.h0 b.h0 a.h0 c.h0", &["the before/after rules of b, c form a cycle"]);
    let against = [
        subscriber("low", vec![pre(0, &["top"], &[])]),
        subscriber("mid", vec![pre(5, &[], &["top"])]),
        subscriber("top", vec![pre(9, &[], &["low"])]),
    ];
    check(&against, "top.h0 mid.h0 low.h0", &["`low` wants towards `top`", "`top` wants towards `low`"]);
}

// covers: S13
#[test]
fn a_pattern_is_searched_in_the_resolved_command() {
    let check = |pattern: Option<&str>, command: Option<&str>, expected: bool| {
        let mut hook = HookSpec::new("post-command");
        hook.pattern = pattern.map(str::to_owned);
        let plan = Plan::new(&Catalogue::migraine(), &[subscriber("p", vec![hook])]).unwrap();
        assert_eq!(plan.matching("post-command", command).count() == 1, expected, "{pattern:?} {command:?}");
    };
    check(None, Some("anything"), true);
    check(Some(".*"), Some("line\nline"), true);
    check(Some(".*"), None, true);
    check(Some("server.*start"), Some("./server --now start"), true);
    check(Some("server.*start"), Some("start server"), false);
    check(Some("^cargo "), Some("cargo test"), true);
    check(Some("^cargo "), None, false);
}

#[test]
fn bad_subscriptions_are_refused_by_name() {
    let check = |hook: HookSpec, part: &str, help: &str| {
        let error = Plan::new(&Catalogue::migraine(), &[subscriber("p", vec![hook])]).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        let told = crate::code::Coded::help(&error).unwrap_or_default();
        assert!(told.contains(help), "{told}");
    };
    let with = |pattern: &str| {
        let mut hook = HookSpec::new("pre-command");
        hook.pattern = Some(pattern.to_owned());
        hook
    };
    check(
        HookSpec::new("pre_comand"),
        "`p` subscribes to the unknown event `pre_comand`",
        "migraine has `pre-command`",
    );
    check(HookSpec::new("user\u{1b}[2J"), "`user\\u{1b}[2J`", "another application");
    check(with("("), "unclosed group", "simpler");
    check(with(&"a".repeat(5000)), "longer than 4096 bytes", "simpler");
    check(with("((a{1000}){1000}){1000}"), "refused", "simpler");
    let twice = [subscriber("p", vec![]), subscriber("p", vec![])];
    assert!(matches!(Plan::new(&Catalogue::migraine(), &twice), Err(HookError::DuplicateSubscriber { .. })));
    let mut optional = HookSpec::new("pre_task_submit");
    optional.optional = true;
    assert!(Plan::new(&Catalogue::migraine(), &[subscriber("p", vec![optional])]).unwrap().is_empty());
}

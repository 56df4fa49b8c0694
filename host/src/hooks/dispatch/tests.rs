//! Tests of dispatch with a caller that records what each plugin got to see.

use std::collections::BTreeMap;

use migraine_plugin_api::{CommandInfo, FailurePolicy, HookSpec, WorkflowInfo, failure, success};
use serde_json::json;

use super::*;

#[derive(Default)]
struct Recorder {
    seen: Vec<(String, Context)>,
    ran: Vec<(String, Vec<String>)>,
    answers: BTreeMap<String, Result<HookResult, CallFailure>>,
    depth: u8,
}

impl HookCaller for Recorder {
    fn call(&mut self, plugin: &PluginName, context: &Context) -> Result<HookResult, CallFailure> {
        self.seen.push((plugin.to_string(), context.clone()));
        self.answers.get(plugin.as_str()).cloned().unwrap_or_else(|| Ok(success()))
    }

    fn command(&mut self, plugin: &PluginName, words: &[String]) -> Result<(), CallFailure> {
        self.ran.push((plugin.to_string(), words.to_vec()));
        self.answers.get(plugin.as_str()).cloned().unwrap_or_else(|| Ok(success())).map(drop)
    }

    fn keep_secret(&mut self, _: &Secrets) {}

    fn depth(&self) -> u8 {
        self.depth
    }
}

fn subscriber(plugin: &str, event: &str, policy: FailurePolicy, granted: &[&str]) -> Subscriber {
    let mut hook = HookSpec::new(event);
    hook.handler = format!("{plugin}-handler");
    hook.on_failure = policy;
    let granted = granted.iter().map(|text| text.parse().unwrap()).collect();
    Subscriber { plugin: plugin.parse().unwrap(), hooks: vec![hook], granted }
}

fn full_context() -> Context {
    let mut context = Context::new("whatever");
    context.timestamp = "2026-01-02T03:04:05Z".to_owned();
    context.workflow = Some(WorkflowInfo { name: "w".to_owned(), ..WorkflowInfo::default() });
    context.command = Some(CommandInfo { resolved: "make".to_owned(), ..CommandInfo::default() });
    context.variables = BTreeMap::from([("token".to_owned(), "secret".to_owned())]);
    context.output = Some(b"out".to_vec());
    context.output_size = Some(3);
    context
}

fn registry(subscribers: Vec<Subscriber>) -> Registry {
    Registry::new(Catalogue::migraine(), subscribers).unwrap()
}

// covers: S37, S111
#[test]
fn each_hook_sees_what_its_event_carries_and_its_plugin_may_see() {
    let warn = FailurePolicy::Warn;
    let registry = registry(vec![
        subscriber("a", "post_command", warn, &[]),
        subscriber("b", "post-command", warn, &["task_read"]),
        subscriber("c", "post-command", warn, &["task_write"]),
        subscriber("d", "pre-workflow", warn, &["task_read"]),
        subscriber("e", "plugin-install", warn, &["task_read"]),
    ]);
    let mut recorder = Recorder::default();
    registry.fire(&mut recorder, "post-command", Some("make"), full_context);
    registry.fire(&mut recorder, "pre-workflow", None, full_context);
    registry.fire(&mut recorder, "plugin_install", None, full_context);
    let facts: Vec<_> = recorder
        .seen
        .iter()
        .map(|(plugin, seen)| {
            (plugin.as_str(), seen.event.as_str(), seen.handler.as_str(), seen.variables.len(), seen.withheld.join(","))
        })
        .collect();
    assert_eq!(
        facts,
        [
            ("a", "post-command", "a-handler", 0, "variables".to_owned()),
            ("b", "post-command", "b-handler", 1, String::new()),
            ("c", "post-command", "c-handler", 0, "variables".to_owned()),
            ("d", "pre-workflow", "d-handler", 1, String::new()),
            ("e", "plugin-install", "e-handler", 0, String::new()),
        ]
    );
    for (plugin, seen) in &recorder.seen {
        let command_event = seen.event == "post-command";
        assert_eq!(seen.output.is_some(), command_event, "{plugin}");
        assert_eq!(seen.output_size.is_some(), command_event, "{plugin}");
        assert_eq!(seen.command.is_some(), command_event, "{plugin}");
        assert_eq!(seen.workflow.is_some(), plugin != "e", "{plugin}");
        assert_eq!(seen.timestamp, "2026-01-02T03:04:05Z", "{plugin}");
    }
}

// covers: S51, S143
#[test]
fn answers_steer_the_chain_as_far_as_permissions_go() {
    use FailurePolicy::{Fail, Ignore, Warn};
    let crash = || {
        Err(CallFailure { code: Code::PluginCrashed, message: "signal 11".to_owned(), help: Some("update".to_owned()) })
    };
    let veto = || Ok(failure("not on fridays").with_data(json!({"veto": true})));
    let check =
        |event: &str, policy, granted: &[&str], answer: Result<HookResult, CallFailure>, called: usize, stop| {
            let registry = registry(vec![subscriber("a", event, policy, granted), subscriber("b", event, Warn, &[])]);
            let mut recorder = Recorder::default();
            recorder.answers.insert("a".to_owned(), answer.clone());
            let report = registry.fire(&mut recorder, event, Some("make"), full_context);
            assert_eq!(recorder.seen.len(), called, "{event} {answer:?}");
            assert_eq!(report.hooks.len(), called);
            assert_eq!(report.stop.as_ref().map(|stop| stop.code), stop, "{event} {answer:?}");
            report
        };
    check("pre-command", Warn, &[], Ok(success().stop_chain()), 2, None);
    check("pre-command", Warn, &["task_write"], Ok(success().stop_chain()), 1, None);
    check("pre-command", Warn, &["task_write"], veto(), 1, Some(Code::CommandVetoed));
    check("pre-command", Warn, &["task_read"], veto(), 2, None);
    check("post-command", Warn, &["task_write"], veto(), 2, None);
    check("pre-command", Fail, &[], Ok(failure("no")), 1, Some(Code::PluginFailed));
    check("pre-command", Ignore, &[], crash(), 2, None);
    let warned = check("pre-command", Warn, &[], crash(), 2, None);
    assert!(warned.hooks[0].warn && !warned.hooks[1].warn);
    assert_eq!(warned.hooks[0].message.as_deref(), Some("signal 11"));
    let stopped = check("pre-command", Fail, &[], crash(), 1, Some(Code::PluginCrashed)).stop.unwrap();
    assert_eq!((stopped.message.as_str(), stopped.help.as_deref()), ("signal 11", Some("update")));
}

#[test]
fn without_a_hook_no_context_is_built() {
    let mut hook = subscriber("a", "post-command", FailurePolicy::Warn, &[]);
    hook.hooks[0].pattern = Some("^cargo".to_owned());
    let registry = registry(vec![hook]);
    let mut recorder = Recorder::default();
    for (event, command) in [("pre-command", Some("cargo")), ("post-command", Some("make")), ("unknown", None)] {
        let report = registry.fire(&mut recorder, event, command, || panic!("{event} needs no context"));
        assert_eq!(report, FireReport::default());
    }
    assert!(registry.wants_output("post_command", "cargo test"));
    assert!(!registry.wants_output("post-command", "make"));
    assert!(!registry.wants_output("pre-command", "cargo test"));
}

#[test]
fn hooks_that_trigger_each_other_are_stopped() {
    let registry = registry(vec![subscriber("a", "pre-command", FailurePolicy::Warn, &[])]);
    let mut recorder = Recorder { depth: MAX_DEPTH - 1, ..Recorder::default() };
    assert_eq!(registry.fire(&mut recorder, "pre-command", Some("x"), full_context).stop, None);
    recorder.depth = MAX_DEPTH;
    let report = registry.fire(&mut recorder, "pre-command", Some("x"), full_context);
    assert_eq!(report.stop.map(|stop| stop.code), Some(Code::HookDepth));
    assert_eq!(recorder.seen.len(), 1);
}

fn bound(plugin: &str, event: &str, policy: FailurePolicy, command: &str) -> Subscriber {
    let mut bound = subscriber(plugin, event, policy, &[]);
    bound.hooks[0].handler.clear();
    bound.hooks[0].command = Some(command.to_owned());
    bound
}

// covers: S50, S87, A184, A188
#[test]
fn a_bound_command_gets_the_variables_it_names_and_nothing_else() {
    let warn = FailurePolicy::Warn;
    let mut first = bound("z", "pre-workflow", warn, "logs --name '{{token}} x' \"{{ token }}\"");
    first.hooks[0].priority = 1;
    let registry = registry(vec![subscriber("a", "pre-workflow", warn, &["task_read"]), first]);
    let mut recorder = Recorder::default();
    let mut context = full_context();
    let value = "\"; touch pwned; # $(id) `id`\n* ~ {{other}}";
    context.variables.insert("token".to_owned(), value.to_owned());
    let report = registry.fire(&mut recorder, "pre-workflow", None, || context);
    let words = ["logs", "--name", &format!("{value} x"), value].map(str::to_owned).to_vec();
    assert_eq!(recorder.ran, [("z".to_owned(), words)]);
    assert_eq!(recorder.seen.len(), 1, "the handler of the other plugin: {:?}", recorder.seen);
    let told: Vec<_> = report.hooks.iter().map(|hook| (hook.plugin.as_str(), hook.command.as_deref())).collect();
    assert_eq!(told, [("z", Some("logs --name '{{token}} x' \"{{ token }}\"")), ("a", None)]);
    assert!(!registry.wants_output("pre-workflow", "x"));
}

// covers: A185
#[test]
fn a_bound_command_that_cannot_be_filled_in_fails_by_its_policy() {
    use FailurePolicy::{Fail, Ignore, Warn};
    let check = |command: &str, policy, value: &str, code: Code, part: &str| {
        let registry = registry(vec![bound("a", "pre-workflow", policy, command)]);
        let mut recorder = Recorder::default();
        let mut context = full_context();
        context.variables.insert("token".to_owned(), value.to_owned());
        let report = registry.fire(&mut recorder, "pre-workflow", None, || context);
        assert!(recorder.ran.is_empty(), "{command}");
        let hook = &report.hooks[0];
        let Outcome::Failed { code: told, help: Some(help) } = &hook.outcome else { panic!("{hook:?}") };
        assert_eq!((*told, hook.warn), (code, policy == Warn));
        assert_eq!(report.stop.map(|stop| stop.code), (policy == Fail).then_some(code));
        assert!(hook.message.as_ref().is_some_and(|message| message.contains(part)), "{hook:?}");
        assert!(help.contains("-v "), "{help}");
    };
    for policy in [Fail, Warn, Ignore] {
        check("logs {{absent}}", policy, "x", Code::VariableMissing, "no variable `absent`");
        check("logs {{token}}", policy, "--command=sh", Code::ValueInvalid, "starts with `-`");
        check("logs {{token}}", policy, "a\0b", Code::ValueInvalid, "NUL");
    }
    let registry = registry(vec![bound("a", "plugin-install", Warn, "logs {{token}}")]);
    let report = registry.fire(&mut Recorder::default(), "plugin-install", None, full_context);
    assert!(report.hooks[0].warn, "an event without variables gives none");
}

#[test]
fn an_interrupt_is_no_failure_that_a_policy_could_ignore() {
    let ignore = FailurePolicy::Ignore;
    let registry = registry(vec![bound("a", "pre-workflow", ignore, "logs"), bound("b", "pre-workflow", ignore, "x")]);
    let mut recorder = Recorder::default();
    let ended = CallFailure { code: Code::Interrupted, message: "it was interrupted".to_owned(), help: None };
    recorder.answers.insert("a".to_owned(), Err(ended));
    let report = registry.fire(&mut recorder, "pre-workflow", None, full_context);
    assert_eq!((recorder.ran.len(), report.stop.map(|stop| stop.code)), (1, Some(Code::Interrupted)));
}

//! Tests of whole runs with real shells, a fake caller of hooks and a reporter that writes down what it is told.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use migraine_plugin_api::{Context, FailurePolicy, HookResult, HookSpec, failure, success};

use super::super::file::parse;
use super::super::variables::Sources;
use super::*;
use crate::hooks::{CallFailure, Catalogue, HookReport, Subscriber};
use crate::ids::PluginName;
use crate::secrets::Secrets;

#[derive(Default)]
struct Fake {
    seen: Vec<Context>,
    /// Answers by event; success otherwise.
    answers: BTreeMap<&'static str, HookResult>,
    interrupt_at: Option<&'static str>,
    interrupted: bool,
    secrets: Secrets,
}

impl Fake {
    fn answer(&mut self, context: &Context) -> HookResult {
        self.seen.push(context.clone());
        if self.interrupt_at == Some(context.event.as_str()) {
            self.interrupted = true;
        }
        self.answers.get(context.event.as_str()).cloned().unwrap_or_else(success)
    }
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Reporter for Lines {
    fn started(&mut self, run: &Started<'_>) {
        self.0.push(format!("start {}", run.workflow));
    }
    fn section(&mut self, section: Section) {
        self.0.push(section.as_str().to_owned());
    }
    fn command_started(&mut self, label: &str) {
        self.0.push(format!("> {label}"));
    }
    fn command_ended(&mut self, report: &CommandReport) {
        self.0.push(format!("{:?} {}", report.status, report.name));
    }
    fn hook(&mut self, event: &str, report: &HookReport) {
        if let Some(message) = &report.message {
            self.0.push(format!("[{}] {event}: {message}", report.plugin));
        }
    }
    fn warning(&mut self, text: &str) {
        self.0.push(format!("warning {text}"));
    }
    fn finished(&mut self, report: &RunReport) {
        self.0.push(format!("end {}", report.status.as_str()));
    }
}

fn hooks(events: &[&str], policy: FailurePolicy) -> Vec<Subscriber> {
    let hooks = events.iter().map(|event| {
        let mut hook = HookSpec::new(event);
        hook.on_failure = policy;
        hook
    });
    let granted = ["task_read", "task_write"].map(|text| text.parse().unwrap()).to_vec();
    vec![Subscriber { plugin: "spy".parse().unwrap(), hooks: hooks.collect(), granted }]
}

struct Ran {
    report: RunReport,
    lines: Vec<String>,
    output: String,
}

fn run_with(
    yaml: &str,
    flags: &[(&str, &str)],
    actions: &[&str],
    subscribers: Vec<Subscriber>,
    fake: &mut Fake,
) -> Ran {
    let workflow = parse(Path::new("w.yaml"), yaml).unwrap();
    let flags: BTreeMap<_, _> = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let actions: Vec<_> = actions.iter().map(ToString::to_string).collect();
    let mut sources =
        Sources { flags: &flags, environment: &|_| None, env_file: &BTreeMap::new(), ask: &mut |_, _| None };
    let variables = Variables::resolve(&workflow, &names_in_use(&workflow, &actions), &mut sources).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = || OwnedFd::from(File::options().append(true).open(file.path()).unwrap());
    let streams = Streams { stdin: OwnedFd::from(File::open("/dev/null").unwrap()), stdout: sink(), stderr: sink() };
    let registry = Registry::new(Catalogue::migraine(), subscribers).unwrap();
    let mut lines = Lines::default();
    // The flag is shared with the caller, which plays the terminal.
    let interrupted = AtomicBool::new(false);
    let mut shared = SharedFlag { fake, flag: &interrupted };
    let request = RunRequest {
        workflow: &workflow,
        path: Path::new("w.yaml"),
        warnings: &[],
        id: "run-1",
        actions: &actions,
        variables: &variables,
        shell: Path::new("/bin/sh"),
        streams: &streams,
        capture: true,
        clock: &|| Timestamp::from_second(1_700_000_000).unwrap(),
        interrupted: &interrupted,
    };
    let report = run(&request, &registry, &mut shared, &mut lines);
    let output = std::fs::read_to_string(file.path()).unwrap();
    Ran { report, lines: lines.0, output }
}

/// Hands the interrupt on from the fake to the run.
struct SharedFlag<'a> {
    fake: &'a mut Fake,
    flag: &'a AtomicBool,
}

impl HookCaller for SharedFlag<'_> {
    fn call(&mut self, _: &PluginName, context: &Context) -> Result<HookResult, CallFailure> {
        let answer = self.fake.answer(context);
        if std::mem::take(&mut self.fake.interrupted) {
            self.flag.store(true, Ordering::SeqCst);
        }
        Ok(answer)
    }

    fn command(&mut self, _: &PluginName, _: &[String]) -> Result<(), CallFailure> {
        Ok(())
    }

    fn keep_secret(&mut self, secrets: &Secrets) {
        assert!(self.fake.seen.is_empty(), "secrets are known before anything is shown");
        self.fake.secrets = secrets.clone();
    }
}

fn events(fake: &Fake) -> Vec<&str> {
    fake.seen.iter().map(|context| context.event.as_str()).collect()
}

const EVERY: [&str; 11] = [
    "workflow-load",
    "variable-resolution",
    "pre-workflow",
    "pre-command",
    "command-output",
    "post-command",
    "command-error",
    "pre-check-status",
    "workflow-progress",
    "workflow-error",
    "post-workflow",
];

// covers: S26, S27, S28, S29, S30, S31, S32, S33, S34, S35, S36, S37, S39, S40, S41, S43, S44, S45, S47, S48, S49
#[test]
fn a_good_run_fires_every_event_with_its_context() {
    let yaml = "name: demo\npre_checks:\n  - command: echo check\nsteps:\n  - name: Say\n    description: says it\n    command: echo {{what}}; echo err >&2\n";
    let mut fake = Fake::default();
    let ran = run_with(yaml, &[("what", "hello")], &[], hooks(&EVERY, FailurePolicy::Warn), &mut fake);
    assert_eq!(ran.report.exit(), crate::code::Exit::Ok);
    assert_eq!(ran.output, "check\nhello\nerr\n");
    let mut seen = events(&fake);
    // How the two streams are cut into pieces is the kernel's business.
    seen.dedup();
    assert_eq!(
        seen,
        [
            "workflow-load",
            "variable-resolution",
            "pre-workflow",
            "pre-command",
            "command-output",
            "post-command",
            "pre-check-status",
            "pre-command",
            "command-output",
            "post-command",
            "workflow-progress",
            "post-workflow",
        ]
    );
    let post = fake.seen.iter().rfind(|context| context.event == "post-command").unwrap();
    let workflow = post.workflow.as_ref().unwrap();
    assert_eq!((workflow.name.as_str(), workflow.id.as_str()), ("demo", "run-1"));
    assert_eq!(
        (workflow.start_time.as_str(), post.timestamp.as_str()),
        ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.000Z")
    );
    let step = post.step.as_ref().unwrap();
    assert_eq!((step.name.as_str(), step.description.as_str(), step.index), ("Say", "says it", 0));
    let command = post.command.as_ref().unwrap();
    assert_eq!(command.original, "echo {{what}}; echo err >&2");
    assert_eq!((command.resolved.as_str(), command.exit_code), ("echo hello; echo err >&2", Some(0)));
    assert_eq!(post.variables["what"], "hello");
    assert_eq!(post.output_size, Some(10));
    let mut pieces: Vec<_> = post.output_text().lines().map(str::to_owned).collect();
    pieces.sort();
    assert_eq!(pieces, ["err", "hello"]);
    assert_eq!(ran.report.pre_checks, PreChecks { passed: 1, failed: 0, total: 1 });
    assert_eq!(ran.report.steps, Steps { done: 1, total: 1 });
}

// covers: S42, S46, S51
#[test]
fn failures_end_the_run_with_their_code_and_their_events() {
    let check = |yaml: &str, flags: &[(&str, &str)], code: Code, exit: u8, last: &[&str], output: &str| {
        let mut fake = Fake::default();
        let ran = run_with(yaml, flags, &[], hooks(&EVERY, FailurePolicy::Warn), &mut fake);
        let failure = ran.report.error.clone().unwrap();
        assert_eq!((failure.code, ran.report.exit().number()), (code, exit), "{yaml}: {}", failure.message);
        let seen = events(&fake);
        assert_eq!(seen[seen.len() - last.len()..], *last, "{yaml}");
        assert_eq!(ran.output, output, "{yaml}");
        failure
    };
    let tail = ["post-command", "command-error", "workflow-error", "post-workflow"];
    let failed =
        check("name: a\nsteps: [{command: exit 7}, {command: echo no}]", &[], Code::CommandFailed, 1, &tail, "");
    assert!(failed.message.contains("exit code 7"), "{}", failed.message);
    let killed = check("name: a\nsteps: [{command: kill -9 $$}]", &[], Code::CommandFailed, 1, &tail, "");
    assert!(killed.message.contains("137 (signal 9)"), "{}", killed.message);
    let checks =
        "name: a\npre_checks: [{command: true}, {command: false}, {command: echo no}]\nsteps: [{command: echo no}]";
    let tail = ["command-error", "pre-check-status", "workflow-error", "post-workflow"];
    check(checks, &[], Code::PreCheckFailed, 4, &tail, "");
    let missing = "name: a\nsteps: [{command: 'echo {{a}}'}, {command: 'echo {{b}} {{c}}'}, {command: 'echo {{d}}'}]";
    let tail = ["workflow-progress", "workflow-error", "post-workflow"];
    let missing = check(missing, &[("a", "1")], Code::VariableMissing, 1, &tail, "1\n");
    assert!(missing.message.contains("needs a value for `b`, `c`"), "{}", missing.message);
    let tail = ["post-command", "command-error", "workflow-error", "post-workflow"];
    check("name: a\nsteps: [{command: kill -INT $$}, {command: echo no}]", &[], Code::Interrupted, 130, &tail, "");
}

#[test]
fn an_interrupt_is_obeyed_unless_the_command_dealt_with_it() {
    let check = |yaml: &str, at: &'static str, exit: u8, output: &str| {
        let mut fake = Fake { interrupt_at: Some(at), ..Fake::default() };
        let ran = run_with(yaml, &[], &[], hooks(&[at, "workflow-error"], FailurePolicy::Warn), &mut fake);
        assert_eq!((ran.report.exit().number(), ran.output.as_str()), (exit, output), "{at}");
        assert_eq!(fake.seen.last().unwrap().event == "workflow-error", exit == 130, "{at}");
    };
    check("name: a\nsteps: [{command: echo no, on_fail: 'run:echo no'}]", "pre-command", 130, "");
    check("name: a\nsteps: [{command: echo one; exit 1, on_fail: 'run:echo no'}]", "command-output", 130, "one\n");
    check("name: a\nsteps: [{command: echo one}]", "command-output", 0, "one\n");
    check("name: a\nsteps: [{command: echo one}, {command: echo no}]", "workflow-progress", 130, "one\n");
    check("name: a\nsteps: [{command: echo one}]", "workflow-progress", 130, "one\n");
}

// covers: S50
#[test]
fn actions_run_on_request_and_from_steps() {
    let yaml = "name: a\nsteps:\n  - {command: echo step, on_success: 'action:deploy_all'}\n  - {command: 'exit 2', on_fail: 'run:echo sorry {{who}}', name: Bad}\nactions:\n  deploy_all: {command: echo deploy, on_success: 'run:echo not followed'}\n  never: {command: 'echo {{unused}}'}\n";
    let subscribed =
        || hooks(&["workflow:pre-deploy-all", "workflow:post_deploy_all", "post-workflow"], FailurePolicy::Warn);
    let mut fake = Fake::default();
    let ran = run_with(yaml, &[("who", "you")], &[], subscribed(), &mut fake);
    assert_eq!(ran.output, "step\ndeploy\nsorry you\n");
    assert_eq!(ran.report.exit().number(), 1);
    assert_eq!(events(&fake), ["workflow:pre-deploy-all", "workflow:post-deploy-all", "post-workflow"]);
    assert_eq!(
        ran.lines,
        [
            "start a",
            "steps",
            "> echo step",
            "Ok echo step",
            "> echo deploy",
            "Ok echo deploy",
            "> Bad",
            "Failed Bad",
            "> Bad: on_fail",
            "Ok Bad: on_fail",
            "end failed",
        ]
    );
    let asked = run_with(yaml, &[], &["deploy_all"], subscribed(), &mut Fake::default());
    assert_eq!((asked.output.as_str(), asked.report.exit().number()), ("deploy\nnot followed\n", 0));
    let unknown = run_with(yaml, &[], &["deploy_all", "absent"], subscribed(), &mut Fake::default());
    assert_eq!((unknown.output.as_str(), unknown.report.exit().number()), ("", 2));
}

#[test]
fn wrong_step_hooks_are_warned_of_and_fail_only_where_they_count() {
    let check = |step: &str, exit: u8, warnings: usize| {
        let ran = run_with(&format!("name: a\nsteps: [{step}]"), &[], &[], Vec::new(), &mut Fake::default());
        assert_eq!((ran.report.exit().number(), ran.report.warnings.len()), (exit, warnings), "{:?}", ran.report);
    };
    check("{command: true, on_fail: echo x}", 0, 1);
    check("{command: false, on_fail: echo x}", 1, 2);
    check("{command: true, on_success: echo x}", 3, 1);
    check("{command: true, on_success: 'action:absent'}", 2, 0);
    check("{command: true, on_success: 'run:false'}", 1, 0);
    check("{command: false, on_fail: 'action:absent'}", 1, 1);
}

// covers: S51
#[test]
fn answers_decide_whether_the_workflow_goes_on() {
    let veto = || failure("not today").with_data(json!({"veto": true}));
    let check = |event: &'static str, policy, answer: HookResult, code: Option<Code>, output: &str| {
        let mut fake = Fake::default();
        fake.answers.insert(event, answer);
        let yaml = "name: a\nsteps: [{command: echo one}, {command: echo two}]";
        let ran = run_with(yaml, &[], &[], hooks(&[event], policy), &mut fake);
        assert_eq!(ran.report.error.as_ref().map(|failure| failure.code), code, "{event} {policy:?}");
        assert_eq!(ran.output, output, "{event} {policy:?}");
    };
    use FailurePolicy::{Fail, Ignore, Warn};
    check("pre-command", Ignore, veto(), Some(Code::CommandVetoed), "");
    check("pre-workflow", Warn, veto(), Some(Code::CommandVetoed), "");
    check("post-command", Warn, veto(), None, "one\ntwo\n");
    check("post-command", Fail, failure("x"), Some(Code::PluginFailed), "one\n");
    check("command-output", Fail, failure("x"), Some(Code::PluginFailed), "one\n");
    check("pre-command", Warn, failure("x"), None, "one\ntwo\n");
    check("post-workflow", Fail, failure("x"), Some(Code::PluginFailed), "one\ntwo\n");
}

#[test]
fn commands_keep_the_terminal_unless_a_hook_wants_their_output() {
    let yaml =
        "name: a\nsteps: [{command: 'readlink /proc/$$/fd/1 # plain'}, {command: 'readlink /proc/$$/fd/1 # spied'}]";
    let mut subscribers = hooks(&["post-command", "pre-command"], FailurePolicy::Warn);
    subscribers[0].hooks[0].pattern = Some("spied".to_owned());
    let ran = run_with(yaml, &[], &[], subscribers, &mut Fake::default());
    let lines: Vec<_> = ran.output.lines().collect();
    assert!(lines[0].starts_with('/') && lines[1].starts_with("pipe:"), "{lines:?}");
}

#[test]
fn a_report_lists_only_so_many_hooks() {
    let steps: Vec<_> = (0..HOOKS_FIRED).map(|_| "{command: ':'}").collect();
    let yaml = format!("name: a\nsteps: [{}]", steps.join(","));
    let ran = run_with(&yaml, &[], &[], many(), &mut Fake::default());
    assert_eq!(ran.report.hooks.len(), super::super::report::HOOKS_MAX);
    assert_eq!(ran.report.hooks_left_out, 10 * HOOKS_FIRED as u64 - 1000);
}

const HOOKS_FIRED: usize = 110;

fn many() -> Vec<Subscriber> {
    let mut subscribers = hooks(&["pre-command"], FailurePolicy::Warn);
    let hook = subscribers[0].hooks[0].clone();
    subscribers[0].hooks = vec![hook; 10];
    subscribers
}

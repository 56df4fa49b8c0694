//! `migraine doctor`: whether plugins can run on this machine, found out by trying.

use std::path::Path;

use serde::Serialize;

use super::{Failure, Out, Session};
use crate::code::{Code, Coded as _, Exit};
use crate::ids::PluginName;
use crate::manage::{HealthCheck, health, script_changes};
use crate::runtime::{Python, Trial, TrialProblem, try_engines};
use crate::sandbox::{Examination, LimitedBy, Outcome, SandboxError, Stage, Step, examine};
use crate::store::Home;
use crate::text::{LINE_CELLS, display_safe, safe_line};
use crate::wire::{LauncherSpec, Level, LoadBy, Probe};

/// Everything that was found out.
#[derive(Debug, Serialize)]
struct Report {
    level: Offer,
    /// Why the full sandbox cannot be built, where the reduced one is used instead.
    lacks: Option<String>,
    kernel: String,
    /// The caller's user id.
    user: u32,
    /// The user id of plugins outside of their namespace.
    sandbox_user: Option<u32>,
    landlock_abi: Option<u32>,
    load_by: Option<LoadBy>,
    memory: Option<LimitedBy>,
    /// What runs scripts in Python, or why nothing does.
    python: String,
    /// Installed plugins whose scripts nothing runs any more, or something else.
    scripts: Vec<ScriptReport>,
    steps: Vec<StepReport>,
    acts: Vec<Probe>,
    /// What was tried in the sandbox of programs that plugins run.
    program_acts: Vec<Probe>,
    /// What scripts and a granted program tried, each in a sandbox of its own.
    engines: Vec<EngineReport>,
    store: Vec<HealthCheck>,
    failure: Option<FailureReport>,
}

/// What this machine offers: see SECURITY.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Offer {
    Full,
    Reduced,
    Refused,
}

#[derive(Debug, Serialize)]
struct StepReport {
    step: Stage,
    words: &'static str,
    outcome: Outcome,
    detail: String,
}

#[derive(Debug, Serialize)]
struct ScriptReport {
    plugin: PluginName,
    change: String,
}

/// What one kind of engine tried: an interpreter that took a worker's place, or a program that was granted.
#[derive(Debug, Serialize)]
struct EngineReport {
    engine: &'static str,
    state: EngineState,
    /// Its program, and its version where that is known.
    found: Option<String>,
    /// Why it tried nothing, or not everything.
    reason: Option<String>,
    acts: Vec<Probe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum EngineState {
    /// All was refused.
    Held,
    /// It is not on this machine.
    Absent,
    /// It does not run, or something was not refused.
    Failed,
    /// The full sandbox cannot be built, so none of the kind runs.
    NotTried,
}

/// Why no plugin can run.
#[derive(Debug, Serialize)]
struct FailureReport {
    code: &'static str,
    /// The engine that it is about; none where it is about all plugins.
    engine: Option<&'static str>,
    step: Option<Stage>,
    reason: String,
    cure: Option<String>,
}

pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let (offer, lacks, examination) = examined(session);
    let (offer, examination, engines, engine) = tried(offer, examination);
    let Examination { steps, acts, program_acts, sandbox_user, landlock_abi, load_by, limited_by, failure } =
        &examination;
    let report = Report {
        level: offer,
        lacks,
        kernel: kernel(),
        user: nix::unistd::getuid().as_raw(),
        sandbox_user: *sandbox_user,
        landlock_abi: *landlock_abi,
        load_by: *load_by,
        memory: *limited_by,
        python: python(),
        scripts: scripts(session),
        steps: steps.iter().map(StepReport::of).collect(),
        acts: acts.clone(),
        program_acts: program_acts.clone(),
        engines,
        store: health(session.place(), session.has_system()),
        failure: failure.as_ref().map(|failure| FailureReport::of(failure, engine, steps)),
    };
    let code = failure.as_ref().map_or(Code::SandboxUnavailable, code_of);
    session.out.report(&report, |report| text(report, &session.out))?;
    if let Some(FailureReport { reason, cure, .. }) = report.failure {
        return Err(Failure::new(code, reason, cure));
    }
    let wrong = report.store.into_iter().find_map(|check| Some((check.code?, check.found, check.help)));
    wrong.map_or(Ok(()), |(code, found, help)| Err(Failure::new(code, found, help)))
}

/// What runs scripts in Python. Without it all other plugins run.
fn python() -> String {
    match Python::find() {
        Ok(python) => safe_line(&format!("{} ({})", python.version, python.program.display())),
        Err(error) => safe_line(&format!("none: {error}")),
    }
}

fn scripts(session: &Session) -> Vec<ScriptReport> {
    let place = session.place().map(|place| script_changes(place, session.has_system()));
    let changes = place.unwrap_or_default();
    changes.into_iter().map(|(plugin, change)| ScriptReport { plugin, change }).collect()
}

/// What can be built: the full sandbox, or where that fails and the policy allows it, the reduced one.
fn examined(session: &Session) -> (Offer, Option<String>, Examination) {
    let full = examine(Level::Full);
    let Some(failure) = &full.failure else { return (Offer::Full, None, full) };
    let lacks = failure.lacks_full().filter(|_| session.place().is_ok_and(allows_reduced)).map(ToString::to_string);
    if lacks.is_some() {
        let reduced = examine(Level::Reduced);
        if reduced.failure.is_none() {
            // The steps of the full one say what is missing.
            return (Offer::Reduced, lacks, Examination { steps: full.steps, ..reduced });
        }
    }
    (Offer::Refused, None, full)
}

/// What scripts and programs tried, and what follows for the whole; the engine that failed, if one did.
fn tried(offer: Offer, examination: Examination) -> (Offer, Examination, Vec<EngineReport>, Option<&'static str>) {
    if offer != Offer::Full {
        let engines = ["python", "bash", "program"].map(EngineReport::not_tried).into();
        return (offer, examination, engines, None);
    }
    let (mut engines, mut first) = (Vec::new(), None);
    for Trial { engine, found, acts, problem } in try_engines(&LauncherSpec::default()) {
        let reason = problem.as_ref().map(|problem| match problem {
            TrialProblem::Absent(error) => safe_line(&error.to_string()),
            TrialProblem::Failed(error) => safe_line(&error.to_string()),
        });
        let state = match problem {
            None => EngineState::Held,
            Some(TrialProblem::Absent(_)) => EngineState::Absent,
            Some(TrialProblem::Failed(error)) => {
                first = first.or(Some((engine, error)));
                EngineState::Failed
            }
        };
        engines.push(EngineReport { engine, state, found, reason, acts });
    }
    match first {
        None => (offer, examination, engines, None),
        Some((engine, error)) => (Offer::Refused, examination.failing(error), engines, Some(engine)),
    }
}

/// What cannot be read allows nothing; it is told with the rest of the home directory.
fn allows_reduced(place: &Path) -> bool {
    Home::open(place).and_then(|home| home.policy()).is_ok_and(|policy| policy.allows_reduced())
}

/// The release of the running kernel.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    safe_line(release.trim())
}

/// Whatever it is, it leaves no sandbox.
fn code_of(error: &SandboxError) -> Code {
    Some(error.code()).filter(|code| code.exit() == Exit::Refused).unwrap_or(Code::SandboxUnavailable)
}

impl StepReport {
    fn of(Step { stage, outcome, detail }: &Step) -> Self {
        Self { step: *stage, words: stage.words(), outcome: *outcome, detail: detail.clone() }
    }
}

impl EngineReport {
    fn not_tried(engine: &'static str) -> Self {
        let reason =
            Some("the full sandbox cannot be built, and there is no other for scripts and programs".to_owned());
        Self { engine, state: EngineState::NotTried, found: None, reason, acts: Vec::new() }
    }
}

impl FailureReport {
    fn of(error: &SandboxError, engine: Option<&'static str>, steps: &[Step]) -> Self {
        let failed = steps.iter().find(|step| step.outcome == Outcome::Failed);
        Self {
            code: code_of(error).as_str(),
            engine,
            step: failed.map(|step| step.stage),
            reason: engine.map_or_else(|| error.to_string(), |engine| format!("{engine}: {error}")),
            cure: error.help(),
        }
    }
}

fn text(report: &Report, out: &Out) -> String {
    let level = match report.level {
        Offer::Full => "full: every plugin can run, within its grants",
        Offer::Reduced => "reduced: plugins can run that hold no more than task_read, task_write and env_vars",
        Offer::Refused if report.acts.is_empty() => "refused: no plugin can run",
        Offer::Refused => "refused: not every plugin can run",
    };
    let load_by = report.load_by.map(|load_by| match load_by {
        LoadBy::Procfs => "through procfs".to_owned(),
        LoadBy::Copy => "from a copy of each worker".to_owned(),
    });
    let facts = [
        ("level", Some(level.to_owned())),
        ("lacks", report.lacks.clone()),
        ("kernel", Some(report.kernel.clone())),
        ("user", Some(report.user.to_string())),
        ("plugin user", report.sandbox_user.map(|user| user.to_string())),
        ("landlock", report.landlock_abi.map(|version| format!("version {version}"))),
        ("loading", load_by),
        ("python", Some(report.python.clone())),
        ("memory", report.memory.map(|memory| format!("limited by {memory}"))),
    ];
    let facts = facts.into_iter().filter_map(|(head, value)| Some([head.to_owned(), value?, String::new()]));
    let steps = report.steps.iter().map(|step| [word(step.outcome), step.words.to_owned(), step.detail.clone()]);
    let store = report.store.iter().map(|check| {
        let word = if check.code.is_none() { "ok" } else { "wrong" };
        [word.to_owned(), check.what.to_owned(), check.found.clone()]
    });
    let scripts = report.scripts.iter().map(|script| [script.plugin.to_string(), script.change.clone(), String::new()]);
    let sections = [
        section(out, "Sandbox", facts),
        section(out, "Steps", steps),
        section(out, "What a sandboxed process tried", report.acts.iter().map(act_line)),
        section(out, "What a sandboxed program tried", report.program_acts.iter().map(act_line)),
    ];
    let engines = report.engines.iter().map(|engine| engine_section(engine, out));
    let last = [section(out, "Home", store), section(out, "Scripts", scripts)];
    let sections = sections.into_iter().chain(engines).chain(last);
    sections.flatten().collect::<Vec<_>>().join("\n")
}

fn act_line(act: &Probe) -> [String; 3] {
    let outcome = if act.refused { act.outcome.clone() } else { format!("NOT REFUSED: {}", act.outcome) };
    [layer(act), act.act.clone(), outcome]
}

fn engine_section(report: &EngineReport, out: &Out) -> Option<String> {
    let who = match report.engine {
        "python" => "a script in Python",
        "bash" => "a script in Bash",
        _ => "a granted program",
    };
    let found = report.found.as_ref().map(|found| format!(": {found}")).unwrap_or_default();
    let word = match report.state {
        EngineState::Held => "held",
        EngineState::Absent => "absent",
        EngineState::Failed => "FAILED",
        EngineState::NotTried => "not tried",
    };
    let reason = report.reason.iter().map(|reason| [word.to_owned(), reason.clone(), String::new()]);
    section(out, &format!("What {who} tried{found}"), reason.chain(report.acts.iter().map(act_line)))
}

/// Lines of three columns below a heading; nothing where there are none.
fn section(out: &Out, title: &str, lines: impl Iterator<Item = [String; 3]>) -> Option<String> {
    let lines = lines.map(|[head, what, more]| {
        let line = format!("  {head:<13}{what:<30}{more}");
        format!("{}\n", display_safe(line.trim_end(), LINE_CELLS))
    });
    let lines: String = lines.collect();
    (!lines.is_empty()).then(|| format!("{}\n{lines}", out.heading(title)))
}

fn word(outcome: Outcome) -> String {
    let word = match outcome {
        Outcome::Ok => "ok",
        Outcome::Replaced => "replaced",
        Outcome::Failed => "FAILED",
        Outcome::NotTried => "not tried",
    };
    word.to_owned()
}

fn layer(act: &Probe) -> String {
    use crate::wire::Layer;
    let name = match act.layer {
        Layer::Namespaces => "namespaces",
        Layer::Rlimits => "rlimits",
        Layer::Privileges => "privileges",
        Layer::Landlock => "landlock",
        Layer::Seccomp => "seccomp",
    };
    name.to_owned()
}

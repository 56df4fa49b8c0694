//! Rows of scripts: a warm Python against a bare one, and against a new one for each call.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use migraine_host::runtime::Python;
use migraine_host::sandbox::{CallLimits, Worker, seal_code};
use migraine_host::wire::{Kind, LauncherSpec, Rlimits, ScriptLoadBody, WorkerSpec, bundle};
use serde_json::{Value, json};

use super::sandbox::{Silent, context, launcher};
use super::{Row, nothing};
use crate::project::Project;

/// The handler, as an author writes it.
const HANDLER: &str = "def f(config, context):\n    return {'status': 'success', 'output': context['output'][:9]}\n";
/// What serves it without a sandbox: a line of JSON asks, a line of JSON answers.
const SERVE: &str = "import sys, json\nread, write = sys.stdin.buffer.readline, sys.stdout.buffer\n\
    while line := read():\n    write.write(json.dumps(f({}, json.loads(line))).encode() + b'\\n')\n    write.flush()\n";
/// Output that the event carries, in bytes.
const OUTPUT: usize = 100;
/// Warm calls that are measured against one new interpreter.
const CALLS: u8 = 50;

/// A Python with the handler; isolated as ours is.
fn bare(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-S", "-B", "-c", &format!("{HANDLER}{SERVE}")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

struct Lines {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    line: String,
}

impl Lines {
    fn open(python: &Path) -> Result<Self> {
        let mut child = bare(python).spawn()?;
        let output = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { input: child.stdin.take(), child, output, line: String::new() })
    }

    fn ask(&mut self, question: &Value) -> Result<()> {
        let line = format!("{question}\n");
        self.input.as_mut().context("closed")?.write_all(line.as_bytes())?;
        self.line.clear();
        self.output.read_line(&mut self.line)?;
        check(self.line.as_bytes())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

fn check(answer: &[u8]) -> Result<()> {
    let answer: Value = serde_json::from_slice(answer)?;
    if answer["output"] == "ooooooooo" { Ok(()) } else { bail!("the handler answered {answer}") }
}

/// A sealed Python with the handler.
fn sealed(python: &Python) -> Result<Worker> {
    let interpreter = Some(python.interpreter()?);
    let launcher: Arc<_> = launcher(&LauncherSpec { interpreter, ..LauncherSpec::default() })?;
    let files = seal_code(&bundle([("main.py", HANDLER.as_bytes())]))?;
    let spec = WorkerSpec { rlimits: Rlimits::SCRIPT, receives_descriptors: false, reads_input: false };
    let mut worker = launcher.spawn(&spec, &files, Arc::new(|_| ()))?;
    let body = ScriptLoadBody {
        plugin: "bench".to_owned(),
        config: std::collections::BTreeMap::new(),
        permissions: Vec::new(),
        environment: Vec::new(),
        directory: None,
        handlers: vec![Some(("main".to_owned(), "f".to_owned()))],
    };
    worker.load_with(&serde_json::to_vec(&body)?, &CallLimits::default(), &mut Silent)?;
    Ok(worker)
}

fn warm(python: &Python) -> Result<impl FnMut() -> Result<()> + use<>> {
    let mut worker = sealed(python)?;
    let mut context = context();
    context.output = Some(vec![b'o'; OUTPUT]);
    context.output_size = Some(u64::try_from(OUTPUT)?);
    let limits = CallLimits::default();
    Ok(move || {
        let body = serde_json::to_vec(&context)?;
        let raw = context.output.as_deref().unwrap_or_default();
        check(&worker.call(Kind::Hook, &body, raw, &limits, &mut Silent)??)
    })
}

fn question() -> Result<Value> {
    let mut question = serde_json::to_value(context())?;
    question["output"] = json!("o".repeat(OUTPUT));
    question["plugin_config"] = json!({});
    Ok(question)
}

/// A warm hook.
pub(super) fn python_hook(_: &Project) -> Result<Row> {
    let python = Python::find()?;
    let ours = warm(&python)?;
    let (mut lines, question) = (Lines::open(&python.program)?, question()?);
    Ok(Row {
        name: "python-hook",
        about: "a warm Python hook, sealed; reference: a bare persistent python3 reading lines of JSON".to_owned(),
        ours: Box::new(ours),
        reference: Box::new(move || lines.ask(&question)),
        settle: nothing(),
        target: 1.3,
        rounds: 10_000,
    })
}

/// The same against an interpreter for each call. Each of our samples is many calls, since a new interpreter leaves the
/// processor's caches full of its own start: a single call after it would measure that.
pub(super) fn python_fresh(_: &Project) -> Result<Row> {
    let python = Python::find()?;
    let (mut ours, question, program) = (warm(&python)?, question()?, python.program);
    Ok(Row {
        name: "python-fresh",
        about: format!("{CALLS} calls of a warm Python hook, sealed; reference: one call of a new bare python3"),
        ours: Box::new(move || (0..CALLS).try_for_each(|_| ours())),
        reference: Box::new(move || Lines::open(&program)?.ask(&question)),
        settle: nothing(),
        target: f64::from(CALLS) / 200.0,
        rounds: 100,
    })
}

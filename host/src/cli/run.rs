//! `migraine run`: finds a workflow, runs it and shows what happens.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use jiff::Timestamp;
use migraine_plugin_api::Timeout;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::args::timeout;
use crate::code::{Code, Coded, Exit};
use crate::hooks::{Catalogue, HookCaller, HookError, HookReport, Outcome, Registry, Subscriber};
use crate::text::{json_safe, safe_line};
use crate::workflow::{
    CommandReport, CommandStatus, Reporter, RunReport, RunRequest, Section, Sources, Started, Status, Streams,
    Variables, Workflow, WorkflowError, discover, env_file, find_shell, names_in_use, parse_flag, run,
};

/// Run a workflow: its pre-checks, then its steps
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RunArgs {
    /// A workflow's name or file; without it the project file is run
    pub workflow: Option<String>,
    /// Give a variable a value
    #[arg(short = 'v', long = "var", value_name = "KEY=VALUE")]
    pub variables: Vec<String>,
    /// Run this action instead of the steps; may be given several times
    #[arg(short = 'a', long = "action", value_name = "NAME")]
    pub actions: Vec<String>,
    /// Refuse to run where the installed plugins are not exactly those of `migraine.lock` in this directory
    #[arg(long)]
    pub locked: bool,
    /// Let every command keep the terminal; hooks then see no output
    #[arg(long)]
    pub no_capture: bool,
    /// The most time a plugin's hook may take, in seconds, or `none` [default: 30, or more where the hook runs a command
    /// that was granted more, up to the policy's cap]
    #[arg(long, value_name = "SECONDS", value_parser = timeout)]
    pub hook_timeout: Option<Timeout>,
}

/// Why a workflow was not started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The workflow, its file or the arguments.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The subscriptions of a plugin.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The process has not what a run needs.
    #[error("cannot prepare the run: {0}")]
    Io(#[from] io::Error),
}

impl Coded for RunError {
    fn code(&self) -> Code {
        match self {
            Self::Workflow(error) => error.code(),
            Self::Hook(error) => error.code(),
            Self::Io(_) => Code::Io,
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Workflow(error) => error.help(),
            Self::Hook(error) => error.help(),
            Self::Io(_) => None,
        }
    }
}

/// Runs a workflow in the current directory with the hooks of the given plugins. With `json` the report is one line of
/// JSON on standard output and the commands' own output goes to standard error. `interrupted` is set by the program's
/// handler of SIGINT. A run that failed has said so; the result is what the program ends with.
///
/// # Errors
/// Nothing was run: see [`RunError`].
pub fn run_workflow(
    args: &RunArgs,
    json: bool,
    subscribers: Vec<Subscriber>,
    caller: &mut dyn HookCaller,
    interrupted: &AtomicBool,
) -> Result<Exit, RunError> {
    let folder = std::env::current_dir()?;
    let registry = Registry::new(Catalogue::migraine(), subscribers)?;
    let mut flags = BTreeMap::new();
    for flag in &args.variables {
        let (key, value) = parse_flag(flag)?;
        flags.insert(key, value);
    }
    let found = discover(&folder, args.workflow.as_deref())?;
    let variables = resolve(&folder, &found.workflow, args, &flags)?;
    let streams = streams(json)?;
    let mut reporter: Box<dyn Reporter> = if json {
        Box::new(JsonReporter { out: Box::new(io::stdout()) })
    } else {
        Box::new(TextReporter { out: Box::new(io::stdout()), errors: Box::new(io::stderr()) })
    };
    let request = RunRequest {
        workflow: &found.workflow,
        path: &found.path,
        warnings: &found.warnings,
        id: &new_id()?,
        actions: &args.actions,
        variables: &variables,
        shell: &find_shell(std::env::var_os("SHELL")),
        streams: &streams,
        capture: !args.no_capture,
        clock: &Timestamp::now,
        interrupted,
    };
    Ok(run(&request, &registry, caller, reporter.as_mut()).exit())
}

fn resolve(
    folder: &Path,
    workflow: &Workflow,
    args: &RunArgs,
    flags: &BTreeMap<String, String>,
) -> Result<Variables, WorkflowError> {
    let file = if workflow.use_vault { None } else { env_file::find(folder, &workflow.name) };
    let env_file = file.map_or_else(|| Ok(BTreeMap::new()), |path| env_file::read(&path))?;
    let mut sources =
        Sources { flags, environment: &|name| std::env::var(name).ok(), env_file: &env_file, ask: &mut ask };
    Variables::resolve(workflow, &names_in_use(workflow, &args.actions), &mut sources)
}

/// Asks on a terminal only: anywhere else the input belongs to the commands. A secret is not shown while it is typed.
fn ask(name: &str, is_secret: bool) -> Option<String> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let mut errors = io::stderr();
    write!(errors, "{}: ", safe_line(name)).and_then(|()| errors.flush()).ok()?;
    let mut line = String::new();
    let unseen = if is_secret { Some(Unseen::new()?) } else { None };
    io::stdin().lock().read_line(&mut line).ok()?;
    if unseen.is_some() {
        // The line feed that was typed is not seen either.
        writeln!(errors).ok()?;
    }
    Some(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// The terminal on standard input does not show what is typed, until this is dropped (termios(3)).
struct Unseen(Termios);

impl Unseen {
    fn new() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &unseen).ok()?;
        Some(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// The process's own streams. A closed one is replaced by `/dev/null`, so that commands do not get its number for
/// something else.
fn streams(json: bool) -> io::Result<Streams> {
    let null = || File::options().read(true).write(true).open("/dev/null").map(Into::into);
    let errors = || io::stderr().as_fd().try_clone_to_owned().or_else(|_| null());
    let stdout = if json { errors() } else { io::stdout().as_fd().try_clone_to_owned().or_else(|_| null()) };
    Ok(Streams {
        stdin: io::stdin().as_fd().try_clone_to_owned().or_else(|_| null())?,
        stdout: stdout?,
        stderr: errors()?,
    })
}

fn new_id() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(crate::ids::to_hex(&bytes))
}

/// Lines for people. A terminal that is gone is no reason to stop a deployment in its middle, so errors of writing are
/// passed over.
struct TextReporter<'a> {
    out: Box<dyn Write + 'a>,
    errors: Box<dyn Write + 'a>,
}

impl TextReporter<'_> {
    /// Flushed at once: commands write to the same terminal without our buffer.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    fn error_line(&mut self, text: &str) {
        let _ = writeln!(self.errors, "{text}").and_then(|()| self.errors.flush());
    }
}

impl Reporter for TextReporter<'_> {
    fn started(&mut self, run: &Started<'_>) {
        self.line(&format!("WORKFLOW {}", safe_line(run.workflow)));
        if !run.description.trim().is_empty() {
            self.line(&format!("  {}", safe_line(run.description.trim())));
        }
        self.line(&format!("  started {} (run {})", run.start_time, run.id));
    }

    fn section(&mut self, section: Section) {
        self.line(match section {
            Section::PreChecks => "\nPRECHECKS",
            Section::Steps => "\nSTEPS",
            Section::Actions => "\nACTIONS",
        });
    }

    fn command_started(&mut self, label: &str) {
        self.line(&format!("> {}", safe_line(label)));
    }

    fn command_ended(&mut self, report: &CommandReport) {
        let name = safe_line(&report.name);
        let took = took(report.duration);
        self.line(&match (report.status, report.exit_code) {
            (CommandStatus::Ok, _) => format!("  ok {name} ({took})"),
            (CommandStatus::Failed, Some(code)) => format!("  fail {name} (exit code {code}, {took})"),
            (CommandStatus::Failed, None) => format!("  fail {name} (not started)"),
            (CommandStatus::Refused, _) => format!("  refused {name}"),
        });
    }

    fn hook(&mut self, event: &str, report: &HookReport) {
        let plugin = report.plugin.as_str();
        let message = report.message.as_deref().map(safe_line);
        match (&report.outcome, message) {
            (Outcome::Succeeded, Some(message)) => self.line(&format!("  [{plugin}] {message}")),
            (Outcome::Succeeded, None) => {}
            (Outcome::Failed { code, help }, message) if report.warn => {
                let message = message.unwrap_or_else(|| "no reason given".to_owned());
                let event = safe_line(event);
                self.error_line(&format!("warning: plugin {plugin}, {event}: {message} ({code})"));
                if let Some(help) = help {
                    self.error_line(&format!("  help: {}", safe_line(help)));
                }
            }
            // Told by the end of the run, or ignored because its subscription says so.
            (Outcome::Failed { .. }, _) => {}
        }
        for note in &report.notes {
            self.error_line(&format!("warning: plugin {plugin}, {}: {note}", safe_line(event)));
        }
    }

    fn warning(&mut self, text: &str) {
        self.error_line(&format!("warning: {}", safe_line(text)));
    }

    fn finished(&mut self, report: &RunReport) {
        self.line("\nSUMMARY");
        self.line(&format!("  status     {}", report.status.as_str()));
        self.line(&format!("  duration   {}", took(report.duration)));
        let checks = report.pre_checks;
        self.line(&format!("  prechecks  {} passed, {} failed, {} in all", checks.passed, checks.failed, checks.total));
        self.line(&format!("  steps      {} of {} done", report.steps.done, report.steps.total));
        if let Some(failure) = &report.error {
            let word = if report.status == Status::Interrupted { "interrupted" } else { "error" };
            self.error_line(&format!("{word}: {} ({})", failure.message, failure.code));
            if let Some(help) = &failure.help {
                self.error_line(&format!("  help: {help}"));
            }
        }
    }
}

/// Nothing while the run goes on; the whole report at its end.
struct JsonReporter<'a> {
    out: Box<dyn Write + 'a>,
}

impl Reporter for JsonReporter<'_> {
    fn started(&mut self, _: &Started<'_>) {}
    fn section(&mut self, _: Section) {}
    fn command_started(&mut self, _: &str) {}
    fn command_ended(&mut self, _: &CommandReport) {}
    fn hook(&mut self, _: &str, _: &HookReport) {}
    fn warning(&mut self, _: &str) {}

    fn finished(&mut self, report: &RunReport) {
        let text = serde_json::to_string(report).expect("a report has text keys only");
        // As above: a reader that left does not undo what was done.
        let _ = writeln!(self.out, "{}", json_safe(&text)).and_then(|()| self.out.flush());
    }
}

fn took(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        return format!("{} ms", duration.as_millis());
    }
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests;

//! The only place that writes to standard output and standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use super::{Failure, Format};
use crate::code::Code;
use crate::store::Status;
use crate::sys::ulimit::behind_error;
use crate::text::{display_safe, json_safe};

/// The most cells of one line of what a plugin says meanwhile.
const LINE_CELLS: usize = 2000;
/// What the host says of a plugin: what it refused or did, and what a call used.
const HOST_KINDS: [&str; 2] = ["host", "used"];
/// The most cells of one line of an error: more than any line has that consent is asked for, which must be seen whole.
const ERROR_CELLS: usize = 32 * 1024;

/// Writes results, warnings and errors.
#[derive(Debug, Clone)]
pub struct Out {
    format: Format,
    /// Symbols: on a terminal that can show them.
    symbols: bool,
    /// Colours: on a terminal, unless `NO_COLOR` is set.
    colours: bool,
    /// Columns of the terminal that standard output is.
    columns: Option<u16>,
}

impl Out {
    /// Writes in a format; `utf8` and `no_color` are what the environment says.
    #[must_use]
    pub fn new(format: Format, utf8: bool, no_color: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        let columns = terminal_size::terminal_size_of(io::stdout()).map(|(columns, _)| columns.0);
        Self { format, symbols: terminal && utf8, colours: terminal && !no_color, columns }
    }

    /// As on a pipe, wherever the tests run.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { format: Format::Text, symbols: false, colours: false, columns: None }
    }

    /// Columns of the terminal that standard output is; `None` when it is none.
    pub(super) fn columns(&self) -> Option<u16> {
        self.columns
    }

    /// Whether results are written as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Text on standard output, as it is.
    pub(super) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| {
            if text.ends_with('\n') { out.flush() } else { out.write_all(b"\n").and_then(|()| out.flush()) }
        });
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::new(Code::Io, format!("cannot write to standard output: {error}"), behind_error(&error)),
        })
    }

    /// A report: as JSON, or as the text that is made from it.
    pub(super) fn report<T: Serialize>(&self, report: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.text(&text(report)),
            Format::Json => {
                let json = serde_json::to_string_pretty(report);
                let json = json.map_err(|error| Failure::new(Code::Io, format!("cannot write JSON: {error}"), None))?;
                self.text(&json_safe(&json))
            }
        }
    }

    /// A line that says that something was done.
    pub(super) fn done(&self, text: &str) -> String {
        if self.symbols { format!("✅ {text}") } else { text.to_owned() }
    }

    /// A status with its symbol.
    pub(super) fn status(&self, status: Status) -> String {
        let symbol = match status {
            Status::Enabled => "✅",
            Status::Disabled => "⛔",
            Status::Installed => "📦",
            Status::Discovered => "🔍",
            Status::Error => "❌",
            Status::Quarantined => "🚫",
        };
        if self.symbols { format!("{symbol} {status}") } else { status.to_string() }
    }

    /// A headline.
    pub(super) fn heading(&self, text: &str) -> String {
        if self.colours { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What happens meanwhile, on standard error, for people.
    pub(super) fn note(&self, text: &str) {
        if self.format == Format::Text {
            self.error_line(&safe(text, LINE_CELLS));
        }
    }

    /// A warning on standard error. With JSON, reports hold the warnings.
    pub(super) fn warning(&self, text: &str) {
        if self.format == Format::Text {
            self.error_line(&format!("warning: {}", safe(text, LINE_CELLS)));
        }
    }

    /// What a plugin said besides its answers, or the host of it: a line for people, an object for programs.
    pub(super) fn aside(&self, plugin: &str, kind: &str, text: &str) {
        if self.format == Format::Json {
            return self.error_json(&json!({"plugin": plugin, "kind": kind, "message": text}));
        }
        // No line of a plugin's begins with anything but its name: the host's own are known by their first word.
        if HOST_KINDS.contains(&kind) {
            return self.error_line(&format!("{kind}: [{plugin}] {}", safe(text, LINE_CELLS)));
        }
        let kind = if kind == "output" { String::new() } else { format!("{kind}: ") };
        // Each line says whose it is: one that does not could pass for the host's own.
        for line in text.split('\n') {
            self.error_line(&format!("[{plugin}] {kind}{}", display_safe(line.trim_end_matches('\r'), LINE_CELLS)));
        }
    }

    /// An error on standard error.
    pub(super) fn failure(&self, failure: &Failure, verbose: bool) {
        let (code, message, help, trace) = match failure {
            Failure::BrokenPipe | Failure::Said(_) => return,
            Failure::Usage(text) => (Code::Usage, text, &None, &None),
            Failure::Error { code, message, help, trace } => (*code, message, help, trace),
        };
        if self.format == Format::Json {
            let exit = super::failure::number(failure.exit());
            let mut object = json!({"code": code.as_str(), "message": message, "help": help, "exit": exit});
            if verbose && let Some(trace) = trace {
                object["trace"] = json!(trace);
            }
            self.error_json(&object);
            return;
        }
        match failure {
            Failure::Usage(text) => self.error_line(&lines(text, ERROR_CELLS, "")),
            _ => self.error_line(&format!("{}: {}", self.error_mark(code), safe(message, ERROR_CELLS))),
        }
        if let Some(help) = help {
            self.error_line(&format!("  help: {}", safe(help, ERROR_CELLS)));
        }
        if verbose && let Some(trace) = trace {
            self.error_line(&safe(trace, LINE_CELLS));
        }
    }

    fn error_mark(&self, code: Code) -> String {
        let text = format!("error[{code}]");
        if self.colours && io::stderr().is_terminal() { format!("\x1b[1;31m{text}\x1b[0m") } else { text }
    }

    fn error_json(&self, object: &Value) {
        self.error_line(&json_safe(&object.to_string()));
    }

    /// Nothing can be done when standard error is gone.
    fn error_line(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Line by line safe on a terminal, whatever text went into it on its way. Only the first line begins where the host's own
/// lines do: the others could be somebody else's, made to look like one.
fn safe(text: &str, cells: usize) -> String {
    lines(text, cells, "    ")
}

fn lines(text: &str, cells: usize, indentation: &str) -> String {
    text.lines().map(|line| display_safe(line, cells)).collect::<Vec<_>>().join(&format!("\n{indentation}"))
}

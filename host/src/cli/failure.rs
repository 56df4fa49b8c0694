//! How a verb ends when it does not end well.

use crate::code::{Code, Coded, Exit};
use crate::sys::signal::first_noted;
use crate::sys::ulimit::behind_error;

/// Why a verb did not end well.
#[derive(Debug)]
pub enum Failure {
    /// An error with its stable code.
    Error {
        /// The code.
        code: Code,
        /// What failed and why.
        message: String,
        /// What to do next.
        help: Option<String>,
        /// The long trace, for `--verbose`.
        trace: Option<String>,
    },
    /// Arguments that make no sense; the text says how they should be and stands for itself.
    Usage(String),
    /// Whoever read the output has gone: nobody is left to tell.
    BrokenPipe,
    /// Everything was said already.
    Said(Exit),
}

impl Failure {
    /// An error without a type of its own.
    pub(super) fn new(code: Code, message: impl Into<String>, help: Option<String>) -> Self {
        Self::Error { code, message: message.into(), help, trace: None }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Error { code, .. } => code.exit(),
            Self::Usage(_) => Code::Usage.exit(),
            Self::BrokenPipe => Exit::Ok,
            Self::Said(exit) => *exit,
        }
    }
}

/// The number that the process ends with. Whoever waits for it learns which signal asked for the end, as from a shell: 128 + N.
pub(super) fn number(exit: Exit) -> u8 {
    let signal = if exit == Exit::Interrupted { first_noted() } else { None };
    signal.and_then(|signal| u8::try_from(128 + signal).ok()).unwrap_or_else(|| exit.number())
}

impl<E: Coded + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let help = error.help().or_else(|| behind_error(&error));
        Self::Error { code: error.code(), message: error.to_string(), help, trace: None }
    }
}

//! The command line: arguments become a request, the request a report, the report text or JSON. One file for each verb;
//! only `out` writes to the standard streams.
#![forbid(unsafe_code)]

mod args;
mod doctor;
mod download;
mod failure;
mod key;
mod out;
pub mod passphrase;
pub mod plugin;
mod prompt;
pub mod run;
mod session;
mod voice;
mod workflow;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use args::{Format, GlobalArgs};
pub use failure::Failure;
pub use out::Out;
pub use session::Session;

use crate::code::{Code, Exit};
use crate::sandbox::Launcher;
use crate::sys::signal::survive_large_files;
use crate::sys::ulimit::{LowLimit, too_low_to_begin};
use args::{Cli, Verb};

/// Runs the program with its arguments, the program's own name first; the result is what the process ends with.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    survive_large_files();
    let asked_json = wants_json(&args);
    if let Some(error) = too_low_to_begin() {
        return not_begun(error, asked_json);
    }
    if runs_plugin(&args) {
        Launcher::start_early();
    }
    let alone = args.len() < 2;
    let (session, done) = match Cli::try_parse_from(args) {
        Ok(cli) => {
            let session = Session::from_environment(&cli.global);
            let done = act(cli.verb, &session);
            (session, done)
        }
        Err(error) => {
            let format = if asked_json { Format::Json } else { Format::Text };
            let session = Session::from_environment(&GlobalArgs { format, verbose: false });
            let done = not_parsed(&error, alone, &session);
            (session, done)
        }
    };
    let exit = session.finish(done);
    Launcher::end_early();
    ExitCode::from(failure::number(exit))
}

/// Arguments are not read: that alone takes more stack than there is.
fn not_begun(error: LowLimit, asked_json: bool) -> ExitCode {
    let out = Out::new(if asked_json { Format::Json } else { Format::Text }, false, true);
    let failure = Failure::new(Code::UlimitLow, error.to_string(), Some(error.cure));
    out.failure(&failure, false);
    ExitCode::from(failure::number(failure.exit()))
}

fn act(verb: Verb, session: &Session) -> Result<(), Failure> {
    match verb {
        Verb::Run(args) => workflow::run(&args, session),
        Verb::Plugin(args) => plugin::run(args, session),
        Verb::Key(args) => key::run(args, session),
        Verb::Doctor => doctor::run(session),
    }
}

/// Whether a plugin is about to run, as far as it can be said without understanding the arguments, which takes as long as a
/// launcher's start.
fn runs_plugin(args: &[OsString]) -> bool {
    matches!(args, [_, verb, what, _, ..] if verb == "plugin" && what == "run")
}

/// Help and version were asked for, or the arguments make no sense.
fn not_parsed(error: &clap::Error, alone: bool, session: &Session) -> Result<(), Failure> {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => session.out.text(&text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if alone => session.out.text(&text),
        _ => Err(Failure::usage(text.trim_end())),
    }
}

/// The format of errors about arguments that cannot be read: what stands before the word from which on everything
/// belongs to a plugin is looked at, without understanding it.
fn wants_json(args: &[OsString]) -> bool {
    let mut words = args.iter().take_while(|word| *word != "--").peekable();
    while let Some(word) = words.next() {
        if word == "--format=json" || (word == "--format" && words.peek().is_some_and(|next| *next == "json")) {
            return true;
        }
    }
    false
}

/// Ends without a word: everything was said.
fn said(exit: Exit) -> Result<(), Failure> {
    if exit == Exit::Ok { Ok(()) } else { Err(Failure::Said(exit)) }
}

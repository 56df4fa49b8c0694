//! Typed arguments of commands, parsed with clap.

use std::fmt::Display;
use std::io::Write as _;
use std::str::FromStr;

use clap::ArgMatches;
use clap::builder::ValueParser;

use crate::command::CommandContext;
use crate::error::PluginError;

/// Parses a command's arguments; help is written to the caller and reported as done.
///
/// # Errors
/// A usage error with clap's text.
pub fn parse_args(command: clap::Command, context: &CommandContext) -> Result<Option<ArgMatches>, PluginError> {
    let width = usize::from(context.terminal_width());
    let argv = std::iter::once(context.command()).chain(context.args().iter().map(String::as_str));
    match command.term_width(width).try_get_matches_from(argv) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if !error.use_stderr() => {
            context.out().write_all(error.to_string().as_bytes())?;
            Ok(None)
        }
        Err(error) => {
            // The host writes the word `error` itself.
            let text = error.to_string();
            Err(PluginError::usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end()))
        }
    }
}

/// A type of a typed argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a command line",
    label = "not a type of an argument",
    note = "an argument implements `FromStr`, with an error that implements `Display`, and `Clone + Send + Sync + 'static`"
)]
pub trait Argument: Clone + Send + Sync + 'static {
    /// How a value is read from its text.
    fn parser() -> ValueParser;
}

// Without this the compiler lists the types that have `FromStr`.
#[diagnostic::do_not_recommend]
impl<T> Argument for T
where
    T: FromStr + Clone + Send + Sync + 'static,
    T::Err: Display,
{
    fn parser() -> ValueParser {
        ValueParser::new(|text: &str| text.parse::<T>().map_err(|error| error.to_string()))
    }
}

/// How a value is read from its text.
#[must_use]
pub fn parser<T: Argument>() -> ValueParser {
    T::parser()
}

/// A value that clap has made sure of.
///
/// # Errors
/// Never with a definition made by the macro.
pub fn required<T: Clone + Send + Sync + 'static>(matches: &mut ArgMatches, id: &str) -> Result<T, PluginError> {
    matches.remove_one(id).ok_or_else(|| PluginError::usage(format!("`{id}` is missing")))
}

/// All values of an argument.
pub fn many<T: Clone + Send + Sync + 'static>(matches: &mut ArgMatches, id: &str) -> Vec<T> {
    matches.remove_many(id).map(Iterator::collect).unwrap_or_default()
}

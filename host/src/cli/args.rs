//! The top of the command line, typed.

use clap::{Args, Parser, Subcommand, ValueEnum};

use migraine_plugin_api::Timeout;

use super::key::KeyArgs;
use super::plugin::PluginArgs;
use super::run::RunArgs;

/// Run YAML workflows, extended by sandboxed plugins
#[derive(Debug, Parser)]
#[command(name = "migraine", version, arg_required_else_help = true, subcommand_required = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct GlobalArgs {
    /// How results and errors are written
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Show more: plugins' own log lines and the traces behind errors
    #[arg(long, global = true)]
    pub verbose: bool,
}

/// How results and errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// The verbs of the program. A new one is added here and in `act`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    Run(RunArgs),
    /// Install, look after and call plugins
    #[command(arg_required_else_help = true)]
    Plugin(PluginArgs),
    /// Make signing keys and say which ones are trusted
    #[command(arg_required_else_help = true)]
    Key(KeyArgs),
    /// Say whether plugins can run on this machine, and if not, why and what to do
    Doctor,
}

/// A limit of time: seconds, or `none`.
pub(super) fn timeout(text: &str) -> Result<Timeout, String> {
    if text == "none" {
        return Ok(Timeout::None);
    }
    let seconds = text.parse().ok().filter(|&seconds| seconds > 0).map(Timeout::Seconds);
    seconds.ok_or_else(|| "it is a number of seconds, at least 1, or `none`".to_owned())
}

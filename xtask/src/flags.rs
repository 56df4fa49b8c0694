//! All flags of xtask.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use migraine_host::cli::passphrase::PassphraseArgs;

/// Development verbs of migraine
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check the rules that the compiler does not know: import ranks, unsafe placement, headers, sizes, words
    Tidy,
    /// Build a plugin crate, sign it and write the library, its signature and the package; or package scripts
    PackagePlugin(PackagePlugin),
    /// Show the whole way of a plugin, from its source to a hooked workflow, inside of target/
    Quickstart,
    /// Run every check, or one of them
    Test(Test),
    /// Measure against references, side by side in one run
    Bench(Bench),
    /// Make every listed attack under each choice of layers and print what became of it
    Attacks(Attacks),
    /// Stop every change of the store half-way, in every way, and see what is left
    CrashTest(CrashTest),
    /// Give every reader of foreign bytes inputs that reach new code, and look for crashes and broken promises
    Fuzz(Fuzz),
}

/// The time in the package is `SOURCE_DATE_EPOCH`, else that of the last commit that touched the source, else
/// 1980-01-01T00:00:00Z. The same sources, compiler and linker give the same bytes, whatever folder they are in.
/// README, LICENSE, CHANGELOG, config.example and the folder tests of a crate go in; of scripts, the whole folder.
#[derive(Args)]
pub(crate) struct PackagePlugin {
    /// The name of a package of this workspace, or the folder of a crate or of scripts
    #[arg(value_name = "SOURCE")]
    pub(crate) name: String,
    /// The secret key to sign with [default: developer.key in the migraine home, made on first use]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// The machine to build for; its toolchain must be installed [default: this one]
    #[arg(long, value_name = "TRIPLE")]
    pub(crate) target: Option<String>,
    /// Take a library that was built elsewhere instead of building one
    #[arg(long, value_name = "FILE")]
    pub(crate) library: Option<PathBuf>,
    /// Add the library to a package of the same version and key; all else in it stays
    #[arg(long, value_name = "FILE")]
    pub(crate) add_to: Option<PathBuf>,
    /// Where to write [default: plugins in the crate's target folder; of scripts, the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Also in the place of an earlier package of this version that holds something else. The crate's target folder holds
    /// what was built last in any case
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct Test {
    /// Run the tests of all example plugins only
    #[arg(long, conflicts_with_all = ["plugin", "suite"])]
    pub(crate) plugins: bool,
    /// Run the tests of one example plugin only
    #[arg(long, value_name = "NAME", conflicts_with = "suite")]
    pub(crate) plugin: Option<String>,
    /// One check (setup, fmt, clippy, tidy, tests, doc, doctests, deny, fuzz, quickstart) or one suite of the tests crate
    #[arg(value_name = "SUITE")]
    pub(crate) suite: Option<String>,
}

/// Fails where the matrix is not the one in tests/sandbox/matrix.txt.
#[derive(Args)]
pub(crate) struct Attacks {
    /// Write what was measured to that file; read the difference before it is checked in
    #[arg(long)]
    pub(crate) bless: bool,
}

/// The test command makes each kill as each user, and shares the errors between them; here every user meets everything.
#[derive(Args)]
pub(crate) struct CrashTest {
    /// Kills at random moments, for 1, 2 and 8 processes at a time each, and signals
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) random: u32,
    /// Only operations whose name holds this text
    #[arg(long, value_name = "OP")]
    pub(crate) only: Option<String>,
    /// Write how many points each operation has to tests/crash/points.txt; read the difference before it is checked in
    #[arg(long)]
    pub(crate) bless: bool,
}

/// New inputs are kept in target/fuzz/corpus, findings in target/fuzz/artifacts.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// A file of tests/fuzz/targets, without its ending [default: all of them]
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Check addresses as well; the first build takes twice as long
    #[arg(long)]
    pub(crate) asan: bool,
}

#[derive(Args)]
pub(crate) struct Bench {
    /// Print one JSON array instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Only rows whose name holds one of these texts
    #[arg(value_name = "ROW")]
    pub(crate) rows: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_are_consistent() {
        Flags::command().debug_assert();
        let refused = ["test --plugins fmt", "test --plugin a b", "test --plugins --plugin a", "package-plugin"];
        for line in refused {
            let argv = std::iter::once("xtask").chain(line.split(' '));
            assert!(Flags::try_parse_from(argv).is_err(), "{line}");
        }
    }
}

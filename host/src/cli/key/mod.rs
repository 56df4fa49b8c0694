//! `migraine key`: make signing keys, say whom to trust and whom not any more.

mod make;
mod text;
mod trust;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::passphrase::PassphraseArgs;
use super::{Failure, Session};
use crate::trust::{BadSince, Scope, Time, TrustError};

/// Arguments of `migraine key`.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// Act on the keyring of the system store, which counts for the plugins there; only root may
    #[arg(long, global = true)]
    system: bool,
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum KeyVerb {
    /// Make a signing key
    Generate(GenerateArgs),
    /// Take in a secret key in PEM, a rotation or a list of revoked keys
    Import(ImportArgs),
    /// List the keys that were trusted or revoked
    List,
    /// Show everything known of a key
    Show {
        /// Its fingerprint, the key itself, or a file of it
        #[arg(value_name = "KEY|FILE")]
        key: String,
    },
    /// Trust a public key for some plugin names
    Trust(TrustArgs),
    /// Forget a key
    Untrust {
        /// Its fingerprint, the key itself, or a file of it
        #[arg(value_name = "KEY|FILE")]
        key: String,
        /// Even if it was revoked, or signed a list that revokes others
        #[arg(long)]
        forget_revocation: bool,
    },
    /// Trust a key no more, or sign a list that tells others so
    Revoke(RevokeArgs),
    /// Sign a statement that another key takes a key's place
    Rotate(RotateArgs),
    /// Write a public key in PEM, as stock tools read it
    Export {
        /// Its fingerprint, the key itself, or a file of it or of its secret key
        #[arg(value_name = "KEY|FILE")]
        key: String,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// How a secret key is written.
#[derive(Debug, Args)]
struct SecretArgs {
    /// The file of the secret key, PKCS#8 in PEM [default: developer.key in the home directory of migraine]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not encrypt it: whoever reads the file can sign as you
    #[arg(long)]
    no_passphrase: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

#[derive(Debug, Args)]
struct GenerateArgs {
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// What was made elsewhere
    file: PathBuf,
    #[command(flatten)]
    secret: SecretArgs,
}

#[derive(Debug, Args)]
struct TrustArgs {
    /// The key, `ed25519-public:HEX`, or a file that holds it, in this form or in PEM
    #[arg(value_name = "KEY|FILE")]
    key: String,
    /// Your own note on whose key it is
    #[arg(long)]
    label: Option<String>,
    /// The plugin names it may sign: a name, a beginning and `*`, or `*` for any; may be given several times
    #[arg(long, required = true, value_name = "GLOB")]
    scope: Vec<Scope>,
    /// Until when something new may be installed: a day like 2027-01-31, or `forever` [default: two years from now]
    #[arg(long, value_name = "DAY", value_parser = trust::until)]
    until: Option<crate::manage::Until>,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// Fingerprints, keys, or files of keys; a list can be renewed without any
    #[arg(value_name = "KEY|FILE", required_unless_present = "list")]
    keys: Vec<String>,
    /// Since when they are bad: a day like 2027-01-31 [default: always]
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<Time>,
    /// Let installed plugins stay that were installed before that day
    #[arg(long, requires = "since", conflicts_with = "list")]
    keep_older: bool,
    /// Add them to this list for others and sign it anew, instead of revoking them here
    #[arg(long, value_name = "FILE", requires = "sign_with")]
    list: Option<PathBuf>,
    /// The secret key that signs the list
    #[arg(long, value_name = "FILE", requires = "list")]
    sign_with: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

impl RevokeArgs {
    fn since(&self) -> BadSince {
        self.since.map_or(BadSince::Always, BadSince::From)
    }
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// The secret key that is to be replaced
    #[arg(value_name = "OLD SECRET KEY FILE")]
    old: PathBuf,
    /// The public key that takes its place, or a file that holds it
    #[arg(value_name = "NEW KEY|FILE")]
    new: String,
    /// The plugin names that the new key may sign, at most
    #[arg(long, value_name = "GLOB", default_value = "*")]
    scope: Vec<Scope>,
    /// The file of the statement
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) fn run(args: KeyArgs, session: &Session) -> Result<(), Failure> {
    let of_system = args.system.then(|| session.of_system()).transpose()?;
    let session = of_system.as_ref().unwrap_or(session);
    match args.verb {
        KeyVerb::Generate(args) => make::generate(&args, session),
        KeyVerb::Import(args) => make::import(&args, session),
        KeyVerb::List => trust::list(session),
        KeyVerb::Show { key } => trust::show(&key, session),
        KeyVerb::Trust(args) => trust::trust(&args, session),
        KeyVerb::Untrust { key, forget_revocation } => trust::untrust(&key, forget_revocation, session),
        KeyVerb::Revoke(args) => match (&args.list, &args.sign_with) {
            (Some(list), Some(signer)) => make::list(list, signer, &args, session),
            _ => trust::revoke(&args, session),
        },
        KeyVerb::Rotate(args) => make::rotate(&args, session),
        KeyVerb::Export { key, passphrase } => make::export(&key, &passphrase, session),
    }
}

/// The beginning of a day, in UTC, or a moment.
fn day(text: &str) -> Result<Time, TrustError> {
    let moment = if text.len() == "2027-01-31".len() { &format!("{text}T00:00:00Z") } else { text };
    moment.parse().map_err(|_| TrustError::Malformed {
        object: format!("`{}`", text.chars().take(80).collect::<String>()),
        what: "day",
        reason: "a day is written like 2027-01-31".to_owned(),
    })
}

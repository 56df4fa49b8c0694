//! `migraine key`: make a signing key, trust somebody's, list the trusted ones.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::session::now;
use super::{Failure, Session};
use crate::code::Code;
use crate::ids::Fingerprint;
use crate::text::safe_line;
use crate::trust::keyring::{load_public, save_secret};
use crate::trust::{Keyring, PublicKey, Scope, SecretKey, TrustedKey, trust_command};

/// Arguments of `migraine key`.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Make a signing key
    Generate {
        /// The file of the secret key [default: developer.key in the home directory of migraine]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Trust a public key for some plugin names
    Trust {
        /// The key, `ed25519-public:HEX`, or a file that holds it
        #[arg(value_name = "KEY|FILE")]
        key: String,
        /// Your own note on whose key it is
        #[arg(long)]
        label: Option<String>,
        /// The plugin names it may sign: a name, a beginning and `*`, or `*` for any; may be given several times
        #[arg(long, required = true, value_name = "GLOB")]
        scope: Vec<Scope>,
    },
    /// List the trusted keys
    List,
}

#[derive(Serialize)]
struct KeyReport {
    fingerprint: Fingerprint,
    public_key: String,
    label: String,
    scope: Vec<String>,
    added: String,
}

#[derive(Serialize)]
struct GenerateReport {
    path: PathBuf,
    fingerprint: Fingerprint,
    public_key: String,
    trust_command: String,
}

pub(super) fn run(args: KeyArgs, session: &Session) -> Result<(), Failure> {
    match args.verb {
        KeyVerb::Generate { out } => generate(out, session),
        KeyVerb::Trust { key, label, scope } => trust(&key, label, &scope, session),
        KeyVerb::List => list(session),
    }
}

fn generate(out: Option<PathBuf>, session: &Session) -> Result<(), Failure> {
    let path = match out {
        Some(path) => path,
        None => session.home()?.path().join("developer.key"),
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::new(Code::Io, format!("cannot get random bytes: {error}"), None))?;
    let secret = SecretKey::from_seed(&seed);
    save_secret(&path, &secret)?;
    let public = secret.public();
    let report = GenerateReport {
        path,
        fingerprint: public.fingerprint(),
        public_key: public.to_string(),
        trust_command: trust_command(&public, "*"),
    };
    session.out.report(&report, |report| {
        format!(
            "{}\n  file         {} (NOT encrypted: whoever reads it can sign as you)\n  fingerprint  {}\n  public key   {}\nTo trust it on a machine, for any plugin name, run there:\n  {}\n",
            session.out.done("Signing key made"),
            safe_line(&report.path.to_string_lossy()),
            report.fingerprint,
            report.public_key,
            report.trust_command
        )
    })
}

fn trust(word: &str, label: Option<String>, scope: &[Scope], session: &Session) -> Result<(), Failure> {
    let key: PublicKey =
        if word.starts_with("ed25519-public:") { word.parse()? } else { load_public(Path::new(word))? };
    let home = session.home()?;
    // Two commands at the same time must not lose each other's scope.
    let _lock = home.writer()?;
    let keyring = Keyring::open(&home.keys_path())?;
    let known = keyring.load()?.find(&key).cloned();
    // What was trusted before stays trusted: the command for one plugin must not stop another.
    let (old_label, old_scope) = known.map(|known| (known.label, known.scope)).unzip();
    let short: String = key.fingerprint().to_string().chars().skip("ed25519:".len()).take(8).collect();
    let label = label.or(old_label).unwrap_or_else(|| format!("key {short}"));
    let scope = [old_scope.unwrap_or_default().as_slice(), scope].concat();
    let trusted = TrustedKey::new(key, &label, &scope, &now())?;
    keyring.add(&trusted)?;
    session.out.report(&report(&trusted), |report| {
        let text = format!("Key {} trusted for {}", report.fingerprint, trusted.scope_text());
        format!("{}\n", session.out.done(&text))
    })
}

fn list(session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    let keys = Keyring::load_from(&home.keys_path())?;
    let reports: Vec<KeyReport> = keys.iter().map(report).collect();
    session.out.report(&reports, |reports| {
        if reports.is_empty() {
            return "No key is trusted.\n".to_owned();
        }
        let lines = reports.iter().map(|key| {
            let (scope, label) = (key.scope.join(", "), safe_line(&key.label));
            format!("{}\n  label  {label}\n  scope  {scope}\n  added  {}\n", key.fingerprint, key.added)
        });
        lines.collect()
    })
}

fn report(key: &TrustedKey) -> KeyReport {
    KeyReport {
        fingerprint: key.fingerprint(),
        public_key: key.key.to_string(),
        label: key.label.clone(),
        scope: key.scope.iter().map(ToString::to_string).collect(),
        added: key.added.clone(),
    }
}

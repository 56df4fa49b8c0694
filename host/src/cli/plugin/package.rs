//! `plugin package`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::passphrase::PassphraseArgs;
use crate::cli::{Failure, Session};
use crate::code::Code;
use crate::manage::{PackageRequest, package};
use crate::text::{safe_line, safe_whole};
use crate::trust::keyring::load_secret;
use crate::trust::{SecretKey, trust_command};

/// When a package says that it was made, where nobody says otherwise: the same files give the same package.
const CREATED: &str = "1980-01-01T00:00:00Z";

#[derive(Debug, Args)]
pub(super) struct PackageArgs {
    /// The directory that holds the manifest of scripts, or the manifest itself
    dir: PathBuf,
    /// The file of the secret key [default: developer.key in the home directory of migraine]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The directory that the package is written to
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Also in the place of an earlier package of this version that holds something else
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(super) fn run(args: &PackageArgs, session: &Session) -> Result<(), Failure> {
    let key = load_key(args, session)?;
    let created = created(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    let request = PackageRequest { source: &args.dir, key: &key, out: &args.out, created: &created, force: args.force };
    let report = package(&request)?;
    session.out.report(&report, |report| {
        let what = if report.changed { "packaged" } else { "is packaged already, unchanged" };
        let done = session.out.done(&format!("Plugin '{}' {} {what}", report.name, report.version));
        let path = safe_line(&report.path.to_string_lossy());
        let mut text = format!("{done}\n  package    {path} ({} bytes)\n  digest     {}\n", report.size, report.digest);
        text.push_str(&format!("  signed by  {}\n", report.key));
        let mut lines = |head: &str, values: &[String]| {
            values.iter().for_each(|value| text.push_str(&format!("  {head:<11}{}\n", safe_whole(value))));
        };
        lines("asks for", &report.permissions);
        lines("file", &report.files);
        lines("left out", &report.left_out);
        let trust = trust_command(&key.public(), report.name.as_str());
        text.push_str(&format!("A machine that shall install it must trust the key:\n  {trust}\n"));
        text
    })
}

fn load_key(args: &PackageArgs, session: &Session) -> Result<SecretKey, Failure> {
    let path = match &args.key {
        Some(path) => path.clone(),
        None => session.home()?.path().join("developer.key"),
    };
    if args.key.is_none() && path.symlink_metadata().is_err() {
        let message = format!("there is no key to sign with: {} does not exist", safe_line(&path.to_string_lossy()));
        let help = "make one with `migraine key generate`, or name yours with --key FILE".to_owned();
        return Err(Failure::new(Code::FileNotFound, message, Some(help)));
    }
    args.passphrase.open(load_secret(&path)?, &path)
}

/// The time of `SOURCE_DATE_EPOCH`; a wrong wish must not pass silently.
fn created(epoch: Option<&str>) -> Result<String, Failure> {
    let Some(epoch) = epoch else { return Ok(CREATED.to_owned()) };
    let second = epoch.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    second.map(|time| time.to_string()).filter(|text| text.len() == CREATED.len()).ok_or_else(|| {
        let message = format!("SOURCE_DATE_EPOCH=`{}` is no number of seconds", safe_line(epoch));
        Failure::new(Code::ValueInvalid, message, Some("unset it, or set the seconds since 1970".to_owned()))
    })
}

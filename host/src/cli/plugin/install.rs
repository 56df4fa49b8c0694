//! `plugin install`.

use std::path::Path;

use super::audit::words;
use super::show::trust_line;
use super::{InstallArgs, lock};
use crate::cli::session::now;
use crate::cli::{Failure, Out, Session};
use crate::code::Code;
use crate::manage::{
    Allowed, Consenting, Download, Expected, InstallReport, InstallRequest, ManageError, Online, Source, Word,
    download, expected_digest, install,
};
use crate::store::{Home, Status, Trust};
use crate::text::safe_line;
use crate::url::Url;

pub(super) fn run(args: InstallArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    note_folder(&home, session);
    if args.locked || args.bundle.is_some() {
        return lock::install(&args, session);
    }
    if args.trust_locked_keys {
        return Err(Failure::usage("--trust-locked-keys goes with --locked or --bundle".to_owned()));
    }
    let [source] = args.path.as_slice() else {
        return Err(Failure::usage("one plugin is installed at a time; what it needs comes along".to_owned()));
    };
    // Before anything is asked or fetched.
    let project = args.lock.project(&home)?;
    let digest = args.expect_digest.as_deref().map(expected_digest).transpose()?;
    let word = Word::of(source)?;
    let typed = match &word {
        Word::Local(path) => path.display().to_string(),
        Word::Remote(url) => url.to_string(),
    };
    let source = match word {
        Word::Local(path) => Source::Local(path),
        Word::Remote(url) => Source::Remote(fetched(&url, &args, &home, session)?),
    };
    let request = InstallRequest {
        source,
        expected: Expected { digest, name: args.name, meant: args.yes_i_mean },
        is_dry_run: args.dry_run,
        allow_unsigned: args.allow_unsigned,
        trust_key: args.trust_key,
        allowed: Allowed { downgrade: args.allow_downgrade, reuse: args.allow_reuse },
        project,
        now: now(),
    };
    let act = |consenting: &mut Consenting<'_>| install(&home, &request, consenting);
    let report = if args.dry_run { args.consent.alone(&home, act) } else { args.consent.with(&home, act) }?;
    session.out.report(&report, |report| text(report, &session.out))?;
    remarks(&report, session);
    if report.status == Status::Installed {
        if let Some(why) = &report.followed.problem {
            session.out.warning(why);
        }
        let command = match report.dry_run {
            true => format!("migraine plugin install {}", safe_line(&typed)),
            false => format!("migraine plugin enable {}", report.name),
        };
        return Err(ManageError::Consent { name: report.name, missing: report.asks, other_maker: None, command }.into());
    }
    lock::behind(&report.followed)
}

/// What the user should know besides.
pub(super) fn remarks(report: &InstallReport, session: &Session) {
    if report.trust == Trust::Unsigned {
        session.out.warning(&format!("{} is not signed: nobody vouches for it", report.name));
    }
    for finding in report.findings.iter().filter(|finding| finding.is_shown_before_consent()) {
        session.out.warning(&words(finding));
    }
    report.warnings.iter().for_each(|warning| session.out.warning(warning));
    for key in &report.dropped_config {
        session.out.warning(&format!("the setting `{key}` is gone: version {} does not take it", report.version));
    }
}

/// The package at an address. For a dry run nothing of it is kept on the disk.
fn fetched(url: &Url, args: &InstallArgs, home: &Home, session: &Session) -> Result<Download, Failure> {
    let (settings, mut bar) = (args.download.settings(), args.download.bar(&session.out));
    let mut online = Online { settings: &settings, watch: &mut bar };
    let fetched = download(home, url, None, !args.dry_run, &mut online)?;
    fetched.ok_or_else(|| Failure::new(Code::DownloadFailed, format!("{url}: the server sent nothing"), None))
}

/// A project may come with a folder like the user's own. Who put it there may expect it to be read.
fn note_folder(home: &Home, session: &Session) {
    let folder = Path::new(".migraine");
    let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
    let is_own = folder.canonicalize().is_ok_and(|path| home.path().canonicalize().is_ok_and(|own| own == path));
    if !is_own && ["keys", "config", "policy.yaml"].into_iter().any(has) {
        session
            .out
            .warning("the folder .migraine in this directory is not read: nothing in a project says whom you trust");
    }
}

pub(super) fn text(report: &InstallReport, out: &Out) -> String {
    let InstallReport { name, version, .. } = report;
    let mut text = if report.dry_run {
        format!("Plugin '{name}' would be installed; nothing was changed\n")
    } else {
        out.done(&format!("Plugin '{name}' installed successfully\n"))
    };
    let replaced = report.replaced.as_ref().filter(|before| *before != version);
    let replaced = replaced.map(|before| format!(" (was {before})")).unwrap_or_default();
    text.push_str(&format!("  version    {version}{replaced}\n  signature  {}\n", trust_line(&report.trust)));
    if let Some(url) = &report.url {
        text.push_str(&format!("  from       {}\n", safe_line(url)));
    }
    text.push_str(&format!("  digest     {}\n", report.digest));
    text.push_str(&format!("  status     {}\n", report.status));
    for companion in &report.along {
        text.push_str(&format!("  along      {}\n", companion.words()));
    }
    for words in &report.granted {
        text.push_str(&format!("  may        {words}\n"));
    }
    text + &lock::line(&report.followed)
}

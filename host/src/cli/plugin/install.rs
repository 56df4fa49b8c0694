//! `plugin install`.

use std::path::Path;

use super::InstallArgs;
use super::audit::words;
use super::show::trust_line;
use crate::cli::session::now;
use crate::cli::{Failure, Out, Session};
use crate::manage::{Allowed, InstallReport, InstallRequest, ManageError, install};
use crate::store::{Home, Status, Trust};

pub(super) fn run(args: InstallArgs, session: &Session) -> Result<(), Failure> {
    let home = session.home()?;
    note_folder(&home, session);
    let request = InstallRequest {
        source: args.path,
        allow_unsigned: args.allow_unsigned,
        trust_key: args.trust_key,
        allowed: Allowed { downgrade: args.allow_downgrade, reuse: args.allow_reuse },
        now: now(),
    };
    let report = args.consent.with(&home, |consenting| install(&home, &request, consenting))?;
    session.out.report(&report, |report| text(report, &session.out))?;
    remarks(&report, session);
    if report.status == Status::Installed {
        let command = format!("migraine plugin enable {}", report.name);
        return Err(ManageError::Consent { name: report.name, missing: report.asks, command }.into());
    }
    Ok(())
}

/// What the user should know besides.
pub(super) fn remarks(report: &InstallReport, session: &Session) {
    if report.trust == Trust::Unsigned {
        session.out.warning(&format!("{} is not signed: nobody vouches for it", report.name));
    }
    for finding in &report.findings {
        session.out.warning(&words(finding));
    }
    report.warnings.iter().for_each(|warning| session.out.warning(warning));
    for key in &report.dropped_config {
        session.out.warning(&format!("the setting `{key}` is gone: version {} does not take it", report.version));
    }
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
    let mut text = out.done(&format!("Plugin '{name}' installed successfully\n"));
    let replaced = report.replaced.as_ref().filter(|before| *before != version);
    let replaced = replaced.map(|before| format!(" (was {before})")).unwrap_or_default();
    text.push_str(&format!("  version    {version}{replaced}\n  signature  {}\n", trust_line(&report.trust)));
    text.push_str(&format!("  status     {}\n", report.status));
    for words in &report.granted {
        text.push_str(&format!("  may        {words}\n"));
    }
    text
}

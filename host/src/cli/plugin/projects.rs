//! `plugin trust-project` and `plugin untrust-project`.

use std::path::Path;

use crate::cli::{Failure, Session};
use crate::manage::{ProjectReport, trust_project, untrust_project};
use crate::text::safe_line;

pub(super) fn trust(dir: &Path, session: &Session) -> Result<(), Failure> {
    let report = trust_project(&session.home()?, dir)?;
    session.out.report(&report, |report| {
        let ProjectReport { project, digest, known, plugins } = report;
        let shown = safe_line(&project.to_string_lossy());
        let done = match known {
            true => format!("The plugins of {shown} are trusted already\n"),
            false => format!("The plugins of {shown} are looked for from now on, as they are\n"),
        };
        let mut text = format!("{}  content  sha256:{digest}\n", session.out.done(&done));
        plugins.iter().for_each(|name| text.push_str(&format!("  plugin   {name}\n")));
        text + "None of them runs before it is installed: migraine plugin install NAME\n"
    })
}

pub(super) fn untrust(dir: &Path, session: &Session) -> Result<(), Failure> {
    let report = untrust_project(&session.home()?, dir)?;
    session.out.report(&report, |report| {
        let shown = safe_line(&report.project.to_string_lossy());
        session.out.done(&format!("The plugins of {shown} are looked for no more\n"))
    })
}

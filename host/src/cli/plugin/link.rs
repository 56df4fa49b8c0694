//! `plugin link` and `plugin unlink`.

use std::path::Path;

use super::ConsentArgs;
use super::audit::words;
use crate::cli::session::{now, plugin_name};
use crate::cli::{Failure, Session};
use crate::ids::PluginName;
use crate::manage::{self, LinkReport, ManageError};
use crate::store::Status;
use crate::text::safe_line;

pub(super) fn link(
    path: &Path,
    meant: Option<&PluginName>,
    consent: &ConsentArgs,
    session: &Session,
) -> Result<(), Failure> {
    let home = session.home()?;
    let report = consent.with(&home, |consenting| manage::link(&home, path, meant, &now(), consenting))?;
    session.out.report(&report, |report| {
        let LinkReport { name, version, path, digest, before, status, granted, .. } = report;
        let shown = safe_line(&path.to_string_lossy());
        let mut text = session.out.done(&format!("Plugin '{name}' linked successfully\n"));
        text.push_str(&format!("  version    {version}\n  signature  unsigned\n  linked to  {shown}\n"));
        text.push_str(&format!("  digest     {digest}\n"));
        if let Some(before) = before {
            text.push_str(&format!("  before     {before}\n"));
        }
        text.push_str(&format!("  status     {status}\n"));
        granted.iter().for_each(|words| text.push_str(&format!("  may        {words}\n")));
        text
    })?;
    session.out.warning(&format!("{} is linked and not signed: nobody vouches for it", report.name));
    for finding in &report.findings {
        session.out.warning(&words(finding));
    }
    if report.status == Status::Installed {
        let command = format!("migraine plugin enable {}", report.name);
        return Err(ManageError::Consent { name: report.name, missing: report.asks, other_maker: None, command }.into());
    }
    Ok(())
}

pub(super) fn unlink(name: &str, force: bool, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(name)?, session.home()?);
    let report = manage::unlink(&home, &name, force)?;
    session.out.report(&report, |_| {
        session.out.done(&format!("Plugin '{name}' is linked no more; its files and its data stay\n"))
    })
}

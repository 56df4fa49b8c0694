//! `plugin config`.

use super::{ConfigAction, ConfigArgs};
use crate::cli::session::plugin_name;
use crate::cli::{Failure, Session};
use crate::manage::{ConfigChange, ConfigReport, config_change, config_show};
use crate::text::safe_line;

pub(super) fn run(args: ConfigArgs, session: &Session) -> Result<(), Failure> {
    let (name, home) = (plugin_name(&args.name)?, session.home()?);
    let (change, consent) = match args.action.unwrap_or(ConfigAction::Get { key: None }) {
        ConfigAction::Get { key } => {
            let report = config_show(&home, &name, key.as_deref())?;
            return session.out.report(&report, |report| shown(report, key.is_some()));
        }
        ConfigAction::Set { key, value, consent } => (ConfigChange::Set { key, value }, consent),
        ConfigAction::Unset { key, consent } => (ConfigChange::Unset { key }, consent),
    };
    let is_set = matches!(change, ConfigChange::Set { .. });
    let report = consent.with(&home, |consenting| config_change(&home, &name, &change, consenting))?;
    session.out.report(&report, |report| {
        let lines = report.config.iter().map(|(key, value)| {
            let text = format!("Plugin '{name}' configured successfully: {key} = {}", plain(&value.value));
            session.out.done(&text)
        });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    if is_set && home.is_system() {
        session
            .out
            .warning("every user of this machine can read this value: the system store is no place for a secret");
    }
    Ok(())
}

fn shown(report: &ConfigReport, one: bool) -> String {
    if report.config.is_empty() {
        return format!("{} has no configuration.\n", report.name);
    }
    let lines = report.config.iter().map(|(key, value)| match (one, value.overridden) {
        (true, _) => format!("{}\n", plain(&value.value)),
        (false, true) => format!("{key} = {} (default {})\n", plain(&value.value), plain(&value.default)),
        (false, false) => format!("{key} = {}\n", plain(&value.value)),
    });
    lines.collect()
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => safe_line(text),
        other => safe_line(&other.to_string()),
    }
}

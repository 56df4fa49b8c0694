//! `plugin run --learn`: runs a command with whatever a permission could grant and prints the permissions that it used.

use std::sync::Arc;

use migraine_plugin_api::{CommandSpec, Permission, PermissionKind};
use serde::Serialize;

use super::call::call;
use crate::cli::prompt::Terminal;
use crate::cli::{Failure, Session};
use crate::code::Code;
use crate::ids::PluginName;
use crate::runtime::{Learned, Learner, Settings};
use crate::store::{Entry, Home, user_homes};
use crate::text::{safe_line, safe_whole};

/// The part of a manifest that a run needs.
#[derive(Debug, Serialize)]
struct Report {
    /// As a manifest has them.
    permissions: Vec<String>,
    /// What it tried and no permission grants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

impl Report {
    fn of(learned: Learned) -> Self {
        let permissions = learned.permissions.iter().map(ToString::to_string).collect();
        Self { permissions, refused: learned.refused }
    }

    /// A manifest in YAML; what else was seen stands in its comments.
    fn text(&self) -> String {
        let permissions = serde_yaml::to_string(&self.permissions).unwrap_or_default();
        let mut text = match self.permissions.is_empty() {
            true => "permissions: []\n".to_owned(),
            false => format!("permissions:\n{permissions}"),
        };
        for refused in &self.refused {
            text.push_str(&format!("# no permission grants: {}\n", safe_line(refused)));
        }
        text
    }
}

pub(super) fn run(
    home: Home,
    (name, entry): (&PluginName, &Entry),
    spec: &CommandSpec,
    args: Vec<String>,
    mut settings: Settings,
    session: &Session,
) -> Result<(), Failure> {
    if entry.installed_from.is_none() {
        let message =
            format!("what `{name}` needs cannot be learned: it was not installed from a file of this machine");
        let help = "install it from a file: migraine plugin install FILE".to_owned();
        return Err(Failure::new(Code::ConsentRequired, message, Some(help)));
    }
    if entry.holds_scripts() {
        let message =
            format!("what `{name}` needs cannot be learned: it is a plugin of scripts, and only libraries are");
        let help = "`migraine plugin audit PATH` shows what its scripts reach for".to_owned();
        return Err(Failure::new(Code::Usage, message, Some(help)));
    }
    consent(name, entry, spec)?;
    let learner = Arc::new(Learner::new(&user_homes(), home.path(), home.policy()?));
    settings.learner = Some(Arc::clone(&learner));
    // Standard output is the manifest's.
    settings.stdout_is_taken = true;
    let done = call(home, name, spec, args, settings);
    let report = Report::of(learner.learned());
    session.out.report(&report, Report::text)?;
    if done.is_err() {
        session.out.warning("the run failed: a run that goes further may need more");
    }
    done
}

fn consent(name: &PluginName, entry: &Entry, spec: &CommandSpec) -> Result<(), Failure> {
    let command = safe_line(&spec.name);
    let question = question(name, &command, &entry.decided.grants);
    match Terminal.types(&question, &format!("learn {name}")) {
        Some(true) => Ok(()),
        Some(false) => {
            let message = format!("`{name}` was not run: other words were typed than those that consent to it");
            Err(Failure::new(Code::ConsentRequired, message, None))
        }
        None => {
            let message =
                format!("learning what `{name}` needs opens nearly everything to it, and nobody is there to agree");
            let help = "run it at a terminal; no flag stands for this consent".to_owned();
            Err(Failure::new(Code::ConsentRequired, message, Some(help)))
        }
    }
}

/// What is opened, in words.
fn question(name: &PluginName, command: &str, granted: &[Permission]) -> String {
    let named = granted.iter().filter(|held| held.kind() == PermissionKind::EnvVars);
    let variables: Vec<String> =
        named.map(|held| held.scope().map_or_else(|| "every variable".to_owned(), safe_whole)).collect();
    let variables = match variables.is_empty() {
        true => String::new(),
        false => format!("  - see these variables of your environment: {}\n", variables.join(", ")),
    };
    format!(
        "\nTo learn what `{name} {command}` needs, it runs with much more than it was granted. In this run it can:\n  \
         - read every directory that you can read, and change those that are not the system's,\n    but for ~/.ssh, \
         ~/.gnupg, the plugins' store, and single files in your home directory\n  \
         - connect to every address and local socket that you can connect to, and send what it has read;\n    \
         through some, such as Docker's or your ssh agent's, it can do whatever you can\n  \
         - run every program of the system, in the sandbox\n{variables}\
         It is a plugin like any other otherwise: what no permission grants stays refused.\n\
         Do this only with a plugin that you have written, or read.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_the_permissions_of_a_manifest() {
        let permissions: Vec<Permission> = ["task_read", "network=localhost:80", "filesystem=read:/srv/a: b"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let report =
            Report::of(Learned { permissions: permissions.clone(), refused: vec!["read /x\n- evil".to_owned()] });
        let read: serde_json::Value = serde_yaml::from_str(&report.text()).unwrap();
        let found = migraine_plugin_api::read_permissions(&read["permissions"]).unwrap();
        let mut expected = permissions;
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(report.text().lines().count(), 5, "{}", report.text());
        assert_eq!(Report::of(Learned::default()).text(), "permissions: []\n");
    }

    #[test]
    fn the_question_names_what_is_opened() {
        let granted: Vec<Permission> = ["env_vars=TOKEN", "network=a:1"].map(|text| text.parse().unwrap()).to_vec();
        let text = question(&"demo".parse().unwrap(), "go", &granted);
        assert!(text.contains("variables of your environment: TOKEN\n"), "{text}");
        assert!(!question(&"demo".parse().unwrap(), "go", &[]).contains("environment"));
    }
}

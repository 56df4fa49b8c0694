//! `audit`: what a careful reader would stop at in the scripts of a plugin. Nothing is decided by it, and so nothing is
//! judged first: whoever does not trust a plugin yet is the one who wants to look.

use std::path::Path;

use serde::Serialize;

use super::ManageError;
use super::source::{open_file, read};
use crate::ids::PluginName;
use crate::package::Package;
use crate::package::scan::{Scan, scan, scan_bash, scan_python};
use crate::store::Home;

/// The largest script that is read, in bytes; the scan itself says so of smaller ones.
const SCRIPT_MAX: usize = 4 << 20;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// The plugin; for a script alone, its file.
    pub name: String,
    /// The plugin's version; none for a script alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was found, by file and line, and what was looked at.
    #[serde(flatten)]
    pub scan: Scan,
}

/// Looks at an installed plugin, by its name, or at a file: a package, scripts by their manifest or its directory, or one
/// script that ends in `.py`, `.sh` or `.bash`. Of a library nothing can be said.
///
/// # Errors
/// There is no such plugin or file, or it is not of the accepted form.
pub fn audit(home: &Home, target: &Path) -> Result<AuditReport, ManageError> {
    let name = target.to_str().and_then(|target| target.parse::<PluginName>().ok());
    if let Some(name) = name.filter(|_| !target.exists()) {
        let found = home.load_plugin(&name)?.ok_or(ManageError::NotFound { name: name.clone() })?;
        let refused = |source| ManageError::Package { path: found.tree.index.entry.clone().into(), source };
        let manifest = found.tree.manifest().map_err(refused)?;
        let scan = match found.tree.index.holds_scripts() {
            true => scan(&manifest, &found.tree.index.entry, found.tree.contents().collect::<Vec<_>>().into_iter()),
            false => unreadable(&found.tree.index.entry),
        };
        return Ok(AuditReport { name: name.to_string(), version: Some(found.entry.version.to_string()), scan });
    }
    let extension = target.extension().and_then(|extension| extension.to_str());
    if let Some(language @ ("py" | "sh" | "bash")) = extension.filter(|_| !target.is_dir()) {
        let content = read(target, SCRIPT_MAX)?;
        let name = target.to_string_lossy().into_owned();
        let findings = match language {
            "py" => scan_python(&name, &content, &std::collections::BTreeSet::new(), false),
            _ => scan_bash(&name, &content),
        };
        let scan = Scan { findings, scanned: vec![name.clone()], not_scanned: Vec::new() };
        return Ok(AuditReport { name, version: None, scan });
    }
    let refused = |source| ManageError::Package { path: target.to_owned(), source };
    let package = open_file(target)?.into_package().map_err(refused)?;
    let (name, version) = (package.index.name.to_string(), Some(package.index.version.to_string()));
    Ok(AuditReport { name, version, scan: of_package(&package) })
}

/// What is found in a package that is about to be installed.
pub(super) fn of_package(package: &Package) -> Scan {
    if !package.index.holds_scripts() {
        return unreadable(&package.index.entry);
    }
    let files = package.files.iter().map(|(entry, content)| (entry.path.as_str(), content.as_slice()));
    scan(&package.manifest, &package.index.entry, files)
}

fn unreadable(library: &str) -> Scan {
    Scan { not_scanned: vec![library.to_owned()], ..Scan::default() }
}

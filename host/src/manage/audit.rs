//! `audit`: everything that is worth knowing before a plugin is trusted, in the order in which an installation looks: manifest,
//! policy, dependencies, permissions, code. Only an error decides anything; and so nothing needs to be trusted first: whoever
//! does not trust a plugin yet is the one who wants to look.

mod offer;
mod stages;

use std::path::Path;

use serde::Serialize;

use super::ManageError;
use super::info::Signature;
use super::source::{judged, named_plugin, open_file, read};
use super::verify::judge_tree;
use crate::code::Coded as _;
use crate::ids::{Digest, PluginName};
use crate::package::scan::{Finding, Scan, refused_library, scan, scan_bash, scan_library, scan_python};
use crate::package::{Opened, Package, PackageError, elf};
use crate::runtime::keys_of;
use crate::store::{Home, Installed, State, Status};
use crate::trust::{KeySet, Keyring, TrustedKey};
pub use offer::Offer;
use stages::Subject;

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
    /// Who vouches for it and what it may do; none for a script alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustFacts>,
    /// What it asks for and takes part in, as far as it can be read.
    #[serde(flatten)]
    pub offer: Offer,
    /// What was found in its manifest, by the policy, of its dependencies and permissions, in this order.
    pub checks: Vec<Finding>,
    /// What was found in its code, by file and line, and what was looked at.
    #[serde(flatten)]
    pub scan: Scan,
}

/// Who vouches for a plugin, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustFacts {
    /// Who.
    pub signature: Signature,
    /// How far the key is trusted: `trusted`, `tofu` or `revoked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// The names that the key may sign.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Why nobody vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How it stands; none for what is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// When it was installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed_at: Option<String>,
    /// What it was granted.
    pub grants: Vec<String>,
    /// The levels of the sandbox that it may run in: `full`, and `reduced` where a policy file allows that.
    pub sandbox: Vec<&'static str>,
}

impl AuditReport {
    /// Whether something was found for which an installation would refuse it.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.checks.iter().chain(&self.scan.findings).any(Finding::is_error)
    }

    fn broken(
        (name, version): (String, Option<String>),
        trust: Option<TrustFacts>,
        offer: Offer,
        finding: Finding,
    ) -> Self {
        Self { name, version, trust, offer, checks: vec![finding], scan: Scan::default() }
    }
}

/// Looks at an installed plugin, by its name, or at a file: a package, a library, scripts by their manifest or its directory,
/// or one script that ends in `.py`, `.sh` or `.bash`.
///
/// # Errors
/// There is no such plugin or file, it is no plugin, or the state, the keyring or a policy file cannot be read.
pub fn audit(home: &Home, target: &Path) -> Result<AuditReport, ManageError> {
    let state = home.read()?;
    if let Some(name) = named_plugin(&state, target) {
        return audit_installed(home, &state, &name);
    }
    let extension = target.extension().and_then(|extension| extension.to_str());
    if let Some(language @ ("py" | "sh" | "bash")) = extension.filter(|_| !target.is_dir()) {
        return audit_script(target, language);
    }
    audit_file(home, target)
}

/// Looks at every installed plugin, by name. One that is damaged has an error.
///
/// # Errors
/// The state, the keyring or a policy file cannot be read.
pub fn audit_all(home: &Home) -> Result<Vec<AuditReport>, ManageError> {
    let state = home.read()?;
    state.usable()?.keys().map(|name| audit_installed(home, &state, name)).collect()
}

fn audit_script(target: &Path, language: &str) -> Result<AuditReport, ManageError> {
    let content = read(target, SCRIPT_MAX)?;
    let name = target.to_string_lossy().into_owned();
    let findings = match language {
        "py" => scan_python(&name, &content, &std::collections::BTreeSet::new(), false),
        _ => scan_bash(&name, &content),
    };
    let scan = Scan { findings, scanned: vec![name.clone()], not_scanned: Vec::new() };
    Ok(AuditReport { name, version: None, trust: None, offer: Offer::default(), checks: Vec::new(), scan })
}

fn audit_installed(home: &Home, state: &State, name: &PluginName) -> Result<AuditReport, ManageError> {
    let (entry, place) = state.find(name)?.ok_or_else(|| ManageError::NotFound { name: name.clone() })?;
    let (keys, policy) = (keys_of(home, place)?, home.policy()?);
    let mut trust = facts((name, &entry.digest), Signature::from(&entry.trust), &keys, policy.allows_reduced());
    trust.status = Some(entry.status());
    trust.installed_at = Some(entry.installed_at.clone());
    trust.grants = entry.decided.grants.iter().map(ToString::to_string).collect();
    let version = entry.version.to_string();
    let offer = Offer::of_entry(name, entry, &policy);
    let broken = |trust, offer, error: &ManageError| {
        let finding = stages::refused(&entry.digest.to_string(), error.code(), &error.to_string());
        Ok(AuditReport::broken((name.to_string(), Some(version.clone())), Some(trust), offer, finding))
    };
    let found = match home.load_plugin(name) {
        Ok(Some(Installed { tree, .. })) => tree,
        Ok(None) => return Err(ManageError::NotFound { name: name.clone() }),
        Err(error) => return broken(trust, offer, &error.into()),
    };
    let refused = |source| ManageError::Package { path: found.index.entry.clone().into(), source };
    let read = judge_tree(home, state, (place, &found)).and_then(|_| found.manifest().map_err(refused));
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(error) => return broken(trust, offer, &error),
    };
    let scan = if found.index.holds_scripts() {
        scan(&manifest, &found.index.entry, found.contents().collect::<Vec<_>>().into_iter())
    } else {
        match elf::inspect(found.library()) {
            Ok(facts) => scan_library(&found.index.entry, &facts, &manifest.permissions),
            Err(error) => refused_library(&found.index.entry, &error.to_string()),
        }
    };
    let subject = Subject { manifest: &manifest, index: &found.index, size: None };
    let checks = stages::checks(&subject, state, &policy);
    Ok(AuditReport { name: name.to_string(), version: Some(version), trust: Some(trust), offer, checks, scan })
}

fn audit_file(home: &Home, target: &Path) -> Result<AuditReport, ManageError> {
    let (state, policy) = (home.read()?, home.policy()?);
    let opened = match open_file(target) {
        Err(ManageError::Package { path, source }) if is_of_code(&source) => {
            let name = path.to_string_lossy().into_owned();
            let finding = stages::refused(&name, source.code(), &source.to_string());
            return Ok(AuditReport::broken((name, None), None, Offer::default(), finding));
        }
        opened => opened?,
    };
    let keys = Keyring::load_from(&home.keys_path())?;
    let (name, version) = (opened.index.name.to_string(), opened.index.version.to_string());
    let trust = facts_of_file(&keys, &state, &opened, home)?;
    let (size, entry) = (opened.size(), opened.index.entry.clone());
    let by_index = Offer { permissions: opened.index.permissions.clone(), ..Offer::default() };
    match opened.into_package() {
        Err(error) => {
            let finding = stages::refused(&entry, error.code(), &error.to_string());
            Ok(AuditReport::broken((name, Some(version)), Some(trust), by_index, finding))
        }
        Ok(package) => {
            let subject = Subject { manifest: &package.manifest, index: &package.index, size: Some(size) };
            let checks = stages::checks(&subject, &state, &policy);
            let (offer, scan) = (Offer::of_manifest(&package.manifest), of_package(&package));
            Ok(AuditReport { name, version: Some(version), trust: Some(trust), offer, checks, scan })
        }
    }
}

/// Whether the code of a plugin is refused, and not its file for being none.
fn is_of_code(error: &PackageError) -> bool {
    matches!(
        error,
        PackageError::Elf { .. }
            | PackageError::ElfDependency { .. }
            | PackageError::ElfDynamic { .. }
            | PackageError::ScriptFile { .. }
            | PackageError::Manifest { .. }
    )
}

fn facts((name, digest): (&PluginName, &Digest), signature: Signature, keys: &KeySet, reduced: bool) -> TrustFacts {
    let key = match &signature {
        Signature::Signed { key, .. } => keys.by_fingerprint(key),
        _ => None,
    };
    let level = |key: &TrustedKey| {
        let fingerprint = key.fingerprint();
        let is_bad = keys.revocation(&fingerprint, name).is_some() && !keys.keeps(&fingerprint, name, digest);
        if is_bad { "revoked".to_owned() } else { key.level.to_string() }
    };
    TrustFacts {
        level: key.map(level),
        scopes: key.into_iter().flat_map(TrustedKey::names).map(|scope| scope.to_string()).collect(),
        signature,
        problem: None,
        status: None,
        installed_at: None,
        grants: Vec::new(),
        sandbox: if reduced { vec!["full", "reduced"] } else { vec!["full"] },
    }
}

fn facts_of_file(keys: &KeySet, state: &State, opened: &Opened, home: &Home) -> Result<TrustFacts, ManageError> {
    let policy = home.policy()?;
    let judged = judged(keys, state, opened, &policy, false, None);
    let (reduced, plugin) = (policy.allows_reduced(), (&opened.index.name, &opened.digest()));
    Ok(match judged {
        Ok(trust) => facts(plugin, Signature::from(&trust), keys, reduced),
        Err(error) => {
            let problem = Some(format!("{}: {error}", error.code()));
            TrustFacts { problem, ..facts(plugin, Signature::NotTrusted, keys, reduced) }
        }
    })
}

/// What is found in the code of a package that is about to be installed.
pub(super) fn of_package(package: &Package) -> Scan {
    match &package.elf {
        Some(facts) => scan_library(&package.index.entry, facts, &package.manifest.permissions),
        None => {
            let files = package.files.iter().map(|(entry, content)| (entry.path.as_str(), content.as_slice()));
            scan(&package.manifest, &package.index.entry, files)
        }
    }
}

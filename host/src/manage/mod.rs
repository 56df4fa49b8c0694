//! Installing and looking after plugins: each verb judges first and then acts, and answers with a report. Nothing here
//! prints, and no byte of a plugin is executed.
#![forbid(unsafe_code)]

mod audit;
mod build;
mod bundle;
mod candidates;
mod companions;
mod config;
mod consent;
mod directories;
mod enable;
mod error;
mod expected;
mod first_use;
mod folder;
mod forget;
mod fsck;
mod health;
mod info;
mod install;
mod keys;
mod lapse;
mod link;
mod list;
mod lock;
mod lock_source;
mod locked;
mod lookalike;
mod maker;
mod manifest_file;
mod origin;
mod package;
mod pin;
mod prepare;
mod project;
mod rebuild;
mod remote;
mod resolve;
mod revoke;
mod rollback;
mod rules;
mod script_files;
mod search;
mod source;
mod supply;
mod uninstall;
mod upgrade;
mod usage;
mod verify;
mod versions;

#[cfg(test)]
mod tests;

pub use audit::{AuditReport, Offer, TrustFacts, audit, audit_all};
pub use build::{BuiltLibrary, Crate, cargo_home, texts};
pub use bundle::{Bundle, BundleReport, Bundled, bundle};
pub use companions::Companion;
pub use config::{ConfigChange, ConfigReport, ConfigValue, config_change, config_show};
pub use consent::{CompanionsQuestion, Consenting, FetchQuestion, NoPrompt, Prompt, Question};
pub use directories::Directories;
pub use enable::{EnableReport, disable, enable};
pub use error::ManageError;
pub use expected::{Expected, expected_digest};
pub use first_use::KeyQuestion;
pub use forget::{ForgetReport, forget};
pub use fsck::{FsckFinding, FsckReport, fsck};
pub use health::{HealthCheck, health, script_changes};
pub use info::{CommandInfo, MissingItem, PluginInfo, PluginKind, Signature, info};
pub use install::{InstallReport, InstallRequest, install};
pub use keys::{
    HandoverInfo, KEY_DAYS, KeyDetails, KeyError, KeyReport, KeyRevokeReport, KeyUntrustReport, KeyWord,
    ListImportReport, ListInfo, ListedInfo, RevokedInfo, RotationReport, TrustRequest, Until, key_list, key_revoke,
    key_show, key_trust, key_untrust, list_import, rotation_import,
};
pub use link::{LinkReport, check_link, link, unlink};
pub use list::{
    BuiltIn, ListReport, ListRequest, ListRow, ListTable, RefreshReport, StatusChange, Summary, Warning, list,
    list_table, refresh,
};
pub use lock::{
    Differences, Followed, LOCK_FILE, Lock, LockReport, LockRequest, Locked, TypedDigest, check_lock, lock,
};
pub use lock_source::LockedSource;
pub use locked::{LockedFrom, LockedRequest, install_locked, locked_folders};
pub use origin::{NowhereFound, Source, Word};
pub use package::{PackageReport, PackageRequest, package};
pub use pin::{PinReport, pin, unpin};
pub use project::{ProjectReport, trust_project, untrust_project};
pub use rebuild::{ComparedFile, Comparison, RebuildReport, rebuild};
pub use remote::{Download, Online, download};
pub use resolve::ResolveError;
pub use revoke::{RevokeReport, revoke};
pub use rollback::{RollbackReport, rollback};
pub use rules::{Limit, Rules};
pub use uninstall::{Removal, UninstallReport, uninstall};
pub use upgrade::{Outdated, OutdatedReport, Upgrade, UpgradeOutcome, UpgradeReport, outdated, upgrade};
pub use usage::{command_of, usage};
pub use verify::{VerifyReport, verify, verify_to_compare};
pub use versions::Allowed;

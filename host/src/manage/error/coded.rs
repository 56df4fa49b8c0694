//! The code of each error, and what to do about it.

use std::io;

use super::ManageError;
use crate::code::{Code, Coded};
use crate::manage::install::shown;
use crate::manage::origin::NowhereFound;
use crate::policy::Ask;
use crate::store::Status;
use crate::text::safe_line;

impl Coded for ManageError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Trust(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Url(error) => error.code(),
            Self::Fetch(error) => error.code(),
            Self::NothingThere { .. } | Self::NameNotFound(_) => Code::FileNotFound,
            Self::RemoteUnsigned { .. } => Code::SignatureMissing,
            Self::NoName { word, .. } if !word.is_ascii() => Code::NameLookalike,
            Self::NoName { .. } => Code::FileNotFound,
            Self::NameMismatch { .. } => Code::NameMismatch,
            Self::Lookalike { .. } => Code::NameLookalike,
            Self::DigestFormat { .. } => Code::DigestFormat,
            Self::DigestMismatch { .. } => Code::DigestMismatch,
            Self::Package { source, .. } => source.code(),
            Self::Policy { source, .. } => source.code(),
            Self::Refused { source, .. } => source.code(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::FileNotFound,
            Self::File { .. } => Code::Io,
            Self::Directory { .. } | Self::TooManyDirectories { .. } => Code::DirectoryRefused,
            Self::NoDirectory { source, .. } if source.kind() == io::ErrorKind::NotFound => Code::FileNotFound,
            Self::NoDirectory { .. } | Self::NotHeld { .. } | Self::PathText { .. } => Code::ValueInvalid,
            Self::NoLibrary { .. } => Code::NotAPlugin,
            Self::Build { .. } => Code::BuildFailed,
            Self::NoManifest { .. } | Self::EmptyFolder { .. } => Code::FileNotFound,
            Self::TwoManifests { .. } => Code::ManifestInvalid,
            Self::Ambiguous { .. } => Code::ValueInvalid,
            Self::NotFound { .. } => Code::PluginNotFound,
            Self::OfSystem { .. } => Code::SystemStore,
            Self::Withheld { .. } => Code::PluginDisabled,
            Self::Consent { .. } => Code::ConsentRequired,
            Self::Rollback { .. } => Code::VersionRollback,
            Self::Reused { .. } => Code::VersionReused,
            Self::Pinned { .. } => Code::VersionPinned,
            Self::PinBack { .. } => Code::ValueInvalid,
            Self::NoPrevious { .. } => Code::VersionMissing,
            Self::NoHistory { .. } => Code::PluginNotFound,
            Self::Resolve(error) => error.code(),
            Self::Companions { .. } | Self::FetchConsent { .. } => Code::ConsentRequired,
            Self::Needs { .. } | Self::RollbackNeeds { .. } => Code::DependencyMissing,
            Self::InUse { .. } | Self::RollbackBreaks { .. } => Code::DependencyInUse,
            Self::ProjectUnknown { .. } => Code::FileNotFound,
            Self::LinkTaken { .. } | Self::Linked { .. } => Code::LinkTaken,
            Self::LinkChanged { .. } => Code::LinkChanged,
            Self::NotOwn { .. } => Code::InsecurePermissions,
            Self::NotLinked { .. } | Self::NotLockable { .. } => Code::ValueInvalid,
            Self::NothingToLock { .. } | Self::NotReplaced { .. } => Code::ValueInvalid,
            Self::LockNeeds { .. } => Code::DependencyMissing,
            Self::Strangers { .. } => Code::UntrustedKey,
            Self::Lock { .. } => Code::LockInvalid,
            Self::Relock { source } => source.code(),
            Self::LockDiffers { .. } => Code::LockMismatch,
            Self::Bundle { .. } => Code::PackageInvalid,
            Self::Changed { .. } => Code::StateBusy,
            Self::NoKey { .. } => Code::KeyNotFound,
            Self::Value { .. } => Code::ValueInvalid,
            Self::NoCommand { .. } => Code::CommandNotFound,
            Self::NotRunnable { status: Status::Quarantined, .. } => Code::PluginQuarantined,
            Self::NotRunnable { status: Status::Error, .. } => Code::Integrity,
            Self::NotRunnable { status: Status::Installed, .. } => Code::ConsentRequired,
            Self::NotRunnable { .. } => Code::PluginDisabled,
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Store(error) => return error.help(),
            Self::Trust(error) => return error.help(),
            Self::Key(error) => return error.help(),
            Self::Url(error) => return error.help(),
            Self::Fetch(error) => return error.help(),
            Self::NothingThere { .. }
            | Self::RemoteUnsigned { .. }
            | Self::NameNotFound(_)
            | Self::NoName { .. }
            | Self::NameMismatch { .. }
            | Self::Lookalike { .. }
            | Self::DigestFormat { .. }
            | Self::DigestMismatch { .. } => return self.help_with_source(),
            Self::Package { source, .. } => return source.help(),
            Self::Policy { source, .. } => return source.help(),
            Self::Refused { source, .. } => return source.help(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "give the path of a .mgp file, of a .so file or of scripts, or the name of a plugin in the plugins folder"
                    .to_owned()
            }
            Self::File { .. } | Self::Value { .. } => return None,
            Self::NoKey { name, known, .. } if known.is_empty() => format!("{name} has no configuration"),
            Self::NoKey { known, .. } => format!("it has {}", known.join(", ")),
            Self::Directory { .. } => "name a directory that holds only what the plugin is to see".to_owned(),
            Self::TooManyDirectories { name, .. } => format!(
                "grant one that holds several of them, or take others back: migraine plugin revoke {name} filesystem"
            ),
            Self::NoDirectory { .. } => {
                "write the path of a directory that exists; `~` stands for nothing within quotes".to_owned()
            }
            Self::NotHeld { held, .. } if held.is_empty() => "it holds nothing".to_owned(),
            Self::NotHeld { held, .. } => {
                let held: Vec<String> = held.iter().map(|held| safe_line(held)).collect();
                format!("it holds {}", held.join(", "))
            }
            Self::NoLibrary { path } => {
                let path = safe_line(&path.to_string_lossy());
                format!(
                    "look at it with `migraine plugin info {path}`; build its library and install that, or a package"
                )
            }
            Self::Build { .. } => {
                "name the folder of a plugin's crate; building it takes a Rust toolchain, and its locked dependencies".to_owned()
            }
            Self::NoManifest { .. } | Self::EmptyFolder { .. } => {
                "give a manifest, a .so file, a .mgp file or the name of an installed plugin".to_owned()
            }
            Self::TwoManifests { .. } | Self::Ambiguous { .. } => "name the one that is meant".to_owned(),
            Self::NotFound { .. } | Self::NoHistory { .. } => "run `migraine plugin list` to see what is installed".to_owned(),
            Self::Consent { missing, command, .. } => {
                format!("if you agree to all of it, run: {command}{}", flags(missing))
            }
            Self::Rollback { offered, .. } => format!(
                "to go back on purpose, install it alone, from its file or address, with `--allow-downgrade {offered}`"
            ),
            Self::Reused { version, .. } => format!(
                "a version does not change: ask its author for a new one. If you built it yourself, give it another \
                 version or add `--allow-reuse {version}`"
            ),
            Self::Pinned { name, .. } => format!("to let it change again, run `migraine plugin pin {name} --off`"),
            Self::PinBack { name, version, .. } => format!(
                "go back first, with `migraine plugin rollback {name}` or `migraine plugin install FILE \
                 --allow-downgrade {version}`"
            ),
            Self::NoPrevious { .. } => {
                "install the older version from its file: migraine plugin install FILE --allow-downgrade X.Y.Z"
                    .to_owned()
            }
            Self::PathText { .. } | Self::Resolve(_) | Self::Companions { .. } | Self::FetchConsent { .. } | Self::Needs { .. } | Self::RollbackNeeds { .. } | Self::RollbackBreaks { .. } | Self::InUse { .. } | Self::LinkTaken { .. } | Self::Linked { .. } | Self::NotLinked { .. } | Self::LinkChanged { .. } | Self::NotOwn { .. } | Self::Lock { .. } | Self::Relock { .. } | Self::LockDiffers { .. } | Self::NotLockable { .. } | Self::Strangers { .. } | Self::LockNeeds { .. } | Self::NothingToLock { .. } | Self::NotReplaced { .. } | Self::Bundle { .. } | Self::ProjectUnknown { .. } | Self::OfSystem { .. } | Self::Withheld { .. } => return self.help_with_others(),
            Self::Changed { .. } => "look at it with `migraine plugin list`, then run the command again".to_owned(),
            Self::NoCommand { name, .. } => format!("run `migraine plugin run {name} --help` to see its commands"),
            Self::NotRunnable { name, status: Status::Error, .. } => {
                format!("run `migraine plugin verify {name}`, or install it again")
            }
            Self::NotRunnable { name, .. } => format!("run `migraine plugin enable {name}`"),
        };
        Some(text)
    }
}

impl ManageError {
    /// What to do about what a plugin needs, links, locks, bundles and the system store.
    fn help_with_others(&self) -> Option<String> {
        let text = match self {
            Self::PathText { .. } => "rename it, or what it lies in, to a name that is; or copy it elsewhere".to_owned(),
            Self::Resolve(error) => return error.help(),
            Self::Companions { command, .. } => format!("if you agree to all of it, run: {command}"),
            Self::FetchConsent { command, .. } => {
                format!("if you agree to connect there, run: {command}; or name a folder that holds them, with --from DIR")
            }
            Self::Needs { name, .. } => {
                format!("install and enable that first; `migraine plugin info {name}` shows all that it needs")
            }
            Self::RollbackNeeds { name, .. } => format!(
                "bring that to a version that fits; or go back all the same, until when {name} does not run, with --force"
            ),
            Self::RollbackBreaks { by, .. } => format!(
                "if {by} is to go back too, roll both back with --force, one after the other; in between {by} does not run"
            ),
            Self::InUse { .. } => "do the same with those first, or add --force: they will not run then".to_owned(),
            Self::LinkTaken { name } => {
                format!("run `migraine plugin uninstall {name}`, or `migraine plugin unlink {name}`, first; its data is kept")
            }
            Self::Linked { name, path } => format!(
                "to install it in place of the link, run `migraine plugin unlink {name}` and then `migraine plugin install {}`",
                shown(path)
            ),
            Self::NotLinked { name } => format!("run `migraine plugin uninstall {name}`"),
            Self::LinkChanged { path, .. } => {
                let path = safe_line(&path.to_string_lossy());
                format!("if you changed it yourself, confirm it: migraine plugin link {path}")
            }
            Self::NotOwn { .. } => "link to a file of your own that nobody else can write to".to_owned(),
            Self::Lock { .. } => "write it anew with `migraine plugin lock`, where the right plugins are installed".to_owned(),
            Self::Relock { .. } => {
                "let the file be written, or leave it as it is with --no-lock; `migraine plugin lock` writes it later".to_owned()
            }
            Self::LockDiffers { .. } => {
                "install what is locked with `migraine plugin install --locked`, or lock what is installed with `migraine \
                 plugin lock`"
                    .to_owned()
            }
            Self::NotLockable { .. } => "install a version of it that its author signed".to_owned(),
            Self::Strangers { .. } => {
                "where a key's owner confirms the fingerprint, run the command below it; --trust-locked-keys trusts all of \
                 them, if you trust whoever made the lock"
                    .to_owned()
            }
            Self::LockNeeds { .. } => {
                "install what is missing, or add --force to leave it to whoever installs this".to_owned()
            }
            Self::NothingToLock { kept: Some(_), .. } => {
                "enable what belongs to the project; for a lock that names nothing, add --force".to_owned()
            }
            Self::NothingToLock { .. } => "enable a plugin that its author signed, or name one".to_owned(),
            Self::NotReplaced { .. } => "write it somewhere else, or add --force to replace this one".to_owned(),
            Self::Bundle { .. } => "make it again with `migraine plugin bundle`".to_owned(),
            Self::ProjectUnknown { .. } => "name the directory that holds the folder `plugins`".to_owned(),
            Self::OfSystem { name } => format!(
                "for yourself, run `migraine plugin disable {name}`; for all users, run the command as root with --system"
            ),
            Self::Withheld { name } => {
                format!("ask the administrator to run `migraine plugin enable {name} --system`")
            }
            _ => return None,
        };
        Some(text)
    }

    /// What to do about a source that is not what was meant.
    fn help_with_source(&self) -> Option<String> {
        let text = match self {
            Self::NothingThere { .. } => "ask its author for the address of the .mgp file".to_owned(),
            Self::RemoteUnsigned { .. } => {
                "ask its author to sign it; no flag and no policy allows this from a server".to_owned()
            }
            Self::NameNotFound(nowhere) => {
                let NowhereFound { name, similar, installed, .. } = &**nowhere;
                let similar = match similar.as_slice() {
                    [] => String::new(),
                    names => {
                        format!("there is {}; ", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                    }
                };
                let installed = installed.as_ref().map(|version| {
                    format!("{name} {version} is installed: `migraine plugin upgrade {name}` looks for a newer one; ")
                });
                format!(
                    "{}{similar}names are never looked up on the network: give a file, a directory, or an address such \
                     as https://HOST/PATH/{name}.mgp",
                    installed.unwrap_or_default()
                )
            }
            Self::NoName { similar: Some(similar), .. } => format!("if you mean `{similar}`, write it so"),
            Self::NoName { folder, .. } => format!(
                "give a file, an address such as https://HOST/PATH.mgp, or the name of a plugin in {}",
                safe_line(&folder.to_string_lossy())
            ),
            Self::NameMismatch { asked, found, .. } => {
                format!("if you want `{found}`, ask for it; `{asked}` is not there")
            }
            Self::Lookalike { name, .. } => format!(
                "if you are sure that it is meant, add `--yes-i-mean {name}`; with a lock or a bundle, install it by itself first"
            ),
            Self::DigestFormat { .. } => {
                "write sha256: and 64 small hexadecimal digits, as in `--expect-digest sha256:e3b0...`".to_owned()
            }
            Self::DigestMismatch { .. } => {
                "this is another file, or it was changed: ask whoever gave you the digest".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// The shortest flags that grant everything missing: `--yes` for what it accepts, and each dangerous item by name.
fn flags(missing: &[Ask]) -> String {
    let plain = missing.iter().any(|ask| ask.danger.is_none()).then(|| " --yes".to_owned());
    let dangerous = missing.iter().filter(|ask| ask.danger.is_some()).map(|ask| format!(" {}", ask.item.flag()));
    plain.into_iter().chain(dangerous).collect()
}

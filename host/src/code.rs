//! Stable error codes and the exit code each one means: one table for the program, its JSON errors and its documents.

use std::fmt;

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: a general error, a plugin's usage errors included.
    Error,
    /// 2: something that was named does not exist.
    NotFound,
    /// 3: input that is not valid.
    Invalid,
    /// 4: a workflow's pre-check failed.
    PreCheck,
    /// 5: a plugin failed, crashed or broke a limit.
    Plugin,
    /// 6: refused by trust, permission or policy.
    Refused,
    /// 124: the wall-clock or CPU limit ended it.
    TimeLimit,
    /// 130: an interrupt ended it; where this program got another signal N itself, the process ends with 128 + N.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Error => 1,
            Self::NotFound => 2,
            Self::Invalid => 3,
            Self::PreCheck => 4,
            Self::Plugin => 5,
            Self::Refused => 6,
            Self::TimeLimit => 124,
            Self::Interrupted => 130,
        }
    }
}

macro_rules! codes {
    ($($variant:ident $text:literal $exit:ident $meaning:literal;)*) => {
        /// A stable error code. The text never changes; new ones may come.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $(#[doc = $meaning] $variant,)* }

        impl Code {
            /// Every code, in the order of the exit codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text used in JSON errors and documents.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The exit code it leads to.
            #[must_use]
            pub fn exit(self) -> Exit {
                match self { $(Self::$variant => Exit::$exit,)* }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    Io "io" Error "The operating system refused an operation.";
    Usage "usage" Error "A command line was wrong.";
    CommandFailed "command_failed" Error "A command of a workflow failed.";
    BuildFailed "build_failed" Error "A source could not be built.";
    StateBusy "state_busy" Error "Another process holds the store's lock.";
    StateCorrupt "state_corrupt" Error "The store's state file cannot be read.";

    DependencyMissing "dependency_missing" NotFound "Something that the plugin needs is not on this machine, or not enabled.";
    DownloadFailed "download_failed" Error "A server could not be reached, or did not hand a file out.";

    PluginNotFound "plugin_not_found" NotFound "No plugin of that name is installed.";
    CommandNotFound "command_not_found" Error "The plugin has no such command.";
    VersionMissing "version_missing" NotFound "No such version of the plugin is kept.";
    FileNotFound "file_not_found" NotFound "A file that was named does not exist.";
    WorkflowNotFound "workflow_not_found" NotFound "No workflow of that name was found.";
    KeyNotFound "key_not_found" NotFound "No such configuration key or signing key.";

    ManifestInvalid "manifest_invalid" Invalid "A manifest is not valid.";
    WorkflowInvalid "workflow_invalid" Invalid "A workflow file is not valid.";
    ValueInvalid "value_invalid" Invalid "A value is not of the right form.";
    VariableMissing "variable_missing" Error "A variable that a command needs has no value.";
    NotAPlugin "not_a_plugin" Invalid "The file has no plugin manifest.";
    ElfInvalid "elf_invalid" Invalid "The library is damaged or not for this machine.";
    ElfDependency "elf_dependency" Invalid "The library needs other libraries than the system's own.";
    ElfDynamic "elf_dynamic" Invalid "The library asks for a search path or an auditor.";
    AbiMismatch "abi_mismatch" Invalid "The plugin was built for another interface.";
    PolicyInvalid "policy_invalid" Invalid "A policy file is not valid.";
    PackageInvalid "package_invalid" Invalid "A package or index is not of the one accepted form.";
    PackageFormat "format" Invalid "A file is no package: packages have one format.";
    EntryPath "entry_path" Invalid "A path in a package is not one that a package may hold.";
    EntryType "entry_type" Invalid "A package holds something else than plain files.";
    Duplicate "duplicate" Invalid "A package holds something twice.";
    TargetMissing "target_missing" Invalid "A package holds nothing for this kind of machine.";
    DependencyConflict "dependency_conflict" Invalid "No versions of the plugins that need each other go together.";
    DependencyCycle "dependency_cycle" Invalid "Plugins need each other in a circle.";
    DependencyLimit "dependency_limit" Invalid "More plugins or versions would have to be looked at than the limits allow.";
    LockInvalid "lock_invalid" Invalid "A lock file is not valid.";
    LimitPackage "limit_package" Invalid "A package is larger than the limits allow.";

    PreCheckFailed "pre_check_failed" PreCheck "A workflow's pre-check failed.";

    PluginFailed "plugin_failed" Plugin "The plugin reported a failure.";
    PluginPanicked "plugin_panicked" Plugin "The plugin's code panicked.";
    PluginCrashed "plugin_crashed" Plugin "The plugin's process died.";
    PluginExited "plugin_exited" Plugin "The plugin's process ended without an answer.";
    ProtocolError "protocol_error" Plugin "The plugin's process sent what the protocol does not allow.";
    SandboxViolation "sandbox_violation" Plugin "The plugin made a system call that no plugin may make.";
    LimitMemory "limit_memory" Plugin "The plugin reached its memory limit.";
    LimitProcesses "limit_processes" Plugin "The plugin reached its limit of processes and threads.";
    LimitOutput "limit_output" Plugin "The plugin printed or logged more than allowed.";
    LimitMessage "limit_message" Plugin "A message of the plugin was larger than allowed.";
    LimitCalls "limit_calls" Plugin "The plugin made more host calls than allowed.";
    LimitNetwork "limit_network" Plugin "The plugin reached a limit of its connections.";
    HookDepth "hook_depth" Plugin "Hooks triggered each other too deep.";

    SignatureMissing "signature_missing" Refused "There is no signature.";
    SignatureMalformed "signature_malformed" Refused "The signature is not of the one accepted form.";
    Algorithm "algorithm" Refused "The signature is of another kind than the one that is known.";
    SignatureInvalid "signature_invalid" Refused "The signature does not belong to this content.";
    UntrustedKey "untrusted_key" Refused "The signing key is not trusted.";
    KeyScope "key_scope" Refused "The signing key is not trusted for this plugin name.";
    KeyExpired "key_expired" Refused "The signing key is not valid at this time.";
    KeyRevoked "key_revoked" Refused "The signing key was revoked.";
    KeyChanged "key_changed" Refused "The plugin is signed by another key than the one that was pinned for it.";
    RevocationsStale "revocations_stale" Refused "A list of revoked keys is too old for anything new to be installed.";
    ClockImplausible "clock_implausible" Refused "The clock is behind what was recorded before.";
    PassphraseMissing "passphrase_missing" Refused "A secret key is encrypted, and there is no passphrase.";
    PassphraseWrong "passphrase_wrong" Refused "The passphrase does not open the secret key.";
    WeakKey "weak_key" Refused "The key is one under which anything verifies.";
    Tls "tls" Refused "A server cannot prove who it is, or the connection would not be encrypted.";
    Size "size" Refused "A download has not the size that was announced, or more than is allowed.";
    DigestFormat "digest_format" Refused "A digest is not of the one accepted form.";
    DigestMismatch "digest_mismatch" Refused "The digest is not the one that was expected.";
    NameMismatch "name_mismatch" Refused "The plugin has another name than the one that was asked for.";
    NameLookalike "name_lookalike" Refused "The name could be taken for another one that is known.";
    ContentMismatch "content_mismatch" Refused "A file is not the one that was signed.";
    Integrity "integrity" Refused "An installed file is not the one that was installed.";
    InsecurePermissions "insecure_permissions" Refused "A file or directory that must be private is not.";
    SystemStore "system_store" Refused "The plugin or the store is the administrator's, and only root changes it.";
    VersionRollback "version_rollback" Refused "The version is older than one that was seen before.";
    VersionReused "version_reused" Refused "The version was seen before, with another content.";
    VersionPinned "version_pinned" Refused "The plugin is pinned to another version.";
    ConsentRequired "consent_required" Refused "The plugin asks for something that was not granted.";
    DirectoryRefused "directory_refused" Refused "A directory that no plugin may have, or that cannot be given to it.";
    PermissionDenied "permission_denied" Refused "The plugin tried to do what it was not granted.";
    PolicyRefused "policy_refused" Refused "A policy file, or a default of it, does not allow it.";
    CommandVetoed "command_vetoed" Refused "A plugin's hook refused what was about to happen.";
    PluginDisabled "plugin_disabled" Refused "The plugin is installed but not enabled.";
    PluginQuarantined "plugin_quarantined" Refused "The plugin failed too often and was stopped.";
    DependencySource "dependency_source" Refused "A plugin that is needed is signed by another key than the one that is meant.";
    DependencyInUse "dependency_in_use" Refused "Other plugins need this one.";
    LockMismatch "lock_mismatch" Refused "What is installed is not what the lock file of the project says.";
    LinkTaken "link_taken" Refused "A plugin of that name is installed where it was to be linked, or the other way round.";
    LinkChanged "link_changed" Refused "The files that a plugin is linked to are not the ones that were confirmed.";
    UlimitLow "ulimit_low" Refused "A limit that this program was started under is too low for it.";
    SandboxUnavailable "sandbox_unavailable" Refused "This machine cannot run the sandbox.";
    InterpreterMissing "interpreter_missing" Refused "What runs the plugin's scripts is not on this machine.";
    NameReserved "name_reserved" Refused "The name is one of the program's own words.";

    Timeout "timeout" TimeLimit "A download took longer than it may.";
    LimitTime "limit_time" TimeLimit "The call took longer than its wall-clock limit.";
    LimitCpu "limit_cpu" TimeLimit "The call used more CPU time than its limit.";

    Interrupted "interrupted" Interrupted "A signal ended the run.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a stable code and, where there is something to do next, a sentence that says what.
pub trait Coded: std::error::Error {
    /// The stable code.
    fn code(&self) -> Code;

    /// What the user can do next.
    fn help(&self) -> Option<String> {
        None
    }
}

/// Whether the disk is full, or what the user may have of it.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} appears twice");
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{text}");
            assert!(code.meaning().ends_with('.'), "{text}");
            assert_ne!(code.exit(), Exit::Ok, "{text}");
        }
    }
}

//! What can be wrong with a package, a sidecar, a manifest or a library.

use crate::code::{Code, Coded};
use crate::text::safe_line;

/// A package that is refused; the message names what was looked at and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Something is larger than its cap.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What was measured.
        what: String,
        /// The cap with its unit.
        limit: String,
    },
    /// The file does not begin as the one accepted format does.
    #[error("the file is not a plugin package: {reason}")]
    Format {
        /// What it is not.
        reason: &'static str,
    },
    /// The compressed stream is damaged or asks for too much.
    #[error("cannot unpack the package: {reason}")]
    Compression {
        /// The decoder's words.
        reason: String,
    },
    /// An archive entry is not the one canonical entry of its place.
    #[error("archive entry `{entry}` is refused: {reason}")]
    Entry {
        /// The entry that was expected there.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An archive entry is no plain file.
    #[error("archive entry `{}` is refused: it is {kind}, and a package holds plain files alone", safe_line(entry))]
    EntryType {
        /// Its name, as far as it can be read.
        entry: String,
        /// What it is.
        kind: String,
    },
    /// A path is there twice, or would be on a file system that ignores case.
    #[error("`{}` is refused: {reason}", safe_line(path))]
    Duplicate {
        /// The path as written.
        path: String,
        /// What is equal.
        reason: &'static str,
    },
    /// Only the part for other machines was bundled.
    #[error("it was bundled for {target} alone, and this machine is {machine}")]
    Part {
        /// The machines that it was bundled for.
        target: String,
        /// The kind of this machine.
        machine: &'static str,
    },
    /// It holds nothing for this kind of machine.
    #[error("the package is for {targets}, this machine is {machine}")]
    Target {
        /// What it is for.
        targets: String,
        /// This machine.
        machine: &'static str,
    },
    /// The index text is not of the one accepted spelling.
    #[error("the index is not valid{}: {}", at_line(*line), safe_line(reason))]
    Index {
        /// One-based; 0 where the fault is in no single line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A path inside a package breaks the path grammar.
    #[error("`{}` is no path of a package: {reason}", safe_line(path))]
    Path {
        /// The path as written.
        path: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A file that no package of scripts may hold.
    #[error("`{}` is refused: {reason}", safe_line(path))]
    ScriptFile {
        /// Its path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// The signature block is not of the one accepted spelling.
    #[error("the signature is malformed: {reason}")]
    Signature {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The signature is of another kind; there is one for each version of the format.
    #[error("the signature is of the kind `{}`, and the only one is `ed25519-public`", safe_line(name))]
    Algorithm {
        /// What stands in its place.
        name: String,
    },
    /// A file or the manifest is not what the index says.
    #[error("`{}` is not what the index says: {}", safe_line(what), safe_line(reason))]
    ContentMismatch {
        /// A file's path or a field of the manifest.
        what: String,
        /// How it differs.
        reason: String,
    },
    /// The file has no manifest, so it is no plugin.
    #[error("the file is not a plugin: {reason}")]
    NotAPlugin {
        /// What is missing.
        reason: &'static str,
    },
    /// Everything that is wrong with a manifest, one line each.
    #[error("the manifest is not valid:{}", lines(findings))]
    Manifest {
        /// One sentence each.
        findings: Vec<String>,
    },
    /// The plugin has one of the program's own words as its name.
    #[error("a plugin cannot be named `{name}`: it is one of the program's own words")]
    NameReserved {
        /// The name.
        name: String,
    },
    /// The library is damaged, for another machine, or asks for what no plugin gets.
    #[error("the library is refused: {reason}")]
    Elf {
        /// What is wrong with it.
        reason: String,
    },
    /// The library needs another library than the system's own.
    #[error("the library needs `{}`, which the sandbox does not hold", safe_line(library))]
    ElfDependency {
        /// Its `DT_NEEDED` entry.
        library: String,
    },
    /// The library brings a search path, a filter or an auditor.
    #[error("the library has a {tag} entry, which would change where code is loaded from")]
    ElfDynamic {
        /// The tag's name.
        tag: &'static str,
    },
}

fn at_line(line: usize) -> String {
    if line == 0 { String::new() } else { format!(" at line {line}") }
}

fn lines(findings: &[String]) -> String {
    findings.iter().map(|finding| format!("\n  {}", safe_line(finding))).collect()
}

impl Coded for PackageError {
    fn code(&self) -> Code {
        match self {
            Self::Limit { .. } => Code::LimitPackage,
            Self::Format { .. } => Code::PackageFormat,
            Self::Compression { .. } | Self::Entry { .. } | Self::Index { .. } | Self::ScriptFile { .. } => {
                Code::PackageInvalid
            }
            Self::Path { .. } => Code::EntryPath,
            Self::EntryType { .. } => Code::EntryType,
            Self::Duplicate { .. } => Code::Duplicate,
            Self::Target { .. } | Self::Part { .. } => Code::TargetMissing,
            Self::Signature { .. } => Code::SignatureMalformed,
            Self::Algorithm { .. } => Code::Algorithm,
            Self::ContentMismatch { .. } => Code::ContentMismatch,
            Self::NotAPlugin { .. } => Code::NotAPlugin,
            Self::Manifest { .. } => Code::ManifestInvalid,
            Self::NameReserved { .. } => Code::NameReserved,
            Self::Elf { .. } => Code::ElfInvalid,
            Self::ElfDependency { .. } => Code::ElfDependency,
            Self::ElfDynamic { .. } => Code::ElfDynamic,
        }
    }

    fn help(&self) -> Option<String> {
        let text = match self {
            Self::Limit { .. } => "ship large data outside the package, or make the plugin smaller",
            Self::Format { .. } => {
                "give a .mgp file, a .so file with its .so.sig beside it, the manifest of scripts, or a directory that holds one of these"
            }
            Self::Compression { .. }
            | Self::Entry { .. }
            | Self::EntryType { .. }
            | Self::Duplicate { .. }
            | Self::Index { .. }
            | Self::Path { .. } => {
                "get the package again from its author; `cargo xtask package-plugin` writes the accepted form"
            }
            Self::Part { .. } => "bundle it on a machine of this kind, or where the file of its package still is",
            Self::Target { .. } => {
                "ask its author for a package that holds this target; `cargo xtask package-plugin --add-to FILE` adds one"
            }
            Self::Signature { .. } | Self::Algorithm { .. } | Self::ContentMismatch { .. } => {
                "the file was changed after it was signed, or damaged on its way: get it again from its author"
            }
            Self::ScriptFile { .. } => {
                "a plugin of scripts has its manifest, its sources, the programs that it names and texts beside them"
            }
            Self::NotAPlugin { .. } => {
                "build a cdylib with #[plugin] of migraine-plugin-api, or give a manifest whose hooks or commands have handlers"
            }
            Self::Manifest { .. } => "correct the manifest and package the plugin again",
            Self::NameReserved { .. } => "give the plugin another name",
            Self::Elf { .. } => "build the plugin on and for this kind of machine, as an ordinary cdylib",
            Self::ElfDependency { .. } => "link that library statically into the plugin",
            Self::ElfDynamic { .. } => "build the plugin without -rpath, --audit or --filter linker options",
        };
        Some(text.to_owned())
    }
}

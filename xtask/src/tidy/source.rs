//! The files that tidy reads, and their parsed form.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use proc_macro2::TokenStream;

/// A text file of the project.
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Whether only tests compile it: its module, or one around it, is declared under `#[cfg(test)]`.
    pub(super) for_tests: bool,
}

/// A Rust file, as tokens (they see into macro calls) and as a tree (it knows what a function is).
pub(super) struct Parsed {
    pub(super) tokens: TokenStream,
    pub(super) file: syn::File,
}

/// Why a Rust file could not be parsed.
pub(super) struct ParseError {
    pub(super) line: usize,
    pub(super) message: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), for_tests: false }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(super) fn parse(&self) -> Result<Parsed, ParseError> {
        let failed = |error: &syn::Error| ParseError { line: error.span().start().line, message: error.to_string() };
        let tokens = syn::parse_str::<TokenStream>(&self.text).map_err(|error| failed(&error))?;
        let file = syn::parse_file(&self.text).map_err(|error| failed(&error))?;
        Ok(Parsed { tokens, file })
    }
}

const TEXT_EXTENSIONS: &[&str] = &["rs", "md", "toml", "yaml", "yml", "sh", "py", "json"];

/// Folders that hold nothing written by hand, or what is wrong on purpose.
const SKIPPED: &[&str] = &[".git", "tests/data", "tests/abi/frozen"];

/// Every text file below `root`, in order of its path.
pub(super) fn read_tree(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(root.join(&folder)).with_context(|| format!("cannot list `{folder}`"))?;
        for entry in listing {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() && name != "target" && !path.ends_with("tests/ui") && !SKIPPED.contains(&path.as_str()) {
                folders.push(path);
            } else if kind.is_file() && is_text(&name, &path) {
                let bytes = fs::read(entry.path()).with_context(|| format!("cannot read `{path}`"))?;
                sources.push(Source::new(&path, &String::from_utf8_lossy(&bytes)));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    mark_test_files(&mut sources);
    Ok(sources)
}

pub(super) fn mark_test_files(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().filter(|source| source.is_rust()).flat_map(test_modules).collect();
    for source in sources {
        source.for_tests = modules.iter().any(|module| {
            source.path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
}

/// The modules in files of their own that a file declares for tests, as paths without an ending.
fn test_modules(source: &Source) -> Vec<String> {
    let Ok(parsed) = source.parse() else { return Vec::new() };
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let folder = match file.strip_suffix(".rs") {
        Some("mod" | "lib" | "main") | None => folder.to_owned(),
        Some(name) => format!("{folder}/{name}"),
    };
    let declared = parsed.file.items.into_iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_for_tests(&module.attrs) => Some(module.ident),
        _ => None,
    });
    declared.map(|name| format!("{folder}/{name}")).collect()
}

/// Whether an item stands under `#[cfg(test)]`.
pub(super) fn is_for_tests(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn is_text(name: &str, path: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TEXT_EXTENSIONS.contains(&extension) || path == ".ci/run"
}

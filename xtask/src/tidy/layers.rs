//! Imports of `host/src` go down only, and the pure modules reach nothing outside. What only tests compile may do both:
//! a test of packages signs with the keys of a higher module and reads what a compiler wrote.

use proc_macro2::TokenStream;

use super::Finding;
use super::layers_table::{CLOCKS, IMPURE, NEVER, NOT_PURE, PURE, RANKS, VOCABULARY};
use super::paths::{NamedPath, named_paths};
use super::source::Source;

pub(super) fn check(source: &Source, tokens: &TokenStream) -> Vec<Finding> {
    let Some(place) = place_of(&source.path) else { return Vec::new() };
    if source.for_tests {
        return Vec::new();
    }
    let paths: Vec<NamedPath> = named_paths(tokens)
        .into_iter()
        .filter(|path| !path.in_test)
        .map(|path| NamedPath { segments: resolve(&place, &path), ..path })
        .collect();
    let mut findings: Vec<Finding> = paths.iter().filter_map(|path| check_rank(source, &place, path)).collect();
    if is_pure(&source.path) {
        findings.extend(paths.iter().filter_map(|path| check_pure(source, path)));
    }
    findings.dedup();
    findings
}

/// The module a file of `host/src` is, as segments below the crate; the crate's own roots have no place.
fn place_of(path: &str) -> Option<Vec<String>> {
    let below = path.strip_prefix("host/src/")?.strip_suffix(".rs")?;
    let below = below.strip_suffix("/mod").unwrap_or(below);
    match below {
        "lib" | "main" => None,
        _ => Some(below.split('/').map(str::to_owned).collect()),
    }
}

/// The path from the crate's root: `self` and `super` are replaced by the modules they stand for.
fn resolve(place: &[String], path: &NamedPath) -> Vec<String> {
    let mut at: Vec<String> = place.iter().chain(&path.inside).cloned().collect();
    let relative = path.segments.iter().take_while(|segment| *segment == "super" || *segment == "self").count();
    if relative == 0 {
        return path.segments.clone();
    }
    for segment in &path.segments[..relative] {
        if segment == "super" {
            at.pop();
        }
    }
    std::iter::once("crate".to_owned()).chain(at).chain(path.segments[relative..].iter().cloned()).collect()
}

fn check_rank(source: &Source, place: &[String], path: &NamedPath) -> Option<Finding> {
    let [first, target, ..] = path.segments.as_slice() else { return None };
    let module = place.first()?;
    if first != "crate" || target == module {
        return None;
    }
    let finding = |advice: String| Some(Finding::new(source, path.line, "layers", advice));
    let Some(own) = rank(module) else {
        return finding(format!("`{module}` has no rank; give it one in the table of tidy and in ARCHITECTURE.md"));
    };
    if let Some((_, _, why)) = NEVER.iter().find(|(user, used, _)| user == module && used.contains(&target.as_str())) {
        return finding(format!("`{module}` never names `{target}`: {why}"));
    }
    match rank(target) {
        None => finding(format!("name `{target}` by the module that defines it, so that its rank can be checked")),
        Some(_) if VOCABULARY.contains(&target.as_str()) => None,
        Some(other) if other >= own => finding(format!(
            "`{module}` (rank {own}) may not use `{target}` (rank {other}); move the shared part down or pass it in"
        )),
        Some(_) => None,
    }
}

fn check_pure(source: &Source, path: &NamedPath) -> Option<Finding> {
    let impure = IMPURE.iter().any(|prefix| starts_with(&path.segments, prefix))
        || path.segments.iter().any(|segment| CLOCKS.contains(&segment.as_str()));
    let advice = format!("this module is pure; take what `{}` gives as an argument", path.segments.join("::"));
    impure.then(|| Finding::new(source, path.line, "pure", advice))
}

fn starts_with(segments: &[String], prefix: &[&str]) -> bool {
    segments.len() >= prefix.len() && segments.iter().zip(prefix).all(|(segment, wanted)| segment == wanted)
        // A crate is only meant where it is the start of a longer path or the whole of a `use`; `libc` alone as an
        // identifier is a variable.
        && (prefix.len() > 1 || segments.len() > 1)
}

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

fn is_pure(path: &str) -> bool {
    PURE.iter().any(|prefix| path.starts_with(prefix)) && !NOT_PURE.iter().any(|prefix| path.starts_with(prefix))
}

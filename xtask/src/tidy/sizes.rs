//! Files and functions stay small enough to be read in one sitting.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::Finding;
use super::source::{Source, is_for_tests};

/// The most lines of a file, its closing test module left out.
const FILE_LINES: usize = 600;
/// The most lines of a function, from its signature to its closing brace, that need no reason.
const FUNCTION_LINES: usize = 80;
/// The comment that gives the reason.
const REASON: &str = "// long:";

pub(super) fn check(source: &Source, file: &syn::File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    let counted = trailing_tests(file).map_or(lines, |first| first - 1);
    if counted > FILE_LINES {
        let advice = format!("{counted} lines of code, the limit is {FILE_LINES}; split the file by duty");
        findings.push(Finding::new(source, 1, "size", advice));
    }
    let mut functions = Functions { source, findings };
    functions.visit_file(file);
    functions.findings
}

/// The first line of the closing `#[cfg(test)] mod … { … }`.
fn trailing_tests(file: &syn::File) -> Option<usize> {
    let Some(syn::Item::Mod(module)) = file.items.last() else { return None };
    module.content.as_ref().filter(|_| is_for_tests(&module.attrs))?;
    module.attrs.iter().map(|attribute| line_of(attribute.span())).min()
}

struct Functions<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn judge(&mut self, attrs: &[syn::Attribute], signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        let lines = last + 1 - first;
        let from = attrs.iter().map(|attribute| line_of(attribute.span())).min().unwrap_or(first);
        if lines > FUNCTION_LINES && !self.has_reason(from, block.span().start().line) {
            let name = &signature.ident;
            let advice = format!(
                "`{name}` has {lines} lines, the limit is {FUNCTION_LINES}; split it or write `{REASON} WHY` above it"
            );
            self.findings.push(Finding::new(self.source, first, "size", advice));
        }
    }

    /// A reason stands in the line before the function and its attributes, or anywhere up to its opening brace.
    fn has_reason(&self, from: usize, to: usize) -> bool {
        let lines = self.source.text.lines().skip(from.saturating_sub(2)).take(to + 2 - from);
        lines.filter_map(|line| line.split_once(REASON)).any(|(_, why)| why.trim().len() >= 8)
    }
}

fn line_of(span: Span) -> usize {
    span.start().line
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.judge(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.judge(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.judge(&item.attrs, &item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

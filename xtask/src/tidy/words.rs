//! Leftovers that must not land, and tests that are ignored without a reason.

use proc_macro2::{TokenStream, TokenTree};

use super::Finding;
use super::source::Source;

/// `(the word in two halves, what to do)`. Halves, so that this table does not find itself.
const LEFTOVERS: &[((&str, &str), &str)] = &[
    (("todo", "!("), "write the code or leave the feature out"),
    (("unimplemented", "!("), "write the code or leave the feature out"),
    (("FIX", "ME"), "fix it now, or say in a plain comment what does not hold"),
    (("XX", "X"), "fix it now, or say in a plain comment what does not hold"),
    (("simplified ", "for now"), "write the whole of it, or say in the documents what is left out"),
    (("/ro", "ot/"), "name no folder of one machine; take it from an argument or the environment"),
    (("/ho", "me/"), "name no folder of one machine; take it from an argument or the environment"),
    (("/Use", "rs/"), "name no folder of one machine; take it from an argument or the environment"),
];

/// The users of documents and tests: such a home names no machine.
const EXAMPLE_USERS: &[&str] = &["user", "alice", "bob", "a", "b"];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for ((head, tail), advice) in LEFTOVERS {
            let word = format!("{head}{tail}");
            if line.match_indices(&word).any(|(at, _)| stands_alone(line, at, &word)) {
                let advice = format!("`{}`: {advice}", word.trim_end_matches('('));
                findings.push(Finding::new(source, number + 1, "words", advice));
            }
        }
    }
    findings
}

/// Whether the hit is a word of its own and not part of a longer one or of an example's home.
fn stands_alone(line: &str, at: usize, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
    if word.starts_with('/') {
        let user = line[at + word.len()..].split(|character| !is_word(character)).next().unwrap_or("");
        return !EXAMPLE_USERS.contains(&user) && !before.is_some_and(is_word) && after.is_some_and(is_word);
    }
    let open_end = word.ends_with('(');
    !before.is_some_and(is_word) && (open_end || !after.is_some_and(is_word))
}

/// `#[ignore]` needs a reason: `#[ignore = "…"]`.
pub(super) fn check_ignored(source: &Source, tokens: &TokenStream) -> Vec<Finding> {
    let mut lines = Vec::new();
    ignored_lines(tokens, &mut lines);
    let finding = |line| Finding::new(source, line, "ignored", "say why: `#[ignore = \"reason\"]`");
    lines.into_iter().map(finding).collect()
}

fn ignored_lines(tokens: &TokenStream, lines: &mut Vec<usize>) {
    let mut after_hash = false;
    for tree in tokens.clone() {
        if let TokenTree::Group(group) = &tree {
            if after_hash && group.stream().to_string() == "ignore" {
                lines.push(group.span().start().line);
            }
            ignored_lines(&group.stream(), lines);
        }
        after_hash = matches!(&tree, TokenTree::Punct(punct) if punct.as_char() == '#');
    }
}

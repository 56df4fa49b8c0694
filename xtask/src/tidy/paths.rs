//! All paths that a token stream names, those inside of macro calls included.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path such as `crate::wire::Frame`, with the line of its first segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPath {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// The inline modules around it, from the outside in.
    pub(super) inside: Vec<String>,
    /// Whether it stands in code that only tests compile.
    pub(super) in_test: bool,
}

/// Every path of at least one segment, in order; `use a::{b, c}` gives `a::b` and `a::c`.
pub(super) fn named_paths(tokens: &TokenStream) -> Vec<NamedPath> {
    let mut walk = Walk { found: Vec::new(), inside: Vec::new(), in_test: false };
    walk.stream(tokens);
    walk.found
}

struct Walk {
    found: Vec<NamedPath>,
    inside: Vec<String>,
    in_test: bool,
}

impl Walk {
    fn stream(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut at = 0;
        let mut test_item = false;
        while at < trees.len() {
            match &trees[at] {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = trees.get(at + 1) {
                        test_item |= is_test_attribute(group);
                    }
                    at += 1;
                }
                TokenTree::Ident(ident) if *ident == "mod" => at = self.module(&trees, at, &mut test_item),
                TokenTree::Ident(_) => at = self.path(&trees, at, test_item),
                TokenTree::Group(group) => {
                    self.group(group, test_item);
                    // A brace ends the item that an attribute stood on; `[..]` of the attribute itself does not.
                    test_item &= group.delimiter() != Delimiter::Brace;
                    at += 1;
                }
                TokenTree::Punct(punct) => {
                    test_item &= punct.as_char() != ';';
                    at += 1;
                }
                TokenTree::Literal(_) => at += 1,
            }
        }
    }

    fn group(&mut self, group: &Group, test_item: bool) {
        let before = self.in_test;
        self.in_test |= test_item;
        self.stream(&group.stream());
        self.in_test = before;
    }

    fn module(&mut self, trees: &[TokenTree], at: usize, test_item: &mut bool) -> usize {
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = (trees.get(at + 1), trees.get(at + 2))
        else {
            return at + 1;
        };
        self.inside.push(name.to_string());
        self.group(body, *test_item);
        self.inside.pop();
        *test_item = false;
        at + 3
    }

    /// Reads the path that starts at `at` and returns where reading goes on.
    fn path(&mut self, trees: &[TokenTree], at: usize, test_item: bool) -> usize {
        let TokenTree::Ident(first) = &trees[at] else { return at + 1 };
        let line = first.span().start().line;
        let mut segments = vec![first.to_string()];
        let mut next = at + 1;
        loop {
            match (trees.get(next), trees.get(next + 1), trees.get(next + 2)) {
                (Some(TokenTree::Punct(a)), Some(TokenTree::Punct(b)), Some(TokenTree::Ident(segment)))
                    if a.as_char() == ':' && b.as_char() == ':' =>
                {
                    segments.push(segment.to_string());
                    next += 3;
                }
                (Some(TokenTree::Punct(a)), Some(TokenTree::Punct(b)), Some(TokenTree::Group(group)))
                    if a.as_char() == ':' && b.as_char() == ':' && group.delimiter() == Delimiter::Brace =>
                {
                    self.list(&segments, group);
                    return next + 3;
                }
                (Some(TokenTree::Punct(a)), Some(TokenTree::Punct(b)), Some(TokenTree::Punct(star)))
                    if a.as_char() == ':' && b.as_char() == ':' && star.as_char() == '*' =>
                {
                    segments.push("*".to_owned());
                    next += 3;
                    break;
                }
                _ => break,
            }
        }
        let in_test = self.in_test || test_item;
        self.found.push(NamedPath { segments, line, inside: self.inside.clone(), in_test });
        next
    }

    /// The list of a `use a::{b, c::d}`: each path in it gets the prefix.
    fn list(&mut self, prefix: &[String], group: &Group) {
        let from = self.found.len();
        self.stream(&group.stream());
        for path in &mut self.found[from..] {
            path.segments.splice(0..0, prefix.iter().cloned());
        }
    }
}

fn is_test_attribute(group: &Group) -> bool {
    let text = group.stream().to_string().replace(' ', "");
    text == "test" || text == "cfg(test)"
}

//! Counts how often each word appears in a text.

use std::collections::BTreeMap;

/// Words in lower case with their number, the most frequent first and equal ones by name.
#[must_use]
pub fn count_words(text: &str) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::new();
    let words = text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        *counts.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, usize)]) {
        let found = count_words(text);
        let found: Vec<_> = found.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_are_counted_whatever_their_case() {
        check("the cat, The dog", &[("the", 2), ("cat", 1), ("dog", 1)]);
        check("Ärger ärger", &[("ärger", 2)]);
    }

    #[test]
    fn a_text_without_words_has_no_counts() {
        check("", &[]);
        check(" .,;\n", &[]);
    }
}

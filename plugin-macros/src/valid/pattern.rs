//! A cheap look at a hook's pattern: unbalanced brackets and what the host's linear-time engine does not have. The host
//! compiles the pattern and has the last word.

/// Finds an obvious error.
pub(super) fn check(pattern: &str) -> Result<(), &'static str> {
    let mut rest = pattern.chars().peekable();
    // In verbose mode a comment may hold any bracket.
    if pattern.contains("(?x") {
        return Ok(());
    }
    let (mut groups, mut classes) = (0_usize, 0_usize);
    while let Some(char) = rest.next() {
        match char {
            '\\' => match rest.next() {
                None => return Err("it ends in a backslash"),
                Some(next) if next.is_ascii_digit() && classes == 0 => return Err("it refers back to a group"),
                Some(_) => {}
            },
            '[' => {
                classes += 1;
                rest.next_if_eq(&'^');
                // A bracket right after the opening one stands for itself.
                rest.next_if_eq(&']');
            }
            ']' if classes > 0 => classes -= 1,
            '(' if classes == 0 => {
                groups += 1;
                if looks_around(rest.clone()) {
                    return Err("it looks ahead or behind");
                }
            }
            ')' if classes == 0 => groups = groups.checked_sub(1).ok_or("a `)` closes nothing")?,
            _ => {}
        }
    }
    match (groups, classes) {
        (0, 0) => Ok(()),
        (_, 0) => Err("a `(` is not closed"),
        _ => Err("a `[` is not closed"),
    }
}

fn looks_around(mut rest: impl Iterator<Item = char>) -> bool {
    if rest.next() != Some('?') {
        return false;
    }
    match rest.next() {
        Some('=' | '!') => true,
        Some('<') => matches!(rest.next(), Some('=' | '!')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_obvious_errors_are_refused() {
        let fine = [
            "",
            ".*",
            "^cargo (build|test)",
            r"\(",
            r"[]a]",
            r"[^]()]",
            "[[:alpha:]_]",
            r"[\]]",
            "a]",
            "(?i)git",
            "(?P<verb>push|pull)",
            "(?<verb>push)",
            "(?x) a # (",
            r"[\d]",
        ];
        for pattern in fine {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
        for (pattern, part) in [
            ("(", "not closed"),
            ("[a", "not closed"),
            ("a)", "closes nothing"),
            ("a\\", "backslash"),
            (r"(a)\1", "refers back"),
            ("a(?=b)", "looks ahead"),
            ("(?<!b)a", "looks ahead"),
        ] {
            let message = check(pattern).expect_err(pattern);
            assert!(message.contains(part), "{pattern}: {message}");
        }
    }
}

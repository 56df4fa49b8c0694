//! `.dockerignore`: which files of a context stay at home.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use migraine_plugin_api::PluginError;

/// The rules of one file, in its order: the last one that applies decides.
#[derive(Debug, Default)]
pub(crate) struct Ignore(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    glob: GlobMatcher,
    /// Written with a `!`: what it matches is sent after all.
    is_exception: bool,
}

impl Ignore {
    /// Reads the rules.
    ///
    /// # Errors
    /// A line is no pattern; the message names it.
    pub(crate) fn parse(text: &str) -> Result<Self, PluginError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let rules = lines.map(|(index, line)| {
            Rule::parse(line.trim())
                .map_err(|why| PluginError::failed(format!("line {} of .dockerignore: {why}", index + 1)))
        });
        rules.filter_map(Result::transpose).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path within the context is left out, by itself or with a directory above it.
    pub(crate) fn excludes(&self, path: &Path) -> bool {
        let matches = |rule: &&Rule| path.ancestors().any(|part| part != Path::new("") && rule.glob.is_match(part));
        self.0.iter().rfind(matches).is_some_and(|rule| !rule.is_exception)
    }

    /// Whether something below an excluded directory may be sent after all.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|rule| rule.is_exception)
    }
}

impl Rule {
    /// A rule; none for a pattern of the context itself, which excludes nothing.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let (pattern, is_exception) = line.strip_prefix('!').map_or((line, false), |rest| (rest.trim(), true));
        let pattern = clean(pattern);
        if pattern.is_empty() {
            return if is_exception { Err("a `!` stands before a pattern".to_owned()) } else { Ok(None) };
        }
        let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
        Ok(Some(Self { glob: glob.map_err(|error| error.to_string())?.compile_matcher(), is_exception }))
    }
}

/// A pattern relative to the context, without `.`, `..` and doubled slashes. Braces mean themselves to Docker.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/").replace('{', "[{]").replace('}', "[}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(rules: &str, path: &str) -> bool {
        Ignore::parse(rules).unwrap().excludes(Path::new(path))
    }

    #[test]
    fn patterns_mean_what_they_mean_to_docker() {
        for (rules, path, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "logs/a.log", false),
            ("**/*.log", "a.log", true),
            ("**/*.log", "logs/deep/a.log", true),
            ("target", "target/debug/app", true),
            ("target", "sub/target", false),
            ("/target/", "target", true),
            ("./a/../target", "target", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("**", "anything/at/all", true),
            ("temp?", "temp1", true),
            ("temp?", "temp", false),
            ("[ab].txt", "b.txt", true),
            ("[^ab].txt", "b.txt", false),
            ("{a,b}", "a", false),
            ("{a,b}", "{a,b}", true),
            ("\\*.txt", "a.txt", false),
            ("# *\n\n  b  ", "b", true),
            ("# *", "a", false),
            (".", "a", false),
        ] {
            assert_eq!(excluded(rules, path), expected, "{rules:?} {path}");
        }
    }

    #[test]
    fn the_last_rule_that_applies_decides() {
        let rules = "*.md\n!README.md\ndocs\n!docs/keep\nREADME.md";
        assert!(excluded(rules, "other.md"));
        assert!(excluded(rules, "README.md"));
        assert!(excluded(rules, "docs/drop"));
        assert!(!excluded(rules, "docs/keep"));
        assert!(!excluded("*.md\n!README.md", "README.md"));
        assert!(Ignore::parse(rules).unwrap().has_exceptions());
    }

    #[test]
    fn what_is_no_pattern_is_named_by_its_line() {
        for rules in ["fine\n[a", "fine\n!"] {
            let error = Ignore::parse(rules).unwrap_err();
            assert!(error.message().starts_with("line 2 of .dockerignore"), "{error}");
        }
    }
}

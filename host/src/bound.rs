//! A command bound to a subscription: words of the manifest, with places for variables of the workflow. Pure.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

/// The longest text of a bound command, in bytes.
const TEXT_MAX: usize = 4096;

/// A command of the plugin with its arguments. Its words are split once, when it is read; values never split further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundCommand {
    words: Vec<Word>,
}

/// The parts of one word, in order.
type Word = Vec<Part>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// A variable that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The workflow has no such variable.
    #[error("the workflow has no variable `{name}`")]
    Missing {
        /// The variable.
        name: String,
    },
    /// The value would be read as an option of the command.
    #[error("the value of `{name}` starts with `-` where an argument starts, so it would be taken for an option")]
    Option {
        /// The variable.
        name: String,
    },
    /// The value cannot be an argument.
    #[error("the value of `{name}` has a NUL character")]
    Nul {
        /// The variable.
        name: String,
    },
}

impl BoundCommand {
    /// Splits the text into words as a shell does and finds each `{{ NAME }}`. Nothing else of a shell is known.
    ///
    /// # Errors
    /// Why it is no command: no words, a quote that does not end, a control character, a placeholder that is no name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("a command has at most {TEXT_MAX} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err("a command has no control characters".to_owned());
        }
        let words = shell_words::split(&without_blanks(text)?).map_err(|_| "a quote does not end".to_owned())?;
        let words = words.iter().map(|word| parts(word)).collect::<Result<Vec<_>, _>>()?;
        match words.first().map(Vec::as_slice) {
            Some([Part::Text(name)]) if !name.is_empty() => Ok(Self { words }),
            Some([Part::Text(_)]) | None => Err("the name of the command is missing".to_owned()),
            Some(_) => Err("the name of the command holds a placeholder".to_owned()),
        }
    }

    /// The name of the plugin's command.
    #[must_use]
    pub fn command(&self) -> &str {
        match self.words.first().map(Vec::as_slice) {
            Some([Part::Text(name)]) => name,
            _ => "",
        }
    }

    /// The variables that it takes.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<&str> {
        let parts = self.words.iter().flatten();
        parts.filter_map(|part| if let Part::Variable(name) = part { Some(name.as_str()) } else { None }).collect()
    }

    /// The words with all values in place, the command's name first. A value is literal: blanks, quotes and braces in it
    /// mean nothing.
    ///
    /// # Errors
    /// A variable is missing, or its value would be an option or has a NUL.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<Vec<String>, FillError> {
        self.words.iter().map(|word| fill_word(word, values)).collect()
    }
}

fn fill_word(word: &Word, values: &BTreeMap<String, String>) -> Result<String, FillError> {
    let mut filled = String::new();
    for part in word {
        let name = match part {
            Part::Text(text) => {
                filled.push_str(text);
                continue;
            }
            Part::Variable(name) => name,
        };
        let value = values.get(name).ok_or_else(|| FillError::Missing { name: name.clone() })?;
        if value.contains('\0') {
            return Err(FillError::Nul { name: name.clone() });
        }
        // Empty values before it do not make it safe: `{{a}}{{b}}` starts with the first that is not empty.
        if filled.is_empty() && value.starts_with('-') {
            return Err(FillError::Option { name: name.clone() });
        }
        filled.push_str(value);
    }
    Ok(filled)
}

/// The text with `{{name}}` for `{{ name }}`, so that a blank within braces splits no word.
fn without_blanks(text: &str) -> Result<String, String> {
    let mut normal = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        let (inner, after) = inside.split_once("}}").ok_or_else(|| "`{{` has no `}}`".to_owned())?;
        let name = inner.trim();
        if !is_name(name) {
            return Err(format!("`{{{{{inner}}}}}` is not of the form {{{{NAME}}}}"));
        }
        normal.push_str(before);
        normal.push_str(&format!("{{{{{name}}}}}"));
        rest = after;
    }
    normal.push_str(rest);
    Ok(normal)
}

/// Whether it can name a variable of a workflow: what it may hold means nothing to a shell.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn parts(word: &str) -> Result<Word, String> {
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some((before, inside)) = rest.split_once("{{") {
        // Quotes and backslashes may have made braces that were not there before the text was split.
        let Some((name, after)) = inside.split_once("}}").filter(|(name, _)| is_name(name)) else {
            return Err(format!("`{word}` has braces that are not of the form {{{{NAME}}}}"));
        };
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Variable(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_command_is_split_like_a_shell_does() {
        for (text, filled) in [
            ("docker-logs", &["docker-logs"] as &[&str]),
            ("docker-logs --container {{name}}", &["docker-logs", "--container", "web"]),
            ("docker-logs --container={{ name }}", &["docker-logs", "--container=web"]),
            ("say 'one two' \"{{ name }} {{name}}\" ''", &["say", "one two", "web web", ""]),
            ("say a\\ b {{name}}{{empty}}", &["say", "a b", "web"]),
            ("say $HOME `id` * ~ ; ls | x", &["say", "$HOME", "`id`", "*", "~", ";", "ls", "|", "x"]),
            ("say }} { {{empty}}", &["say", "}}", "{", ""]),
        ] {
            let command = BoundCommand::parse(text).unwrap();
            assert_eq!(command.fill(&values(&[("name", "web"), ("empty", "")])).unwrap(), filled, "{text}");
            assert_eq!(command.command(), filled[0]);
        }
        let command = BoundCommand::parse("x {{b}} --a={{a}}{{b}}").unwrap();
        assert_eq!(command.variables().into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let long = "a".repeat(TEXT_MAX + 1);
        for text in [
            "",
            "  ",
            "''",
            "{{name}}",
            "docker-{{name}} x",
            "x 'a",
            "x \"a",
            "x {{a",
            "x {{}}",
            "x {{a b}}",
            "x {{name | sh}}",
            "x {{{{a}}}}",
            "x '{'{a",
            "x a\nb",
            "x a\0b",
            &long,
        ] {
            assert!(BoundCommand::parse(text).is_err(), "{text:?}");
        }
    }

    // covers: A184
    #[test]
    fn a_value_is_one_literal_piece() {
        let command = BoundCommand::parse("logs --name={{x}} {{x}}").unwrap();
        for value in ["\"; touch pwned; #", "$(id)", "`id`", "a\nb", "*", "~", "a b", "'", "{{y}}", "\\"] {
            let expected = ["logs".to_owned(), format!("--name={value}"), value.to_owned()];
            assert_eq!(command.fill(&values(&[("x", value), ("y", "no")])).unwrap(), expected);
        }
    }

    // covers: A185
    #[test]
    fn a_value_never_becomes_an_option() {
        let fill = |text: &str, pairs: &[(&str, &str)]| BoundCommand::parse(text).unwrap().fill(&values(pairs));
        let option = |name: &str| Err(FillError::Option { name: name.to_owned() });
        assert_eq!(fill("x {{a}}", &[("a", "--command=sh")]), option("a"));
        assert_eq!(fill("x {{a}}{{b}}", &[("a", ""), ("b", "-v")]), option("b"));
        assert_eq!(fill("x ''{{a}}", &[("a", "-v")]), option("a"));
        assert_eq!(fill("x --a={{a}}", &[("a", "-v")]).unwrap(), ["x", "--a=-v"]);
        assert_eq!(fill("x {{a}}", &[]), Err(FillError::Missing { name: "a".to_owned() }));
        assert_eq!(fill("x {{a}}", &[("a", "\0")]), Err(FillError::Nul { name: "a".to_owned() }));
    }
}

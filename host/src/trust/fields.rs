//! Lines of a signed or kept text: a word, a space and a value.

use std::iter::Peekable;
use std::str::{FromStr, Lines};

use super::TrustError;

/// Reads a text line by line, each field in its place.
pub(super) struct Fields<'a> {
    lines: Peekable<Lines<'a>>,
    object: &'a str,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields after the first line, which says what the text is; `object` names it in errors.
    pub(super) fn after(first: &str, text: &'a [u8], object: &'a str, what: &'static str) -> Result<Self, TrustError> {
        let refuse = |reason: &str| malformed(object, what, reason);
        let text = std::str::from_utf8(text).map_err(|_| refuse("it is not UTF-8"))?;
        let mut lines = text.lines().peekable();
        match lines.next() {
            Some(line) if line == first => Ok(Self { lines, object, what }),
            _ => Err(refuse(&format!("its first line is not `{first}`"))),
        }
    }

    /// The value of a field that must be next.
    pub(super) fn take<T: FromStr<Err: Into<Broken>>>(&mut self, key: &str) -> Result<T, TrustError> {
        let missing = || malformed(self.object, self.what, &format!("its line `{key}` is missing or not in its place"));
        let value = self.lines.peek().and_then(|line| value(line, key)).ok_or_else(missing)?;
        self.lines.next();
        self.parsed(value)
    }

    /// The value of a field that may be next.
    pub(super) fn maybe<T: FromStr<Err: Into<Broken>>>(&mut self, key: &str) -> Result<Option<T>, TrustError> {
        let Some(value) = self.lines.peek().and_then(|line| value(line, key)) else { return Ok(None) };
        self.lines.next();
        self.parsed(value).map(Some)
    }

    /// The values of all fields of that kind that are next.
    pub(super) fn all<T: FromStr<Err: Into<Broken>>>(&mut self, key: &str) -> Result<Vec<T>, TrustError> {
        let mut values = Vec::new();
        while let Some(value) = self.maybe(key)? {
            values.push(value);
        }
        Ok(values)
    }

    /// A refusal of the whole text.
    pub(super) fn refuse(&self, reason: &str) -> TrustError {
        malformed(self.object, self.what, reason)
    }

    fn parsed<T: FromStr<Err: Into<Broken>>>(&self, value: &str) -> Result<T, TrustError> {
        value.parse().map_err(|error: T::Err| match error.into() {
            // What is wrong with a key is more than its spelling.
            Broken::Key(error @ TrustError::WeakKey { .. }) => error,
            Broken::Key(error) => self.refuse(&error.to_string()),
            Broken::Value(reason) => self.refuse(&reason),
        })
    }
}

fn value<'a>(line: &&'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(' ')
}

/// Why a value cannot be read.
pub(super) enum Broken {
    Key(TrustError),
    Value(String),
}

impl From<TrustError> for Broken {
    fn from(error: TrustError) -> Self {
        Self::Key(error)
    }
}

impl From<crate::ids::ParseIdError> for Broken {
    fn from(error: crate::ids::ParseIdError) -> Self {
        Self::Value(error.to_string())
    }
}

impl From<std::num::ParseIntError> for Broken {
    fn from(error: std::num::ParseIntError) -> Self {
        Self::Value(error.to_string())
    }
}

impl From<std::convert::Infallible> for Broken {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

pub(super) fn malformed(object: &str, what: &'static str, reason: &str) -> TrustError {
    TrustError::Malformed { object: object.to_owned(), what, reason: reason.to_owned() }
}

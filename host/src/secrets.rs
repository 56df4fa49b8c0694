//! Values that nobody is shown unless they may see them. They are found by what they are, wherever they stand, and replaced
//! by [`MASK`].
//!
//! Found are a value, the same without the blanks around it, each line of it, and what it looks like inside of a shell word
//! and of a JSON text. Other encodings, such as base64, are not.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

/// What stands in place of a value. Shorter than any of them, so that nothing grows.
pub const MASK: &str = "***";

/// The fewest bytes of a secret value. Shorter ones occur everywhere by chance: masking them would shred what is shown, and
/// say what they are.
pub const SECRET_MIN: usize = 4;

/// The most bytes that are held back for the rest of a value.
const HELD_MAX: usize = 256 << 10;

/// A value that cannot be kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It has fewer than [`SECRET_MIN`] bytes.
    #[error("it has fewer than {SECRET_MIN} characters, which cannot be told from other text")]
    TooShort,
    /// All together are more than can be looked for.
    #[error("there are too many secrets, or they are too large")]
    TooMany,
}

/// A set of secret values. Cheap to clone; the empty one costs nothing.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Known>>);

struct Known {
    forms: BTreeSet<String>,
    /// The length of the longest form, in bytes.
    longest: usize,
    search: AhoCorasick,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} forms)", self.forms().count())
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.forms().eq(other.forms())
    }
}

impl Eq for Secrets {}

impl Secrets {
    /// The set of these values. One that is empty or blank hides nothing and is left out.
    ///
    /// # Errors
    /// A value that cannot be kept secret.
    pub fn new<V: AsRef<str>>(values: impl IntoIterator<Item = V>) -> Result<Self, SecretError> {
        let mut found = BTreeSet::new();
        for value in values {
            let trimmed = value.as_ref().trim();
            if trimmed.is_empty() {
                continue;
            }
            if trimmed.len() < SECRET_MIN {
                return Err(SecretError::TooShort);
            }
            found.extend(forms(value.as_ref()));
        }
        if found.is_empty() {
            return Ok(Self::default());
        }
        let search = AhoCorasick::new(&found).map_err(|_| SecretError::TooMany)?;
        let longest = found.iter().map(String::len).max().unwrap_or_default();
        Ok(Self(Some(Arc::new(Known { forms: found, longest, search }))))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A text without the values; owned where there was one.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Forms are text, so each begins and ends where a character does.
        self.replaced(text.as_bytes()).map_or(Cow::Borrowed(text), |bytes| {
            Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|_| MASK.to_owned()))
        })
    }

    /// Bytes without the values; owned where there was one.
    #[must_use]
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.replaced(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
    }

    fn forms(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|known| &known.forms)
    }

    fn replaced(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let places = self.places(bytes);
        let mut masked = Vec::with_capacity(if places.is_empty() { 0 } else { bytes.len() });
        let mut at = 0;
        for place in &places {
            masked.extend_from_slice(&bytes[at..place.start]);
            masked.extend_from_slice(MASK.as_bytes());
            at = place.end;
        }
        masked.extend_from_slice(if places.is_empty() { &[] } else { &bytes[at..] });
        (!places.is_empty()).then_some(masked)
    }

    /// Where values stand, in order. Those that overlap are one place.
    fn places(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let Some(known) = &self.0 else { return Vec::new() };
        let mut found: Vec<Range<usize>> =
            known.search.find_overlapping_iter(bytes).map(|found| found.range()).collect();
        found.sort_by_key(|place| place.start);
        let mut places: Vec<Range<usize>> = Vec::new();
        for place in found {
            match places.last_mut() {
                Some(last) if place.start < last.end => last.end = last.end.max(place.end),
                _ => places.push(place),
            }
        }
        places
    }

    /// Up to where bytes can be shown before what follows them is known: no value lies across that place.
    #[must_use]
    pub fn safe_end(&self, bytes: &[u8]) -> usize {
        let Some(known) = &self.0 else { return bytes.len() };
        let begun = |&count: &usize| {
            let end = &bytes[bytes.len() - count..];
            known.forms.iter().any(|form| form.len() > count && form.as_bytes().starts_with(end))
        };
        let held = (1..known.longest.min(bytes.len() + 1)).rev().find(begun).unwrap_or_default();
        let end = bytes.len() - held;
        self.across(bytes, end).map_or(end, |place| place.start)
    }

    /// From where bytes can be shown when what was before them is not known.
    #[must_use]
    pub fn safe_start(&self, bytes: &[u8]) -> usize {
        let Some(known) = &self.0 else { return 0 };
        let ended = |&count: &usize| {
            known.forms.iter().any(|form| form.len() > count && form.as_bytes().ends_with(&bytes[..count]))
        };
        let start = (1..known.longest.min(bytes.len() + 1)).rev().find(ended).unwrap_or_default();
        self.across(bytes, start).map_or(start, |place| place.end)
    }

    fn across(&self, bytes: &[u8], at: usize) -> Option<Range<usize>> {
        self.places(bytes).into_iter().find(|place| place.start < at && at < place.end)
    }
}

/// What a value looks like in the places that it gets to.
fn forms(value: &str) -> impl Iterator<Item = String> {
    let lines = value.lines().map(str::trim_end).chain([value, value.trim()]);
    let plain: Vec<String> = lines.map(str::to_owned).collect();
    let quoted: Vec<String> = plain
        .iter()
        .flat_map(|form| {
            let json = serde_json::Value::from(form.as_str()).to_string();
            [form.replace('\'', r"'\''"), json[1..json.len() - 1].to_owned()]
        })
        .collect();
    plain.into_iter().chain(quoted).filter(|form| form.trim().len() >= SECRET_MIN)
}

/// Cuts a stream that comes in pieces into pieces of which each can be masked by itself: what may be the beginning of a
/// value waits for the rest.
#[derive(Debug, Default)]
pub struct Cutter {
    held: Vec<u8>,
}

impl Cutter {
    /// Takes a piece, and gives what can be shown.
    #[must_use]
    pub fn push(&mut self, secrets: &Secrets, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let mut end = secrets.safe_end(&self.held);
        if end == 0 && self.held.len() > HELD_MAX {
            // Values that overlap without end: what such a cut shows of one is less than all of it.
            end = self.held.len();
        }
        self.held.drain(..end).collect()
    }

    /// What is left at the end of the stream.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values).unwrap()
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let check = |values: &[&str], text: &str, expected: &str| {
            assert_eq!(secrets(values).mask(text), expected, "{values:?} in {text}");
        };
        check(&["hunter2"], "a hunter2, hunter2hunter2 and Hunter2", "a ***, ****** and Hunter2");
        check(&["hunter2"], "nothing", "nothing");
        // Overlapping values are one; of a value within another, no rest is left.
        check(&["abcd", "cdef"], "xabcdefx", "x***x");
        check(&["token", "my-token-1"], "my-token-1 token", "*** ***");
        check(&["aaaa"], "aaaaa", "***");
        check(&[" padded \n"], "[padded] [ padded \n]", "[***] [***]");
        check(&["first line\nsecond\r\nxy\n"], "second; first line; xy", "***; ***; xy");
        check(&["it's"], r"echo 'it'\''s'", "echo '***'");
        check(&["a\"b\\c"], r#"{"token":"a\"b\\c"}"#, r#"{"token":"***"}"#);
        check(&["größe"], "die größe", "die ***");
        check(&[], "anything", "anything");
        assert_eq!(secrets(&["hunter2"]).mask_bytes(b"\xffhunter2\xfe").as_ref(), b"\xff***\xfe");
    }

    #[test]
    fn what_is_too_short_is_refused_and_what_is_blank_is_none() {
        assert_eq!(Secrets::new(["abc"]), Err(SecretError::TooShort));
        assert_eq!(Secrets::new(["long enough", "  ab  "]), Err(SecretError::TooShort));
        assert!(Secrets::new(["", "   \n"]).unwrap().is_empty());
    }

    #[test]
    fn a_value_is_not_in_what_debugging_shows() {
        assert_eq!(format!("{:?}", secrets(&["hunter2"])), "Secrets(1 forms)");
    }

    /// However a text is cut, the masked pieces are what the masked text is.
    #[test]
    fn pieces_are_masked_as_the_whole_is() {
        let text = "say hunter2 and hunt; abcdef hunter22 hunterhunter2 end hunter";
        let secrets = secrets(&["hunter2", "abcd", "cdef", "hunter2 and"]);
        let whole = secrets.mask(text);
        for size in 1..=text.len() {
            let (mut cutter, mut masked) = (Cutter::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                masked.extend_from_slice(&secrets.mask_bytes(&cutter.push(&secrets, piece)));
            }
            masked.extend_from_slice(&secrets.mask_bytes(&cutter.finish()));
            assert_eq!(String::from_utf8(masked).unwrap(), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_waits_only_for_what_may_be_a_value() {
        let secrets = secrets(&["hunter2"]);
        let mut cutter = Cutter::default();
        assert_eq!(cutter.push(&secrets, b"Password: "), b"Password: ");
        assert_eq!(cutter.push(&secrets, b"hunt"), b"");
        assert_eq!(cutter.push(&secrets, b"ing\n"), b"hunting\n");
    }

    #[test]
    fn the_ends_of_what_was_cut_out_hold_no_part_of_a_value() {
        let secrets = secrets(&["hunter2"]);
        for (bytes, end) in [("x hunt", 2), ("x hunter2", 9), ("x", 1), ("hunter2h", 7)] {
            assert_eq!(secrets.safe_end(bytes.as_bytes()), end, "{bytes}");
        }
        for (bytes, start) in [("ter2 x", 4), ("hunter2 x", 0), ("x", 0), ("2hunter2", 1)] {
            assert_eq!(secrets.safe_start(bytes.as_bytes()), start, "{bytes}");
        }
        assert_eq!(Secrets::default().safe_end(b"hunt"), 4);
    }

    /// Values that overlap without end are held back only so far.
    #[test]
    fn what_is_held_back_is_bounded() {
        let secrets = secrets(&["aaaa"]);
        let mut cutter = Cutter::default();
        let piece = vec![b'a'; 64 << 10];
        let out: usize = (0..10).map(|_| cutter.push(&secrets, &piece).len()).sum();
        assert!(out > 0 && cutter.held.len() <= HELD_MAX + piece.len());
    }
}

//! What a plugin wrote, made safe to show: nothing a plugin says can move the cursor, hide text or imitate the host.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use unicode_width::UnicodeWidthChar as _;

/// One line that is safe on a terminal: control characters, line breaks, bidirectional and zero-width characters are
/// escaped, and at most `cells` cells are used (an ellipsis marks a cut).
#[must_use]
pub fn display_safe(text: &str, cells: usize) -> String {
    // Most texts are plain, and long lists are full of them.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return match text.get(..cells) {
            Some(cut) if cut.len() < text.len() => format!("{cut}…"),
            _ => text.to_owned(),
        };
    }
    let mut safe = String::new();
    let mut used = 0;
    for character in text.chars() {
        let piece = if needs_escape(character) { escaped(character) } else { character.to_string() };
        let width = piece.chars().map(|c| c.width().unwrap_or(1)).sum::<usize>();
        if used + width > cells {
            safe.push('…');
            return safe;
        }
        used += width;
        safe.push_str(&piece);
    }
    safe
}

/// The cap on text that a plugin author wrote: name, author, description, message.
pub const LINE_CELLS: usize = 200;

/// [`display_safe`] with the usual cap.
#[must_use]
pub fn safe_line(text: &str) -> String {
    display_safe(text, LINE_CELLS)
}

/// [`display_safe`] without a cut: for what is consented to, whose end counts as much as its beginning. What is read of a
/// manifest is limited already.
#[must_use]
pub fn safe_whole(text: &str) -> String {
    display_safe(text, usize::MAX)
}

/// [`safe_whole`] of a path.
#[must_use]
pub fn safe_path(path: &Path) -> String {
    safe_whole(&path.to_string_lossy())
}

/// JSON that is safe on a terminal and says the same: in its strings, what [`display_safe`] would escape is written as
/// `\uXXXX` (RFC 8259, 7). Its own line breaks stay.
#[must_use]
pub fn json_safe(json: &str) -> Cow<'_, str> {
    let unsafe_in_json = |character| character != '\n' && needs_escape(character);
    if !json.chars().any(unsafe_in_json) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if unsafe_in_json(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

fn needs_escape(character: char) -> bool {
    character.is_control() || is_invisible(character)
}

/// Characters that take no cell or turn the direction of their neighbours (Unicode general categories Cf, Zl, Zp and
/// the variation selectors), and combining marks, which pile up without limit.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || character.width() == Some(0)
}

fn escaped(character: char) -> String {
    let mut text = String::new();
    match character {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        other => {
            let _ = write!(text, "\\u{{{:x}}}", u32::from(other));
        }
    }
    text
}

/// Lets through what a program may print on a terminal (text, line breaks, tabs and colours) and drops every other
/// control: queries whose answer the terminal would type into the shell, titles, clipboard, cursor movement.
///
/// The state is kept between pieces, since a sequence may be cut anywhere.
#[derive(Debug, Default)]
pub struct TerminalFilter {
    state: FilterState,
}

#[derive(Debug, Default)]
enum FilterState {
    #[default]
    Text,
    Escape,
    /// After `ESC [`: what was collected so far.
    Csi(Vec<u8>),
    /// Inside a sequence that is no colour.
    CsiDropped,
    /// Inside OSC, DCS, APC, PM or SOS: dropped up to BEL or ST.
    Quoted,
    QuotedEscape,
    /// The first byte of a two-byte C1 control (U+0080 to U+009F in UTF-8).
    C1,
}

/// The longest colour sequence that is let through, in bytes.
const CSI_MAX: usize = 64;

impl TerminalFilter {
    /// What of a piece may reach the terminal.
    #[must_use]
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(piece.len());
        for &byte in piece {
            self.state = step(std::mem::take(&mut self.state), byte, &mut kept);
        }
        kept
    }
}

fn step(state: FilterState, byte: u8, kept: &mut Vec<u8>) -> FilterState {
    match (state, byte) {
        // ESC starts anew wherever it appears, as terminals do.
        (FilterState::Quoted, 0x1b) => FilterState::QuotedEscape,
        (FilterState::QuotedEscape, b'\\') | (FilterState::Quoted, 0x07) => FilterState::Text,
        (FilterState::Quoted, _) => FilterState::Quoted,
        (FilterState::QuotedEscape | FilterState::Escape, b'[') => FilterState::Csi(Vec::new()),
        (FilterState::QuotedEscape | FilterState::Escape, b']' | b'P' | b'_' | b'^' | b'X') => FilterState::Quoted,
        (_, 0x1b) => FilterState::Escape,
        // Intermediate bytes of a longer sequence; its final byte is dropped too.
        (FilterState::QuotedEscape | FilterState::Escape, 0x20..=0x2f) => FilterState::Escape,
        (FilterState::QuotedEscape | FilterState::Escape, _) => FilterState::Text,
        (FilterState::Csi(collected), b'm') => {
            kept.extend_from_slice(b"\x1b[");
            kept.extend_from_slice(&collected);
            kept.push(b'm');
            FilterState::Text
        }
        (FilterState::Csi(mut collected), b'0'..=b'9' | b';' | b':') if collected.len() < CSI_MAX => {
            collected.push(byte);
            FilterState::Csi(collected)
        }
        // Any other parameter or intermediate byte: this is no colour. Keep swallowing up to the final byte.
        (FilterState::Csi(_) | FilterState::CsiDropped, 0x20..=0x3f) => FilterState::CsiDropped,
        (FilterState::Csi(_) | FilterState::CsiDropped, _) => FilterState::Text,
        (FilterState::C1, 0x80..=0x9f) => FilterState::Text,
        (FilterState::C1, 0xc2) => FilterState::C1,
        (FilterState::C1, 0xa0..=0xbf) => {
            kept.extend_from_slice(&[0xc2, byte]);
            FilterState::Text
        }
        // A first byte that stands alone is no text; passed on, it would make a control of what follows it in the end.
        (FilterState::C1, _) => step(FilterState::Text, byte, kept),
        (FilterState::Text, 0xc2) => FilterState::C1,
        (FilterState::Text, b'\n' | b'\t' | b'\r') => {
            kept.push(byte);
            FilterState::Text
        }
        (FilterState::Text, 0x00..=0x1f | 0x7f) => FilterState::Text,
        (FilterState::Text, _) => {
            kept.push(byte);
            FilterState::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_text_stays_one_visible_line() {
        let check = |text: &str, expected: &str| assert_eq!(safe_line(text), expected);
        check("plain é 漢", "plain é 漢");
        check("a\nSignature: OK\r\t", "a\\nSignature: OK\\r\\t");
        check("\u{1b}[2J\u{9b}2J", "\\u{1b}[2J\\u{9b}2J");
        check("\u{202e}evil\u{200b}", "\\u{202e}evil\\u{200b}");
        check("e\u{301}\u{301}", "e\\u{301}\\u{301}");
        assert_eq!(display_safe(&" ".repeat(10_000), 10), format!("{}…", " ".repeat(10)));
        assert_eq!(display_safe("漢漢漢", 4), "漢漢…");
    }

    #[test]
    fn json_stays_what_it_is() {
        let text = "a\u{1b}[2J\n\u{7f}\u{9b}6n \u{202e}e\u{301} \u{1d173} é 漢 \\ \"";
        let json = serde_json::to_string_pretty(&serde_json::json!({"text": text, "list": [1, 2]})).unwrap();
        let safe = json_safe(&json);
        assert!(!safe.chars().any(|character| character != '\n' && needs_escape(character)), "{safe}");
        assert!(safe.contains("\\u009b") && safe.contains("\\ud834\\udd73") && safe.contains("é 漢"), "{safe}");
        let read: serde_json::Value = serde_json::from_str(&safe).unwrap();
        assert_eq!(read["text"], text);
        assert!(matches!(json_safe("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_text_and_colours_reach_the_terminal() {
        let check = |input: &[u8], expected: &[u8]| {
            assert_eq!(TerminalFilter::default().pass(input), expected, "{}", input.escape_ascii());
            let mut filter = TerminalFilter::default();
            let bytewise: Vec<u8> = input.iter().flat_map(|&byte| filter.pass(&[byte])).collect();
            assert_eq!(bytewise, expected, "{} byte by byte", input.escape_ascii());
        };
        check(b"plain\ttext\r\n", b"plain\ttext\r\n");
        check(b"\x1b[1;31mred\x1b[0m", b"\x1b[1;31mred\x1b[0m");
        check(b"a\x1b[6nb\x1b[cc\x1b[>cd\x1b[2Je", b"abcde");
        check(b"a\x1b]0;title\x07b\x1b]52;c;AAAA\x1b\\c\x1bP$q\x1b\\d", b"abcd");
        check(b"a\x1b]0;open\x1b[31mred", b"a\x1b[31mred");
        check("a\u{9b}6n\u{a9}".as_bytes(), "a6n\u{a9}".as_bytes());
        check(b"a\x07\x08\x7f\x0eb", b"ab");
        check(b"a\x1b(0b", b"ab");
        check(b"\x1b[?1;2m", b"");
        // What is dropped between two bytes must not join them to a control.
        check(b"a\xc2\x07\x9b6nb", b"a\x9b6nb");
        check(b"a\xc2\x1b[2J\x9b6nb", b"a\x9b6nb");
        check(b"a\xc2\xc2\xa9b\xc2", "a\u{a9}b".as_bytes());
    }
}

//! What a plugin wrote, made safe to show: nothing a plugin says can move the cursor, hide text or imitate the host.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use unicode_width::UnicodeWidthChar as _;

mod terminal;

pub use terminal::TerminalFilter;

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

/// A number of things, as it is read aloud: `1 plugin`, `2 plugins`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
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
}

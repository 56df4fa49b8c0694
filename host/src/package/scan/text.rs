//! What can be said of a script's text before it is parsed: whether a person reads what the interpreter reads.

use super::{Findings, Rule, SCRIPT_MAX};

/// The longest line that a person reads.
const LINE_MAX: usize = 1000;

/// The text of a script; none where there is no telling what an interpreter makes of it.
pub(super) fn readable<'a>(content: &'a [u8], findings: &mut Findings) -> Option<&'a str> {
    if content.len() > SCRIPT_MAX {
        findings.add(1, Rule::Hidden, "it has more than 1 MiB, which nobody reads".to_owned());
        return None;
    }
    let Ok(text) = std::str::from_utf8(content) else {
        findings.add(1, Rule::Hidden, "it is not UTF-8 text".to_owned());
        return None;
    };
    for (at, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(sign) = line.chars().find(|sign| hides(*sign)) {
            findings.add(at + 1, Rule::Hidden, format!("it has the invisible character {}", sign.escape_unicode()));
        }
        if line.len() > LINE_MAX {
            findings.add(at + 1, Rule::Hidden, format!("the line has more than {LINE_MAX} bytes"));
        }
    }
    Some(text)
}

/// Characters that turn text around, take no room, or return to the start of the line.
fn hides(sign: char) -> bool {
    let format = matches!(sign, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}');
    format || matches!(sign, '\u{feff}' | '\u{ad}') || (sign.is_control() && sign != '\t' && sign != '\u{c}')
}

/// Python takes another encoding from one of the first two lines, and then reads another text than this.
pub(super) fn check_encoding(text: &str, findings: &mut Findings) {
    for (at, line) in text.lines().take(2).enumerate() {
        let comment = line.trim_start().strip_prefix('#').unwrap_or_default();
        let Some((_, rest)) = comment.split_once("coding") else { continue };
        let Some(name) = rest.strip_prefix([':', '=']) else { continue };
        let name = name.trim_start();
        let end = name.find(|sign: char| !sign.is_ascii_alphanumeric() && !"-_.".contains(sign));
        let name = name[..end.unwrap_or(name.len())].to_ascii_lowercase().replace('_', "-");
        if !name.is_empty() && name != "utf-8" && name != "utf8" {
            findings.add(at + 1, Rule::Hidden, format!("it says that it is written in `{name}`, not in UTF-8"));
        }
    }
}

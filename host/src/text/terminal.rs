//! What a command of a plugin prints on a terminal: text and colours, and nothing that acts on anything else.

/// Lets through what a program may print on a terminal (text in UTF-8, line breaks, tabs and colours) and drops every other
/// control: queries whose answer the terminal would type into the shell, titles, clipboard, cursor movement, hidden text.
/// Between two pieces the terminal is as it was before: whatever else is printed there has its own look.
///
/// The state is kept between pieces, since a sequence may be cut anywhere.
#[derive(Debug, Default)]
pub struct TerminalFilter {
    state: State,
    /// The sequences since the last one that takes all of them back.
    styles: Vec<u8>,
    /// Whether the piece has text.
    shows: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// Inside a letter of several bytes: those that came, and how many.
    Letter([u8; 4], usize),
    Escape,
    /// After `ESC [`: what was collected so far.
    Csi(Vec<u8>),
    /// Inside a sequence that is no colour.
    CsiDropped,
    /// Inside OSC, DCS, APC, PM or SOS: dropped up to BEL or ST.
    Quoted,
    QuotedEscape,
}

/// The longest colour sequence that is let through, in bytes.
const CSI_MAX: usize = 64;
/// The most that is kept of sequences in force, in bytes.
const STYLES_MAX: usize = 256;
/// Takes all colours back (ECMA-48, SGR 0).
const RESET: &[u8] = b"\x1b[0m";
/// Text that cannot be seen (SGR 8).
const CONCEAL: u8 = 8;

impl TerminalFilter {
    /// What of a piece may reach the terminal.
    #[must_use]
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        self.shows = false;
        let mut kept = Vec::with_capacity(self.styles.len() + piece.len() + RESET.len());
        kept.extend_from_slice(&self.styles);
        for &byte in piece {
            let state = std::mem::take(&mut self.state);
            self.state = self.step(state, byte, &mut kept);
        }
        if !self.shows {
            return Vec::new();
        }
        if !self.styles.is_empty() {
            kept.extend_from_slice(RESET);
        }
        kept
    }

    fn step(&mut self, state: State, byte: u8, kept: &mut Vec<u8>) -> State {
        match (state, byte) {
            // ESC starts anew wherever it appears, as terminals do.
            (State::Quoted, 0x1b) => State::QuotedEscape,
            (State::QuotedEscape, b'\\') | (State::Quoted, 0x07) => State::Text,
            (State::Quoted, _) => State::Quoted,
            (State::QuotedEscape | State::Escape, b'[') => State::Csi(Vec::new()),
            (State::QuotedEscape | State::Escape, b']' | b'P' | b'_' | b'^' | b'X') => State::Quoted,
            (_, 0x1b) => State::Escape,
            // Intermediate bytes of a longer sequence; its final byte is dropped too.
            (State::QuotedEscape | State::Escape, 0x20..=0x2f) => State::Escape,
            (State::QuotedEscape | State::Escape, _) => State::Text,
            (State::Csi(collected), b'm') => {
                self.style(&collected, kept);
                State::Text
            }
            (State::Csi(mut collected), b'0'..=b'9' | b';' | b':') if collected.len() < CSI_MAX => {
                collected.push(byte);
                State::Csi(collected)
            }
            // Any other parameter or intermediate byte: this is no colour. Keep swallowing up to the final byte.
            (State::Csi(_) | State::CsiDropped, 0x20..=0x3f) => State::CsiDropped,
            (State::Csi(_) | State::CsiDropped, _) => State::Text,
            (State::Letter(bytes, count), 0x80..=0xbf) => self.letter(bytes, count, byte, kept),
            // The beginning of a letter that stands alone is no text, and neither is its end: a terminal could take one of 0x80
            // to 0x9f for a control.
            (State::Letter(..) | State::Text, 0xc2..=0xf4) => State::Letter([byte, 0, 0, 0], 1),
            (State::Letter(..) | State::Text, b'\n' | b'\t' | b'\r' | 0x20..=0x7e) => {
                self.shows = true;
                kept.push(byte);
                State::Text
            }
            (State::Letter(..) | State::Text, _) => State::Text,
        }
    }

    /// One byte more of a letter.
    fn letter(&mut self, mut bytes: [u8; 4], count: usize, byte: u8, kept: &mut Vec<u8>) -> State {
        let length = match bytes[0] {
            ..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        bytes[count] = byte;
        if count + 1 < length {
            return State::Letter(bytes, count + 1);
        }
        if std::str::from_utf8(&bytes[..length]).is_ok_and(|letter| !letter.contains(char::is_control)) {
            self.shows = true;
            kept.extend_from_slice(&bytes[..length]);
        }
        State::Text
    }

    fn style(&mut self, parameters: &[u8], kept: &mut Vec<u8>) {
        let Some(visible) = visible(parameters) else { return };
        let sequence = [b"\x1b[", visible.as_slice(), b"m"].concat();
        kept.extend_from_slice(&sequence);
        let is_reset = visible.iter().all(|byte| matches!(byte, b'0' | b';'));
        if is_reset || self.styles.len() + sequence.len() > STYLES_MAX {
            self.styles.clear();
        }
        if !is_reset {
            self.styles.extend_from_slice(&sequence);
        }
    }
}

/// The parameters of SGR without the one that hides text; nothing if that was all, or if they cannot be told apart.
fn visible(parameters: &[u8]) -> Option<Vec<u8>> {
    let mut parts = parameters.split(|byte| *byte == b';');
    let mut kept = Vec::new();
    while let Some(part) = parts.next() {
        let number = number(part)?;
        if number == CONCEAL {
            continue;
        }
        kept.push(part);
        // A colour by its number or by its three parts; these are no attributes.
        if matches!(number, 38 | 48 | 58) && !part.contains(&b':') {
            let kind = parts.next()?;
            kept.push(kind);
            let more = match self::number(kind)? {
                5 => 1,
                2 => 3,
                _ => return None,
            };
            for _ in 0..more {
                kept.push(parts.next()?);
            }
        }
    }
    (!kept.is_empty()).then(|| kept.join(&b';'))
}

/// The first number of a parameter; none is 0.
fn number(part: &[u8]) -> Option<u8> {
    let digits = part.split(|byte| *byte == b':').next().unwrap_or_default();
    if digits.is_empty() { Some(0) } else { std::str::from_utf8(digits).ok()?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytewise(filter: &mut TerminalFilter, input: &[u8]) -> Vec<u8> {
        input.iter().flat_map(|&byte| filter.pass(&[byte])).collect()
    }

    #[test]
    fn only_text_and_colours_reach_the_terminal() {
        let check = |input: &[u8], expected: &[u8]| {
            let shown = TerminalFilter::default().pass(input);
            assert_eq!(shown, expected, "{}: {}", input.escape_ascii(), shown.escape_ascii());
            let bytewise = bytewise(&mut TerminalFilter::default(), input);
            let bytewise = String::from_utf8(bytewise).unwrap().replace("\x1b[0m\x1b[1;31m", "");
            assert_eq!(bytewise.as_bytes(), expected, "{} byte by byte", input.escape_ascii());
        };
        check(b"plain\ttext\r\n", b"plain\ttext\r\n");
        check(b"\x1b[1;31mred\x1b[0m", b"\x1b[1;31mred\x1b[0m");
        check(b"a\x1b[6nb\x1b[cc\x1b[>cd\x1b[2Je", b"abcde");
        check(b"a\x1b]0;title\x07b\x1b]52;c;AAAA\x1b\\c\x1bP$q\x1b\\d", b"abcd");
        check(b"a\x1b]0;open\x1b[1;31mred", b"a\x1b[1;31mred\x1b[0m");
        check("a\u{9b}6n\u{a9} \u{6f22} \u{1f600}".as_bytes(), "a6n\u{a9} \u{6f22} \u{1f600}".as_bytes());
        check(b"a\x07\x08\x7f\x0eb", b"ab");
        check(b"a\x1b(0b", b"ab");
        check(b"\x1b[?1;2m", b"");
        // A control of one byte, by itself, at the end of a letter that is none, or in a form that is too long.
        check(b"a\x9b6n\x90q\xe9b", b"a6nqb");
        check(b"a\xe2\x82b\xe2\x9b6n\xf0\x9f\x98c", b"ab6nc");
        check(b"a\xe0\x82\x9bb\xf5\x9b\x80c\xc1\x9bd", b"abcd");
        // What is dropped between two bytes must not join them to a control.
        check(b"a\xc2\x07\x9b6nb", b"a6nb");
        check(b"a\xc2\x1b[2J\x9b6nb", b"a6nb");
        check(b"a\xc2\xc2\xa9b\xc2", "a\u{a9}b".as_bytes());
    }

    #[test]
    fn nothing_is_hidden() {
        for (parameters, expected) in [
            ("8", None),
            ("08", None),
            ("8:1", None),
            ("1;8;31", Some("1;31")),
            ("38;5;8;8;4", Some("38;5;8;4")),
            ("48;2;8;8;8", Some("48;2;8;8;8")),
            ("38:5:8", Some("38:5:8")),
            ("", Some("")),
            (";8", Some("")),
            ("38;8", None),
            ("38;5", None),
            ("264", None),
        ] {
            let seen = visible(parameters.as_bytes());
            assert_eq!(seen.as_deref(), expected.map(str::as_bytes), "{parameters}");
        }
        assert_eq!(TerminalFilter::default().pass(b"a\x1b[8mb"), b"ab");
    }

    #[test]
    fn between_two_pieces_the_terminal_is_as_it_was() {
        let mut filter = TerminalFilter::default();
        assert_eq!(filter.pass(b"\x1b[31m"), b"");
        assert_eq!(filter.pass(b"red\x1b[1m"), b"\x1b[31mred\x1b[1m\x1b[0m");
        assert_eq!(filter.pass(b"bold"), b"\x1b[31m\x1b[1mbold\x1b[0m");
        assert_eq!(filter.pass(b"\x1b[m"), b"");
        assert_eq!(filter.pass(b"plain"), b"plain");
        // However many there are, few are kept.
        for _ in 0..1000 {
            let _ = filter.pass(b"\x1b[1;31mx");
        }
        assert!(filter.pass(b"x").len() <= STYLES_MAX + 1 + RESET.len());
    }
}

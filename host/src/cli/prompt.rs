//! Asks a person, on the terminal itself: standard input may be a pipe that somebody else fills.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::sys::termios::{FlushArg, tcflush};

use super::plugin::audit::words;
use crate::manage::{CompanionsQuestion, FetchQuestion, KeyQuestion, Prompt, Question};
use crate::policy::{Access, Ask, Item};
use crate::store::Trust;
use crate::text::safe_line;

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 1024;

/// The longest line with a path that is read, in bytes.
const PATH_LINE_MAX: u64 = 4096;

/// The controlling terminal of this process, if it has one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terminal;

impl Prompt for Terminal {
    fn ask(&mut self, question: &Question<'_>) -> Option<Vec<Item>> {
        let terminal = open()?;
        // A terminal that breaks off in the middle has not agreed to anything.
        Some(converse(&terminal, question).unwrap_or_default())
    }

    fn along(&mut self, question: &CompanionsQuestion<'_>) -> bool {
        let Some(terminal) = open() else { return false };
        let CompanionsQuestion { name, version, companions } = question;
        let mut text = format!("\n{name} {version} needs other plugins, which are installed along with it:\n");
        companions.iter().for_each(|companion| text.push_str(&format!("  - {}\n", companion.words())));
        let mut writer = &terminal;
        writer.write_all(text.as_bytes()).is_ok() && yes(&terminal, "Install them as well?").unwrap_or(false)
    }

    fn fetch(&mut self, question: &FetchQuestion<'_>) -> bool {
        let Some(terminal) = open() else { return false };
        let mut text =
            "\nThese packages are not on this machine. The lock says where they are handed out:\n".to_owned();
        question.places.iter().for_each(|place| text.push_str(&format!("  - {}\n", safe_line(place))));
        let mut writer = &terminal;
        writer.write_all(text.as_bytes()).is_ok() && yes(&terminal, "Fetch them from there?").unwrap_or(false)
    }

    fn pin(&mut self, question: &KeyQuestion<'_>) -> bool {
        let Some(terminal) = open() else { return false };
        let KeyQuestion { name, version, key } = question;
        let text = format!(
            "\n{name} {version} is signed by a key that is not known here:\n  {}\nWhoever has this key made it. Compare the \
             fingerprint with the one that its author publishes.\nIf you agree, the key is trusted for plugins named `{name}`, and \
             for no others.\n",
            key.fingerprint()
        );
        let mut writer = &terminal;
        writer.write_all(text.as_bytes()).is_ok()
            && yes(&terminal, &format!("Trust this key for {name}?")).unwrap_or(false)
    }
}

impl Terminal {
    /// Whether a person types these very words after reading a text; `None` when there is nobody to ask.
    pub(super) fn types(self, text: &str, words: &str) -> Option<bool> {
        let terminal = open()?;
        // A terminal that breaks off in the middle has not agreed to anything.
        Some(typed(&terminal, &format!("{text}\nType `{words}` to go on: ")).is_ok_and(|typed| typed.trim() == words))
    }
}

/// The terminal itself, without taking it over; `None` when there is none.
pub(super) fn open() -> Option<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty").ok()
}

fn converse(terminal: &File, question: &Question<'_>) -> io::Result<Vec<Item>> {
    let mut writer = terminal;
    writer.write_all(introduction(question).as_bytes())?;
    let asked = question.asks.iter().filter(|ask| ask.open().is_none());
    let (dangerous, plain): (Vec<&Ask>, Vec<&Ask>) = asked.partition(|ask| ask.danger.is_some());
    let mut accepted = Vec::new();
    if !plain.is_empty() {
        let text = if dangerous.is_empty() { "Allow this?" } else { "Allow what is not marked dangerous?" };
        if !yes(terminal, text)? {
            return Ok(accepted);
        }
        accepted.extend(plain.iter().map(|ask| ask.item.clone()));
    }
    let opened = question.asks.iter().filter_map(Ask::open);
    for access in opened {
        accepted.extend(directories(terminal, question, access)?);
    }
    for ask in dangerous {
        if yes(terminal, &format!("DANGEROUS: allow it to {}?", ask.words))? {
            accepted.push(ask.item.clone());
        }
    }
    Ok(accepted)
}

/// The host's own lines first; what the author wrote comes last, quoted, on one line.
fn introduction(question: &Question<'_>) -> String {
    let trust = match question.trust {
        Trust::Signed { key, label } => format!("signed by {} ({key})", safe_line(label)),
        Trust::Unsigned => "NOT SIGNED: nobody vouches for it".to_owned(),
    };
    let other = question.other_maker.as_ref().map(|other| format!("ANOTHER MAKER: {other}\n")).unwrap_or_default();
    let mut text = format!("\n{} {}, {trust}\n{other}It wants to:\n", question.name, question.version);
    for ask in question.asks {
        let danger = ask.danger.as_ref().map(|why| format!("\n      DANGEROUS: {why}")).unwrap_or_default();
        text.push_str(&format!("  - {}{danger}\n", ask.words));
    }
    if let Some(scan) = question.scan {
        for finding in scan.findings.iter().filter(|finding| finding.is_shown_before_consent()) {
            text.push_str(&format!("  ! {}\n", words(finding)));
        }
        for file in &scan.not_scanned {
            text.push_str(&format!("  ! {}: nobody has looked into it\n", safe_line(file)));
        }
    }
    if !question.description.is_empty() {
        text.push_str(&format!("Its author says: \"{}\"\n", safe_line(question.description)));
    }
    text
}

/// Directories of the person's choice. What cannot be granted is said at once, and does not end the question.
fn directories(terminal: &File, question: &Question<'_>, access: Access) -> io::Result<Vec<Item>> {
    let verb = if access == Access::Read { "read" } else { "read and change" };
    let mut writer = terminal;
    tcflush(terminal, FlushArg::TCIFLUSH)?;
    writeln!(writer, "Which directories may it {verb}? (one per line, empty line to end; none is fine)")?;
    let mut reader = BufReader::new(terminal);
    let mut accepted = Vec::new();
    loop {
        write!(writer, "> ")?;
        writer.flush()?;
        let mut line = String::new();
        reader.by_ref().take(PATH_LINE_MAX).read_line(&mut line)?;
        let typed = line.trim_end_matches(['\n', '\r']);
        if typed.is_empty() {
            return Ok(accepted);
        }
        match question.named(access, typed) {
            Ok(item) => accepted.push(item),
            Err(error) => writeln!(writer, "{error}")?,
        }
    }
}

/// The line that is typed after a question.
fn typed(terminal: &File, question: &str) -> io::Result<String> {
    let mut writer = terminal;
    // What was typed, or sent to the terminal, before the question was there is no answer to it.
    tcflush(terminal, FlushArg::TCIFLUSH)?;
    writer.write_all(question.as_bytes())?;
    writer.flush()?;
    let mut answer = String::new();
    BufReader::new(terminal).take(ANSWER_MAX).read_line(&mut answer)?;
    Ok(answer)
}

fn yes(terminal: &File, question: &str) -> io::Result<bool> {
    let answer = typed(terminal, &format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

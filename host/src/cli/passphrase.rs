//! Passphrases of secret keys: asked on the terminal, or read from a private file or a descriptor. Never an argument, which
//! every user of the machine can read, and never a variable of the environment, which every child gets.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use nix::sys::termios::{
    FlushArg, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflush, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::{Failure, prompt};
use crate::code::{Code, Coded as _};
use crate::text::safe_line;
use crate::trust::keyring::read_secret;
use crate::trust::{SecretFile, SecretKey, TrustError};

/// The longest passphrase in bytes.
const LENGTH_MAX: usize = 1024;
/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// Where a passphrase comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of a file that only you can read, instead of asking for it
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_fd")]
    pub passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of an open descriptor, instead of asking for it
    #[arg(long, value_name = "NUMBER")]
    pub passphrase_fd: Option<u32>,
}

/// A passphrase; wiped from memory when dropped.
pub type Passphrase = Zeroizing<Vec<u8>>;

impl PassphraseArgs {
    /// The passphrase of a file that exists.
    ///
    /// # Errors
    /// There is nobody to ask, or it cannot be read.
    pub fn existing(&self, object: &Path) -> Result<Passphrase, Failure> {
        match self.named()? {
            Some(passphrase) => Ok(passphrase),
            None => ask(object, &format!("Passphrase of {}: ", shown(object))),
        }
    }

    /// The passphrase of a file that is to be written; a person types it twice.
    ///
    /// # Errors
    /// As [`PassphraseArgs::existing`]; or both differ.
    pub fn new_one(&self, object: &Path) -> Result<Passphrase, Failure> {
        if let Some(passphrase) = self.named()? {
            return Ok(passphrase);
        }
        let passphrase = ask(object, &format!("New passphrase of {}: ", shown(object)))?;
        if *ask(object, "The same again: ")? != *passphrase {
            return Err(Failure::new(Code::ValueInvalid, "the two passphrases differ; nothing was written", None));
        }
        Ok(passphrase)
    }

    /// Opens a secret key; the passphrase is only looked for when there is one.
    ///
    /// # Errors
    /// There is none, or it is wrong.
    pub fn open(&self, file: SecretFile, object: &Path) -> Result<SecretKey, Failure> {
        let passphrase = if file.is_encrypted() { Some(self.existing(object)?) } else { None };
        file.open(passphrase.as_ref().map(|passphrase| passphrase.as_slice())).map_err(|error| match error {
            TrustError::PassphraseWrong { .. } => {
                TrustError::PassphraseWrong { object: object.to_string_lossy().into_owned() }.into()
            }
            other => other.into(),
        })
    }

    fn named(&self) -> Result<Option<Passphrase>, Failure> {
        let text = match (&self.passphrase_file, self.passphrase_fd) {
            (Some(path), _) => read_secret(path)?,
            (None, Some(number)) => from_descriptor(number)?,
            (None, None) => return Ok(None),
        };
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        checked(Zeroizing::new(line.to_vec())).map(Some)
    }
}

fn from_descriptor(number: u32) -> Result<Passphrase, Failure> {
    let failed = |error: io::Error| {
        let message = format!("cannot read a passphrase from descriptor {number}: {error}");
        Failure::new(Code::Io, message, Some("redirect something to it, as in 3< <(command)".to_owned()))
    };
    // The number is the caller's to close: what it stands for is opened anew.
    let file = File::open(format!("/proc/self/fd/{number}")).map_err(failed)?;
    let mut text = Zeroizing::new(Vec::with_capacity(LENGTH_MAX + 2));
    let most = u64::try_from(LENGTH_MAX).unwrap_or_default() + 2;
    file.take(most).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn checked(passphrase: Passphrase) -> Result<Passphrase, Failure> {
    if passphrase.is_empty() || passphrase.len() > LENGTH_MAX {
        let message = format!("a passphrase has 1 to {LENGTH_MAX} bytes");
        return Err(Failure::new(Code::ValueInvalid, message, None));
    }
    Ok(passphrase)
}

fn shown(path: &Path) -> String {
    safe_line(&path.to_string_lossy())
}

/// Asks a person, who does not see what they type.
fn ask(object: &Path, question: &str) -> Result<Passphrase, Failure> {
    let missing = || TrustError::PassphraseMissing { object: object.to_string_lossy().into_owned() };
    let terminal = prompt::open().ok_or_else(missing)?;
    let failed = |error: io::Error| {
        let missing = missing();
        Failure::new(Code::Io, format!("cannot ask for a passphrase: {error}"), missing.help())
    };
    match hidden_line(&terminal, question).map_err(failed)? {
        Some(line) => checked(line),
        None => Err(Failure::new(Code::Interrupted, "no passphrase was given", None)),
    }
}

/// A line that is not shown; `None` when Ctrl-C ended it.
fn hidden_line(terminal: &File, question: &str) -> io::Result<Option<Passphrase>> {
    let quiet = Quiet::new(terminal)?;
    let mut writer = terminal;
    writer.write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(Vec::with_capacity(LENGTH_MAX + 2));
    let mut byte = Zeroizing::new([0]);
    let mut reader = terminal;
    let ended = loop {
        if reader.read(byte.as_mut())? == 0 || line.len() > LENGTH_MAX {
            break Some(());
        }
        match byte[0] {
            b'\n' | b'\r' => break Some(()),
            INTERRUPT => break None,
            other => line.push(other),
        }
    };
    drop(quiet);
    writer.write_all(b"\n")?;
    Ok(ended.map(|()| line))
}

/// A terminal that shows nothing of what is typed, until this is dropped. Keys that would send a signal end the line, so that
/// nobody is left with a terminal that shows nothing.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn new(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_flags.remove(LocalFlags::ECHO | LocalFlags::ISIG);
        modes.local_flags.insert(LocalFlags::ICANON);
        modes.control_chars[SpecialCharacterIndices::VEOL as usize] = INTERRUPT;
        // What was typed, or sent to the terminal, before the question was there is no answer to it.
        tcflush(terminal, FlushArg::TCIFLUSH)?;
        tcsetattr(terminal, SetArg::TCSAFLUSH, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // Nothing can be done when even this fails.
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

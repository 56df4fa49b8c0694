//! Runs programs: shown as they would be typed, with their output visible, captured, or both.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::ui;

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Whether a program answers to `--version`.
pub(crate) fn answers(command: &mut Command) -> bool {
    let silent = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Runs with our own standard streams; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = typed(command);
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` ended with {}", ending(status));
    }
    Ok(())
}

/// Runs and gives the standard output; standard error stays visible.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let text = typed(command);
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{text}`"))?;
    if !output.status.success() {
        bail!("`{text}` ended with {}", ending(output.status));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{text}` did not print UTF-8"))
}

/// Runs with both output streams in one, shown line by line as they come and collected.
pub(crate) fn tee(mut command: Command) -> Result<(ExitStatus, String)> {
    let text = typed(&command);
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{text}`"))?;
    // Our own ends of the pipe must be closed, or the reader never sees its end.
    drop(command);
    let mut collected = String::new();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let shown = String::from_utf8_lossy(&line);
        ui::say(shown.trim_end_matches('\n'));
        collected.push_str(&shown);
        line.clear();
    }
    Ok((child.wait()?, collected))
}

/// A command as it would be typed into a shell.
pub(crate) fn typed(command: &Command) -> String {
    // Cargo tells its full path; nobody types that.
    let program = command.get_program();
    let program = Path::new(program).file_name().unwrap_or(program);
    let words = std::iter::once(program).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How a process ended, for a message.
pub(crate) fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("migraine");
        command.args(["run", "a b", "it's", "", "-v", "k=/v"]);
        assert_eq!(typed(&command), r"migraine run 'a b' 'it'\''s' '' -v k=/v");
    }

    #[test]
    fn tee_collects_both_streams_and_the_code() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 6"]);
        let (status, output) = tee(command).unwrap();
        assert_eq!(status.code(), Some(6));
        assert_eq!(output, "out\nerr\n");
        assert!(run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string().contains("exit code 3"));
        assert!(capture(Command::new("sh").args(["-c", "echo a; exit 0"])).unwrap() == "a\n");
    }
}

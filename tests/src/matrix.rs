//! The matrix: what became of each attack, for each user and each choice of layers, held to the file that says what must.
//!
//! A line of `sandbox/matrix.txt` is `CASE | ATTACK | USER | ALL LAYERS | NAMESPACES ONLY | FILTERS ONLY | NONE`. An outcome is
//! the name of an error, the stable code that the host reports, `killed` by the filter, or `works`. Where an attack is
//! stopped by the host, no layer could: their columns show `–`, and the last one which check was left out, or `by design`
//! where there is none to leave out: such an attack is made all the same, and must not work. Where an outcome depends on the kernel, the file lists several, as `EACCES/ENOENT`.
//!
//! `cargo xtask attacks` prints the matrix from the same run of the tests, and `--bless` writes what was measured.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::arena::On;
use crate::kernel;
use crate::run::User;

/// What must become of each attack.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sandbox/matrix.txt");
/// The folder that takes the measured rows; set by `cargo xtask attacks`, which then compares by itself.
const ROWS_FOLDER: &str = "MIGRAINE_ATTACK_ROWS";

/// The choices of layers, in the order of the columns.
pub const COLUMNS: [On; 4] = [On::All, On::Spaces, On::Filters, On::Nothing];

/// In place of an outcome under layers that could not stop the attack.
const NO_LAYER: &str = "–";
/// The outcome of an attack that nothing stopped.
pub const WORKS: &str = "works";
/// What the kernel answers to those who may not; any other answer means that a call got past its checks.
const DENIALS: [&str; 3] = ["EPERM", "EACCES", "ENOSYS"];

/// Whether an outcome without protection shows that something was stopped: the attack worked, or got past every check of
/// permissions to another end than the one it came to when it was stopped.
fn proves(without: &str, stopped: &str) -> bool {
    let is_errno = without.starts_with('E') && !DENIALS.contains(&without);
    without.starts_with(WORKS) || (is_errno && without != stopped)
}

/// The measured rows of one case.
#[derive(Debug)]
pub struct Rows {
    case: u16,
    lines: Vec<String>,
    /// What is wrong whatever the file says.
    failures: Vec<String>,
}

impl Rows {
    /// No rows yet.
    #[must_use]
    pub fn of(case: u16) -> Self {
        Self { case, lines: Vec::new(), failures: Vec::new() }
    }

    /// The number of the case.
    #[must_use]
    pub fn case(&self) -> u16 {
        self.case
    }

    /// Adds a row of an attack that layers stop; the outcomes stand in the order of [`COLUMNS`].
    pub fn layers(&mut self, attack: &str, user: User, outcomes: &[String; 4]) {
        let [all, .., none] = outcomes;
        self.judge(attack, user, all, "without any layer", none);
        self.line(attack, user, outcomes.each_ref().map(String::as_str));
    }

    /// Adds a row of an attack that the host stops, and what became of it in a circumstance in which it does not: `without
    /// Deadline` names a check that was left out.
    pub fn host(&mut self, attack: &str, user: User, stopped: &str, circumstance: &str, without: &str) {
        self.judge(attack, user, stopped, circumstance, without);
        self.line(attack, user, [stopped, NO_LAYER, NO_LAYER, &format!("{without} {circumstance}")]);
    }

    /// Adds a row of an attack that nothing in particular stops: the way the whole is built leaves it no way.
    pub fn design(&mut self, attack: &str, user: User, outcome: &str) {
        self.stopped(attack, user, outcome);
        self.line(attack, user, [outcome, NO_LAYER, NO_LAYER, "by design"]);
    }

    fn judge(&mut self, attack: &str, user: User, stopped: &str, circumstance: &str, without: &str) {
        self.stopped(attack, user, stopped);
        if !proves(without, stopped) {
            self.fail(format!("{attack} as {user} proves nothing: {circumstance} it ends with {without}"));
        }
    }

    /// Whatever the file says: an attack that works was not stopped, and one without an outcome was not made.
    fn stopped(&mut self, attack: &str, user: User, outcome: &str) {
        if outcome.is_empty() || outcome.starts_with(WORKS) {
            self.fail(format!("{attack} as {user} is not stopped: {outcome}"));
        }
    }

    fn line(&mut self, attack: &str, user: User, outcomes: [&str; 4]) {
        let mut line = format!("A{:03} | {attack} | {user}", self.case);
        for outcome in outcomes {
            let _ = write!(line, " | {outcome}");
        }
        self.lines.push(line);
    }

    /// Notes that something is wrong besides the outcomes.
    pub fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    /// Hands the rows over to whoever compares all of them, or compares them with the file.
    ///
    /// # Panics
    /// Something is wrong, or a row is not in the file.
    pub fn settle(mut self) {
        if let Some(folder) = std::env::var_os(ROWS_FOLDER) {
            // Each test has a thread of its own, with its name.
            let test = std::thread::current().name().unwrap_or("main").replace("::", "-");
            let file = PathBuf::from(folder).join(format!("A{:03}-{test}", self.case));
            std::fs::write(file, self.lines.join("\n") + "\n").expect("write the measured rows");
        } else {
            let golden = std::fs::read_to_string(GOLDEN).expect("read the matrix");
            let golden: Vec<[String; 7]> = golden.lines().map(columns).collect();
            self.failures.extend(self.differences(&golden, kernel::users()));
        }
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
    }
}

impl Rows {
    /// What is not as the file has it: rows, and attacks that were made as one of these users and not as another, although the
    /// file has them for both.
    fn differences(&self, golden: &[[String; 7]], users: &[User]) -> Vec<String> {
        let measured: Vec<[String; 7]> = self.lines.iter().map(|line| columns(line)).collect();
        let missing = measured.iter().filter(|row| !golden.iter().any(|listed| agree(listed, row)));
        let is_made = |row: &[String; 7]| measured.iter().any(|made| made[..3] == row[..3]);
        let is_user = |row: &&[String; 7]| users.iter().any(|user| row[2] == user.to_string());
        let is_of_test = |row: &&[String; 7]| measured.iter().any(|made| made[..2] == row[..2]);
        let unmade = golden.iter().filter(is_of_test).filter(is_user).filter(|row| !is_made(row));
        let missing = missing.map(|row| format!("not in the matrix: {}", row.join(" | ")));
        missing.chain(unmade.map(|row| format!("in the matrix, and not made: {}", row.join(" | ")))).collect()
    }
}

fn columns(line: &str) -> [String; 7] {
    let columns: Vec<String> = line.split('|').map(|column| column.trim().to_owned()).collect();
    columns.try_into().unwrap_or_else(|_| panic!("`{line}` is no row of the matrix"))
}

/// Whether a row is as the file has it; the file may allow several outcomes.
fn agree(listed: &[String; 7], measured: &[String; 7]) -> bool {
    let agrees =
        |(listed, measured): (&String, &String)| listed == measured || listed.split('/').any(|one| one == measured);
    listed[..3] == measured[..3] && listed[3..].iter().zip(&measured[3..]).all(agrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_by_design_is_judged_as_well() {
        let failures = |outcome: &str| {
            let mut rows = Rows::of(107);
            rows.design("empty", User::Plain, outcome);
            assert_eq!(rows.lines.len(), 1);
            rows.failures
        };
        assert!(failures("signature_malformed").is_empty());
        for bad in [WORKS, "works as root", ""] {
            assert_eq!(failures(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_row_by_design_is_compared_as_well() {
        let golden: Vec<[String; 7]> = ["plain", "root"]
            .map(|user| columns(&format!("A107 | empty | {user} | signature_malformed | – | – | by design")))
            .into();
        let differences = |made: &[(User, &str)]| {
            let mut rows = Rows::of(107);
            made.iter().for_each(|(user, outcome)| rows.design("empty", *user, outcome));
            rows.differences(&golden, &[User::Plain, User::Root])
        };
        let good = "signature_malformed";
        assert!(differences(&[(User::Plain, good), (User::Root, good)]).is_empty());
        assert!(differences(&[]).is_empty(), "another test's");
        let other = differences(&[(User::Plain, good), (User::Root, "key_scope")]);
        assert!(other.len() == 1 && other[0].starts_with("not in the matrix: A107 | empty | root"), "{other:?}");
        let unmade = differences(&[(User::Plain, good)]);
        assert!(unmade.len() == 1 && unmade[0].starts_with("in the matrix, and not made: A107"), "{unmade:?}");
    }
}

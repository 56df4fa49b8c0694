//! The matrix: what became of each attack, for each user and each choice of layers, held to the file that says what must.
//!
//! A line of `sandbox/matrix.txt` is `CASE | ATTACK | USER | ALL LAYERS | NAMESPACES ONLY | FILTERS ONLY | NONE`. An outcome is
//! the name of an error, the stable code that the host reports, `killed` by the filter, or `works`. Where an attack is
//! stopped by the host, no layer could: their columns show `–`, and the last one which check was left out, or `by design`
//! where there is none to leave out. Where an outcome depends on the kernel, the file lists several, as `EACCES/ENOENT`.
//!
//! `cargo xtask attacks` prints the matrix from the same run of the tests, and `--bless` writes what was measured.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::arena::On;
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
        self.line(attack, user, [outcome, NO_LAYER, NO_LAYER, "by design"]);
    }

    fn judge(&mut self, attack: &str, user: User, stopped: &str, circumstance: &str, without: &str) {
        if stopped.starts_with(WORKS) {
            self.fail(format!("{attack} as {user} is not stopped: {stopped}"));
        }
        if !proves(without, stopped) {
            self.fail(format!("{attack} as {user} proves nothing: {circumstance} it ends with {without}"));
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
            let missing = self.lines.iter().filter(|line| !golden.iter().any(|listed| agree(listed, &columns(line))));
            let missing: Vec<String> = missing.map(|line| format!("not in the matrix: {line}")).collect();
            self.failures.extend(missing);
        }
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
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

//! `cargo xtask attacks`: runs the tests of the listed attacks and prints the matrix that they measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::flags::Attacks;
use crate::project::Project;
use crate::{cmd, ui};

/// Where the tests put the rows that they measured; they compare nothing by themselves then.
const ROWS_FOLDER: &str = "MIGRAINE_ATTACK_ROWS";
const MATRIX: &str = "tests/sandbox/matrix.txt";
const CASES: &str = "tests/sandbox/cases.txt";
const HEADER: [&str; COLUMNS] = ["case", "attack", "as", "all layers", "namespaces only", "filters only", "none"];
const COLUMNS: usize = 7;
/// The columns that name a row.
const NAME: usize = 3;

type Row = [String; COLUMNS];

/// Measures, prints and compares; with `bless`, writes what was measured.
///
/// # Errors
/// A test failed, or the matrix is not the one that is checked in.
pub(crate) fn run(project: &Project, flags: &Attacks) -> Result<()> {
    let (measured, tests) = measure(project)?;
    let file = project.root.join(MATRIX);
    let listed = read(&fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?)?;
    let titles = titles(&project.root)?;
    ui::say(render(&measured, &titles));
    let differences = differences(&listed, &measured, &titles);
    if flags.bless {
        fs::write(&file, table(&blessed(&listed, &measured))).context("cannot write the matrix")?;
        ui::say(format!("wrote {} rows to {MATRIX}", measured.len()));
        return tests;
    }
    for difference in &differences {
        ui::warn(difference);
    }
    if !differences.is_empty() {
        bail!("{} rows are not as {MATRIX} has them; --bless writes what was measured", differences.len());
    }
    tests
}

/// What the tests measured, and whether they passed.
fn measure(project: &Project) -> Result<(Vec<Row>, Result<()>)> {
    let folder = project.target.join("attack-rows");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot remove the last rows")?;
    }
    fs::create_dir_all(&folder).context("cannot make a folder for the rows")?;
    let mut command = cmd::cargo();
    command.args(["test", "--locked", "--no-fail-fast", "--package", "migraine-tests", "--test", "sandbox"]);
    // The names of the tests of cases.
    command.args(["--test", "e2e", "--", "::a0", "::a1", "::a2"]).env(ROWS_FOLDER, &folder).current_dir(&project.root);
    let (status, _) = cmd::tee(command)?;
    let tests = if status.success() { Ok(()) } else { Err(anyhow::anyhow!("tests of attacks failed")) };
    let mut rows = BTreeSet::new();
    for entry in fs::read_dir(&folder).context("cannot list the rows")? {
        rows.extend(read(&fs::read_to_string(entry?.path())?)?);
    }
    Ok((rows.into_iter().collect(), tests))
}

fn read(text: &str) -> Result<Vec<Row>> {
    text.lines().map(|line| columns(line).with_context(|| format!("`{line}` is no row of the matrix"))).collect()
}

fn columns<const N: usize>(line: &str) -> Option<[String; N]> {
    let columns: Vec<String> = line.split('|').map(|column| column.trim().to_owned()).collect();
    columns.try_into().ok()
}

/// The titles of the listed cases.
fn titles(root: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(root.join(CASES)).context("cannot read the cases")?;
    let case = |line: &str| {
        let [case, _, title, stopped_by] = columns(line).with_context(|| format!("`{line}` is no case"))?;
        Ok((case, format!("{title} ({stopped_by})")))
    };
    text.lines().map(case).collect()
}

/// Whether a row is as the file has it; the file may allow several outcomes, as `EACCES/ENOENT`.
fn agree(listed: &Row, measured: &Row) -> bool {
    let agrees =
        |(listed, measured): (&String, &String)| listed == measured || listed.split('/').any(|one| one == measured);
    listed[..NAME] == measured[..NAME] && listed.iter().zip(measured).all(agrees)
}

/// What differs from the file, and the listed cases that were not measured.
fn differences(listed: &[Row], measured: &[Row], titles: &BTreeMap<String, String>) -> Vec<String> {
    let others = measured.iter().filter(|row| !listed.iter().any(|listed| agree(listed, row)));
    let gone = listed.iter().filter(|row| !measured.iter().any(|measured| agree(row, measured)));
    let without = titles.keys().filter(|case| !measured.iter().any(|row| row[0] == **case));
    let others = others.map(|row| format!("+ {}", row.join(" | ")));
    let gone = gone.map(|row| format!("- {}", row.join(" | ")));
    others.chain(gone).chain(without.map(|case| format!("{case} is listed and was not measured"))).collect()
}

/// What was measured; a row that the file allows stays as the file has it.
fn blessed(listed: &[Row], measured: &[Row]) -> Vec<Row> {
    let row = |row: &Row| listed.iter().find(|listed| agree(listed, row)).unwrap_or(row).clone();
    measured.iter().map(row).collect()
}

/// Rows under each other, a line each.
fn table(rows: &[Row]) -> String {
    let length = |text: &String| text.chars().count();
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(length(text));
        }
    }
    let line = |row: &Row| {
        let padded = row.iter().zip(widths).map(|(text, width)| format!("{text:width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join(" | ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The matrix for people: each case under its title.
fn render(rows: &[Row], titles: &BTreeMap<String, String>) -> String {
    let shown: Vec<Row> = [HEADER.map(str::to_owned)].into_iter().chain(rows.iter().cloned()).collect();
    let table = table(&shown);
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    let mut last = "";
    for (row, line) in rows.iter().zip(lines) {
        if row[0] != last {
            let title = titles.get(&row[0]).map_or("", String::as_str);
            text.push_str(&format!("\n{} {title}\n", row[0]));
            last = &row[0];
        }
        text.push_str(line);
        text.push('\n');
    }
    let cases: BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    text.push_str(&format!("\n{} rows of {} cases\n", rows.len(), cases.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        read(text).unwrap()
    }

    #[test]
    fn every_difference_is_named() {
        let titles: BTreeMap<_, _> =
            ["A001", "A002"].map(|case| (case.to_owned(), "Read (mount ns)".to_owned())).into_iter().collect();
        let listed = rows("A001 | read x | root | ENOENT | EACCES/ENOENT | EACCES | works\n");
        let as_listed = rows("A001 | read x | root | ENOENT | ENOENT | EACCES | works\n");
        let other = rows("A001 | read x | root | works | ENOENT | EACCES | works\n");
        assert_eq!(differences(&listed, &as_listed, &titles), ["A002 is listed and was not measured"]);
        assert_eq!(differences(&listed, &other, &titles).len(), 3);
        assert_eq!(blessed(&listed, &as_listed), listed);
        assert_eq!(blessed(&listed, &other), other);
        assert_eq!(read(&table(&listed)).unwrap(), listed);
        assert!(read("A001 | read x\n").is_err());
    }

    #[test]
    fn each_case_stands_under_its_title() {
        let titles = BTreeMap::from([("A001".to_owned(), "Read (mount ns)".to_owned())]);
        let measured = rows("A001 | a | root | 1 | – | 3 | 4\nA001 | bb | plain | 1 | 2 | 3 | 4\n");
        let text = render(&measured, &titles);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "A001 Read (mount ns)");
        assert_eq!(lines[3], "A001 | a      | root  | 1          | –               | 3            | 4");
        assert_eq!(lines[6], "2 rows of 1 cases");
    }
}

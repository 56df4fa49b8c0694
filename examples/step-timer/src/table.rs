//! The table of `report`, as wide as the terminal at most.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use crate::timings::{Row, Timings, show};

const HEADINGS: [&str; 5] = ["COMMAND", "RUNS", "LAST", "MEAN", "TOTAL"];
/// Cells between two columns.
const GAP: usize = 2;
/// The first column is never narrower: on a terminal of few columns the lines are longer than it instead.
const COMMAND_MIN: usize = 8;

/// Draws the table: the command on the left, figures on the right.
pub(crate) fn render(timings: &Timings, width: usize) -> String {
    let rows: Vec<[String; 5]> = timings.by_total().into_iter().map(cells).collect();
    let mut widths = HEADINGS.map(UnicodeWidthStr::width);
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.width());
        }
    }
    let figures: usize = widths[1..].iter().map(|column| column + GAP).sum();
    widths[0] = widths[0].min(width.saturating_sub(figures).max(COMMAND_MIN));
    let mut text = String::new();
    line(&mut text, &HEADINGS.map(str::to_owned), &widths);
    for row in &rows {
        line(&mut text, row, &widths);
    }
    text
}

fn cells(row: &Row) -> [String; 5] {
    let time = |ms| show(Duration::from_millis(ms));
    [row.command.clone(), row.runs.to_string(), time(row.last_ms), time(row.mean_ms()), time(row.total_ms)]
}

fn line(text: &mut String, cells: &[String; 5], widths: &[usize; 5]) {
    let command = cut(&cells[0], widths[0]);
    text.push_str(&command);
    text.extend(std::iter::repeat_n(' ', widths[0].saturating_sub(command.width())));
    for (cell, width) in cells[1..].iter().zip(&widths[1..]) {
        // Figures are ASCII: characters are cells.
        let _ = write!(text, "{cell:>full$}", full = width + GAP);
    }
    text.push('\n');
}

/// At most `cells` cells of a text; an ellipsis marks the cut.
fn cut(text: &str, cells: usize) -> String {
    if text.width() <= cells {
        return text.to_owned();
    }
    let mut left = cells.saturating_sub(1);
    let mut fits = |char: &char| {
        let needed = char.width().unwrap_or(0);
        let room = needed <= left;
        left = left.saturating_sub(needed);
        room
    };
    let mut short: String = text.chars().take_while(|char| fits(char)).collect();
    short.push('…');
    short
}

//! Reads a text from standard input and prints a table of its words.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let mut out = io::stdout().lock();
    for (word, count) in word_count::count_words(&text) {
        writeln!(out, "{count:4} {word}")?;
    }
    Ok(())
}

//! Development verbs: `cargo xtask VERB`.
#![forbid(unsafe_code)]

mod tidy;
mod ui;

use std::path::Path;
fn main() -> anyhow::Result<()> {
    tidy::run(Path::new("."))
}

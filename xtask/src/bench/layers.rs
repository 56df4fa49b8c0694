//! Rows of single layers: what each costs when the others are off. Only in the build that can leave layers out.

use anyhow::Result;
use migraine_host::wire::{LauncherSpec, Layers};

use super::{Prepare, Row, sandbox};

pub(super) const ROWS: &[(&str, Prepare)] = &[
    ("start-none", |_| row("start-none", Layers::NONE, "no layer")),
    ("start-namespaces", |_| row("start-namespaces", Layers { namespaces: true, ..Layers::NONE }, "namespaces alone")),
    ("start-rlimits", |_| row("start-rlimits", Layers { rlimits: true, ..Layers::NONE }, "limits alone")),
    ("start-privileges", |_| row("start-privileges", Layers { privileges: true, ..Layers::NONE }, "privileges alone")),
    ("start-landlock", |_| row("start-landlock", Layers { landlock: true, ..Layers::NONE }, "Landlock alone")),
    ("start-seccomp", |_| row("start-seccomp", Layers { seccomp: true, ..Layers::NONE }, "the filter alone")),
];

fn row(name: &'static str, layers: Layers, about: &str) -> Result<Row> {
    sandbox::start(name, &LauncherSpec { layers, ..LauncherSpec::default() }, 1.0, about)
}

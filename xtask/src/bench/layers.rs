//! Rows of single layers: what each costs when the others are off. Only in the build that can leave layers out.

use anyhow::Result;
use migraine_host::wire::{LauncherSpec, Layers};

use super::{Prepare, Row, sandbox};
use crate::project::Project;

pub(super) const ROWS: &[(&str, Prepare)] = &[
    ("start-none", |project| row(project, "start-none", Layers::NONE, "no layer")),
    ("start-namespaces", |project| {
        row(project, "start-namespaces", Layers { namespaces: true, ..Layers::NONE }, "namespaces alone")
    }),
    ("start-rlimits", |project| {
        row(project, "start-rlimits", Layers { rlimits: true, ..Layers::NONE }, "limits alone")
    }),
    ("start-privileges", |project| {
        row(project, "start-privileges", Layers { privileges: true, ..Layers::NONE }, "privileges alone")
    }),
    ("start-landlock", |project| {
        row(project, "start-landlock", Layers { landlock: true, ..Layers::NONE }, "Landlock alone")
    }),
    ("start-seccomp", |project| {
        row(project, "start-seccomp", Layers { seccomp: true, ..Layers::NONE }, "the filter alone")
    }),
];

fn row(project: &Project, name: &'static str, layers: Layers, about: &str) -> Result<Row> {
    sandbox::start(project, name, &LauncherSpec { layers, ..LauncherSpec::default() }, 1.0, about)
}

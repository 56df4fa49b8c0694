//! Attacks that a check of the host stops, whatever layers stand.

use std::time::Duration;

use crate::arena::{Arena, On, Outcome};
use crate::kernel;
use crate::matrix::Rows;
use crate::run::User;

/// What stops an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The check of this name.
    Check(&'static str),
    /// The way the whole is built.
    Design,
    /// That of another row: this attack would not end without it, or would harm the machine.
    Shown,
}

/// One attack, a row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Guarded {
    /// The command of the hostile plugin.
    pub command: &'static str,
    /// Its arguments.
    pub args: &'static [&'static str],
    /// Options of the arena.
    pub options: &'static [&'static str],
    /// The stable code that its end is reported with.
    pub code: &'static str,
    /// What the report says besides.
    pub says: &'static str,
    /// What stops it.
    pub guard: Guard,
}

/// The usual wall clock, in milliseconds.
const USUAL: &[&str] = &["--wall", "700"];

impl Guarded {
    /// An attack that ends with this code, and is another form of one whose guard is shown.
    #[must_use]
    pub const fn new(command: &'static str, code: &'static str, says: &'static str) -> Self {
        Self { command, args: &[], options: USUAL, code, says, guard: Guard::Shown }
    }

    /// Its arguments.
    #[must_use]
    pub const fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    /// Options of the arena, in place of the usual ones.
    #[must_use]
    pub const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// The check without which it works.
    #[must_use]
    pub const fn by(self, check: &'static str) -> Self {
        Self { guard: Guard::Check(check), ..self }
    }

    /// Nothing could be left out: its process, or its channel, is at its end.
    #[must_use]
    pub const fn by_design(self) -> Self {
        Self { guard: Guard::Design, ..self }
    }

    fn run(&self, arena: &Arena) -> Outcome {
        arena.clone().with(self.options).run(self.command, self.args)
    }

    fn check(&self, rows: &mut Rows, user: User) {
        let label = [self.command].into_iter().chain(self.args.iter().copied()).collect::<Vec<_>>().join(" ");
        let all = Arena::new(On::All, user);
        let mut word = String::new();
        for arena in [all.clone(), all.clone().with(&["--copy"])] {
            let outcome = self.run(&arena);
            word = outcome.word();
            let ends = word == self.code && outcome.last().contains(self.says);
            if !ends || outcome.code != number(self.code) || outcome.took > Duration::from_secs(4) {
                rows.fail(format!(
                    "{label} as {user} does not end with {} and `{}`: {outcome:?}",
                    self.code, self.says
                ));
            }
        }
        match self.guard {
            Guard::Check(check) => {
                let without = self.run(&all.without(check)).word();
                rows.host(&label, user, &word, &format!("without {check}"), &without);
            }
            Guard::Design => rows.design(&label, user, &word),
            Guard::Shown => {}
        }
    }
}

/// The exit code of a stable code.
///
/// # Panics
/// There is no such code.
#[must_use]
pub fn number(code: &str) -> i32 {
    let known = migraine_host::code::Code::ALL.iter().find(|known| known.as_str() == code);
    i32::from(known.unwrap_or_else(|| panic!("`{code}` is no code")).exit().number())
}

/// Runs every attack of a case as every user, and settles the case's rows.
///
/// # Panics
/// One ended otherwise, works with its check or fails without it, or is not in the matrix.
pub fn check(case: u16, attacks: &[Guarded]) {
    let mut rows = Rows::of(case);
    for user in kernel::users() {
        for attack in attacks {
            attack.check(&mut rows, *user);
        }
    }
    rows.settle();
}

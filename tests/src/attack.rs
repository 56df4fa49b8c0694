//! An attack and what must become of it.

use crate::arena::{Arena, On, Outcome};
use crate::matrix::{COLUMNS, Rows, WORKS};
use crate::run::User;
use crate::scene::Scene;
use crate::{artifacts, cases, kernel};

/// Which half of the sandbox stops an attack without the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// Each of them.
    Both,
    /// Namespaces, limits and the loss of capabilities; the filters leave it open.
    Spaces,
    /// Landlock and the system call filter; the namespaces leave it open, or make it harmless.
    Filters,
}

/// One attack, a row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// The command of the hostile plugin.
    pub command: &'static str,
    /// Its arguments; `{dir}`, `{victim}`, `{peer}`, `{tcp}`, `{udp}` and `{abstract}` stand for parts of the scene,
    /// `{run}` for a name that no other run has.
    pub args: &'static [&'static str],
    /// Options of the arena.
    pub options: &'static [&'static str],
    /// Whether it needs root: the kernel itself refuses it to others.
    pub root: bool,
    /// What a kernel may lack that it needs; empty for nothing. Where it is missing, that must be a listed exception.
    pub needs: &'static str,
    /// What stops it.
    pub stops: Stops,
    /// Whether the scene's directory is granted for reading.
    pub reads: bool,
    /// Whether it is granted to be changed.
    pub writes: bool,
    /// What the whole sandbox answers: one of these words must be in the last line; empty for any refusal.
    pub answer: &'static [&'static str],
    /// Whether the command is one of the plugin `reach`, on a stream that the host connects.
    pub on_stream: bool,
}

impl Attack {
    /// An attack that works for everybody and is stopped by each half of the sandbox.
    #[must_use]
    pub const fn new(command: &'static str, args: &'static [&'static str]) -> Self {
        Self {
            command,
            args,
            options: &[],
            root: false,
            needs: "",
            stops: Stops::Both,
            reads: false,
            writes: false,
            answer: &[],
            on_stream: false,
        }
    }

    /// An attack on a stream that the host connects to the endpoint named first. The machine's network is where such a
    /// stream already stands, so that only the filter can stop it.
    #[must_use]
    pub const fn on_stream(command: &'static str, args: &'static [&'static str]) -> Self {
        let attack = Self::new(command, args).by(Stops::Filters).answer(&["EPERM"]);
        Self { on_stream: true, ..attack }
    }

    /// Works for root only.
    #[must_use]
    pub const fn root(self) -> Self {
        Self { root: true, ..self }
    }

    /// Needs an ability that kernels may lack.
    #[must_use]
    pub const fn needs(self, ability: &'static str) -> Self {
        Self { needs: ability, ..self }
    }

    /// Options of the arena.
    #[must_use]
    pub const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// Only one half of the sandbox stops it.
    #[must_use]
    pub const fn by(self, stops: Stops) -> Self {
        Self { stops, ..self }
    }

    /// The scene's directory is granted for reading.
    #[must_use]
    pub const fn reads(self) -> Self {
        Self { reads: true, ..self }
    }

    /// The scene's directory is granted to be changed.
    #[must_use]
    pub const fn writes(self) -> Self {
        Self { writes: true, ..self }
    }

    /// The whole sandbox's answer.
    #[must_use]
    pub const fn answer(self, answer: &'static [&'static str]) -> Self {
        Self { answer, ..self }
    }

    fn run(&self, arena: &Arena, user: User) -> (Outcome, Option<String>) {
        let mut scene = Scene::new(user, self.args);
        let args: Vec<String> = self.args.iter().map(|arg| scene.fill(arg)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut arena = arena.clone().with(self.options);
        if self.reads {
            arena = arena.with(&["--read", &scene.fill("{dir}")]);
        }
        if self.writes {
            arena = arena.with(&["--write", &scene.fill("{dir}")]);
        }
        if self.on_stream {
            arena = arena.library(artifacts::library("reach")).with(&["--connects"]);
        }
        let outcome = arena.run(self.command, &args);
        (outcome, scene.touched())
    }

    /// As the matrix names it.
    fn label(&self) -> String {
        let read = self.reads.then_some("(dir granted)");
        let grant = self.writes.then_some("(dir granted to change)").or(read);
        [self.command].into_iter().chain(self.args.iter().copied()).chain(grant).collect::<Vec<_>>().join(" ")
    }

    /// What is wrong with a run that had to be stopped.
    fn leak(&self, outcome: &Outcome, touched: Option<String>, answer: &[&str]) -> Option<String> {
        let ends_as_said = self.answer.contains(&outcome.word().as_str());
        if !outcome.stopped() && !ends_as_said {
            return Some(format!("not stopped: {outcome:?}"));
        }
        if let Some(what) = touched {
            return Some(format!("it was stopped, but {what}: {outcome:?}"));
        }
        let answers = answer.is_empty() || answer.iter().any(|word| outcome.last().contains(word));
        (!answers).then(|| format!("the answer is not one of {answer:?}: {outcome:?}"))
    }

    /// What the last column shows. An attack that the kernel refuses to this user worked for root before.
    fn control(&self, outcome: &Outcome, user: User, rows: &mut Rows) -> String {
        let listed = cases::exceptions().contains(&(rows.case(), self.needs));
        if listed && outcome.word() == "ENOSYS" {
            return format!("{WORKS} with {}", self.needs);
        }
        if listed && kernel::enforced() {
            rows.fail(format!("{}: this kernel has {}, which is a listed exception", self.label(), self.needs));
        }
        if self.root && user == User::Plain && !outcome.worked() {
            return format!("{WORKS} as root");
        }
        outcome.word()
    }

    fn check(&self, rows: &mut Rows, user: User) {
        let label = self.label();
        let mut judge = |on: On, how: &str, must_stop: bool, answer: &[&str], arena: &Arena| {
            let (outcome, touched) = self.run(arena, user);
            if let Some(why) = must_stop.then(|| self.leak(&outcome, touched, answer)).flatten() {
                rows.fail(format!("{label} as {user}, {on:?}{how}: {why}"));
            }
            outcome
        };
        let all = Arena::new(On::All, user);
        judge(On::All, ", loaded from a copy", true, self.answer, &all.clone().with(&["--copy"]));
        if self.options.is_empty() && !self.reads && !self.writes && !self.on_stream {
            judge(On::All, ", made ahead", true, self.answer, &all.with(&["--made-ahead"]));
        }
        // It grants nothing that reaches beyond the plugin's own process.
        if self.stops != Stops::Spaces && !self.reads && !self.on_stream {
            judge(On::Reduced, "", true, &[], &Arena::new(On::Reduced, user));
        }
        let outcomes = COLUMNS.map(|on| {
            let must_stop = match on {
                On::All => true,
                On::Spaces => self.stops != Stops::Filters,
                On::Filters => self.stops != Stops::Spaces,
                _ => false,
            };
            let answer = if on == On::All { self.answer } else { &[] };
            judge(on, "", must_stop, answer, &Arena::new(on, user))
        });
        let [all, spaces, filters, none] = &outcomes;
        let none = self.control(none, user, rows);
        rows.layers(&label, user, &[all.word(), spaces.word(), filters.word(), none]);
    }
}

/// Runs every attack of a case as every user, and settles the case's rows.
///
/// # Panics
/// One was not stopped, proves nothing, or is not in the matrix.
pub fn check(case: u16, attacks: &[Attack]) {
    let mut rows = Rows::of(case);
    for user in kernel::users() {
        for attack in attacks {
            attack.check(&mut rows, *user);
        }
    }
    rows.settle();
}

/// Runs a command under everything, by both ways of loading and in a worker that was made ahead, as every user.
pub fn everywhere(judge: impl Fn(&Arena, User)) {
    for &user in kernel::users() {
        judge(&Arena::new(On::All, user), user);
        judge(&Arena::new(On::All, user).with(&["--made-ahead"]), user);
        judge(&Arena::new(On::All, user).with(&["--copy"]), user);
    }
}

//! An attack and what must become of it.

use crate::arena::{Arena, On, Outcome};
use crate::artifacts;
use crate::kernel;
use crate::run::User;
use crate::scene::Scene;

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

/// For whom an attack works without any protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Works {
    /// Everybody.
    Always,
    /// Root.
    Root,
    /// Nobody on this kernel; the filter's own answer must then differ from the kernel's.
    Differs,
}

/// One attack, a row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// The command of the hostile plugin.
    pub command: &'static str,
    /// Its arguments; `{dir}`, `{victim}`, `{peer}`, `{tcp}`, `{udp}` and `{abstract}` stand for parts of the scene.
    pub args: &'static [&'static str],
    /// For whom it works unprotected.
    pub works: Works,
    /// What stops it.
    pub stops: Stops,
    /// Whether the scene's directory is granted for reading.
    pub reads: bool,
    /// What the whole sandbox answers: one of these words must be in the last line; empty for any refusal.
    pub answer: &'static [&'static str],
    /// Whether the command is one of the plugin `reach`, on a stream that the host connects.
    pub on_stream: bool,
}

impl Attack {
    /// An attack that works for everybody and is stopped by each half of the sandbox.
    #[must_use]
    pub const fn new(command: &'static str, args: &'static [&'static str]) -> Self {
        Self { command, args, works: Works::Always, stops: Stops::Both, reads: false, answer: &[], on_stream: false }
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
        Self { works: Works::Root, ..self }
    }

    /// The kernel itself has no such call.
    #[must_use]
    pub const fn differs(self) -> Self {
        Self { works: Works::Differs, ..self }
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

    /// The whole sandbox's answer.
    #[must_use]
    pub const fn answer(self, answer: &'static [&'static str]) -> Self {
        Self { answer, ..self }
    }

    fn run(&self, arena: &Arena, user: User) -> (Outcome, Option<String>) {
        let mut scene = Scene::new(user, self.args);
        let args: Vec<String> = self.args.iter().map(|arg| scene.fill(arg)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut arena = arena.clone();
        if self.reads {
            arena = arena.with(&["--read", &scene.fill("{dir}")]);
        }
        if self.on_stream {
            arena = arena.library(artifacts::library("reach")).with(&["--connects"]);
        }
        let outcome = arena.run(self.command, &args);
        (outcome, scene.touched())
    }

    /// Without protection it must work, or else show that the kernel answers otherwise than the sandbox.
    fn control(&self, user: User) -> Result<(), String> {
        let (outcome, _) = self.run(&Arena::new(On::Nothing, user), user);
        let last = outcome.last();
        match self.works {
            Works::Differs if outcome.worked() || last.contains(": refused E") => Ok(()),
            Works::Root if user == User::Plain => Ok(()),
            _ if outcome.worked() => Ok(()),
            _ if last.ends_with("refused ENOSYS") => {
                kernel::skip(self.command, "this kernel does not have the call");
                Ok(())
            }
            _ => Err(format!("does not work unprotected, so its test proves nothing: {outcome:?}")),
        }
    }

    fn stopped(&self, arena: &Arena, user: User, answer: &[&str]) -> Result<(), String> {
        let (outcome, touched) = self.run(arena, user);
        if !outcome.stopped() {
            return Err(format!("not stopped: {outcome:?}"));
        }
        if let Some(what) = touched {
            return Err(format!("it was stopped, but {what}: {outcome:?}"));
        }
        if !answer.is_empty() && !answer.iter().any(|word| outcome.last().contains(word)) {
            return Err(format!("the answer is not one of {answer:?}: {outcome:?}"));
        }
        Ok(())
    }

    fn check(&self, user: User) -> Vec<String> {
        let all = Arena::new(On::All, user);
        let mut checks = vec![
            ("unprotected", self.control(user)),
            ("sandboxed", self.stopped(&all, user, self.answer)),
            ("sandboxed, loaded from a copy", self.stopped(&all.with(&["--copy"]), user, self.answer)),
        ];
        if self.stops != Stops::Filters {
            checks.push(("in the namespaces alone", self.stopped(&Arena::new(On::Spaces, user), user, &[])));
        }
        if self.stops != Stops::Spaces {
            checks.push(("under the filters alone", self.stopped(&Arena::new(On::Filters, user), user, &[])));
        }
        checks
            .into_iter()
            .filter_map(|(how, outcome)| {
                outcome.err().map(|why| format!("{} {:?} as {user:?}, {how}: {why}", self.command, self.args))
            })
            .collect()
    }
}

/// Runs every attack of a table as every user.
///
/// # Panics
/// One was not stopped, or proves nothing.
pub fn check(attacks: &[Attack]) {
    let mut failures = Vec::new();
    for user in kernel::users() {
        for attack in attacks {
            failures.extend(attack.check(*user));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Runs a command under everything, by both ways of loading, as every user.
pub fn everywhere(judge: impl Fn(&Arena, User)) {
    for &user in kernel::users() {
        judge(&Arena::new(On::All, user), user);
        judge(&Arena::new(On::All, user).with(&["--copy"]), user);
    }
}

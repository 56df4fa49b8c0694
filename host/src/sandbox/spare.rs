//! The spare worker: sealed before anybody needs it, it has tried all that must fail, and has room for code that is yet to
//! come. It is ordered as every other, by the attendant, while nothing else is asked of the launcher, and ends with it.

use std::time::{Duration, Instant};

use super::orders::Order;
use crate::sys::memory::Room;
use crate::wire::{LauncherSpec, Layers, LoadBy, WorkerSpec};

/// The first one must not compete with a worker that is asked for at once.
const AFTER_LAUNCH: Duration = Duration::from_millis(10);
/// Later ones must not compete with the load and the first call of the plugin that has just started; a program that
/// starts one plugin for one call is over by then.
const AFTER_START: Duration = Duration::from_millis(10);
/// Where so many came to nothing, there are no more.
const FAILURES: u32 = 3;

/// A worker that was ordered for nobody yet.
pub(super) struct Spare {
    pub(super) order: Order,
    pub(super) room: Room,
}

/// What stands ready, and when the next one is made.
pub(super) struct Spares {
    ready: Option<Spare>,
    /// What the next one is for, which is a start like the last; none where workers are not made ahead.
    wanted: Option<WorkerSpec>,
    due: Option<Instant>,
    /// Whether they load code, and do not run programs.
    load: bool,
    failures: u32,
}

impl Spares {
    /// For a launcher of this kind. A script must be there before its worker can be sealed, and a launcher that shows
    /// directories to a library belongs to one plugin, which rarely starts again. Programs are run one after the other.
    pub(super) fn of(spec: &LauncherSpec) -> Self {
        let (runs, shows) = (spec.programs.are_run(), !spec.directories.is_empty());
        let fits = spec.layers() == Layers::ALL
            && spec.load_by != Some(LoadBy::Copy)
            && spec.interpreter.is_none()
            && !spec.learns
            && (runs || !shows);
        // A launcher for programs is started for one that runs at once.
        let due = (fits && !runs).then(|| Instant::now() + AFTER_LAUNCH);
        Self { ready: None, wanted: fits.then_some(WorkerSpec::NATIVE), due, load: !runs, failures: 0 }
    }

    /// Whether there is nothing to make or to look after.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_none() && self.due.is_none()
    }

    /// Whether one can do without its code, where a worker opens it like this: a copy is made before it is sealed.
    pub(super) fn fit(&self, load_by: LoadBy) -> bool {
        !self.load || load_by == LoadBy::Procfs
    }

    /// Whether one stands ready.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// The number of the one that is ready.
    pub(super) fn number(&self) -> Option<u32> {
        self.ready.as_ref().map(|spare| spare.order.number)
    }

    /// How long until the next one is to be made, if one is.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// The next one is made in a while.
    pub(super) fn postpone(&mut self) {
        self.due = self.wanted.map(|_| Instant::now() + AFTER_START);
    }

    /// What is due is made in a while: somebody is served now.
    pub(super) fn put_off(&mut self) {
        if self.due.is_some() {
            self.postpone();
        }
    }

    /// Somebody waits for a worker: the next one is made once that one was received.
    pub(super) fn hold(&mut self) {
        self.due = None;
    }

    /// What is to be looked at now: what the next one is for.
    pub(super) fn due(&mut self, now: Instant) -> Option<WorkerSpec> {
        self.due.take_if(|due| *due <= now)?;
        self.wanted
    }

    /// A worker was started: the next one is for one like it.
    pub(super) fn expect(&mut self, spec: &WorkerSpec) {
        self.wanted = self.wanted.map(|_| *spec);
        self.postpone();
    }

    /// One was ordered; it comes back where no more are wanted.
    pub(super) fn keep(&mut self, spare: Spare) -> Option<Spare> {
        if self.wanted.is_none() {
            return Some(spare);
        }
        self.ready = Some(spare);
        None
    }

    /// One came to nothing. Whoever asks for a worker will hear why.
    pub(super) fn fail(&mut self) {
        self.failures += 1;
        if self.failures == FAILURES {
            self.give_up();
        } else {
            self.postpone();
        }
    }

    /// No more are made.
    pub(super) fn give_up(&mut self) {
        (self.wanted, self.due) = (None, None);
    }

    /// The one that is ready, if it can become this one.
    pub(super) fn take(&mut self, spec: &WorkerSpec) -> Option<Spare> {
        self.take_if(|spare| spare.order.asked == *spec)
    }

    pub(super) fn take_if(&mut self, is_meant: impl FnOnce(&Spare) -> bool) -> Option<Spare> {
        self.ready.take_if(|spare| is_meant(spare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Directory, Level, Programs, Rlimits};

    #[test]
    fn some_launchers_have_spares() {
        let plain = LauncherSpec::default();
        let shown = vec![Directory { path: "/srv".into(), writable: false }];
        let programs = LauncherSpec { programs: Programs::All, ..plain.clone() };
        let has = |spec: &LauncherSpec| Spares::of(spec).wanted.is_some();
        assert!(has(&plain) && has(&programs));
        assert!(has(&LauncherSpec { directories: shown.clone(), ..programs.clone() }));
        assert!(!has(&LauncherSpec { directories: shown, ..plain.clone() }));
        assert!(!has(&LauncherSpec { learns: true, ..plain.clone() }));
        assert!(!has(&LauncherSpec { level: Level::Reduced, ..plain.clone() }));
        assert!(!has(&LauncherSpec { load_by: Some(LoadBy::Copy), ..plain.clone() }));
        // A launcher for programs is started for one that is about to be asked for.
        assert!(Spares::of(&plain).due.is_some() && Spares::of(&programs).due.is_none());
        assert!(!Spares::of(&plain).fit(LoadBy::Copy) && Spares::of(&programs).fit(LoadBy::Copy));
    }

    #[test]
    fn the_next_one_is_for_a_start_like_the_last() {
        let mut spares = Spares::of(&LauncherSpec::default());
        let receiving = WorkerSpec { receives_descriptors: true, ..WorkerSpec::NATIVE };
        let larger = WorkerSpec { rlimits: Rlimits::PROGRAM, ..WorkerSpec::NATIVE };
        spares.expect(&receiving);
        spares.expect(&larger);
        assert_eq!(spares.due(Instant::now()), None, "not at once");
        let later = Instant::now() + AFTER_START;
        assert_eq!(spares.due(later), Some(larger));
        assert_eq!((spares.due(later), spares.wait()), (None, None), "once");
    }

    #[test]
    fn failures_are_counted() {
        let mut spares = Spares::of(&LauncherSpec::default());
        for _ in 1..FAILURES {
            spares.fail();
            assert!(spares.due.is_some());
        }
        spares.fail();
        spares.expect(&WorkerSpec::NATIVE);
        assert!(spares.is_idle());
    }
}

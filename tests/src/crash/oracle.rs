//! Judges what a run left behind.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::{Mutex, MutexGuard};

use migraine_host::ids::Digest;
use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use super::operation::{Kit, Operation};
use super::place::Place;
use super::tree::Tree;
use crate::home::Done;
use crate::run::User;

/// Plugins and a command of each that needs nothing.
const HELLO: &[(&str, &str)] = &[("hello-world", "hello"), ("hooks", "settings")];

/// How a run ended, as far as a user could see it.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Its exit code; `None` when it was killed, or the power went.
    pub code: Option<i32>,
    /// What reached its standard output.
    pub out: &'a str,
}

/// Plugins without a command: whether they run is not asked.
const MUTE: &[&str] = &["tiny", "needing"];

type View = BTreeMap<String, String>;

/// What undisturbed runs do.
#[derive(Debug)]
pub struct Oracle {
    operation: &'static Operation,
    user: User,
    words: Vec<String>,
    old: View,
    new: View,
    between: Vec<View>,
    /// The whole folder after one run and after two, and how the second one ended.
    once: Vec<String>,
    twice: Vec<String>,
    second: String,
    /// States of the disk that were judged already, with the words of the second run.
    judged: Mutex<BTreeSet<(Digest, bool)>>,
}

/// What readers were shown already, and could work with: by whom, whatever was done to it before.
static WORKED: Mutex<BTreeSet<(User, Digest)>> = Mutex::new(BTreeSet::new());

impl Oracle {
    /// Runs the operation undisturbed, twice.
    ///
    /// # Panics
    /// It fails, or does not do what is expected of it.
    #[must_use]
    pub(super) fn new(operation: &'static Operation, kit: &Kit, before: &Tree) -> Self {
        let words = operation.words(kit);
        let place = Place::holding(before, kit.user());
        let first = place.run(&words);
        assert_eq!(first.code, 0, "{}: {first:?}", operation.name);
        let tree = Tree::read(place.path());
        let (old, new) = (before.view(), tree.view());
        let once = tree.settled(place.path());
        assert!(tree.left_over().is_empty(), "{}: {:?}", operation.name, tree.left_over());
        let second = ending(&place.run(&words));
        let twice = Tree::read(place.path()).settled(place.path());
        let judged = Mutex::new(BTreeSet::new());
        let between = |line: &&str| {
            let place = Place::holding(before, kit.user());
            let done = place.run(&kit.words(line));
            assert_eq!(done.code, 0, "{}: {line}: {done:?}", operation.name);
            Tree::read(place.path()).view()
        };
        let between = operation.between.iter().map(between).collect();
        let oracle = Self { operation, user: kit.user(), words, old, new, between, once, twice, second, judged };
        oracle
            .works(&Tree::read(place.path()), &place)
            .unwrap_or_else(|error| panic!("{}, undisturbed: {error}", operation.name));
        oracle
    }

    /// How many different states of the disk were judged.
    #[must_use]
    pub fn states(&self) -> usize {
        self.judged().len()
    }

    fn judged(&self) -> MutexGuard<'_, BTreeSet<(Digest, bool)>> {
        self.judged.lock().expect("nobody panics with it")
    }

    /// Judges what a run left, and changes it: the same command runs again.
    ///
    /// # Errors
    /// What does not hold.
    pub fn judge(&self, place: &Place, ended: &Ended<'_>) -> Result<(), String> {
        self.judge_disk(&Tree::read(place.path()), ended, || place)
    }

    /// As [`Oracle::judge`], of a disk that is not made before a run needs it.
    pub(super) fn judge_disk<P: Borrow<Place>>(
        &self,
        tree: &Tree,
        ended: &Ended<'_>,
        place: impl FnOnce() -> P,
    ) -> Result<(), String> {
        let view = tree.view();
        let (is_old, is_new) = (view == self.old, view == self.new);
        let is_between = self.operation.in_two_steps
            && view
                .iter()
                .all(|(path, content)| [&self.old, &self.new].iter().any(|known| known.get(path) == Some(content)));
        let is_between = is_between || self.between.contains(&view);
        if !is_old && !is_new && !is_between {
            return Err(format!("neither the old nor the new state:\n{}", differences(&self.new, &view)));
        }
        let says_nothing = ended.out.is_empty() || self.operation.reports && ended.code.is_some();
        if (!says_nothing || ended.code == Some(0)) && !is_new {
            return Err(format!("success was reported, and the state is not the new one: {ended:?}"));
        }
        // The old state can also be the new one: disabling twice.
        let identity = (tree.identity(), is_new);
        if self.judged().contains(&identity) {
            return Ok(());
        }
        let place = place();
        let place = place.borrow();
        if self.operation.mends {
            self.runs_again(place, is_old, is_new)?;
            self.works(&Tree::read(place.path()), place)?;
        } else {
            self.works(tree, place)?;
            self.runs_again(place, is_old, is_new)?;
        }
        self.judged().insert(identity);
        Ok(())
    }

    /// `list` works, and so does what it lists.
    fn works(&self, tree: &Tree, place: &Place) -> Result<(), String> {
        let worked = || WORKED.lock().expect("nobody panics with it");
        let readable = (self.user, tree.readable());
        if worked().contains(&readable) {
            return Ok(());
        }
        let list = place.run(&words("--format json plugin list"));
        if list.code != 0 {
            return Err(format!("`list` fails: {list:?}"));
        }
        let list: Value = serde_json::from_str(&list.out).map_err(|error| format!("{error}: {}", list.out))?;
        for plugin in list["plugins"].as_array().into_iter().flatten() {
            let name = plugin["name"].as_str().unwrap_or_default();
            let verified = place.run(&words(&format!("plugin verify {name}")));
            if verified.code != 0 {
                return Err(format!("{name} does not verify: {verified:?}"));
            }
            let hello = HELLO.iter().find(|(known, _)| *known == name).map(|(_, command)| *command);
            if plugin["status"] == "enabled" && !MUTE.contains(&name) {
                let command = hello.ok_or_else(|| format!("nobody knows a plugin {name}"))?;
                let said = place.run(&words(&format!("plugin run {name} {command}")));
                if said.code != 0 {
                    return Err(format!("{name} does not run: {said:?}"));
                }
            }
        }
        let keys = place.run(&words("--format json key list"));
        if keys.code != 0 {
            return Err(format!("`key list` fails: {keys:?}"));
        }
        worked().insert(readable);
        Ok(())
    }

    /// The same command again ends as it would have, and leaves what an undisturbed run leaves.
    fn runs_again(&self, place: &Place, is_old: bool, is_new: bool) -> Result<(), String> {
        let again = place.run(&self.words);
        let as_second = is_new && ending(&again) == self.second;
        if again.code != 0 && !as_second {
            return Err(format!("the same command again: {again:?}"));
        }
        let tree = Tree::read(place.path());
        if !tree.left_over().is_empty() {
            return Err(format!("left over: {:?}", tree.left_over()));
        }
        let settled = tree.settled(place.path());
        let expected: &[&Vec<String>] = match (is_old, is_new) {
            (true, false) => &[&self.once],
            (false, true) => &[&self.twice],
            _ => &[&self.twice, &self.once],
        };
        if !expected.contains(&&settled) {
            return Err(format!("not what an undisturbed run leaves:\n{}", line_differences(expected[0], &settled)));
        }
        self.is_free(place)
    }

    /// Nobody holds the lock.
    fn is_free(&self, place: &Place) -> Result<(), String> {
        let Ok(file) = File::open(place.home().join("lock")) else { return Ok(()) };
        let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
        locked.map(drop).map_err(|(_, errno)| format!("{}: the lock is held: {errno}", self.operation.name))
    }

    /// The arguments of the operation.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// How a run ended, without what differs between two runs.
fn ending(done: &Done) -> String {
    let error: Option<Value> = done.err.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let code = error.and_then(|error| error["code"].as_str().map(str::to_owned)).unwrap_or_default();
    format!("{} {code}", done.code)
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn differences(expected: &View, found: &View) -> String {
    let lines = |view: &View| view.iter().map(|(path, content)| format!("{path} {content}")).collect::<Vec<_>>();
    line_differences(&lines(expected), &lines(found))
}

fn line_differences(expected: &[String], found: &[String]) -> String {
    let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("  - {line}"));
    let more = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("  + {line}"));
    missing.chain(more).collect::<Vec<_>>().join("\n")
}

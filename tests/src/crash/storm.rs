//! Kills and signals at random moments, of one installer and of several at a time.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::dice::Dice;
use super::injection::Job;
use super::operation::Kit;
use super::oracle::Ended;
use super::place::Place;
use super::subject::Subject;
use super::tree::Tree;
use crate::package::{Parcel, manifest, tiny, typed};
use crate::run::User;

/// Runs that show how long one takes.
const SAMPLES: u32 = 5;

/// Several installers at once, each of a plugin of its own, each killed at a moment of its own, `rounds` times; then each runs
/// again. Gives how many were killed before they had ended.
///
/// # Panics
/// A store is not one that an undisturbed run could have left.
#[must_use]
pub fn kills(user: User, installers: usize, rounds: u32) -> usize {
    let (mut dice, seed) = Dice::new();
    let plugins: Vec<(Parcel, Vec<String>)> = (0..installers).map(plugin).collect();
    let place = Place::new(user);
    assert_eq!(place.run(&Kit::of(user).words("key trust {key} --scope * --label tests")).code, 0);
    let before = Tree::read(place.path());
    plugins.iter().for_each(|(_, words)| assert_eq!(place.run(words).code, 0));
    let expected = Tree::read(place.path()).settled(place.path());
    let lines: Vec<&[String]> = plugins.iter().map(|(_, words)| words.as_slice()).collect();
    let span = span(&before, user, &lines);
    let (mut killed, mut judged) = (0, BTreeSet::new());
    for round in 0..rounds {
        let place = Place::holding(&before, user);
        let mut running: Vec<(Duration, Child)> =
            plugins.iter().map(|(_, words)| (dice.within(span), start_quietly(&place, words))).collect();
        running.sort_by_key(|(moment, _)| *moment);
        let start = Instant::now();
        for (moment, child) in &mut running {
            std::thread::sleep(moment.saturating_sub(start.elapsed()));
            let _ = child.kill();
        }
        let ended = running.iter_mut().map(|(_, child)| child.wait().expect("wait for the own child"));
        killed += ended.filter(|status| status.signal().is_some()).count();
        let tree = Tree::read(place.path());
        if judged.insert(tree.identity()) {
            let what = format!("round {round} of {installers}, seed {seed}");
            check(&place, &what);
            for (_, words) in &plugins {
                let done = place.run(words);
                assert_eq!(done.code, 0, "{what}: {words:?}: {done:?}");
            }
            let settled = Tree::read(place.path()).settled(place.path());
            assert_eq!(settled, expected, "{what}");
        }
    }
    killed
}

/// Whatever is listed verifies.
fn check(place: &Place, what: &str) {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let list = place.run(&words("--format json plugin list"));
    assert_eq!(list.code, 0, "{what}: {list:?}");
    let list: Value = serde_json::from_str(&list.out).expect("a list is JSON");
    for plugin in list["plugins"].as_array().into_iter().flatten() {
        let name = plugin["name"].as_str().expect("a name is text");
        let done = place.run(&words(&format!("plugin verify {name}")));
        assert_eq!(done.code, 0, "{what}: {done:?}");
    }
}

/// A plugin of a few kilobytes and the line that installs it.
fn plugin(number: usize) -> (Parcel, Vec<String>) {
    let parcel = tiny(&manifest(&format!("plugin-{number}"), &json!({})));
    let words = ["plugin", "install", typed(&parcel.package()), "--yes"].map(str::to_owned).to_vec();
    (parcel, words)
}

fn start_quietly(place: &Place, words: &[String]) -> Child {
    let mut command = place.product(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("start the product")
}

/// How long undisturbed runs of these lines take, all at once, and a little more.
fn span(before: &Tree, user: User, lines: &[&[String]]) -> Duration {
    let sample = |_| {
        let place = Place::holding(before, user);
        let start = Instant::now();
        let running: Vec<Child> = lines.iter().map(|words| start_quietly(&place, words)).collect();
        for mut child in running {
            let status = child.wait().expect("wait for the own child");
            assert!(status.success(), "{status:?}");
        }
        start.elapsed()
    };
    // The shortest one: in a longer one, the machine was busy with something else.
    (0..SAMPLES).map(sample).min().unwrap_or_default() * 11 / 10
}

/// Returns as soon as the option holds.
fn start_with_signals(place: &Place, option: &str, words: &[String]) -> Child {
    let mut command = place.product_with_signals(option, words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start the product");
    let out = child.stdout.as_mut().expect("it is a pipe");
    out.read_exact(&mut [0]).expect("the empty line");
    child
}

/// Sends runs of the operation a signal that they ignore, all the time.
///
/// # Panics
/// A run ends in another way than as if there had been none.
pub fn ignored((operation, user): Job) {
    let subject = Subject::of(operation, user);
    for round in 0..SAMPLES {
        let place = subject.place();
        let mut child = start_with_signals(&place, "--ignore-signal=HUP", subject.oracle.words());
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let status = loop {
            kill(pid, Signal::SIGHUP).expect("send a signal");
            std::thread::sleep(Duration::from_millis(1));
            if let Some(status) = child.try_wait().expect("look at the own child") {
                break status;
            }
        };
        assert!(status.success(), "round {round}: {status:?}");
    }
}

/// How runs ended that got a signal.
#[derive(Debug, Default)]
pub struct Interrupts {
    /// By the signal.
    pub ended: usize,
    /// As if there had been none.
    pub finished: usize,
}

/// Sends a run of the operation a signal at a random moment, `rounds` times.
///
/// # Panics
/// A run ends in another way than by the signal or as if there had been none, or leaves a store that it should not.
#[must_use]
pub fn interrupts((operation, user): Job, rounds: u32) -> Interrupts {
    let (mut dice, seed) = Dice::new();
    let subject = Subject::of(operation, user);
    let span = span(subject.before(), user, &[subject.oracle.words()]);
    let mut found = Interrupts::default();
    for round in 0..rounds {
        let place = subject.place();
        let signal = dice.one_of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGPIPE]);
        let moment = dice.within(span);
        // Whoever runs the tests may ignore some, as nohup(1) does.
        let mut child = start_with_signals(&place, "--default-signal=INT,TERM,HUP,PIPE", subject.oracle.words());
        std::thread::sleep(moment);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        // One that has ended is not reaped yet: the pid is nobody else's.
        kill(pid, signal).expect("send a signal");
        let status = child.wait().expect("wait for the own child");
        let what = format!("{} {round}, {signal} after {moment:?}, seed {seed}", operation.name);
        found.count(status, signal, &what);
        let left = Tree::read(place.path()).left_over().into_iter().cloned().collect::<Vec<_>>();
        assert!(left.is_empty(), "{what}: left in staging: {left:?}");
        let ended = Ended { code: status.code(), out: "" };
        subject.oracle.judge(&place, &ended).unwrap_or_else(|fault| panic!("{what}: {fault}"));
    }
    found
}

impl Interrupts {
    /// A shell shows the end by signal N as exit code 128 + N.
    fn count(&mut self, status: ExitStatus, signal: Signal, what: &str) {
        match (status.signal(), status.code()) {
            (Some(number), _) if number == signal as i32 => self.ended += 1,
            (None, Some(0)) => self.finished += 1,
            _ => panic!("{what}: ended with {status:?}"),
        }
    }
}

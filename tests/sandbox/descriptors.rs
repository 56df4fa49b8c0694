//! What a plugin finds open, and what it can open of processes.

use migraine_tests::arena::{Arena, On};
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;
use migraine_tests::matrix::{COLUMNS, Rows};

#[test]
fn a008_only_agreed_descriptors_are_open() {
    let expected = "0: device 1:3\n1: pipe\n2: pipe\n3: pipe\n4: pipe\n";
    everywhere(|arena, _| {
        assert_eq!(arena.run("fds", &[]).out, expected);
        assert_eq!(arena.run("fds", &["one more"]).out, format!("{expected}5: device 1:5\n"));
        let receives = arena.clone().with(&["--connects"]);
        assert_eq!(receives.run("fds", &[]).out, format!("{expected}7: socket\n"));
    });
    let mut rows = Rows::of(8);
    kernel::users().iter().for_each(|&user| rows.design("look at each descriptor", user, "as agreed"));
    rows.settle();
}

// Two starts in a row, one after the worker that was made ahead was killed, and two of another kind. Then three that are
// ordered before their code was read, one of which is not needed.
#[test]
fn a008_workers_that_are_made_ahead_are_like_others() {
    let plain = "0: device 1:3\n1: pipe\n2: pipe\n3: pipe\n4: pipe\n";
    let receives = format!("{plain}7: socket\n");
    for &user in kernel::users() {
        let outcome = Arena::new(On::All, user).with(&["--orders"]).run("fds", &[]);
        let starts = [plain, plain, plain, &receives, &receives].concat();
        let told = "made ahead: [true, false, true, false, true]\none seal: true\ngrouped: true\n";
        let before_their_code = "ordered before their code: 3\nfor its own code and another file: [true, false]\none seal: true\nthe third is gone: true\n";
        assert_eq!(outcome.out, starts + told + before_their_code, "{outcome:?}");
    }
}

// What a pipe's mode refuses, only root without a sandbox may.
#[test]
fn a010_pipes_cannot_be_turned_round() {
    check(10, &[Attack::new("reopen", &[]).root().by(Stops::Spaces)]);
}

#[test]
fn a011_procfs_shows_nothing() {
    let mut rows = Rows::of(11);
    for &user in kernel::users() {
        let unprotected = Arena::new(On::Nothing, user).run("proc-files", &[]).out;
        assert!(unprotected.contains("self/mem") && unprotected.contains("cpuinfo"), "{unprotected}");
        for on in [On::All, On::Without("landlock"), On::Spaces] {
            let arena = Arena::new(on, user);
            assert_eq!(arena.run("proc-files", &[]).out, "", "{on:?}");
            assert_eq!(arena.with(&["--copy"]).run("proc-files", &[]).out, "", "{on:?}");
        }
        let outcomes = COLUMNS.map(|on| Arena::new(on, user).run("proc-files", &[]).out);
        let word = |found: &String| if found.is_empty() { "nothing" } else { "works" }.to_owned();
        rows.layers("open files of procfs", user, &outcomes.each_ref().map(word));
    }
    rows.settle();
}

//! Code that comes in after the verdict.

use migraine_tests::arena::{Arena, On};
use migraine_tests::artifacts;
use migraine_tests::attack::{Attack, Stops, check, everywhere};
use migraine_tests::kernel;

const EPERM: &[&str] = &["EPERM"];

// A29, A31, A104
#[test]
fn memory_never_becomes_code() {
    check(&[
        Attack::new("mmap-rwx", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("mprotect-exec", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("memfd-map", &[]).by(Stops::Filters).answer(EPERM),
        Attack::new("scratch-exec", &["{dir}"]).answer(&["ENOENT"]),
        Attack::new("proc-mem", &[]).answer(&["EACCES", "ENOENT"]),
        // The host's own binary.
        Attack::new("own-exe", &[]).answer(&["EACCES", "ENOENT"]),
    ]);
}

// A31: the scratch is writable, so nothing in it may be mapped as code, whatever the filter says.
#[test]
fn the_scratch_holds_no_code() {
    everywhere(|arena, _| {
        for command in ["scratch-exec", "scratch-dlopen"] {
            let outcome = arena.run(command, &["/tmp"]);
            assert!(outcome.last().ends_with("refused EPERM"), "{outcome:?}");
        }
    });
    let library = artifacts::library("hello-world").display().to_string();
    for &user in kernel::users() {
        let directory = tempfile::tempdir().unwrap();
        user.give(directory.path());
        let place = directory.path().display().to_string();
        let unprotected = Arena::new(On::Nothing, user).run("scratch-dlopen", &[&place, &library]);
        assert!(unprotected.worked(), "{unprotected:?}");
        let outcome = Arena::new(On::Spaces, user).run("scratch-exec", &["/tmp"]);
        assert!(outcome.last().ends_with("refused EPERM"), "{outcome:?}");
    }
}

// A10: what a pipe's mode refuses, only root without a sandbox may.
#[test]
fn pipes_cannot_be_turned_round() {
    check(&[Attack::new("reopen", &[]).root().by(Stops::Spaces)]);
}

// A10: the sealed bytes and their private copy.
#[test]
fn the_plugin_cannot_change_its_own_file() {
    for &user in kernel::users() {
        for on in [On::All, On::Spaces] {
            for options in [&[][..], &["--copy"]] {
                let outcome = Arena::new(on, user).with(options).run("own-file", &[]);
                assert!(outcome.stopped(), "{on:?} {outcome:?}");
            }
        }
    }
}

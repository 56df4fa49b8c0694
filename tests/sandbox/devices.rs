//! The devices of the private root are the machine's own: what a worker changes about one, everybody sees.

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;

const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/urandom"];

// The filter lets whoever has a writable directory set the times of open files.
#[test]
fn a004_the_times_of_a_device_cannot_be_changed() {
    for &user in kernel::users() {
        let outcome = Arena::new(On::Nothing, user).run("touch_now", &["/dev/null"]);
        assert!(!outcome.stopped(), "without a sandbox: {outcome:?}");
        for on in [On::All, On::Spaces] {
            let arena = Arena::new(on, user).with(&["--write", "/var/tmp"]);
            for arena in [arena.clone(), arena.with(&["--copy"])] {
                // Landlock lets only the first be opened for writing.
                for device in if on == On::All { &DEVICES[..1] } else { &DEVICES[..] } {
                    let outcome = arena.run("touch_now", &[device]);
                    assert!(outcome.out.contains("refused EROFS"), "{user:?}, {on:?}, {device}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_written_to_a_device_reaches_it() {
    for &user in kernel::users() {
        for arena in [Arena::new(On::All, user), Arena::new(On::All, user).with(&["--copy"])] {
            let outcome = arena.run("write", &["/dev/null"]);
            assert!(!outcome.stopped(), "{user:?}: {outcome:?}");
        }
    }
}

//! Code that runs inside dlopen: a library's constructor.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use migraine_tests::arena::{Arena, On};
use migraine_tests::kernel;

/// Agreed with the hostile plugin; where it does not exist, an unsealed constructor does nothing.
const DIRECTORY: &str = "/tmp/migraine-constructor";

fn files() -> usize {
    fs::read_dir(DIRECTORY).expect("the directory of this test").count()
}

// A94
#[test]
fn a_constructor_gets_nothing() {
    fs::create_dir_all(DIRECTORY).unwrap();
    fs::set_permissions(DIRECTORY, fs::Permissions::from_mode(0o777)).unwrap();
    let removed = Removed;
    for &user in kernel::users() {
        let arena = |on| Arena::new(on, user).variable("MIGRAINE_TEST_SECRET", "of the host");
        for on in [On::All, On::Spaces, On::Filters] {
            for options in [&[][..], &["--copy"]] {
                if on == On::Filters && !options.is_empty() {
                    // Without namespaces there is no private place for a copy.
                    continue;
                }
                let outcome = arena(on).with(options).run("constructor", &[]);
                assert!(outcome.out.contains("file: refused E"), "{on:?} {outcome:?}");
                assert!(outcome.out.contains("environment: refused"), "{on:?} {outcome:?}");
                assert_eq!(outcome.out.lines().count(), 2, "{on:?} {outcome:?}");
                // Other tests' unprotected constructors write here at the same time; sealed ones are pid 1.
                assert!(!Path::new(DIRECTORY).join("ran-1").exists());
            }
        }
        let unprotected = arena(On::Nothing).run("constructor", &[]);
        assert!(unprotected.out.contains("file: worked"), "{unprotected:?}");
        assert!(unprotected.out.contains("environment: worked"), "{unprotected:?}");
        assert!(files() > 0);
    }
    drop(removed);
}

struct Removed;

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(DIRECTORY);
    }
}
